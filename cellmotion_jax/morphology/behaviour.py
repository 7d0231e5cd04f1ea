"""Shape, protrusions and motion of every cell in every frame, in one table."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
from jaxtyping import Float, Int, Integer

from cellmotion_jax.files.tables import ANGLE, AREA, LENGTH, PLACE
from cellmotion_jax.morphology.cell_shapes import CellShapes
from cellmotion_jax.morphology.motion import MotionSettings, cell_motion
from cellmotion_jax.morphology.protrusions import Protrusions

FROM_SHAPES = ("label", "y", "x", "area", "perimeter", "elongation", "solidity")


@dataclasses.dataclass(frozen=True, eq=False)
class CellTable:
    """One row per cell and frame, ordered by track, then by frame; NaN where a measure is not defined.

    Attributes:
        track: Track of the cell.
        frame: Frame, counted from 0.
        label: Number of the cell within the frame.
        parent: Track that this one continues or was born from, 0 for none.
        y: Row of the centroid, in pixels.
        x: Column of it.
        area: Pixels.
        perimeter: Length of the outline in pixels.
        elongation: Longer by shorter axis, at least 1.
        solidity: Area by area of the convex hull, in (0, 1].
        protrusions: Number of protrusions.
        longest_protrusion_from_centre_um: Way inside the cell from its centre to the tip that is farthest, in
            micrometres; the body of the cell is in it. 0 without a protrusion.
        longest_protrusion_from_body_um: Largest length of a protrusion from the outline of the body to its
            tip, in micrometres, as a protrusion is measured by hand. 0 without any.
        speed: In `speed_unit`.
        heading: Radians in [0, 2 pi), counter-clockwise from +x, y up.
        turning: Signed change of the heading, radians in [-pi, pi).
        persistence: Net displacement by length of path, in [0, 1].
        speed_unit: ``um/min`` if size and interval of the movie are known, else ``px/frame``.
    """

    track: Int[np.ndarray, " row"]
    frame: Int[np.ndarray, " row"]
    label: Int[np.ndarray, " row"]
    parent: Int[np.ndarray, " row"]
    y: Float[np.ndarray, " row"] = dataclasses.field(metadata=PLACE.metadata)
    x: Float[np.ndarray, " row"] = dataclasses.field(metadata=PLACE.metadata)
    area: Int[np.ndarray, " row"] = dataclasses.field(metadata=AREA.metadata)
    perimeter: Float[np.ndarray, " row"] = dataclasses.field(metadata=LENGTH.metadata)
    elongation: Float[np.ndarray, " row"]
    solidity: Float[np.ndarray, " row"]
    protrusions: Float[np.ndarray, " row"]
    longest_protrusion_from_centre_um: Float[np.ndarray, " row"]
    longest_protrusion_from_body_um: Float[np.ndarray, " row"]
    speed: Float[np.ndarray, " row"]
    heading: Float[np.ndarray, " row"] = dataclasses.field(metadata=ANGLE.metadata)
    turning: Float[np.ndarray, " row"] = dataclasses.field(metadata=ANGLE.metadata)
    persistence: Float[np.ndarray, " row"]
    speed_unit: str

    def __len__(self) -> int:
        return len(self.track)


def cell_table(
    shapes: Sequence[CellShapes],
    tracks: Sequence[Integer[np.ndarray, " _"]],
    *,
    parents: Mapping[int, int] = MappingProxyType({}),
    protrusions: Sequence[Protrusions] | None = None,
    pixel_size_um: float | None = None,
    frame_interval_s: float | None = None,
    motion: MotionSettings | None = None,
) -> CellTable:
    """Joins the measured shapes and protrusions of the cells of all frames with the motion of their tracks.

    Args:
        shapes: Shapes of the cells of every frame.
        tracks: For every frame the track of label 1, 2, ..., as `inference.linking.linker.Links.tracks`.
        parents: Track that a track continues or was born from, for those that have one.
        protrusions: Protrusions of every frame; None leaves their columns NaN.
        pixel_size_um: Side of a pixel in micrometres, None where it is not known.
        frame_interval_s: Seconds from frame to frame, None where they are not known.
        motion: Settings of the measurement of motion; None for the defaults.

    Returns:
        The table; without cells all columns are empty.

    Raises:
        ValueError: If there are not equally many frames of everything, a cell has no track, protrusions
            are of other cells than the shapes, or a size or an interval is not positive.
    """
    for name, value in (("pixel_size_um", pixel_size_um), ("frame_interval_s", frame_interval_s)):
        if value is not None and not (0 < value < np.inf):
            raise ValueError(f"{name} is {value:g}; it is positive")
    if len(shapes) != len(tracks) or (protrusions is not None and len(protrusions) != len(shapes)):
        of_tips = "" if protrusions is None else f" and protrusions of {len(protrusions)}"
        raise ValueError(f"there are shapes of {len(shapes)} frames, tracks of {len(tracks)}{of_tips}")
    for number, (cells, ids) in enumerate(zip(shapes, tracks)):
        if cells.label.max(initial=0) > len(ids) or not ids[cells.label - 1].all():
            raise ValueError(f"a cell of frame {number} has no track; tracks has shape {ids.shape} there")
        if protrusions is not None and not np.array_equal(protrusions[number].cell_label, cells.label):
            raise ValueError(f"protrusions of frame {number} are of other cells than shapes")

    counts = [len(cells.label) for cells in shapes]
    frame = np.repeat(np.arange(len(counts)), counts)
    track = _joined([ids[cells.label - 1] for cells, ids in zip(shapes, tracks)], np.int64)
    columns = {
        name: _joined(
            [getattr(cells, name) for cells in shapes], np.int64 if name in ("label", "area") else float
        )
        for name in FROM_SHAPES
    }
    unknown = np.full(len(track), np.nan)
    columns["parent"] = np.array([parents.get(one, 0) for one in track.tolist()], np.int64)
    columns["protrusions"] = unknown
    columns["longest_protrusion_from_centre_um"] = columns["longest_protrusion_from_body_um"] = unknown
    if protrusions is not None:
        columns["protrusions"] = _joined([tips.counts for tips in protrusions], float)
        columns |= {
            "longest_protrusion_from_centre_um": _joined([tips.longest_um for tips in protrusions], float),
            "longest_protrusion_from_body_um": _joined(
                [tips.longest_from_body_um for tips in protrusions], float
            ),
        }
    moves = cell_motion(
        track, frame, np.stack([columns["y"], columns["x"]], axis=-1), settings=motion or MotionSettings()
    )
    columns |= moves._asdict()
    speed_unit = "px/frame"
    if pixel_size_um is not None and frame_interval_s is not None:
        speed_unit = "um/min"
        columns["speed"] = columns["speed"] * pixel_size_um / (frame_interval_s / 60)
    order = np.lexsort((frame, track))
    sorted_columns = {name: column[order] for name, column in columns.items()}
    return CellTable(track=track[order], frame=frame[order], **sorted_columns, speed_unit=speed_unit)


def _joined(parts: Sequence[np.ndarray], dtype: type) -> np.ndarray:
    """Concatenates a column over all frames; empty without frames."""
    return np.concatenate([np.zeros(0, dtype), *parts]).astype(dtype)
