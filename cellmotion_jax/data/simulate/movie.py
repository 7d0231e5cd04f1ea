"""From a `Simulation` to a movie with its truth."""

from __future__ import annotations

import dataclasses

import numpy as np
from jaxtyping import UInt
from tqdm import tqdm

from cellmotion_jax.data.simulate.conditions import settle
from cellmotion_jax.data.simulate.config import Look, Simulation
from cellmotion_jax.data.simulate.motion import live_through
from cellmotion_jax.data.simulate.nuclei import Nuclei
from cellmotion_jax.data.simulate.phase_contrast import PhaseContrast
from cellmotion_jax.data.simulate.pose import future_frames, pose
from cellmotion_jax.data.simulate.truth import CellTruth, TipTruth, name_tracks, tell_cells
from cellmotion_jax.data.simulate.variety import varied
from cellmotion_jax.data.track_table import TrackTable


@dataclasses.dataclass(frozen=True, eq=False)
class SimulatedMovie:
    """A movie and everything there is to know about it.

    Attributes:
        simulation: What it was made from.
        frames: The images, uint8 for phase contrast and uint16 for nuclei.
        masks: Track id of every pixel, 0 for background.
        tracks: Span and parent of every track.
        cells: Position, heading and state of every cell in every frame.
        tips: Tips of protrusions.
        pixel_size_um: Side of a pixel.
        frame_interval_s: Time between frames.
    """

    simulation: Simulation
    frames: UInt[np.ndarray, "time y x"]
    masks: UInt[np.ndarray, "time y x"]
    tracks: TrackTable
    cells: CellTruth
    tips: TipTruth
    pixel_size_um: float
    frame_interval_s: float


def simulate(simulation: Simulation) -> SimulatedMovie:
    """Makes a movie of migrating, dividing and dying cells with its exact truth.

    Cells walk at random with persistence, keep apart, divide, die, leave the field and enter it. In phase
    contrast the shape of a cell points to where the cell will go: its front is broad, its rear thin. A
    pixel belongs to the cell that is drawn there, so masks never overlap and nothing is hidden. The result
    depends on the options alone.

    Args:
        simulation: The options.

    Returns:
        The movie. With no cells its tables are empty and its masks 0.

    Raises:
        InputError: If an option is out of range or the cells do not fit into the field.

    Example:
        >>> movie = simulate(Simulation(frames=2, height=64, width=64, cells=1, seed=3))
        >>> movie.frames.shape, movie.masks.dtype, movie.tracks.begin.tolist()[:1]
        ((2, 64, 64), dtype('uint16'), [0])
    """
    conditions = settle(varied(simulation))
    lives, poses_seed, scene, *frame_seeds = np.random.SeedSequence(simulation.seed).spawn(
        3 + simulation.frames
    )
    history = live_through(conditions, future=future_frames(conditions), rng=np.random.default_rng(lives))
    poses = pose(conditions, history, rng=np.random.default_rng(poses_seed))
    microscope = Nuclei if simulation.look is Look.NUCLEI else PhaseContrast
    stage = microscope(conditions, history, poses, np.random.default_rng(scene))
    cells = history.alive.shape[1]
    shape = (simulation.frames, simulation.height, simulation.width)
    dtype = np.uint16 if simulation.look is Look.NUCLEI else np.uint8
    frames, owners = np.zeros(shape, dtype), np.zeros(shape, np.uint16)
    areas, centres = np.zeros((simulation.frames, cells), int), np.zeros((simulation.frames, cells, 2))
    tips: list[tuple[int, int, float, float, float]] = []
    for time in tqdm(range(simulation.frames), "simulating", unit="frame", disable=None):
        drawing = stage.draw(time, np.random.default_rng(frame_seeds[time]))
        frames[time], owners[time] = drawing.image, drawing.owner
        areas[time], centres[time] = _measure(drawing.owner, cells)
        tips.extend((time, *tip) for tip in drawing.tips)
    tracks, labels = name_tracks(areas > 0, history)
    for time in range(simulation.frames):
        owners[time] = np.concatenate([[0], labels[time]]).astype(np.uint16)[owners[time]]
    truth = tell_cells(conditions, history, poses, labels=labels, centres=centres, areas=areas)
    return SimulatedMovie(
        simulation=simulation,
        frames=frames,
        masks=owners,
        tracks=tracks,
        cells=truth,
        tips=_tip_table(tips, labels),
        pixel_size_um=conditions.pixel_size_um,
        frame_interval_s=conditions.interval_min * 60,
    )


def _measure(owner: np.ndarray, cells: int) -> tuple[np.ndarray, np.ndarray]:
    """Area and centre of every cell's pixels; 0 where it has none."""
    rows, columns = np.nonzero(owner)
    who = owner[rows, columns] - 1
    area = np.bincount(who, minlength=cells)
    sums = np.stack([np.bincount(who, along, minlength=cells) for along in (rows, columns)], -1)
    return area, sums / np.maximum(area, 1)[:, None]


def _tip_table(tips: list[tuple[int, int, float, float, float]], labels: np.ndarray) -> TipTruth:
    """The tips as columns, by frame and label."""
    table = np.array(tips, float).reshape(-1, 5)
    frame = table[:, 0].astype(int)
    label = labels[frame, table[:, 1].astype(int)]
    order = np.lexsort((label, frame))
    return TipTruth(frame[order], label[order], *table[order, 2:].T)
