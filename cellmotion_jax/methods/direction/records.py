"""Storage of direction samples as ArrayRecord files, written once by TFDS (without TensorFlow)."""

from __future__ import annotations

import dataclasses
import os
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any, SupportsIndex

import numpy as np
import tensorflow_datasets as tfds

from cellmotion_jax.data.ctc import CtcSequence
from cellmotion_jax.data.records import (
    RecordBuilder,
    digest,
    fingerprint,
    prepared,
    read_records,
)
from cellmotion_jax.errors import InputError
from cellmotion_jax.methods.direction.crops import direction_crops, direction_targets
from cellmotion_jax.settings import MicronsPerPixel, Positive, Settings, Side

_COLUMNS = {
    "angle": np.float32,
    "displacement_um": np.float32,
    "threshold_um": np.float32,
    "track": np.int32,
    "frame": np.int32,
    "frames_ahead": np.int32,
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class CropSettings(Settings):
    """How crops and their directions are made; see `methods.direction.crops`."""

    threshold_um: Positive
    """Displacement above which a direction is defined."""
    pixel_size_um: MicronsPerPixel | None = None
    """Side of a pixel in micrometres, for all movies; None takes the value of each movie."""
    crop_um: Positive
    """Side of the crops."""
    image_size: Side
    """Rows and columns of the stored images."""


@dataclasses.dataclass(kw_only=True)
class DirectionConfig(tfds.core.BuilderConfig):
    """Configuration of the builder; its name contains a digest of all settings."""

    sequences: Sequence[CtcSequence] = dataclasses.field(repr=False)
    """The annotated movies."""
    pixel_sizes_um: Sequence[float]
    """Side of a pixel of each movie."""
    settings: CropSettings
    """How crops are made."""


class Directions(RecordBuilder):
    """Builder of one split, ``samples``, in the order of the sequences, frames and tracks."""

    VERSION = tfds.core.Version("1.1.0")
    SPLIT = "samples"
    builder_config: DirectionConfig

    def features(self) -> dict[str, Any]:
        """An image, the name of its movie, and one number per column."""
        size = self.builder_config.settings.image_size
        return {
            "image": tfds.features.Tensor(shape=(size, size, 1), dtype=np.float32, encoding="zlib"),
            "sequence": tfds.features.Text(),
            **{name: tfds.features.Scalar(dtype) for name, dtype in _COLUMNS.items()},
        }

    def samples(self) -> Iterator[dict[str, Any]]:
        """By movie, then by frame, then by track."""
        config, settings = self.builder_config, self.builder_config.settings
        for sequence, pixel_size_um in zip(config.sequences, config.pixel_sizes_um):
            targets = direction_targets(
                sequence,
                threshold_um=settings.threshold_um,
                pixel_size_um=pixel_size_um,
                crop_um=settings.crop_um,
            )
            crops = direction_crops(sequence, targets, image_size=settings.image_size)
            for sample, image in enumerate(crops):
                columns = {name: getattr(targets, name)[sample] for name in _COLUMNS}
                yield {"image": image[..., None], "sequence": sequence.full_name, **columns}


class DirectionSource:
    """Prepared direction samples: ``len(source)``, and ``source[i]`` reads one from the disk.

    A sample is a dictionary with the ``image`` [y, x, 1] in the movie's own intensities and one value of
    each column.

    Attributes:
        columns: Everything but the images, in memory, one array per feature: ``angle``,
            ``displacement_um``, ``threshold_um``, ``sequence`` (e.g. ``PhC-C2DH-U373/01``), ``track``,
            ``frame`` and ``frames_ahead``.
    """

    def __init__(self, builder: Directions) -> None:
        self._records = read_records(builder)
        records = [*read_records(builder, without="image")]
        self.columns = {
            name: np.asarray([record[name] for record in records], dtype) for name, dtype in _COLUMNS.items()
        }
        self.columns["sequence"] = np.asarray([record["sequence"].decode() for record in records])

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, index: SupportsIndex) -> dict[str, np.ndarray]:
        columns = {name: column[index] for name, column in self.columns.items()}
        return {"image": self._records[index]["image"], **columns}


def direction_source(
    sequences: Sequence[CtcSequence], settings: CropSettings, *, data_dir: str | os.PathLike[str]
) -> DirectionSource:
    """Prepares direction samples, or reuses those that an earlier call has prepared.

    The samples are stored in a folder whose name contains a digest of the settings and of the path, size and
    time of every source file; after a change they are prepared again.

    Args:
        sequences: Annotated movies with different names.
        settings: How crops and their directions are made.
        data_dir: Folder for the prepared samples; made if it is absent.

    Returns:
        The samples of all movies, by movie, then by frame, then by track.

    Raises:
        InputError: If a movie leaves no sample or is damaged, its pixel size is not known, or two movies
            have the same name.
    """
    names = [sequence.full_name for sequence in sequences]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"{name} is given more than once; every sequence needs a name of its own.")
    pixel_sizes_um = [settings.pixel_size_um or _known_pixel_size_um(sequence) for sequence in sequences]
    sources = [fingerprint(_files(sequence)) for sequence in sequences]
    lengths = f"{settings.threshold_um:g}um-{settings.crop_um:g}um-{settings.image_size}px"
    config = DirectionConfig(
        name=f"{lengths}-{digest(settings, pixel_sizes_um, sources)}",
        sequences=sequences,
        pixel_sizes_um=pixel_sizes_um,
        settings=settings,
    )
    return DirectionSource(prepared(Directions, config, data_dir))


def _known_pixel_size_um(sequence: CtcSequence) -> float:
    if sequence.pixel_size_um is None:
        raise InputError(
            f"{sequence.movie.path} does not say how large its pixels are; give pixel_size_um in micrometres."
        )
    return sequence.pixel_size_um


def _files(sequence: CtcSequence) -> list[pathlib.Path]:
    """All files that a sample may depend on."""
    headers = [header for header, _ in (*sequence.movie.planes, *sequence.tracking_masks.planes)]
    return [header.path for header in headers] + [sequence.tracking_masks.path / "man_track.txt"]
