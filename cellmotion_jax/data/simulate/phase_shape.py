"""The shape of a crawling cell: a fan-shaped front, a compact body towards the rear, thin protrusions."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from jaxtyping import Float, Int

from cellmotion_jax.data.simulate import contour
from cellmotion_jax.data.simulate.canvas import Outline, frame_patch
from cellmotion_jax.data.simulate.conditions import Conditions
from cellmotion_jax.data.simulate.motion import History
from cellmotion_jax.data.simulate.population import ROUND_AREA
from cellmotion_jax.data.simulate.pose import Poses
from cellmotion_jax.data.simulate.protrusion import Protrusion, grow_protrusions

BODY_AREA_UM2 = 400.0
# Corners between lamella and body, and between those and a protrusion, are filled over this width.
BODY_FILLET_UM, PROTRUSION_FILLET_UM = 2.0, 2.6
# Strength of the waves of order 1 to 5 that make the outline lobed; the second one makes cells long.
LOBES = 0.11 * np.array([0.4, 1.4, 0.7, 0.45, 0.3])
LONG = np.array([0, 1, 0, 0, 0])


@dataclasses.dataclass(frozen=True, eq=False)
class PhaseCell:
    """Everything that painting one cell in one frame needs, on the cell's patch of the canvas.

    Attributes:
        outline: Union of lamella, body and protrusions.
        origin: The body's centre in the field.
        along: Coordinate along the polarity, from the body's centre.
        across: Coordinate to its left.
        direction: Index into the lamella's outline.
        lamella: Distance to the lamella's outline, positive inside.
        body: Distance from the body's centre, 1 on its outline.
        process: Distance to the outline of the nearest protrusion, positive inside.
        remote: 1 near the tip of a protrusion.
        front: How much of a front each direction is, 0 to 1.
        flatness: 1 for a flat dark body, 0 for a thick one with a bright rim.
        roundness: 1 for a cell rounded up to divide or to die.
        protrusions: Its protrusions.
    """

    outline: Outline
    origin: Float[np.ndarray, " 2"]
    along: Float[np.ndarray, "y x"]
    across: Float[np.ndarray, "y x"]
    direction: Int[np.ndarray, "y x"]
    lamella: Float[np.ndarray, "y x"]
    body: Float[np.ndarray, "y x"]
    process: Float[np.ndarray, "y x"]
    remote: Float[np.ndarray, "y x"]
    front: Float[np.ndarray, " direction"]
    flatness: float
    roundness: float
    protrusions: tuple[Protrusion, ...]


@dataclasses.dataclass(frozen=True, eq=False)
class _Outlines:
    """The outlines of many cells around their bodies' centres, before they are laid out on pixels.

    `offset` leads from the body's centre to the centre of area of lamella and body together.
    """

    offset: Float[np.ndarray, "cell 2"]
    area: Float[np.ndarray, " cell"]
    polarity: Float[np.ndarray, " cell"]
    radii: Float[np.ndarray, "cell direction"]
    steepness: Float[np.ndarray, "cell direction"]
    front: Float[np.ndarray, "cell direction"]
    body: Float[np.ndarray, "cell 3"]
    wobble: Float[np.ndarray, "cell direction"]
    flatness: Float[np.ndarray, " cell"]
    roundness: Float[np.ndarray, " cell"]


def shape_cells(
    conditions: Conditions,
    history: History,
    poses: Poses,
    *,
    time: int,
    cells: Int[np.ndarray, " cell"],
    rng: np.random.Generator,
) -> list[PhaseCell | None]:
    """Shapes of the given cells in one frame; None for a cell that lies off the canvas."""
    outlines = _draw_outlines(conditions, history, poses, time=time, cells=cells, rng=rng)
    shapes: list[PhaseCell | None] = []
    for row, cell in enumerate(cells):
        protrusions = grow_protrusions(
            conditions,
            poses,
            time=time,
            cell=int(cell),
            radii=outlines.radii[row],
            shown=float(1 - outlines.roundness[row]),
        )
        # The centre of area of the whole cell, protrusions included, is where the cell is.
        weights = np.array([outlines.area[row], *(protrusion.area for protrusion in protrusions)])
        offsets = np.stack([outlines.offset[row], *(protrusion.middle for protrusion in protrusions)])
        origin = history.place[time, cell] - weights @ offsets / weights.sum()
        shapes.append(_lay_out(conditions, outlines, row, origin, protrusions))
    return shapes


def _draw_outlines(
    conditions: Conditions,
    history: History,
    poses: Poses,
    *,
    time: int,
    cells: Int[np.ndarray, " cell"],
    rng: np.random.Generator,
) -> _Outlines:
    """Outlines of the wanted areas."""
    slow, fast = poses.slow[time, cells], poses.fast[time, cells]
    decay = history.decay[time, cells]
    roundness = np.maximum(history.roundness[time, cells], decay)
    size = history.area[time, cells] * np.exp(0.15 * slow[:, 16])
    front = _fan(poses.strength[time, cells], slow[:, 10:12])
    strength = LOBES * conditions.simulation.appearance.length**LONG
    lobes = contour.waves(slow[:, :10] * np.tile(strength, 2), 1)
    scallops = contour.waves(fast[:, :16], 6)
    ruffles = contour.waves(rng.normal(size=(len(cells), 60)), 14)
    radii = (0.36 + 0.64 * front) * np.exp(lobes + 0.008 * scallops + 0.0026 * front * ruffles)
    radii *= np.sqrt(size / contour.area(radii))[:, None]
    ball = np.sqrt(ROUND_AREA * history.area[time, cells] / np.pi)
    # A dying cell is a ball, too, but one with blebs.
    blebs = np.exp(0.03 * decay[:, None] * scallops)
    melt = roundness[:, None]
    radii = (1 - melt) * radii + melt * ball[:, None] * blebs
    bodies = _bodies(conditions, size, ball, roundness, slow)
    wobble = np.exp(0.028 * (1 - melt) * contour.waves(fast[:, 16:24], 1)) * (1 - melt + melt * blebs)
    hull = np.maximum(radii, wobble * contour.ellipse(*bodies.T))
    polarity = poses.polarity[time, cells]
    centre = contour.centre(hull)
    forward, left = contour.unit_vector(polarity), contour.unit_vector(polarity + np.pi / 2)
    return _Outlines(
        offset=centre[:, :1] * forward + centre[:, 1:] * left,
        area=contour.area(hull),
        polarity=polarity,
        radii=radii,
        steepness=contour.steepness(radii),
        front=front,
        body=bodies,
        wobble=wobble,
        flatness=1 / (1 + np.exp(-1.5 * slow[:, 15])),
        roundness=roundness,
    )


def _fan(
    strength: Float[np.ndarray, " cell"], sides: Float[np.ndarray, "cell 2"]
) -> Float[np.ndarray, "cell direction"]:
    """How much of a front each direction is: a fan that narrows as the cell becomes polar."""
    width = (1.4 + 1.4 * (1 - strength))[:, None] + 0.14 * sides
    half = np.where(contour.THETA > 0, width[:, :1], width[:, 1:])
    return 1 / (1 + np.exp((np.abs(contour.THETA) - half) / 0.2))


def _bodies(
    conditions: Conditions,
    size: Float[np.ndarray, " cell"],
    ball: Float[np.ndarray, " cell"],
    roundness: Float[np.ndarray, " cell"],
    slow: Float[np.ndarray, "cell slow"],
) -> Float[np.ndarray, "cell 3"]:
    """Half axes and tilt of the elliptic bodies; a rounded cell is all body."""
    usual = BODY_AREA_UM2 / conditions.pixel_size_um**2 * np.exp(0.15 * slow[:, 17])
    extent = np.sqrt(np.minimum(usual, 0.32 * size) / np.pi)
    aspect = np.sqrt(1.12 + 0.3 * np.abs(slow[:, 12]))
    long, short = ((1 - roundness) * extent * a + roundness * 0.98 * ball for a in (aspect, 1 / aspect))
    return np.stack([long, short, np.arctan2(slow[:, 13], slow[:, 14])], -1)


def _lay_out(
    conditions: Conditions,
    outlines: _Outlines,
    row: int,
    origin: Float[np.ndarray, " 2"],
    protrusions: list[Protrusion],
) -> PhaseCell | None:
    """Computes one cell's distances on its patch of pixels; None if it lies off the canvas."""
    polarity = float(outlines.polarity[row])
    rim = origin + outlines.radii[row][:, None] * contour.unit_vector(contour.THETA + polarity)
    room = conditions.pixels(3.3)
    corners = [rim, *(origin + protrusion.tip + np.array([[-room], [room]]) for protrusion in protrusions)]
    points = np.concatenate(corners)
    patch = frame_patch(points.min(0) - 3, points.max(0) + 3, conditions.field)
    if patch is None:
        return None
    top, first, rows, columns = patch
    dy, dx = (rows - origin[0]).astype(np.float32), (columns - origin[1]).astype(np.float32)
    along, across = _rotate(dx, -dy, polarity)
    direction = contour.direction_index(np.arctan2(across, along))
    radii, steepness, wobble = (
        table[row].astype(np.float32)[direction]
        for table in (outlines.radii, outlines.steepness, outlines.wobble)
    )
    lamella = (radii - np.sqrt(dy**2 + dx**2)) * steepness
    half_along, half_across, tilt = outlines.body[row].tolist()
    u, v = _rotate(along, across, tilt)
    body = np.sqrt((u / np.float32(half_along)) ** 2 + (v / np.float32(half_across)) ** 2) / wobble
    inner = (1 - body) * np.float32(min(half_along, half_across))
    process, remote = np.full_like(lamella, -1e3), np.zeros_like(lamella)
    for protrusion in protrusions:
        reach, tip = protrusion.level(dy, dx)
        remote = np.where(reach > process, tip, remote)
        process = np.maximum(process, reach)
    level = _blend(lamella, inner, conditions.pixels(BODY_FILLET_UM))
    level = _blend(level, process, conditions.pixels(PROTRUSION_FILLET_UM))
    return PhaseCell(
        outline=Outline(top, first, level),
        origin=origin,
        along=along,
        across=across,
        direction=direction,
        lamella=lamella,
        body=body,
        process=process,
        remote=remote,
        front=outlines.front[row].astype(np.float32),
        flatness=float(outlines.flatness[row]),
        roundness=float(outlines.roundness[row]),
        protrusions=tuple(protrusions),
    )


def _rotate(
    right: Float[np.ndarray, "*y_x"], up: Float[np.ndarray, "*y_x2"], angle: float
) -> tuple[Float[np.ndarray, "y x"], Float[np.ndarray, "y x"]]:
    """Coordinates along and across a direction."""
    sine, cosine = np.float32(math.sin(angle)), np.float32(math.cos(angle))
    return cosine * right + sine * up, cosine * up - sine * right


def _blend(
    a: Float[np.ndarray, "y x"], b: Float[np.ndarray, "y x"], fillet: float
) -> Float[np.ndarray, "y x"]:
    """Maximum of two levels with the corner between them filled over `fillet` pixels."""
    share = np.clip(0.5 + 0.5 * (a - b) / np.float32(fillet), 0, 1)
    return b + share * (a - b) + np.float32(fillet) * share * (1 - share)
