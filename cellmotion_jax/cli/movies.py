"""Opening of the movie of a command, with the options that all commands share."""

from __future__ import annotations

import pathlib
import sys

from cellmotion_jax.data.movie import Movie
from cellmotion_jax.data.movie_options import MovieOptions, question_pixel_size
from cellmotion_jax.inference.segmenter import Segmenter
from cellmotion_jax.pipeline.segment import open_movie_for


def open_for_command(path: pathlib.Path, options: MovieOptions, segmenter: Segmenter | None = None) -> Movie:
    """Opens the movie of a command and questions an unlikely size of its pixels on the standard error.

    Args:
        path: Folder or file.
        options: What the user says of it.
        segmenter: The model, which tells whether frames are grey or RGB; None for grey.

    Returns:
        The movie.

    Raises:
        InputError: As `data.movie.open_movie`.
    """
    movie = options.open(path) if segmenter is None else open_movie_for(segmenter, path, options)
    question = question_pixel_size(movie, options)
    if question is not None:
        print(f"cellmotion: {question}", file=sys.stderr)  # noqa: T201
    return movie
