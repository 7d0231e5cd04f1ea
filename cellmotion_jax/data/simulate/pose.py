"""How the cells hold themselves: where their shape points, how polar it is, and its slow fluctuations."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from jaxtyping import Bool, Float

from cellmotion_jax.data.simulate.conditions import Conditions
from cellmotion_jax.data.simulate.motion import History, fluctuations

# The front lies where the centre will be after it has moved this far; how far ahead to look for that.
REACH_UM = 5.0
FUTURE_MIN, MAX_FUTURE = 360.0, 400

# Shape fluctuations: slow ones of the whole outline, fast ones of its details.
SLOW, FAST = 18, 24
SLOW_MIN, FAST_MIN = 100.0, 25.0

PROTRUSION_MIN = 160.0
PROTRUSION_GROWTH_MIN = 22.0
SLOTS = 6


@dataclasses.dataclass(frozen=True, eq=False)
class Poses:
    """The state of every cell's shape in every frame of the movie.

    Attributes:
        polarity: Angle to which the shape points.
        strength: How polar the shape is, 0 to 1; grows with speed.
        slow: Standard normal fluctuations with a long memory.
        fast: Standard normal fluctuations with a short memory.
        protrusion_length: Length in micrometres by which each thin protrusion stands out, 0 for none.
        protrusion_angle: Angle at which it leaves the cell's body.
        protrusion_bend: Its curvature, about -1 to 1.
        protrusion_bulb: How much its end is widened, 0 to 1.
    """

    polarity: Float[np.ndarray, "time cell"]
    strength: Float[np.ndarray, "time cell"]
    slow: Float[np.ndarray, "time cell slow"]
    fast: Float[np.ndarray, "time cell fast"]
    protrusion_length: Float[np.ndarray, "time cell slot"]
    protrusion_angle: Float[np.ndarray, "time cell slot"]
    protrusion_bend: Float[np.ndarray, "time cell slot"]
    protrusion_bulb: Float[np.ndarray, "time cell slot"]


def future_frames(conditions: Conditions) -> int:
    """Frames beyond the movie's last that its cells must live on, so that their shapes know their future."""
    return int(min(MAX_FUTURE, max(1, math.ceil(FUTURE_MIN / conditions.interval_min))))


def pose(conditions: Conditions, history: History, *, rng: np.random.Generator) -> Poses:
    """Derives the shapes' state from the cells' paths.

    A migrating cell extends its front before its body follows, so its shape points to where its centre
    will be `REACH_UM` ahead on its path, up to an error with a memory of its own. Its polarity grows with
    the speed at which it goes there. Protrusions grow and retract, more often at the rear than elsewhere.
    """
    frames, cells = conditions.simulation.frames, history.alive.shape[1]
    goal, speed = _goals(conditions, history)
    memory = math.exp(-conditions.interval_min / 60.0)
    error = fluctuations((frames, cells), memory, rng)
    mood = fluctuations((frames, cells), memory, rng)
    usual = max(conditions.motion.mean_speed_um_per_min, 1e-6)
    strength = np.clip(0.45 + 0.55 * speed / (speed + 0.4 * usual) + 0.1 * mood, 0.35, 1.0)
    polarity = goal + np.radians(conditions.simulation.polarity_error_deg) * (2 - strength) * error
    lengths, angles, bends, bulbs = _protrusions(conditions, polarity, history.alive[:frames], rng)
    return Poses(
        polarity=np.mod(polarity, 2 * np.pi),
        strength=strength,
        slow=fluctuations((frames, cells, SLOW), math.exp(-conditions.interval_min / SLOW_MIN), rng),
        fast=fluctuations((frames, cells, FAST), math.exp(-conditions.interval_min / FAST_MIN), rng),
        protrusion_length=lengths,
        protrusion_angle=angles,
        protrusion_bend=bends,
        protrusion_bulb=bulbs,
    )


def _goals(
    conditions: Conditions, history: History
) -> tuple[Float[np.ndarray, "time cell"], Float[np.ndarray, "time cell"]]:
    """Direction of the net displacement that first exceeds `REACH_UM`, and the speed of getting there.

    Where no displacement within sight does, the largest one counts. The direction is averaged over three
    frames, because a front does not jump.
    """
    frames, cells = conditions.simulation.frames, history.alive.shape[1]
    reach = conditions.pixels(REACH_UM)
    goal = np.zeros((frames, cells, 2))
    far = np.zeros((frames, cells))
    lag = np.ones((frames, cells))
    for ahead in range(1, future_frames(conditions) + 1):
        step = history.path[ahead : ahead + frames] - history.path[:frames]
        distance = np.sqrt((step**2).sum(-1))
        better = (far <= reach) & (distance > far)
        goal = np.where(better[..., None], step, goal)
        far, lag = np.where(better, distance, far), np.where(better, ahead, lag)
    unit = goal / np.maximum(far, 1e-9)[..., None]
    smooth = unit.copy()
    smooth[1:] += 0.4 * unit[:-1] * history.alive[: frames - 1, :, None]
    smooth[:-1] += 0.4 * unit[1:] * history.alive[1:frames, :, None]
    speed = far * conditions.pixel_size_um / (lag * conditions.interval_min)
    return np.arctan2(-smooth[..., 0], smooth[..., 1]), speed


def _protrusions(
    conditions: Conditions,
    polarity: Float[np.ndarray, "time cell"],
    alive: Bool[np.ndarray, "time cell"],
    rng: np.random.Generator,
) -> tuple[Float[np.ndarray, "time cell slot"], ...]:
    """Lengths, angles, bends and bulbs of thin protrusions, each slot switched on and off at random."""
    frames, cells = alive.shape
    share = conditions.protrusions / SLOTS
    turnover = 1 - math.exp(-conditions.interval_min / PROTRUSION_MIN)
    growth = 1 - math.exp(-conditions.interval_min / PROTRUSION_GROWTH_MIN)
    length, angle, bend, bulb, target = (np.zeros((frames, cells, SLOTS)) for _ in range(5))
    grows = rng.random((cells, SLOTS)) < share
    for time in range(frames):
        now = max(time - 1, 0)
        switches = rng.random((cells, SLOTS)) < turnover
        grows = np.where(switches, rng.random((cells, SLOTS)) < share, grows)
        fresh = (length[now] < 1.0) | (time == 0)
        rear = rng.random((cells, SLOTS)) < 0.55
        turn = np.where(rear, np.pi + rng.normal(0, 0.5, rear.shape), rng.uniform(0, 2 * np.pi, rear.shape))
        angle[time] = np.where(fresh, polarity[time][:, None] + turn, angle[now])
        target[time] = np.where(fresh, rng.gamma(4.0, 5.0, rear.shape), target[now])
        bend[time] = np.where(fresh, rng.normal(size=rear.shape), bend[now])
        bulb[time] = np.where(fresh, rng.random(rear.shape) ** 2, bulb[now])
        grown = np.where(grows, target[time], 0.0)
        length[time] = length[now] + (growth if time else 1.0) * (grown - length[now])
        length[time] = np.where(length[time] < 0.3, 0.0, length[time])
    return length, angle, bend, bulb
