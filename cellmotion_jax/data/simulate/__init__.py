"""Simulated movies with exact truth: migrating cells in phase contrast, or nuclei in fluorescence."""

from cellmotion_jax.data.simulate.appearance import Appearance
from cellmotion_jax.data.simulate.config import Look, Simulation, Walk
from cellmotion_jax.data.simulate.movie import SimulatedMovie, simulate
from cellmotion_jax.data.simulate.truth import CellTruth, TipTruth
from cellmotion_jax.data.simulate.variety import varied
from cellmotion_jax.data.simulate.writer import write_simulation

__all__ = [
    "Appearance",
    "CellTruth",
    "Look",
    "SimulatedMovie",
    "Simulation",
    "TipTruth",
    "Walk",
    "simulate",
    "varied",
    "write_simulation",
]
