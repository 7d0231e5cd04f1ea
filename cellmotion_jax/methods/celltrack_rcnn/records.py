"""Storage of windows of adjacent frames as ArrayRecord files, written once by TFDS (without TensorFlow)."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, SupportsIndex

import numpy as np
import tensorflow_datasets as tfds
from jaxtyping import Int
from tqdm import tqdm

from cellmotion_jax.data.records import RecordBuilder, digest, fingerprint, prepared, read_records
from cellmotion_jax.errors import InputError
from cellmotion_jax.methods.celltrack_rcnn.pairs import UNKNOWN, AnnotatedPair, TrackedFrame, read_pairs
from cellmotion_jax.settings import Positive, Range, Settings, Side


@dataclasses.dataclass(frozen=True, kw_only=True)
class WindowSettings(Settings):
    """How windows are cut; lengths are in pixels of the network."""

    scale: Positive
    """Pixels of the network per pixel of a frame."""
    window: Side
    """Rows and columns of a window."""
    stride: Side
    """Distance between neighbouring windows."""
    cells: Annotated[int, Range(1, UNKNOWN - 1)]
    """Largest number of cells of a window; those farthest from its middle count as not known beyond it."""


@dataclasses.dataclass(kw_only=True)
class WindowConfig(tfds.core.BuilderConfig):
    """Configuration of the builder; its name contains a digest of all settings."""

    pairs: Sequence[AnnotatedPair] = dataclasses.field(repr=False)
    """Adjacent frames."""
    settings: WindowSettings
    """How windows are cut."""


class Windows(RecordBuilder):
    """Builder of one split, ``windows``, pair by pair, then by row and column."""

    SPLIT = "windows"
    builder_config: WindowConfig

    def features(self) -> dict[str, Any]:
        """Two images, their cells, and where the cells of the later one come from."""
        settings = self.builder_config.settings
        shape = (2, settings.window, settings.window)
        return {
            "image": tfds.features.Tensor(shape=shape, dtype=np.float16, encoding="zlib"),
            "number": tfds.features.Tensor(shape=shape, dtype=np.uint8, encoding="zlib"),
            "centre": tfds.features.Tensor(shape=(2, settings.cells, 2), dtype=np.float32),
            "present": tfds.features.Tensor(shape=(2, settings.cells), dtype=np.bool_),
            "source": tfds.features.Tensor(shape=(settings.cells,), dtype=np.int32),
        }

    def samples(self) -> Iterator[dict[str, Any]]:
        """Windows in which a cell is annotated."""
        config, found = self.builder_config, False
        settings = config.settings
        for earlier, later, source in tqdm(
            read_pairs(config.pairs, scale=settings.scale),
            total=len(config.pairs),
            desc="windows of pairs",
            disable=None,
            leave=False,
        ):
            for top in _starts(earlier.image.shape[0], settings):
                for left in _starts(earlier.image.shape[1], settings):
                    sample = _cut(earlier, later, source, (top, left), settings)
                    if sample["present"].any():
                        yield sample
                        found = True
        if not found:
            raise InputError(
                f"No cell is annotated in {len(config.pairs)} pairs of frames from "
                f"{config.pairs[0].earlier.name} on; there is nothing to learn from."
            )


class WindowSource:
    """Prepared windows: ``len(source)``, and ``source[i]`` reads one from the disk.

    A window is a dictionary of ``image`` [2, y, x] float32; ``number`` [2, y, x] int32, the number of the
    cell of a pixel, 0 for background and `UNKNOWN`; ``centre`` [2, cell, 2] (y, x) in the window, also of
    cells whose middle lies outside of it; ``present`` [2, cell]; and ``source`` [cell], the number of the
    cell of the first frame that a cell of the second comes from, 0 for none.
    """

    def __init__(self, builder: Windows) -> None:
        self._records = read_records(builder)

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, index: SupportsIndex) -> dict[str, np.ndarray]:
        # The end of an iteration is an IndexError; the records themselves raise another.
        record = self._records[range(len(self))[index]]
        return {
            **{name: record[name] for name in ("centre", "present", "source")},
            "image": record["image"].astype(np.float32),
            "number": record["number"].astype(np.int32),
        }


def window_source(
    pairs: Sequence[AnnotatedPair], settings: WindowSettings, *, data_dir: str | os.PathLike[str]
) -> WindowSource:
    """Prepares windows of pairs of frames, or reuses those that an earlier call has prepared.

    Windows begin at 0, ``stride``, 2 ``stride``, ... and the last one ends with the frame. Beyond a frame
    that is smaller nothing is known. Images are rounded to float16.

    Args:
        pairs: Adjacent frames, at least one pair.
        settings: How windows are cut.
        data_dir: Folder for the prepared windows; made if it is absent.

    Returns:
        The windows.

    Raises:
        InputError: If nothing is annotated, or a file is damaged.
    """
    images = {id(image): image for pair in pairs for image in pair}
    tables = {image.markers_file.parent / "man_track.txt" for image in images.values() if image.markers_file}
    files = [(image.margin, fingerprint(image.files)) for image in images.values()]
    config = WindowConfig(
        name=f"{settings.window}px-{digest(settings, files, fingerprint(sorted(tables)))}",
        pairs=pairs,
        settings=settings,
    )
    return WindowSource(prepared(Windows, config, data_dir))


def _starts(length: int, settings: WindowSettings) -> list[int]:
    """First row (column) of every window along an axis."""
    last = max(0, length - settings.window)
    return [*range(0, last, settings.stride), last]


def _cut(
    earlier: TrackedFrame,
    later: TrackedFrame,
    source: Int[np.ndarray, " cell"],
    start: tuple[int, int],
    settings: WindowSettings,
) -> dict[str, Any]:
    side, most = settings.window, settings.cells
    sample: dict[str, Any] = {
        "image": np.zeros((2, side, side), np.float16),
        "number": np.full((2, side, side), UNKNOWN, np.uint8),
        "centre": np.zeros((2, most, 2), np.float32),
        "present": np.zeros((2, most), bool),
        "source": np.zeros(most, np.int32),
    }
    places = []
    for index, frame in enumerate((earlier, later)):
        window = np.s_[start[0] : start[0] + side, start[1] : start[1] + side]
        numbers = frame.number[window]
        y, x = numbers.shape
        cells = np.unique(numbers[numbers > 0])
        centre = frame.centre[cells - 1] - np.array(start, np.float32)
        cells = cells[np.argsort(np.linalg.norm(centre - side / 2, axis=-1), kind="stable")]
        place = np.zeros(len(frame.track) + 1, np.int64)
        place[cells] = np.minimum(np.arange(1, len(cells) + 1), UNKNOWN)
        place[place > most] = UNKNOWN
        kept = cells[:most]
        sample["image"][index, :y, :x] = frame.image[window]
        sample["number"][index, :y, :x] = np.where(frame.known[window], place[numbers], UNKNOWN)
        sample["centre"][index, : len(kept)] = frame.centre[kept - 1] - np.array(start, np.float32)
        sample["present"][index, : len(kept)] = True
        places.append((kept, place))
    (_, of_earlier), (kept, _) = places
    found = of_earlier[source[kept - 1]]
    sample["source"][: len(kept)] = np.where(found <= most, found, 0)
    return sample
