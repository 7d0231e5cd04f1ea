"""How real cells move: constants of a persistent random walk, fitted to measured tracks."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True, kw_only=True)
class Motion:
    """A persistent random walk whose slow moments turn more than its fast ones."""

    mean_speed_um_per_min: float
    """Mean over cells and time of the speed along the path."""
    persistence_min: float
    """Time after which the direction of a cell at mean speed has lost 1 - 1/e of its correlation."""
    speed_spread: float
    """Standard deviation in time of the logarithm of a cell's speed."""
    speed_memory_min: float
    """Correlation time of that logarithm."""
    cell_spread: float
    """Standard deviation over cells of the logarithm of their own mean speed."""
    jitter_um: float
    """Standard deviation of what shape fluctuations add to each coordinate of a cell's centre."""


# Fitted to the tracking masks of PhC-C2DH-U373/01 (8 tracks, 15 min): mean speed 0.185, median 0.134,
# 90th percentile 0.41 um/min; mean cosine of the turning angle 0.62, 0.46, 0.34 after 1, 2, 3 frames;
# mean squared displacement 13, 43, 131, 353, 903 um^2 after 1, 2, 4, 8, 16 frames.
U373_MOTION = Motion(
    mean_speed_um_per_min=0.18,
    persistence_min=65.0,
    speed_spread=0.8,
    speed_memory_min=40.0,
    cell_spread=0.3,
    jitter_um=0.3,
)

# Fitted to NIH3T3-trajectories (35 cells, 121 frames, 10 min): those cells migrate in an electric field,
# so their common drift of 1.66 um per frame along x is removed first. What is left has mean speed 0.30,
# median 0.20, 90th percentile 0.51 um/min and a mean cosine of 0.40, 0.28, 0.20 after 1, 2, 3 frames.
NIH3T3_MOTION = Motion(
    mean_speed_um_per_min=0.27,
    persistence_min=45.0,
    speed_spread=1.0,
    speed_memory_min=40.0,
    cell_spread=0.27,
    jitter_um=0.65,
)

# Fitted to the tracking masks of Fluo-N2DL-HeLa/01 (246 tracks, 30 min): mean speed 0.066, median 0.050
# um/min, no correlation from frame to frame, mean squared displacement 8, 14, 28, 55, 122 um^2 after 1, 2,
# 4, 8, 16 frames.
HELA_MOTION = Motion(
    mean_speed_um_per_min=0.055,
    persistence_min=9.0,
    speed_spread=0.7,
    speed_memory_min=60.0,
    cell_spread=0.4,
    jitter_um=0.85,
)
