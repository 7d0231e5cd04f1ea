"""Options of every command that opens a movie."""

from __future__ import annotations

import dataclasses
import os

from cellmotion_jax.data.movie import Movie, open_movie
from cellmotion_jax.settings import MicronsPerPixel, Settings

SMALLEST_USUAL_UM, LARGEST_USUAL_UM = 0.02, 5.0
"""Side of a pixel of microscopes with which cells are filmed, from objectives of 100x to 2x."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class MovieOptions(Settings):
    """What the files of a movie do not say, or say wrongly."""

    axes: str | None = None
    """What the axes of the movie's file are, a letter for each in the order of the file: T time, C channel, Z
    slice, Y, X, S interleaved colours; for example TYX for slices that are time points. With it, each file of
    a folder may hold several frames."""
    channel: str | None = None
    """Channel to read, by its number from 0 or by its name; needed where the movie has several."""
    pattern: str | None = None
    """Which files of a folder are the frames, for example 'img_channel000_*.tif'; * stands for any
    characters. Needed where names differ in more than one number."""
    pixel_size_um: MicronsPerPixel | None = None
    """Side of a pixel in micrometres; needed where the movie's files do not state it, or state a wrong
    value."""

    def open(self, path: str | os.PathLike[str], *, colour: bool = False) -> Movie:
        """Opens a movie with these options.

        Args:
            path: Folder or file.
            colour: Frames are red, green and blue, instead of grey.

        Returns:
            The movie.

        Raises:
            InputError: As `data.movie.open_movie`.
        """
        return open_movie(
            path,
            pixel_size_um=self.pixel_size_um,
            axes=self.axes,
            channel=self.channel,
            pattern=self.pattern,
            colour=colour,
        )


def question_pixel_size(movie: Movie, options: MovieOptions) -> str | None:
    """A sentence that questions an unlikely size of a pixel.

    Args:
        movie: A movie that was opened with the options.
        options: The options.

    Returns:
        The sentence; None for a usual size, or an unknown one.
    """
    size = movie.pixel_size_um
    if size is None or SMALLEST_USUAL_UM <= size <= LARGEST_USUAL_UM:
        return None
    told = "pixel-size-um is" if options.pixel_size_um else f"{movie.path} has a pixel size in um of"
    return (
        f"{told} {size:g}, at which a cell of 10 um is {10 / size:.3g} pixels wide; is that right? "
        "`--pixel-size-um` sets it, in micrometres."
    )
