"""Writing of movies as folders of TIFF frames."""

from __future__ import annotations

import os
import pathlib

import tifffile
import tqdm

from cellmotion_jax.data.movie import Movie


def write_movie(folder: str | os.PathLike[str], movie: Movie, *, digits: int) -> None:
    """Writes the frames of a movie as ``tT.tif``, compressed by deflate, one in memory at a time.

    The size of a pixel, if it is known, is written in the files' tags, where `open_movie` finds it.

    Args:
        folder: The folder to make.
        movie: Frames of any type.
        digits: Smallest number of digits of the frame numbers.
    """
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True)
    resolution = unit = None
    if movie.pixel_size_um is not None:
        per_cm = 1e4 / movie.pixel_size_um
        resolution, unit = (per_cm, per_cm), tifffile.RESUNIT.CENTIMETER
    for frame in tqdm.trange(len(movie), desc="frames", unit="frame", disable=None, leave=False):
        tifffile.imwrite(
            folder / f"t{frame:0{digits}d}.tif",
            movie[frame],
            compression="zlib",
            resolution=resolution,
            resolutionunit=unit,
        )
