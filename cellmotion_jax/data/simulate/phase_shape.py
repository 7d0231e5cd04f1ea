"""The shape of a crawling cell: a fan-shaped front, a compact body towards the rear, thin protrusions."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from jaxtyping import Float, Int

from cellmotion_jax.data.simulate import contour
from cellmotion_jax.data.simulate.canvas import Outline, frame_patch
from cellmotion_jax.data.simulate.config import Conditions
from cellmotion_jax.data.simulate.motion import ROUND_AREA, History
from cellmotion_jax.data.simulate.pose import Poses

BODY_AREA_UM2 = 400.0
# Half widths of a protrusion: where it leaves the outline in front, where a tail leaves it, at its tip.
FOOT_UM, TAIL_UM, TIP_UM = 2.2, 6.0, 1.1


@dataclasses.dataclass(frozen=True, eq=False)
class Protrusion:
    """A thin process whose axis leaves the body's centre along a parabola.

    Attributes:
        angle: Direction at the body's centre.
        length: Length of the axis in pixels, along its direction.
        bend: Sideways deviation of the axis is ``bend * u**2`` at distance u.
        base: Distance at which it leaves the outline.
        foot: Half width there.
        bulb: How much its end is widened, 0 to 1.
        tip: End of the axis in the field.
    """

    angle: float
    length: float
    bend: float
    base: float
    foot: float
    bulb: float
    tip: Float[np.ndarray, " 2"]


@dataclasses.dataclass(frozen=True, eq=False)
class PhaseCell:
    """Everything that painting one cell in one frame needs, on the cell's patch of the canvas.

    Attributes:
        outline: Union of lamella, body and protrusions.
        origin: Centre of the body in the field.
        along: Coordinate along the polarity, from the body's centre.
        across: Coordinate to its left.
        direction: Index into the lamella's outline.
        lamella: Distance to the lamella's outline, positive inside.
        body: Distance from the body's centre, 1 on its outline.
        process: Distance to the outline of the nearest protrusion, positive inside.
        remote: 1 near the end of a protrusion.
        front: How much of a front each direction is, 0 to 1.
        flatness: 1 for a flat dark body, 0 for a thick one with a bright rim.
        roundness: 1 for a cell rounded up to divide.
        decay: Rises to 1 as the cell dies.
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
    decay: float
    protrusions: tuple[Protrusion, ...]


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
    slow, fast = poses.slow[time, cells], poses.fast[time, cells]
    strength = poses.strength[time, cells]
    roundness, decay = history.roundness[time, cells], history.decay[time, cells]
    size = history.area[time, cells] * np.exp(0.15 * slow[:, 16])
    front = _fan(strength, slow[:, 10:12])
    radii = _outline_radii(front, slow, fast, rng)
    radii *= np.sqrt(size / contour.area(radii))[:, None]
    ball = np.sqrt(ROUND_AREA * history.area[time, cells] / np.pi)
    melt = np.clip(roundness, 0, 1)[:, None]
    radii = (1 - melt) * radii + melt * ball[:, None]
    shift = contour.centre(radii)
    polarity = poses.polarity[time, cells]
    forward = np.stack([-np.sin(polarity), np.cos(polarity)], -1)
    left = np.stack([-np.cos(polarity), -np.sin(polarity)], -1)
    origins = history.place[time, cells] - shift[:, :1] * forward - shift[:, 1:] * left
    steepness = contour.steepness(radii)
    bodies = _bodies(conditions, size, ball, roundness, slow)
    wobble = np.exp(0.028 * (1 - melt) * contour.waves(fast[:, 16:24], 1))
    shown = (1 - roundness) * (1 - decay)
    shapes: list[PhaseCell | None] = []
    for row, cell in enumerate(cells):
        protrusions = _protrusions(conditions, poses, time, cell, origins[row], radii[row], shown[row])
        points = origins[row] + radii[row][:, None] * _heading_vector(contour.THETA + polarity[row])
        points = np.concatenate([points, *(p.tip[None] + [[-5, -5], [5, 5]] for p in protrusions)])
        patch = frame_patch(points.min(0) - 3, points.max(0) + 3, conditions.field)
        if patch is None:
            shapes.append(None)
            continue
        top, first, rows, columns = patch
        dy, dx = (rows - origins[row][0]).astype(np.float32), (columns - origins[row][1]).astype(np.float32)
        sine, cosine = np.float32(math.sin(polarity[row])), np.float32(math.cos(polarity[row]))
        along, across = cosine * dx - sine * dy, -sine * dx - cosine * dy
        direction = contour.direction_index(np.arctan2(across, along))
        distance = np.sqrt(dy**2 + dx**2)
        lamella = (radii[row].astype(np.float32)[direction] - distance) * steepness[row].astype(np.float32)[
            direction
        ]
        half_along, half_across, tilt = bodies[row]
        u = along * np.float32(math.cos(tilt)) + across * np.float32(math.sin(tilt))
        v = across * np.float32(math.cos(tilt)) - along * np.float32(math.sin(tilt))
        body = np.sqrt((u / np.float32(half_along)) ** 2 + (v / np.float32(half_across)) ** 2)
        body /= wobble[row].astype(np.float32)[direction]
        inner = (1 - body) * np.float32(min(half_along, half_across))
        process, remote = np.full_like(lamella, -1e3), np.zeros_like(lamella)
        for protrusion in protrusions:
            reach, end = _process_level(conditions, protrusion, dy, dx)
            remote = np.where(reach > process, end, remote)
            process = np.maximum(process, reach)
        level = _blend(_blend(lamella, inner, 3.0), process, 4.0)
        shapes.append(
            PhaseCell(
                outline=Outline(top, first, level),
                origin=origins[row],
                along=along,
                across=across,
                direction=direction,
                lamella=lamella,
                body=body,
                process=process,
                remote=remote,
                front=front[row].astype(np.float32),
                flatness=float(1 / (1 + math.exp(-1.5 * slow[row, 15]))),
                roundness=float(roundness[row]),
                decay=float(decay[row]),
                protrusions=tuple(protrusions),
            )
        )
    return shapes


