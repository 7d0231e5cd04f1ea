"""Segmentation of frames at the scale at which their cells have the size of the training cells."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from jaxtyping import Float, Num

from cellmotion_jax.data.resizing import resize_image, resize_labels, resized_shape
from cellmotion_jax.errors import InputError
from cellmotion_jax.inference.segmenter import FrameCells, Segmenter
from cellmotion_jax.memory import require_memory
from cellmotion_jax.settings import Positive, check_argument

# An image of float64 and what resizing makes of it.
_BYTES_PER_PIXEL = 40


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class ScaledSegmenter:
    """A segmenter that sees every frame enlarged or made smaller by one factor; see `Segmenter`.

    Label images come back to the pixels of the frame, each of which takes the cell at its centre.
    """

    segmenter: Segmenter
    """The model."""
    scale: float
    """Pixels that the model sees per pixel of the frame."""

    @property
    def channels(self) -> int:
        """Those of the model."""
        return self.segmenter.channels

    @property
    def cell_diameter(self) -> float | None:
        """Diameter in pixels of the frame of cells that have the size of the training cells."""
        trained = self.segmenter.cell_diameter
        return None if trained is None else trained / self.scale

    @property
    def frames_before(self) -> int:
        """Those of the model."""
        return self.segmenter.frames_before

    @property
    def stricter(self) -> str:
        """That of the model."""
        return self.segmenter.stricter

    @property
    def settings(self) -> Any:
        """Those of the model."""
        return self.segmenter.settings

    def with_settings(self, settings: Any) -> ScaledSegmenter:
        """The same model at the same scale, with other settings."""
        return dataclasses.replace(self, segmenter=self.segmenter.with_settings(settings))

    def segment(self, frames: Iterable[Num[np.ndarray, "y x channel"]]) -> Iterator[FrameCells]:
        """Finds the cells of every frame."""
        shapes: list[tuple[int, int]] = []

        def seen() -> Iterator[Float[np.ndarray, "y x channel"]]:
            for frame in frames:
                shapes.append((frame.shape[0], frame.shape[1]))
                yield _seen(frame, self.scale)

        for cells in self.segmenter.segment(seen()):
            shape = shapes.pop()
            size = resized_shape(shape, scale=self.scale)
            factor = np.divide(size, shape)
            labels = None if cells.labels is None else resize_labels(cells.labels, shape)
            # Pixel centres lie at whole numbers, the corner of the frame at -0.5.
            yield FrameCells(labels, (cells.points + 0.5) / factor - 0.5, cells.scores)


def at_cell_diameter(segmenter: Segmenter, diameter: float) -> ScaledSegmenter:
    """A segmenter for cells of another size than those of its training.

    Args:
        segmenter: The model.
        diameter: Diameter of a typical cell of the movie in pixels.

    Returns:
        The same model, which sees frames at the scale at which such a cell is as large as in the training.

    Raises:
        InputError: If the diameter is not positive, or the model does not store its cell size.
    """
    check_argument("cell-diameter", diameter, Positive)
    if segmenter.cell_diameter is None:
        raise InputError("the model does not say how large the cells were that it was trained on.")
    return ScaledSegmenter(segmenter=segmenter, scale=segmenter.cell_diameter / diameter)


def _seen(frame: Num[np.ndarray, "y x channel"], scale: float) -> Float[np.ndarray, "seen_y seen_x channel"]:
    size = resized_shape(frame.shape, scale=scale)
    require_memory(
        _BYTES_PER_PIXEL * size[0] * size[1] * frame.shape[2],
        what=f"a frame of {frame.shape[0]} x {frame.shape[1]} pixels, for the network {size[0]} x {size[1]},",
        instead="state the diameter of the cells in pixels of the movie",
    )
    return resize_image(frame, size)
