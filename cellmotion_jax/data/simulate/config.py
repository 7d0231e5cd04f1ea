"""Settings of a simulated movie."""

from __future__ import annotations

import dataclasses
import enum
from typing import Annotated

from cellmotion_jax.data.simulate.appearance import Appearance
from cellmotion_jax.settings import (
    MicronsPerPixel,
    NotNegative,
    Positive,
    Range,
    Seconds,
    Seed,
    Settings,
    Share,
)


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
class Simulation(Settings):
    """Settings of a simulated movie; a number that is None takes the default value of the look."""

    look: Look = Look.PHASE_CONTRAST
    """Type of microscopy: whole cells in phase contrast, or nuclei in fluorescence."""
    frames: Annotated[int, Range(1, 10**4)] = 60
    """Number of frames."""
    height: Annotated[int, Range(16, 2**14)] = 512
    """Height of the field in pixels."""
    width: Annotated[int, Range(16, 2**14)] = 512
    """Width of the field in pixels."""
    cells: Annotated[int, Range(0, 5000)] = 16
    """Number of cells whose centre is inside the field in the first frame; outside of the field the density
    of cells is the same."""
    pixel_size_um: MicronsPerPixel | None = None
    """Side of a pixel in micrometres (0.65 for phase contrast, 0.645 for nuclei)."""
    frame_interval_s: Seconds | None = None
    """Seconds between frames (900 for phase contrast, 1800 for nuclei)."""
    walk: Walk | None = None
    """Data set whose motion statistics the cells have (default u373 for phase contrast, hela for nuclei)."""
    mean_speed_um_per_min: NotNegative | None = None
    """Mean speed along the path in micrometres per minute; replaces the value of the walk."""
    persistence_min: Positive | None = None
    """Persistence of the direction of a cell at mean speed, in minutes; replaces the value of the walk."""
    cell_area_um2: Positive | None = None
    """Median area of a cell that does not touch others, in square micrometres (1600 for phase contrast, 175
    for nuclei)."""
    protrusions: Annotated[float, Range(0, 4)] | None = None
    """Mean number of thin protrusions per cell (0.7 for phase contrast; nuclei have none)."""
    polarity_error_deg: Annotated[float, Range(0, 180)] = 4.0
    """Standard deviation, in degrees, of the angle between the polarity of a fast cell's shape and its future
    direction; for slow cells it is up to twice as large."""
    division_rate_per_h: NotNegative = 0.02
    """Divisions per cell and hour (HeLa nuclei: 0.02)."""
    death_rate_per_h: NotNegative = 0.002
    """Deaths per cell and hour."""
    noise: NotNegative = 1.0
    """Camera noise relative to that of the real movies; 0 for none."""
    appearance: Appearance = Appearance()
    """How cells, background and camera look, beside those of the movie that is imitated."""
    variety: Share = 0.0
    """How different the movies of several seeds are, from 0 to 1: pixel size, number and speed of cells,
    noise and appearance are drawn at random around the values given here."""
    seed: Seed = 0
    """Random seed; the same settings give the same movie."""
