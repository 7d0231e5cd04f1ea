"""A `Simulation` with every gap filled from its look, checked, in pixels and minutes."""

from __future__ import annotations

import dataclasses
import math

from cellmotion_jax.data.simulate.config import Look, Simulation, Walk
from cellmotion_jax.data.simulate.walks import HELA_MOTION, NIH3T3_MOTION, U373_MOTION, Motion
from cellmotion_jax.errors import InputError

# Crowded cells spread less; below this share of their free area they would be no cells any more.
MIN_SPREADING = 0.4

_MOTIONS = {Walk.U373: U373_MOTION, Walk.NIH3T3: NIH3T3_MOTION, Walk.HELA: HELA_MOTION}


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Nature:
    """What a look brings along where the user says nothing."""

    pixel_size_um: float
    frame_interval_s: float
    cell_area_um2: float
    area_spread: float
    coverage: float
    space: float
    protrusions: float
    walk: Walk


# Areas are medians of the reference masks (01_ST/SEG); their logarithms spread by 0.5 for U373 cells and by
# 0.3 for HeLa nuclei, part of it from cell to cell and part of it in time.
_NATURES = {
    Look.PHASE_CONTRAST: _Nature(
        pixel_size_um=0.65,
        frame_interval_s=900.0,
        cell_area_um2=1600.0,
        area_spread=0.35,
        coverage=0.45,
        space=0.95,
        protrusions=0.7,
        walk=Walk.U373,
    ),
    Look.NUCLEI: _Nature(
        pixel_size_um=0.645,
        frame_interval_s=1800.0,
        cell_area_um2=175.0,
        area_spread=0.25,
        coverage=0.28,
        space=1.3,
        protrusions=0.0,
        walk=Walk.HELA,
    ),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Conditions:
    """The options of a `Simulation` with every gap filled, in pixels and minutes."""

    simulation: Simulation
    pixel_size_um: float
    interval_min: float
    cell_area: float
    area_spread: float
    """Standard deviation over cells of the logarithm of the area."""
    coverage: float
    """Share of the field beyond which cells can no longer avoid one another, and spread less instead."""
    space: float
    """Radius at which cells keep others away, in units of their own."""
    protrusions: float
    motion: Motion

    @property
    def look(self) -> Look:
        """The simulation's look."""
        return self.simulation.look

    @property
    def field(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.simulation.height, self.simulation.width

    @property
    def radius(self) -> float:
        """Radius in pixels of a disc with the median cell's area."""
        return math.sqrt(self.cell_area / math.pi)

    @property
    def margin(self) -> float:
        """Width in pixels of the unseen border around the field from which cells enter."""
        return 4.0 * self.radius + 4.0

    def pixels(self, length_um: float) -> float:
        """A length in pixels."""
        return length_um / self.pixel_size_um


def settle(simulation: Simulation) -> Conditions:
    """Fills the gaps of a simulation from its look and checks that the movie can be made.

    Raises:
        InputError: If nuclei are asked to have protrusions, or the cells do not
            fit into the field.
    """
    nature = _NATURES[simulation.look]
    pixel_size_um = _or(simulation.pixel_size_um, nature.pixel_size_um)
    motion = _MOTIONS[simulation.walk or nature.walk]
    motion = dataclasses.replace(
        motion,
        mean_speed_um_per_min=_or(simulation.mean_speed_um_per_min, motion.mean_speed_um_per_min),
        persistence_min=_or(simulation.persistence_min, motion.persistence_min),
    )
    conditions = Conditions(
        simulation=simulation,
        pixel_size_um=pixel_size_um,
        interval_min=_or(simulation.frame_interval_s, nature.frame_interval_s) / 60.0,
        cell_area=_or(simulation.cell_area_um2, nature.cell_area_um2) / pixel_size_um**2,
        area_spread=nature.area_spread,
        coverage=nature.coverage,
        space=nature.space,
        protrusions=_or(simulation.protrusions, nature.protrusions),
        motion=motion,
    )
    if simulation.look is Look.NUCLEI and conditions.protrusions:
        raise InputError(
            f"protrusions is {conditions.protrusions:g}, but nuclei have none; "
            "leave it out or ask for phase contrast."
        )
    if conditions.cell_area < 40.0:
        raise InputError(
            f"cells of {conditions.cell_area * pixel_size_um**2:g} um^2 cover only "
            f"{conditions.cell_area:.0f} pixels of {pixel_size_um:g} um; they need 40, "
            "so give larger cells or smaller pixels."
        )
    height, width = conditions.field
    most = most_cells(conditions)
    if simulation.cells > most:
        raise InputError(
            f"{simulation.cells} cells of {conditions.cell_area:.0f} pixels do not fit into a field of "
            f"{height} x {width} pixels; at most {most} do."
        )
    return conditions


def most_cells(conditions: Conditions) -> int:
    """The largest number of cells that fit into the field."""
    height, width = conditions.field
    return int(conditions.coverage * height * width / (MIN_SPREADING * conditions.cell_area))


def _or(value: float | None, default: float) -> float:
    return default if value is None else value
