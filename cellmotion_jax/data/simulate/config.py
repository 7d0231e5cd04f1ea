"""Settings of a simulated movie."""

from __future__ import annotations

import dataclasses
import enum


class Look(enum.Enum):
    """Type of microscopy that is simulated."""

    PHASE_CONTRAST = "phase-contrast"
    NUCLEI = "nuclei"


class Walk(enum.Enum):
    """Data set whose motion statistics the cells have."""

    U373 = "u373"
    NIH3T3 = "nih3t3"
    HELA = "hela"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Simulation:
    """Settings of a simulated movie; a number that is None takes the default value of the look."""

    look: Look = Look.PHASE_CONTRAST
    """Type of microscopy: whole cells in phase contrast, or nuclei in fluorescence."""
    frames: int = 60
    """Number of frames."""
    height: int = 512
    """Height of the field in pixels."""
    width: int = 512
    """Width of the field in pixels."""
    cells: int = 16
    """Number of cells whose centre is inside the field in the first frame; outside of the field the density
    of cells is the same."""
    pixel_size_um: float | None = None
    """Side of a pixel in micrometres (0.65 for phase contrast, 0.645 for nuclei)."""
    frame_interval_s: float | None = None
    """Seconds between frames (900 for phase contrast, 1800 for nuclei)."""
    walk: Walk | None = None
    """Data set whose motion statistics the cells have (default u373 for phase contrast, hela for nuclei)."""
    mean_speed_um_per_min: float | None = None
    """Mean speed along the path in micrometres per minute; replaces the value of the walk."""
    persistence_min: float | None = None
    """Persistence of the direction of a cell at mean speed, in minutes; replaces the value of the walk."""
    cell_area_um2: float | None = None
    """Median area of a cell that does not touch others, in square micrometres (1600 for phase contrast, 175
    for nuclei)."""
    protrusions: float | None = None
    """Mean number of thin protrusions per cell (0.7 for phase contrast; nuclei have none)."""
    polarity_error_deg: float = 4.0
    """Standard deviation, in degrees, of the angle between the polarity of a fast cell's shape and its future
    direction; for slow cells it is up to twice as large."""
    division_rate_per_h: float = 0.02
    """Divisions per cell and hour (HeLa nuclei: 0.02)."""
    death_rate_per_h: float = 0.002
    """Deaths per cell and hour."""
    noise: float = 1.0
    """Camera noise relative to that of the real movies; 0 for none."""
    seed: int = 0
    """Random seed; the same settings give the same movie."""
