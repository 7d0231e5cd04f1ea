"""Tracking of the tips of protrusions from frame to frame, and their angle to the cell's migration."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Float, Int
from scipy.optimize import linear_sum_assignment

from cellmotion_jax.errors import InputError
from cellmotion_jax.morphology.protrusions import Protrusions
from cellmotion_jax.ops.angles import signed_difference
from cellmotion_jax.ops.arguments import Number
from cellmotion_jax.ops.host_arguments import host_floats
from cellmotion_jax.ops.numerics import check_same_shape


class TipMemory(NamedTuple):
    """State of the tracking of tips: the tips of the last frame, and a number per track."""

    track: Int[np.ndarray, " tip"]
    """Track of every tip of the last frame."""
    number: Int[np.ndarray, " tip"]
    """Number of every tip within its track."""
    offset_um: Float[np.ndarray, "tip 2"]
    """Position of every tip relative to the cell's centre, (y, x), in micrometres."""
    named: dict[int, int]
    """Highest number so far of every track that has had a tip."""


def forget_tips() -> TipMemory:
    """The state before the first frame.

    Returns:
        A memory of nothing.
    """
    return TipMemory(np.zeros(0, int), np.zeros(0, int), np.zeros((0, 2)), {})


def follow_tips(
    protrusions: Protrusions,
    tracks: Int[np.ndarray, " cell"],
    memory: TipMemory,
    *,
    pixel_size_um: float,
    gate_um: float = 15.0,
) -> tuple[Int[np.ndarray, " tip"], TipMemory]:
    r"""Assigns the tips of a frame to those of the frame before; new tips get new numbers.

    Within every track the tips of both frames are assigned to one another (Kuhn and Munkres) such that the
    sum of

    .. math:: \min(\lVert o_i - o'_j \rVert, g)

    is smallest, with :math:`o` the place of a tip relative to its cell's centre, so that the cell's own
    motion does not count, and :math:`g` the gate; pairs as far apart as the gate or further stay apart. A
    tip that is missed in one frame comes back under a new number. The paper does not follow tips.

    Call it frame by frame; what it keeps grows with the number of tracks, not with that of frames.

    Args:
        protrusions: What :func:`~cellmotion_jax.morphology.protrusions.find_protrusions` found.
        tracks: Track of every cell, in the order of ``protrusions.cell_label``. No track occurs twice.
        memory: State that this function returned for the frame before; :func:`forget_tips` for the first one.
        pixel_size_um: Side of a pixel in micrometres.
        gate_um: Largest displacement of a tip from frame to frame, relative to its cell's centre. The default
            suits frames 15 minutes apart.

    Returns:
        The number of every tip within its track, from 1 in the order of appearance, and the memory for the
        next frame.

    Raises:
        ValueError: If there is not one track per cell, or a track occurs twice.
        InputError: If the pixel size or the gate is not positive.
    """
    for name, value in {"the pixel size": pixel_size_um, "the gate": gate_um}.items():
        if not 0 < value < np.inf:
            raise InputError(f"{name} is {value:g} um; it should be a positive number")
    if tracks.shape != protrusions.cell_label.shape or len(np.unique(tracks)) < len(tracks):
        raise ValueError(
            f"tracks must name a track of its own for each of the {len(protrusions.cell_label)} cells, "
            f"got {tracks.tolist()}"
        )
    cell = np.searchsorted(protrusions.cell_label, protrusions.label)
    centre = np.stack([protrusions.cell_y[cell], protrusions.cell_x[cell]], axis=1)
    offset = (np.stack([protrusions.y, protrusions.x], axis=1) - centre) * pixel_size_um
    track = tracks[cell]
    number = np.zeros(len(track), int)
    named = dict(memory.named)
    for one in np.unique(track):
        now, before = np.flatnonzero(track == one), np.flatnonzero(memory.track == one)
        distance = np.hypot(*(offset[now][:, None] - memory.offset_um[before]).transpose(2, 0, 1))
        rows, columns = linear_sum_assignment(np.minimum(distance, gate_um))
        near = distance[rows, columns] < gate_um
        number[now[rows[near]]] = memory.number[before[columns[near]]]
        new = now[number[now] == 0]
        first = named.get(int(one), 0) + 1
        number[new] = np.arange(first, first + len(new))
        named[int(one)] = first + len(new) - 1
    return number, TipMemory(track, number, offset, named)


def angle_to_migration(
    orientation: Number[ArrayLike, " tip"] | Sequence, heading: Number[ArrayLike, "..."] | Sequence
) -> Float[np.ndarray, " tip"]:
    """The angle from the direction of a cell's migration to the direction of its protrusion.

    0 is a protrusion in front, positive ones are on the left of the cell as a person sees the image, pi or
    -pi is a tail.

    Args:
        orientation: Direction of every tip, radians, counter-clockwise from +x, y up.
        heading: Direction of the displacement of its cell, likewise; NaN where the cell does not move, and
            in its first frame.

    Returns:
        Radians in [-pi, pi), NaN where there is no heading.

    Raises:
        ValueError: If there is not one heading per tip.

    >>> angle_to_migration(np.array([1.0, 0.5]), np.array([0.5, 1.0])).round(3).tolist()
    [0.5, -0.5]
    """
    orientation, heading = host_floats("orientation", orientation), host_floats("heading", heading)
    check_same_shape(orientation=orientation, heading=heading)
    return np.asarray(signed_difference(orientation, heading), float)
