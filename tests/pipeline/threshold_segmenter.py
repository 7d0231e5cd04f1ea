"""A segmenter for tests that takes bright pixels for cells; its programs are SciPy's."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator

import numpy as np
from scipy import ndimage

from cellmotion_jax.inference.segmenter import FrameCells, cells_of_labels
from cellmotion_jax.settings import Positive, Settings


@dataclasses.dataclass(frozen=True, kw_only=True)
class ThresholdSettings(Settings):
    """Settings of the segmenter."""

    threshold: Positive = 100.0
    """Grey value from which a pixel is of a cell."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class ThresholdSegmenter:
    """Bright regions; with a memory, also what was bright in frames before, each once more half as bright."""

    settings: ThresholdSettings = ThresholdSettings()
    frames_before: int = 0
    outlines: bool = True
    cell_diameter: float | None = 10.0
    before_each: Callable[[], None] = lambda: None
    """Called before each frame, to count or to end the process."""

    channels = 1
    stricter = "threshold"

    def with_settings(self, settings):
        return dataclasses.replace(self, settings=settings)

    def segment(self, frames: Iterable[np.ndarray]) -> Iterator[FrameCells]:
        seen: list[np.ndarray] = []
        for frame in frames:
            self.before_each()
            seen = [*seen, frame[..., 0].astype(float)][-1 - self.frames_before :]
            light = np.max([image / 2**age for age, image in enumerate(reversed(seen))], axis=0)
            labels = np.zeros(light.shape, np.int32)
            ndimage.label(light >= self.settings.threshold, output=labels)
            cells = cells_of_labels(labels, light / 255)
            yield cells if self.outlines else cells._replace(labels=None)
