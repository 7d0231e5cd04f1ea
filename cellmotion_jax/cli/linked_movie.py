"""Last line of the commands that link the cells of a movie."""

from __future__ import annotations

import pathlib

from cellmotion_jax.cli.blank_frames import say_blank_frames
from cellmotion_jax.data.movie import Movie
from cellmotion_jax.pipeline.link import LinkedMovie
from cellmotion_jax.report.summary import counted


def say_written(out: pathlib.Path, movie: Movie, linked: LinkedMovie) -> None:
    """Prints what a command has written."""
    outlines, frames = counted(len(linked.places.track), "outline"), counted(len(movie), "frame")
    print(f"Wrote {out}: {counted(len(linked.tracks), 'track')} of {outlines} in {frames}")  # noqa: T201
    say_blank_frames(linked.blank)
