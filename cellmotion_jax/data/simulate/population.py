"""Persistent random walks of cells that exclude one another, divide, die, enter and leave.

The cells live on a torus that is larger than the field by an unseen margin, so that they leave the field
and enter it at the natural rate and never jump within sight.
"""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Bool, Float, Int

from cellmotion_jax.data.simulate.conditions import MIN_SPREADING, Conditions
from cellmotion_jax.data.simulate.crowding import repulsion, scatter

# A cell rounds up, stays round until it has divided, and its daughters take about an hour to spread (U373).
ROUNDING_MIN = 30.0
MITOSIS_MIN = 50.0
SPREADING_MIN = 35.0
# A daughter starts with half the area and has the full one after this time.
GROWTH_MIN = 480.0
DYING_MIN = 90.0
# A rounded cell covers this share of its spread area.
ROUND_AREA = 0.28
# Longest step of the integration.
STEP_MIN = 5.0


class Population:
    """The cells that are alive at one moment, as arrays that grow and downsample with them."""

    def __init__(self, conditions: Conditions, rng: np.random.Generator):
        self.conditions, self.rng = conditions, rng
        height, width = conditions.field
        self.size = np.array([height, width]) + 2 * conditions.margin
        place = scatter(conditions, self.size, rng)
        count = len(place)
        self.parents: list[int] = [-1] * count
        self.axes: list[float] = list(rng.uniform(0, 2 * np.pi, count))
        self.identity = np.arange(count)
        self.path = place
        self.angle = rng.uniform(0, 2 * np.pi, count)
        self.pace = rng.normal(size=count)
        self.own_speed = self._own_speed(count)
        self.full_area = conditions.cell_area * np.exp(conditions.area_spread * rng.normal(size=count))
        self.age = rng.uniform(GROWTH_MIN, 3 * GROWTH_MIN, count)
        self.mitosis = np.full(count, -1.0)
        self.dying = np.full(count, -1.0)
        for _ in range(40):
            self._settle_first()

    def _own_speed(self, count: int) -> Float[np.ndarray, " cell"]:
        """Mean speeds of `count` cells: log-normal with the population's mean."""
        motion = self.conditions.motion
        spread = motion.cell_spread
        return motion.mean_speed_um_per_min * np.exp(spread * self.rng.normal(size=count) - spread**2 / 2)

    def _settle_first(self) -> None:
        """Pushes the first cells apart without letting any cross the border of the field."""
        cells = self.conditions.simulation.cells
        inner = np.array(self.conditions.field) - 1.0
        moved = self.path + repulsion(self.path, self.radius, self.size)
        moved[:cells] = np.clip(moved[:cells], 0, inner)
        entering = (np.mod(moved, self.size) <= inner).all(1) & (np.arange(len(moved)) >= cells)
        self.path = np.where(entering[:, None], self.path, moved)

    @property
    def speed(self) -> Float[np.ndarray, " cell"]:
        """Speed of every cell; a round or dying one rests."""
        spread = self.conditions.motion.speed_spread
        active = (1 - self.roundness) * (1 - np.clip(self.dying, 0, DYING_MIN) / DYING_MIN)
        return self.own_speed * np.exp(spread * self.pace - spread**2 / 2) * active

    @property
    def roundness(self) -> Float[np.ndarray, " cell"]:
        """How far a cell is rounded up, by its coming division or by the last."""
        coming = np.clip(self.mitosis / ROUNDING_MIN, 0, 1)
        return np.maximum(coming, 0.9 * np.exp(-self.age / SPREADING_MIN))

    @property
    def area(self) -> Float[np.ndarray, " cell"]:
        """Spread areas: daughters grow, dying cells downsample, crowded cells spread less."""
        grown = 0.55 + 0.45 * np.clip(self.age / GROWTH_MIN, 0, 1)
        free = self.full_area * grown * (1 - 0.7 * np.clip(self.dying / DYING_MIN, 0, 1))
        return free * min(1.0, self.conditions.coverage * self.size.prod() / max(free.sum(), 1.0))

    @property
    def radius(self) -> Float[np.ndarray, " cell"]:
        """Radius of the disc that keeps other cells away."""
        return self.conditions.space * np.sqrt(self.area * (1 - (1 - ROUND_AREA) * self.roundness) / np.pi)

    def walk(self) -> None:
        """Moves every cell by one frame: turns, speeds up or slows down, steps, gives way."""
        conditions, rng, motion = self.conditions, self.rng, self.conditions.motion
        steps = max(1, math.ceil(conditions.interval_min / STEP_MIN))
        step = conditions.interval_min / steps
        memory = math.exp(-step / motion.speed_memory_min)
        for _ in range(steps):
            self.pace = memory * self.pace + math.sqrt(1 - memory**2) * rng.normal(size=self.pace.shape)
            # Fast cells keep their direction (Maiuri et al. 2015): turning is inverse to speed.
            calm = np.clip(self.own_speed / np.maximum(self.speed, 1e-6), 0.1, 10.0)
            turn = np.sqrt(2 * step / motion.persistence_min * calm)
            self.angle = self.angle + turn * rng.normal(size=self.angle.shape)
            self.path = self.path + conditions.pixels(step) * self.speed[:, None] * _unit(self.angle)
        ahead = _unit(self.angle)
        for _ in range(6):
            push = repulsion(self.path, self.radius, self.size)
            self.path = self.path + push
            # A cell that is pushed turns away from what pushes it (contact inhibition of locomotion).
            away = push[:, 1] * -ahead[:, 0] - push[:, 0] * ahead[:, 1]
            self.angle = self.angle + 0.6 * np.clip(away / np.maximum(self.radius, 1.0), -1, 1)

    def live(self) -> None:
        """Lets one frame pass in the life of every cell: divisions end, deaths end, new ones begin."""
        conditions, rng, simulation = self.conditions, self.rng, self.conditions.simulation
        minutes = conditions.interval_min
        self.age = self.age + minutes
        self.mitosis = np.where(self.mitosis >= 0, self.mitosis + minutes, self.mitosis)
        self.dying = np.where(self.dying >= 0, self.dying + minutes, self.dying)
        self._divide(np.flatnonzero(self.mitosis > MITOSIS_MIN))
        self._keep(self.dying <= DYING_MIN)
        count = len(self.identity)
        busy = (self.mitosis >= 0) | (self.dying >= 0) | (self.age < self._youth())
        crowded = self.full_area.sum() * MIN_SPREADING > conditions.coverage * self.size.prod()
        divides = rng.random(count) < 1 - math.exp(-simulation.division_rate_per_h * minutes / 60)
        dies = rng.random(count) < 1 - math.exp(-simulation.death_rate_per_h * minutes / 60)
        delay = rng.uniform(0, minutes, count)
        starts = divides & ~busy & (not crowded)
        self.mitosis = np.where(starts, delay, self.mitosis)
        self.dying = np.where(dies & ~busy & ~starts, delay, self.dying)

    def _youth(self) -> float:
        """Minutes after a division in which a daughter does not divide again."""
        rate = self.conditions.simulation.division_rate_per_h
        return min(GROWTH_MIN, 30.0 / rate) if rate else GROWTH_MIN

    def _divide(self, mothers: Int[np.ndarray, " mother"]) -> None:
        """Replaces mothers by two daughters each, side by side along the mother's axis."""
        if not len(mothers):
            return
        rng, pairs = self.rng, np.repeat(mothers, 2)
        axes = np.array([self.axes[mother] for mother in self.identity[pairs]])
        side = np.tile([1.0, -1.0], len(mothers))
        offset = 0.75 * self.radius[pairs] * side
        first = len(self.parents)
        newborn = {
            "identity": first + np.arange(len(pairs)),
            "path": self.path[pairs] + offset[:, None] * np.stack([-np.sin(axes), np.cos(axes)], -1),
            "angle": axes + np.pi * (side < 0) + rng.normal(0, 0.4, len(pairs)),
            "pace": rng.normal(size=len(pairs)),
            "own_speed": self._own_speed(len(pairs)),
            "full_area": self.full_area[pairs] * np.exp(0.1 * rng.normal(size=len(pairs))),
            "age": np.zeros(len(pairs)),
            "mitosis": np.full(len(pairs), -1.0),
            "dying": np.full(len(pairs), -1.0),
        }
        self.parents.extend(self.identity[pairs].tolist())
        self.axes.extend(rng.uniform(0, 2 * np.pi, len(pairs)))
        stays = np.ones(len(self.identity), bool)
        stays[mothers] = False
        self._keep(stays)
        for name, values in newborn.items():
            setattr(self, name, np.concatenate([getattr(self, name), values]))

    def _keep(self, stays: Bool[np.ndarray, " cell"]) -> None:
        """Drops the other cells."""
        names = ("identity", "path", "angle", "pace", "own_speed", "full_area", "age", "mitosis", "dying")
        for name in names:
            setattr(self, name, getattr(self, name)[stays])


def _unit(angle: Float[np.ndarray, " cell"]) -> Float[np.ndarray, "cell 2"]:
    """Unit vectors (y, x) of directions that count counter-clockwise from +x."""
    return np.stack([-np.sin(angle), np.cos(angle)], -1)
