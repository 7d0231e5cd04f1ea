"""The options of a simulated movie."""

from __future__ import annotations

import dataclasses
import enum


class Look(enum.Enum):
    """Which microscope the movie seems to come from."""

    PHASE_CONTRAST = "phase-contrast"
    NUCLEI = "nuclei"


class Walk(enum.Enum):
    """Whose way of moving the cells have."""

    U373 = "u373"
    NIH3T3 = "nih3t3"
    HELA = "hela"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Simulation:
    """A movie to simulate; every number left at None takes the value of the look."""

    look: Look = Look.PHASE_CONTRAST
    """Whole cells in phase contrast, or nuclei in fluorescence."""
    frames: int = 60
    """Number of frames."""
    height: int = 512
    """Height of the field in pixels."""
    width: int = 512
    """Width of the field in pixels."""
    cells: int = 16
    """Cells whose centre is inside the field in the first frame; others wait outside, as densely."""
    pixel_size_um: float | None = None
    """Side of a pixel in micrometres (0.65 for phase contrast, 0.645 for nuclei)."""
    frame_interval_s: float | None = None
    """Seconds between frames (900 for phase contrast, 1800 for nuclei)."""
    walk: Walk | None = None
    """Cells whose motion statistics these cells have (u373 for phase contrast, hela for nuclei)."""
    mean_speed_um_per_min: float | None = None
    """Mean speed along the path in micrometres per minute instead of that of the walk."""
    persistence_min: float | None = None
    """Minutes over which a cell at mean speed keeps its direction instead of those of the walk."""
    cell_area_um2: float | None = None
    """Median area of a cell with room to spread (1600 for phase contrast, 175 for nuclei)."""
    protrusions: float | None = None
    """Mean number of thin protrusions per cell (0.7 for phase contrast; nuclei have none)."""
    polarity_error_deg: float = 4.0
    """Standard deviation of the angle between where a fast cell's shape points and where it will go; a slow
    cell's is up to twice that."""
    division_rate_per_h: float = 0.02
    """Divisions per cell and hour (HeLa nuclei: 0.02)."""
    death_rate_per_h: float = 0.002
    """Deaths per cell and hour."""
    noise: float = 1.0
    """Camera noise in units of the real movies' noise; 0 for none."""
    seed: int = 0
    """Seed of all randomness: the same options give the same movie."""
