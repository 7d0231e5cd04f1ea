"""Where the cells are in every frame, and what becomes of them."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from jaxtyping import Bool, Float, Int

from cellmotion_jax.data.simulate.conditions import Conditions
from cellmotion_jax.data.simulate.population import DYING_MIN, Population

# Correlation time of the jitter that shape fluctuations add to the centres.
JITTER_MIN = 8.0


@dataclasses.dataclass(frozen=True, eq=False)
class History:
    """All cells in all frames, and in some frames beyond the last, so that every frame has a future.

    Attributes:
        alive: Whether the cell exists.
        path: Centre (y, x) in pixels of the field, unwrapped: differences are displacements. A cell that is
            gone stays where it was.
        place: The centre wrapped onto the torus, where the cell is drawn.
        speed: Speed along the path in micrometres per minute, without jitter.
        area: Area in pixels when spread.
        roundness: 0 for a spread cell, 1 for one that is rounded up to divide.
        mitotic: Whether the cell is rounding up or about to divide.
        decay: 0 for a healthy cell, rising to 1 as it dies.
        parent: Index of the mother, -1 for none.
        axis: Angle along which the cell divides.
    """

    alive: Bool[np.ndarray, "time cell"]
    path: Float[np.ndarray, "time cell 2"]
    place: Float[np.ndarray, "time cell 2"]
    speed: Float[np.ndarray, "time cell"]
    area: Float[np.ndarray, "time cell"]
    roundness: Float[np.ndarray, "time cell"]
    mitotic: Bool[np.ndarray, "time cell"]
    decay: Float[np.ndarray, "time cell"]
    parent: Int[np.ndarray, " cell"]
    axis: Float[np.ndarray, " cell"]


def live_through(conditions: Conditions, *, future: int, rng: np.random.Generator) -> History:
    """Simulates the lives of all cells: the frames of the movie and `future` more without births and deaths.

    Args:
        conditions: The settled simulation.
        future: Frames beyond the last.
        rng: Source of randomness.

    Returns:
        The history over ``frames + future`` times and all cells that ever lived.
    """
    population = Population(conditions, rng)
    frames = conditions.simulation.frames
    records = []
    for frame in range(frames + future):
        if frame:
            if frame < frames:
                population.live()
            population.walk()
        records.append(
            {
                "identity": population.identity,
                "path": population.path,
                "speed": population.speed,
                "area": population.area,
                "roundness": population.roundness,
                "mitotic": population.mitosis >= 0,
                "decay": np.clip(population.dying / DYING_MIN, 0, 1),
            }
        )
    total = len(population.parents)

    def dense(name: str) -> np.ndarray:
        first = records[0][name]
        table = np.zeros((len(records), total, *first.shape[1:]), first.dtype)
        for time, record in enumerate(records):
            if time and name == "path":
                table[time] = table[time - 1]
            table[time, record["identity"]] = record[name]
        return table

    alive = np.zeros((len(records), total), bool)
    for time, record in enumerate(records):
        alive[time, record["identity"]] = True
    path = dense("path")
    memory = math.exp(-conditions.interval_min / JITTER_MIN)
    path += conditions.pixels(conditions.motion.jitter_um) * fluctuations(path.shape, memory, rng)
    return History(
        alive=alive,
        path=path,
        place=np.mod(path + conditions.margin, population.size) - conditions.margin,
        speed=dense("speed"),
        area=dense("area"),
        roundness=dense("roundness"),
        mitotic=dense("mitotic"),
        decay=dense("decay"),
        parent=np.asarray(population.parents, int),
        axis=np.asarray(population.axes, float),
    )


def fluctuations(shape: tuple[int, ...], memory: float, rng: np.random.Generator) -> np.ndarray:
    """Stationary normal fluctuations along the first axis, correlated by `memory` from frame to frame."""
    values = rng.normal(size=shape)
    for time in range(1, shape[0]):
        values[time] = memory * values[time - 1] + math.sqrt(1 - memory**2) * values[time]
    return values
