"""Thin processes of a cell: tails, and filopodia that end in a small foot."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from jaxtyping import Float

from cellmotion_jax.data.simulate import contour
from cellmotion_jax.data.simulate.conditions import Conditions
from cellmotion_jax.data.simulate.pose import Poses

# Half widths of a protrusion: where it leaves the outline in front, where a tail leaves it, at its tip.
FOOT_UM, TAIL_UM, TIP_UM = 2.2, 6.0, 1.1


@dataclasses.dataclass(frozen=True, eq=False)
class Protrusion:
    """A thin process whose axis leaves the body's centre, the origin, along a parabola.

    Attributes:
        angle: Direction there.
        length: Length of the axis in pixels, along its direction.
        bend: Sideways deviation of the axis is ``bend * u**2`` at distance u, counter-clockwise.
        base: Distance at which it leaves the outline.
        foot: Half width there.
        end: Half width towards its tip.
        bulb: How much its tip is widened, 0 to 1.
    """

    angle: float
    length: float
    bend: float
    base: float
    foot: float
    end: float
    bulb: float

    @property
    def tip(self) -> Float[np.ndarray, " 2"]:
        """End of the axis."""
        return self.axis(np.array([self.length]))[0]

    @property
    def area(self) -> float:
        """About the area outside of the outline: the integral of the width."""
        mean_width = 2 * (self.end * (1 + 0.16 * self.bulb) + (self.foot - self.end) / 3)
        return mean_width * (self.length - self.base)

    @property
    def middle(self) -> Float[np.ndarray, " 2"]:
        """About the centre of that area."""
        slender = self.end * (1 + 0.16 * self.bulb)
        taper = (self.foot - self.end) / 3
        share = (slender / 2 + taper / 4) / (slender + taper)
        return self.axis(np.array([self.base + share * (self.length - self.base)]))[0]

    def axis(self, distance: Float[np.ndarray, " point"]) -> Float[np.ndarray, "point 2"]:
        """Points of the axis at distances along the protrusion's direction."""
        aside = self.bend * distance**2
        forward, left = contour.unit_vector(np.array([self.angle, self.angle + np.pi / 2]))
        return distance[:, None] * forward + aside[:, None] * left

    def level(
        self, dy: Float[np.ndarray, "y 1"], dx: Float[np.ndarray, "1 x"]
    ) -> tuple[Float[np.ndarray, "y x"], Float[np.ndarray, "y x"]]:
        """Distance to the outline, positive inside, and nearness to the tip from 0 to 1.

        Args:
            dy: Rows relative to the origin.
            dx: Columns relative to the origin.

        Returns:
            Both on the grid of `dy` and `dx`.
        """
        sine, cosine = np.float32(math.sin(self.angle)), np.float32(math.cos(self.angle))
        u, v = cosine * dx - sine * dy, -sine * dx - cosine * dy
        inside = np.clip(u, 0, np.float32(self.length))
        bend = np.float32(self.bend)
        aside = (v - bend * inside**2) / np.sqrt(1 + (2 * bend * inside) ** 2)
        share = np.clip((inside - np.float32(self.base)) / np.float32(self.length - self.base), 0, 1)
        tip = np.exp(-(((share - 0.95) / 0.1) ** 2))
        taper = np.float32(self.foot - self.end) * (1 - share) ** 2
        width = np.float32(self.end) * (1 + np.float32(self.bulb) * tip) + taper
        return width - np.hypot(aside, u - inside), tip


def grow_protrusions(
    conditions: Conditions,
    poses: Poses,
    *,
    time: int,
    cell: int,
    radii: Float[np.ndarray, " direction"],
    shown: float,
) -> list[Protrusion]:
    """The protrusions of one cell in one frame.

    Args:
        conditions: The settled simulation.
        poses: The state of the shapes.
        time: Frame.
        cell: Index of the cell.
        radii: Its outline, from which every protrusion stands out by its length.
        shown: Share of that length that is out; cells draw them in when they round up.

    Returns:
        The protrusions that stand out by more than a micrometre.
    """
    found = []
    for slot in np.flatnonzero(poses.protrusion_length[time, cell] * shown > 1.0):
        angle = float(poses.protrusion_angle[time, cell, slot])
        local = angle - float(poses.polarity[time, cell])
        base = float(radii[contour.direction_index(np.array([local]))[0]])
        length = base + conditions.pixels(float(poses.protrusion_length[time, cell, slot]) * shown)
        # Tails leave the body broadly, filopodia thinly.
        rearness = (0.5 - 0.5 * math.cos(local)) ** 3
        found.append(
            Protrusion(
                angle=angle,
                length=length,
                bend=0.45 * math.tanh(poses.protrusion_bend[time, cell, slot]) / length,
                base=base,
                foot=conditions.pixels(FOOT_UM + (TAIL_UM - FOOT_UM) * rearness),
                end=conditions.pixels(TIP_UM),
                bulb=float(poses.protrusion_bulb[time, cell, slot]),
            )
        )
    return found
