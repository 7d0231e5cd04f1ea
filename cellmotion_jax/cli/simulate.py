"""``cellmotion simulate``: writes a simulated movie with its exact annotation."""

from __future__ import annotations

import dataclasses
import pathlib

import tyro

from cellmotion_jax.cli.options import parse_options
from cellmotion_jax.data.simulate import Simulation, simulate, write_simulation
from cellmotion_jax.files import NotEmpty, output_folder
from cellmotion_jax.settings import Settings


@dataclasses.dataclass(frozen=True, kw_only=True)
class _SimulateOptions(Settings):
    """Writes a simulated movie with its exact annotation, in the layout of the Cell Tracking Challenge."""

    out: pathlib.Path
    """Folder to write; it must not exist yet, or be empty."""
    simulation: tyro.conf.OmitArgPrefixes[Simulation] = dataclasses.field(default_factory=Simulation)
    """Settings of the simulation."""


def write_simulated(arguments: list[str]) -> None:
    """Simulates a movie and writes it."""
    options = parse_options(_SimulateOptions, arguments, prog="cellmotion simulate")
    try:
        with output_folder(options.out) as folder:
            write_simulation(simulate(options.simulation), folder)
    except NotEmpty:
        # It may hold this very simulation.
        write_simulation(simulate(options.simulation), options.out)
    print(f"Wrote {options.out}")  # noqa: T201
