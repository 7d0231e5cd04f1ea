"""The cells of the frames of a movie on disk, frame by frame, so that a killed analysis goes on."""

from __future__ import annotations

import dataclasses
import pathlib
import zipfile
from collections.abc import Iterator

import numpy as np
from jaxtyping import Num

from cellmotion_jax.data.movie import Movie
from cellmotion_jax.errors import InputError
from cellmotion_jax.files import written_beside
from cellmotion_jax.inference.segmenter import FrameCells, Segmenter
from cellmotion_jax.pipeline.segment import cells_of_movie


@dataclasses.dataclass(frozen=True)
class KeptFrames:
    """Cells of the first frames of a movie, a file of each."""

    folder: pathlib.Path
    """Folder of the files; it need not exist."""

    def __len__(self) -> int:
        """Number of frames from the first on of which the cells are there."""
        count = 0
        while self._file(count).exists():
            count += 1
        return count

    def __getitem__(self, frame: int) -> FrameCells:
        """The cells of a frame.

        Raises:
            IndexError: If they are not there.
            InputError: If the file is damaged.
        """
        file = self._file(frame)
        if not file.exists():
            raise IndexError(frame)
        try:
            with file.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
                labels = arrays["labels"].astype(np.int32)
                return FrameCells(labels, arrays["points"], arrays["scores"])
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise InputError(f"{file} is damaged; remove it, and it is computed again.") from error

    def keep(self, frame: int, cells: FrameCells) -> None:
        """Writes the cells of a frame, all of them or nothing."""
        if cells.labels is None:
            raise ValueError("cells need labels to be kept")
        with written_beside(self._file(frame)) as partial, partial.open("wb") as stream:
            np.savez_compressed(
                stream, labels=cells.labels.astype(np.uint16), points=cells.points, scores=cells.scores
            )

    def _file(self, frame: int) -> pathlib.Path:
        return self.folder / f"{frame:06d}.npz"


def segment_and_keep(
    movie: Movie, segmenter: Segmenter, kept: KeptFrames
) -> Iterator[tuple[int, Num[np.ndarray, "y x *channel"], FrameCells]]:
    """Finds the cells of those frames of a movie of which they are not kept yet.

    A network that remembers frames before sees as many of them again as it needs.

    Args:
        movie: Frames of the model's channels.
        segmenter: The model.
        kept: Where the cells are kept.

    Yields:
        Number of each frame that was computed, its pixels and its cells.

    Raises:
        InputError: As `cells_of_movie`, or if the model only detects cells.
    """
    done = len(kept)
    start = max(0, done - segmenter.frames_before)
    rest = dataclasses.replace(movie, frame_names=movie.frame_names[start:], planes=movie.planes[start:])
    if done >= len(movie):
        return
    for frame, (image, cells) in enumerate(cells_of_movie(rest, segmenter), start=start):
        if cells.labels is None:
            raise InputError("the model only detects cells; to track them, give one that outlines.")
        if frame >= done:
            kept.keep(frame, cells)
            yield frame, image, cells
