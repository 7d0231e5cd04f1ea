"""Storage of pairs of windows as ArrayRecord files, written once by TFDS (without TensorFlow)."""

from __future__ import annotations

import dataclasses
import os
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any, SupportsIndex

import numpy as np
import tensorflow_datasets as tfds
from jaxtyping import Bool

from cellmotion_jax.data.annotated import ImageSplit
from cellmotion_jax.data.ctc import CtcSequence
from cellmotion_jax.data.records import RecordBuilder, digest, fingerprint, prepared, read_records
from cellmotion_jax.methods.celltrack_embedding.pairs import PairSettings, movie_pairs
from cellmotion_jax.methods.celltrack_embedding.still_pairs import still_pairs

PairOrigin = Sequence[CtcSequence] | ImageSplit
"""One source: movies of one kind, or still images."""


@dataclasses.dataclass(kw_only=True)
class PairConfig(tfds.core.BuilderConfig):
    """Configuration of the builder; its name contains a digest of all settings."""

    origin: PairOrigin = dataclasses.field(repr=False)
    """Source of the pairs."""
    settings: PairSettings
    """Size and number of the pairs."""
    seed: int
    """Random seed of the choice of pairs and of the warps."""


class Pairs(RecordBuilder):
    """Builder of one split, ``pairs``, movie by movie or image by image."""

    SPLIT = "pairs"
    builder_config: PairConfig

    def features(self) -> dict[str, Any]:
        """Two windows and three positions."""
        side, place = self.builder_config.settings.side, tfds.features.Tensor(shape=(2,), dtype=np.float32)
        return {
            "image": tfds.features.Tensor(shape=(2, side, side), dtype=np.float16, encoding="zlib"),
            **dict.fromkeys(("place", "previous", "true"), place),
            "held_out": tfds.features.Scalar(np.bool_),
        }

    def samples(self) -> Iterator[dict[str, Any]]:
        """Movie by movie, or image by image."""
        for pair in self._pairs():
            named = pair._asdict()
            windows = [named.pop("first"), named.pop("second")]
            yield {"image": np.stack(windows).astype(np.float16), **named}

    def _pairs(self) -> Iterator[Any]:
        config = self.builder_config
        rng = np.random.default_rng(config.seed)
        if isinstance(config.origin, ImageSplit):
            yield from still_pairs(config.origin, settings=config.settings, rng=rng)
            return
        for sequence, share in zip(config.origin, _shared_out(config.settings, len(config.origin))):
            yield from movie_pairs(sequence, settings=share, rng=rng)


class PairSource:
    """Prepared pairs of all sources: ``len(source)``, and ``source[i]`` reads one from the disk.

    A pair is a dictionary of ``image`` [2, y, x], both windows, and the positions ``place``, ``previous`` and
    ``true`` [2] of `methods.celltrack_embedding.pairs.CellPair`, all float32.

    Attributes:
        held_out: Whether each pair is held out from training.
        origin: Index of the source of each pair.
    """

    def __init__(self, builders: Sequence[Pairs]) -> None:
        self._records: list[Any] = []
        held_out: list[Bool[np.ndarray, " pair"]] = []
        for builder in builders:
            self._records.append(read_records(builder))
            records = read_records(builder, without="image")
            held_out.append(np.array([bool(record["held_out"]) for record in records]))
        sizes = [len(part) for part in held_out]
        self.held_out = np.concatenate(held_out)
        self.origin = np.repeat(np.arange(len(sizes)), sizes)
        self._starts = np.cumsum([0, *sizes])

    def __len__(self) -> int:
        return len(self.held_out)

    def __getitem__(self, index: SupportsIndex) -> dict[str, np.ndarray]:
        # The end of an iteration is an IndexError; the records themselves raise another.
        position = range(len(self))[index]
        origin = self.origin[position]
        record = self._records[origin][int(position - self._starts[origin])]
        return {name: record[name].astype(np.float32) for name in ("image", "place", "previous", "true")}


def pair_source(
    origins: Sequence[PairOrigin],
    *,
    settings: PairSettings,
    seed: int,
    data_dir: str | os.PathLike[str],
) -> PairSource:
    """Prepares pairs of windows, or reuses those that an earlier call has prepared.

    Every source gives the same number of pairs, whatever its size. Each is stored in a folder whose name
    contains a digest of the settings and of the path, size and time of its files; after a change it is
    prepared again.

    Args:
        origins: Movies, of which several of one kind share a source, or still images; at least one.
        settings: Size and number of the pairs.
        seed: Random seed.
        data_dir: Folder for the prepared pairs; made if it is absent.

    Returns:
        The pairs of all sources, one after another.

    Raises:
        InputError: If a source has too few cells, or a file is damaged.
    """
    builders = []
    for origin in origins:
        sources = fingerprint(_files(origin))
        config = PairConfig(
            name=f"{settings.side}px-{digest(settings, seed, sources)}",
            origin=origin,
            settings=settings,
            seed=seed,
        )
        builders.append(prepared(Pairs, config, data_dir))
    return PairSource(builders)


def _shared_out(settings: PairSettings, parts: int) -> Iterator[PairSettings]:
    """The settings of every movie of a source, whose pairs add up to those of the source."""
    train, held_out = (
        np.diff(np.linspace(0, total, parts + 1).astype(int)) for total in (settings.train, settings.held_out)
    )
    for of_train, of_held_out in zip(train, held_out):
        yield dataclasses.replace(settings, train=int(of_train), held_out=int(of_held_out))


def _files(origin: PairOrigin) -> list[pathlib.Path]:
    """Every file that a pair can depend on."""
    if isinstance(origin, ImageSplit):
        return [file for image in (*origin.train, *origin.validation) for file in image.files]
    files = []
    for sequence in origin:
        headers = [header for header, _ in (*sequence.movie.planes, *sequence.tracking_masks.planes)]
        silver = sorted((sequence.root / f"{sequence.name}_ST" / "SEG").glob("man_seg*.tif"))
        files += [header.path for header in headers] + silver
        files.append(sequence.tracking_masks.path / "man_track.txt")
    return files
