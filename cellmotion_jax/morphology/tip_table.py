"""Table of the tips of protrusions, tracked through a movie."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int, Integer

from cellmotion_jax.files.tables import ANGLE, PLACE
from cellmotion_jax.morphology.behaviour import CellTable
from cellmotion_jax.morphology.protrusions import Protrusions
from cellmotion_jax.morphology.tip_tracks import angle_to_migration, follow_tips, forget_tips


@dataclasses.dataclass(frozen=True, eq=False)
class TipTable:
    """One row per tip and frame, sorted by frame, then by label.

    Attributes:
        frame: Frame, counted from 0.
        track: Track of the cell.
        tip: Number of the tip within its track; the same tip has it in consecutive frames.
        y: Row of the tip in pixels.
        x: Column of it.
        length_from_centre_um: Way inside the cell from its centre to the tip, in micrometres; the body of the
            cell is in it.
        length_from_body_um: Part of that way outside of the body, in micrometres, as a protrusion is measured
            by hand.
        orientation: Direction from the centre to the tip, radians in [0, 2 pi), counter-clockwise from +x.
        to_migration: Turn from the heading of the cell to that direction, radians in [-pi, pi); 0 is in
            front. NaN where the cell has no heading.
        touching: Whether another cell touches the tip.
    """

    frame: Int[np.ndarray, " tip"]
    track: Int[np.ndarray, " tip"]
    tip: Int[np.ndarray, " tip"]
    y: Float[np.ndarray, " tip"] = dataclasses.field(metadata=PLACE.metadata)
    x: Float[np.ndarray, " tip"] = dataclasses.field(metadata=PLACE.metadata)
    length_from_centre_um: Float[np.ndarray, " tip"]
    length_from_body_um: Float[np.ndarray, " tip"]
    orientation: Float[np.ndarray, " tip"] = dataclasses.field(metadata=ANGLE.metadata)
    to_migration: Float[np.ndarray, " tip"] = dataclasses.field(metadata=ANGLE.metadata)
    touching: Bool[np.ndarray, " tip"]

    def __len__(self) -> int:
        return len(self.frame)


def tip_table(
    protrusions: Sequence[Protrusions],
    tracks: Sequence[Integer[np.ndarray, " _"]],
    cells: CellTable,
    *,
    pixel_size_um: float,
    gate_um: float = 15.0,
) -> TipTable:
    """Numbers the tips of all frames within their tracks and measures their angles to the migration.

    Args:
        protrusions: Protrusions of every frame.
        tracks: For every frame the track of label 1, 2, ..., as `inference.linking.linker.Links.tracks`.
        cells: The cells, for their headings.
        pixel_size_um: Side of a pixel in micrometres.
        gate_um: See `follow_tips`.

    Returns:
        The table; empty without tips.
    """
    columns: dict[str, list[np.ndarray]] = {field.name: [] for field in dataclasses.fields(TipTable)}
    memory = forget_tips()
    for frame, (found, ids) in enumerate(zip(protrusions, tracks)):
        number, memory = follow_tips(
            found, ids[found.cell_label - 1], memory, pixel_size_um=pixel_size_um, gate_um=gate_um
        )
        track = ids[found.label - 1]
        here = np.flatnonzero(cells.frame == frame)
        # A track has one cell in a frame.
        here = here[np.argsort(cells.track[here])]
        heading = cells.heading[here[np.searchsorted(cells.track[here], track)]]
        row = {
            "frame": np.full(len(track), frame),
            "track": track,
            "tip": number,
            "length_from_centre_um": found.length_um,
            "length_from_body_um": found.from_body_um,
            "to_migration": heading,
        }
        for name, column in columns.items():
            column.append(row[name] if name in row else getattr(found, name))
    joined = {name: np.concatenate(column) for name, column in columns.items()}
    # At once for all frames: a compiled program serves one number of tips.
    joined["to_migration"] = angle_to_migration(joined["orientation"], joined["to_migration"])
    return TipTable(**joined)
