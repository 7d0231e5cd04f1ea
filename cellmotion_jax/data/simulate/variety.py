"""Random variety of simulated movies around given settings."""

from __future__ import annotations

import dataclasses

import numpy as np

from cellmotion_jax.data.simulate.appearance import between, drawn_appearance
from cellmotion_jax.data.simulate.conditions import most_cells, settle
from cellmotion_jax.data.simulate.config import Look, Simulation


def varied(simulation: Simulation) -> Simulation:
    """Draws at random what `Simulation.variety` leaves open.

    Pixel size, number of cells, speed, noise, protrusions and appearance are multiplied by random factors,
    whose logarithms spread in proportion to the variety. Lengths in micrometres stay: with its pixels the
    size of cells in pixels varies.

    Args:
        simulation: The settings. They are returned as they are if their variety is 0.

    Returns:
        Settings of variety 0; the same for the same seed.
    """
    variety = simulation.variety
    if not variety:
        return simulation
    # A stream of its own: the cells of a movie are those of its seed.
    rng = np.random.default_rng([simulation.seed, 1])
    conditions = settle(dataclasses.replace(simulation, variety=0.0))

    def factor(low: float, high: float) -> float:
        return between(low, high, variety, rng)

    protrusions = min(4.0, conditions.protrusions * factor(0.2, 4.0))
    drawn = dataclasses.replace(
        simulation,
        variety=0.0,
        pixel_size_um=conditions.pixel_size_um * factor(0.65, 1.5),
        mean_speed_um_per_min=conditions.motion.mean_speed_um_per_min * factor(0.5, 2.0),
        protrusions=None if simulation.look is Look.NUCLEI else protrusions,
        noise=simulation.noise * factor(0.5, 8.0),
        appearance=drawn_appearance(variety, rng),
    )
    cells = round(simulation.cells * factor(0.25, 3.0))
    room = most_cells(settle(dataclasses.replace(drawn, cells=0)))
    return dataclasses.replace(drawn, cells=max(min(1, simulation.cells), min(cells, room)))
