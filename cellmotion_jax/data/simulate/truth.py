"""The exact truth of a simulated movie: tracks, and tables of its cells and of their protrusions' tips."""

from __future__ import annotations

import dataclasses

import numpy as np
from jaxtyping import Bool, Float, Int

from cellmotion_jax.data.ctc_masks import MAX_WRITTEN_LABEL
from cellmotion_jax.data.simulate.conditions import Conditions
from cellmotion_jax.data.simulate.config import Look
from cellmotion_jax.data.simulate.motion import History
from cellmotion_jax.data.simulate.pose import Poses
from cellmotion_jax.data.track_table import TrackTable
from cellmotion_jax.errors import InputError
from cellmotion_jax.files.tables import ANGLE, AREA, LENGTH, PLACE


@dataclasses.dataclass(frozen=True, eq=False)
class CellTruth:
    """One row for every cell in every frame where it is seen, by frame, then label.

    Attributes:
        frame: Frame, from 0.
        label: Track id, the value of the cell's pixels in the mask.
        y: Row of the centre of area of the cell's mask.
        x: Column of it.
        heading: Direction of the cell's displacement to the next frame; nan in its last one.
        speed_um_per_min: Length of that displacement per time; nan in its last frame.
        polarity: Direction in which the cell's shape points; nan for nuclei.
        area: Pixels of its mask.
        mitotic: Whether it is rounding up or about to divide.
        dying: Whether it is dying.
    """

    frame: Int[np.ndarray, " row"]
    label: Int[np.ndarray, " row"]
    y: Float[np.ndarray, " row"] = dataclasses.field(metadata=PLACE.metadata)
    x: Float[np.ndarray, " row"] = dataclasses.field(metadata=PLACE.metadata)
    heading: Float[np.ndarray, " row"] = dataclasses.field(metadata=ANGLE.metadata)
    speed_um_per_min: Float[np.ndarray, " row"]
    polarity: Float[np.ndarray, " row"] = dataclasses.field(metadata=ANGLE.metadata)
    area: Int[np.ndarray, " row"] = dataclasses.field(metadata=AREA.metadata)
    mitotic: Bool[np.ndarray, " row"]
    dying: Bool[np.ndarray, " row"]


@dataclasses.dataclass(frozen=True, eq=False)
class TipTruth:
    """One row for every tip of a protrusion that can be seen, by frame, then label.

    Attributes:
        frame: Frame, from 0.
        label: Track id of the cell.
        y: Row of the tip.
        x: Column of the tip.
        length_from_centre: Way in pixels from the cell's centre to the tip, inside the cell; at least 20 um
            long.
    """

    frame: Int[np.ndarray, " tip"]
    label: Int[np.ndarray, " tip"]
    y: Float[np.ndarray, " tip"] = dataclasses.field(metadata=PLACE.metadata)
    x: Float[np.ndarray, " tip"] = dataclasses.field(metadata=PLACE.metadata)
    length_from_centre: Float[np.ndarray, " tip"] = dataclasses.field(metadata=LENGTH.metadata)


def name_tracks(
    seen: Bool[np.ndarray, "time cell"], history: History
) -> tuple[TrackTable, Int[np.ndarray, "time cell"]]:
    """Makes a track of every stretch of frames in which a cell is seen.

    A cell that leaves the field ends its track; if it comes back it is a new track without a parent. A
    daughter that is seen when it is born has the mother's track as its parent if that one was seen until
    then.

    Returns:
        The tracks, numbered from 1 by first frame, and the label of every cell in every frame, 0 where it
        is not seen.
    """
    edges = np.diff(np.pad(seen.astype(np.int8), ((1, 1), (0, 0))), axis=0)
    # Transposed, starts and ends come cell by cell and therefore in matching order.
    who, begin = np.nonzero(edges.T == 1)
    end = np.nonzero(edges.T == -1)[1] - 1
    order = np.lexsort((who, begin))
    who, begin, end = who[order], begin[order], end[order]
    if len(who) > MAX_WRITTEN_LABEL:
        raise InputError(
            f"the movie has {len(who)} tracks, but label images hold {MAX_WRITTEN_LABEL}; "
            "ask for fewer cells, fewer frames or a smaller field."
        )
    labels = np.zeros(seen.shape, int)
    for label, (cell, first, last) in enumerate(zip(who, begin, end), start=1):
        labels[first : last + 1, cell] = label
    birth = history.alive.argmax(0)
    mother = history.parent[who]
    newborn = (mother >= 0) & (begin == birth[who]) & (begin > 0)
    parent = np.where(newborn, labels[np.maximum(begin - 1, 0), np.maximum(mother, 0)], 0)
    return TrackTable(1 + np.arange(len(who)), begin, end, parent), labels


def tell_cells(
    conditions: Conditions,
    history: History,
    poses: Poses,
    *,
    labels: Int[np.ndarray, "time cell"],
    centres: Float[np.ndarray, "time cell 2"],
    areas: Int[np.ndarray, "time cell"],
) -> CellTruth:
    """Gathers the rows of all cells that are seen.

    Args:
        conditions: The settled simulation.
        history: The cells' lives.
        poses: Their shapes' state.
        labels: Labels from `name_tracks`.
        centres: Centres of area of the masks.
        areas: Pixels of the masks.

    Returns:
        The table.
    """
    frame, cell = np.nonzero(labels)
    label = labels[frame, cell]
    order = np.lexsort((label, frame))
    frame, cell, label = frame[order], cell[order], label[order]
    step = history.path[frame + 1, cell] - history.path[frame, cell]
    lasting = history.alive[frame + 1, cell]
    distance_um = np.hypot(step[:, 0], step[:, 1]) * conditions.pixel_size_um
    heading = np.mod(np.arctan2(-step[:, 0], step[:, 1]), 2 * np.pi)
    return CellTruth(
        frame=frame,
        label=label,
        y=centres[frame, cell, 0],
        x=centres[frame, cell, 1],
        heading=np.where(lasting, heading, np.nan),
        speed_um_per_min=np.where(lasting, distance_um / conditions.interval_min, np.nan),
        polarity=poses.polarity[frame, cell]
        if conditions.look is Look.PHASE_CONTRAST
        else np.full(len(frame), np.nan),
        area=areas[frame, cell],
        mitotic=history.mitotic[frame, cell],
        dying=history.decay[frame, cell] > 0,
    )
