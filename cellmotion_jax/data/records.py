"""Samples stored as ArrayRecord files, written once by TFDS (without TensorFlow), with random access.

A method defines its samples in its ``records.py``: a configuration, a `RecordBuilder`, and a source that
converts records to samples.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import logging
import os
import pathlib
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar, TypeVar

import absl.logging
import tensorflow_datasets as tfds

from cellmotion_jax.files.fingerprints import damage, record_of, write_record
from cellmotion_jax.files.places import partial_beside
from cellmotion_jax.files.written import remove, removed


class _LocalInfo(tfds.core.DatasetInfo):
    """What TFDS knows of samples that nobody published."""

    def initialize_from_bucket(self) -> None:
        """Does nothing; the method of TFDS makes a temporary folder for what it finds, and leaves it."""


class RecordBuilder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Builder of one split, in the order in which samples are made."""

    # Part of the folder's name: raise it when the same configuration comes to mean other samples.
    VERSION = tfds.core.Version("1.0.0")
    # Nothing is downloaded. TFDS would look for checksums, by a package that it does not install.
    url_infos = None
    SPLIT: ClassVar[str]
    """Name of the split."""
    builder_config: Any  # type: ignore[assignment]  # Each builder has a configuration of its own.

    def features(self) -> dict[str, Any]:
        """Types of the stored features of a sample, by name."""
        raise NotImplementedError

    def samples(self) -> Iterator[dict[str, Any]]:
        """All samples, in order."""
        raise NotImplementedError

    def _info(self) -> tfds.core.DatasetInfo:
        features = tfds.features.FeaturesDict(self.features())
        return _LocalInfo(builder=self, features=features, disable_shuffling=True)

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Any]:
        return {self.SPLIT: self._generate_examples()}

    def _generate_examples(self) -> Iterator[tuple[int, dict[str, Any]]]:
        yield from enumerate(self.samples())


TEMPORARY = f"incomplete.{'?' * 32}.*"
"""Names under which TFDS writes what it renames when it is complete."""
_log = logging.getLogger(__name__)
_Builder = TypeVar("_Builder", bound=RecordBuilder)


def read_records(builder: RecordBuilder, *, without: str | None = None) -> Any:
    """The records of a builder, for random access.

    Args:
        builder: Builder from `prepared`.
        without: A feature that is not decoded, such as the images if only the labels are needed.

    Returns:
        A sequence of records.
    """
    read: Any = builder.as_data_source
    if without is None:
        return read(builder.SPLIT)
    return read(builder.SPLIT, decoders={without: tfds.decode.SkipDecoding()})


def prepared(
    builder_class: type[_Builder], config: tfds.core.BuilderConfig, data_dir: str | os.PathLike[str]
) -> _Builder:
    """Builder whose records exist; they are written if necessary.

    TFDS writes beside the final folder and renames, so that a killed preparation is not taken for a
    complete one. Records that are damaged are reported, removed and written again.

    Args:
        builder_class: Class of the builder.
        config: Configuration of the builder; different records need different names, see `digest`.
        data_dir: Folder for the records of all builders; made if it is absent.

    Returns:
        The builder.

    Raises:
        InputError: If the samples cannot be made.
    """
    folder = pathlib.Path(data_dir).expanduser().absolute()
    written = folder / builder_class.name / config.name / str(builder_class.VERSION)
    if written.exists() and record_of(written).exists() and (damaged := damage(written)) is not None:
        _log.warning("The samples in %s are damaged (%s): they are written again.", written, damaged)
        remove(record_of(written))
        remove(written)
    with _quiet():
        builder = builder_class(config=config, data_dir=folder, file_format="array_record")
        # Nothing is downloaded, but TFDS makes a folder for it.
        with removed(partial_beside(folder / "downloads")) as nowhere:
            try:
                builder.download_and_prepare(download_dir=nowhere)
            except OSError:
                # Of two processes that prepare the same at once, the slower one cannot rename, and need not.
                if not written.exists():
                    raise
                builder = builder_class(config=config, data_dir=folder, file_format="array_record")
    if not record_of(written).exists():
        write_record(written)
    return builder


def digest(*options: object) -> str:
    """Sixteen hexadecimal digits that identify a set of options.

    Args:
        options: Values with a complete ``repr``: numbers, text, and lists of them.

    Returns:
        The digits.
    """
    return hashlib.sha256(repr(options).encode()).hexdigest()[:16]


def fingerprint(files: Iterable[pathlib.Path]) -> list[tuple[str, int, int]]:
    """Path, size and modification time of files, for `digest`."""
    return [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silences the download messages of TFDS; the preparation has its own progress bar."""
    verbosity = absl.logging.get_verbosity()
    absl.logging.set_verbosity(absl.logging.ERROR)
    tfds.display_progress_bar(False)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        tfds.display_progress_bar(True)
        absl.logging.set_verbosity(verbosity)