def _heading_vector(angle: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n 2"]:
    """Unit vectors (dy, dx) of angles counter-clockwise from +x."""
    return np.stack([-np.sin(angle), np.cos(angle)], -1)


def _fan(
    strength: Float[np.ndarray, " cell"], sides: Float[np.ndarray, "cell 2"]
) -> Float[np.ndarray, "cell direction"]:
    """How much of a front each direction is: a fan that narrows as the cell becomes polar."""
    width = (1.4 + 1.4 * (1 - strength))[:, None] + 0.22 * sides
    half = np.where(contour.THETA > 0, width[:, :1], width[:, 1:])
    return 1 / (1 + np.exp((np.abs(contour.THETA) - half) / 0.2))


def _outline_radii(
    front: Float[np.ndarray, "cell direction"],
    slow: Float[np.ndarray, "cell slow"],
    fast: Float[np.ndarray, "cell fast"],
    rng: np.random.Generator,
) -> Float[np.ndarray, "cell direction"]:
    """Radii of the lamella, up to scale: fan and rear, lobes, scallops and ruffles."""
    fall = np.array([0.9, 1.5, 0.8, 0.45, 0.3])
    lobes = contour.waves(slow[:, :10] * np.concatenate([fall, fall]), 1)
    scallops = contour.waves(fast[:, :16], 6)
    ruffles = contour.waves(rng.normal(size=(len(front), 2 * 30)), 14)
    plain = 0.36 + 0.64 * front
    return plain * np.exp(0.11 * lobes + 0.008 * scallops + 0.0026 * front * ruffles)


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


def _protrusions(
    conditions: Conditions,
    poses: Poses,
    time: int,
    cell: int,
    origin: Float[np.ndarray, " 2"],
    radii: Float[np.ndarray, " direction"],
    shown: float,
) -> list[Protrusion]:
    """The protrusions of one cell: each stands out of the outline by its length."""
    found = []
    for slot in np.flatnonzero(poses.protrusion_length[time, cell] * shown > 1.0):
        angle = float(poses.protrusion_angle[time, cell, slot])
        local = (angle - poses.polarity[time, cell] + np.pi) % (2 * np.pi) - np.pi
        base = float(radii[int(round(local * contour.DIRECTIONS / (2 * np.pi))) - contour.DIRECTIONS // 2])
        length = float(base + conditions.pixels(poses.protrusion_length[time, cell, slot]) * shown)
        bend = float(0.45 * np.tanh(poses.protrusion_bend[time, cell, slot]) / length)
        bulb = float(poses.protrusion_bulb[time, cell, slot])
        along, aside = _heading_vector(np.array(angle)), _heading_vector(np.array(angle + np.pi / 2))
        rearness = 0.5 - 0.5 * math.cos(local)
        foot = conditions.pixels(FOOT_UM + (TAIL_UM - FOOT_UM) * rearness**3)
        tip = origin + length * along + bend * length**2 * aside
        found.append(Protrusion(angle, length, bend, base, foot, bulb, tip))
    return found


def _process_level(
    conditions: Conditions,
    protrusion: Protrusion,
    dy: Float[np.ndarray, "y 1"],
    dx: Float[np.ndarray, "1 x"],
) -> tuple[Float[np.ndarray, "y x"], Float[np.ndarray, "y x"]]:
    """Distance to the outline of a protrusion, positive inside, and how near its end is.

    It tapers towards a small foot at its end.
    """
    foot, tip = np.float32(protrusion.foot), np.float32(conditions.pixels(TIP_UM))
    sine, cosine = np.float32(math.sin(protrusion.angle)), np.float32(math.cos(protrusion.angle))
    u, v = cosine * dx - sine * dy, -sine * dx - cosine * dy
    inside = np.clip(u, 0, np.float32(protrusion.length))
    bend = np.float32(protrusion.bend)
    aside = (v - bend * inside**2) / np.sqrt(1 + (2 * bend * inside) ** 2)
    share = np.clip(
        (inside - np.float32(protrusion.base)) / np.float32(protrusion.length - protrusion.base), 0, 1
    )
    end = np.exp(-(((share - 0.95) / 0.1) ** 2))
    width = tip * (1 + np.float32(protrusion.bulb) * end) + (foot - tip) * (1 - share) ** 2
    return width - np.hypot(aside, u - inside), end


def _blend(
    a: Float[np.ndarray, "y x"], b: Float[np.ndarray, "y x"], fillet: float
) -> Float[np.ndarray, "y x"]:
    """Maximum of two levels with the corner between them filled over `fillet` pixels."""
    share = np.clip(0.5 + 0.5 * (a - b) / np.float32(fillet), 0, 1)
    return b + share * (a - b) + np.float32(fillet) * share * (1 - share)
