"""Simulated movies with exact truth: migrating cells in phase contrast, or nuclei in fluorescence."""

from cellmotion_jax.data.simulate.config import Look, Simulation, Walk
from cellmotion_jax.data.simulate.movie import SimulatedMovie, simulate
from cellmotion_jax.data.simulate.truth import CellTruth, TipTruth
from cellmotion_jax.data.simulate.writer import write_simulation

__all__ = [
    "CellTruth",
    "Look",
    "SimulatedMovie",
    "Simulation",
    "TipTruth",
    "Walk",
    "simulate",
    "write_simulation",
]
