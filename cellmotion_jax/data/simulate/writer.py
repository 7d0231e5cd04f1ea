"""Simulated movies on disk, in the layout of the Cell Tracking Challenge (CTC)."""

from __future__ import annotations

import dataclasses
import enum
import json
import os
import pathlib

import numpy as np
import tifffile
from jaxtyping import UInt

from cellmotion_jax import __version__
from cellmotion_jax.data.ctc import write_ctc
from cellmotion_jax.data.simulate.movie import SimulatedMovie
from cellmotion_jax.errors import InputError
from cellmotion_jax.files import NotEmpty, output_folder
from cellmotion_jax.files.tables import write_table


def write_simulation(movie: SimulatedMovie, folder: str | os.PathLike[str]) -> pathlib.Path:
    """Writes a movie and its truth as a data set of one sequence, ``01``.

    The folder gets ``01/tT.tif`` (the frames, their pixel size in the TIFF tags), ``01_GT/TRA`` and
    ``01_GT/SEG`` (the same exact masks, and the lineage in ``man_track.txt``), ``01_truth.csv`` and
    ``01_tips.csv`` (the tables of `CellTruth` and `TipTruth`) and
    ``01_simulation.json`` (the options). All of it is written beside the folder and renamed, so that the
    folder is either complete or absent.

    Args:
        movie: What `simulate` returned.
        folder: The folder to make. It may exist if it is empty, or if it holds this very simulation: then
            nothing is written again.

    Returns:
        The folder.

    Raises:
        InputError: If the movie shows no cell, or the folder holds anything else or cannot be made.
    """
    folder = pathlib.Path(folder)
    if not len(movie.tracks):
        raise InputError(
            "the movie shows no cell, but a CTC folder lists at least one track; ask for more cells."
        )
    options = _options(movie)
    try:
        with output_folder(folder) as written:
            _write(movie, written)
            (written / "01_simulation.json").write_text(options, encoding="utf-8")
    except NotEmpty:
        if not _holds(folder, options):
            raise InputError(
                f"{folder} exists and does not hold this simulation; give a new or an empty folder."
            ) from None
    return folder


def _options(movie: SimulatedMovie) -> str:
    """The options as JSON, with the numbers that the look filled in and the version that wrote them."""
    options = {
        name: value.value if isinstance(value, enum.Enum) else value
        for name, value in dataclasses.asdict(movie.simulation).items()
    }
    options |= {
        "version": __version__,
        "pixel_size_um": movie.pixel_size_um,
        "frame_interval_s": movie.frame_interval_s,
    }
    return json.dumps(options, indent=2) + "\n"


def _holds(folder: pathlib.Path, options: str) -> bool:
    """Whether a folder was written from these options."""
    try:
        return (folder / "01_simulation.json").read_text(encoding="utf-8") == options
    except (OSError, UnicodeDecodeError):
        return False


def _write(movie: SimulatedMovie, root: pathlib.Path) -> None:
    """Writes all files but the options."""
    digits = 3 if len(movie.frames) <= 1000 else 4
    (root / "01").mkdir()
    (root / "01_GT" / "SEG").mkdir(parents=True)
    for frame, (image, mask) in enumerate(zip(movie.frames, movie.masks)):
        _write_image(root / "01" / f"t{frame:0{digits}d}.tif", image, movie.pixel_size_um)
        tifffile.imwrite(root / "01_GT" / "SEG" / f"man_seg{frame:0{digits}d}.tif", mask, compression="zlib")
    write_ctc(root / "01_GT" / "TRA", list(movie.masks), movie.tracks)
    write_table(root / "01_truth.csv", movie.cells, pixel_size_um=movie.pixel_size_um)
    write_table(root / "01_tips.csv", movie.tips, pixel_size_um=movie.pixel_size_um)


def _write_image(path: pathlib.Path, image: UInt[np.ndarray, "y x"], pixel_size_um: float) -> None:
    """One frame as ImageJ writes it: pixels per micrometre in the resolution tags, the unit by name."""
    tifffile.imwrite(
        path,
        image,
        imagej=True,
        resolution=(1 / pixel_size_um, 1 / pixel_size_um),
        metadata={"unit": "um", "axes": "YX"},
        compression="zlib",
    )
