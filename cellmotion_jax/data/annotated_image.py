"""An annotated image: an image file and the label image of its cells."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Integer, Num
from skimage import measure

from cellmotion_jax.data.picture import read_picture, read_picture_header
from cellmotion_jax.data.tiff import whole_labels
from cellmotion_jax.errors import InputError


class Annotation(NamedTuple):
    """Annotation of the cells of an image."""

    labels: Integer[np.ndarray, "y x"]
    """Label image of the cells, as `AnnotatedImage.labels` returns it."""
    known: Bool[np.ndarray, "y x"]
    """False for pixels of which it is not known whether they belong to a cell."""


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class AnnotatedImage:
    """An annotated image; pixels are read on demand, and nothing is cached."""

    name: str
    """Name for tables and pictures, e.g. ``Fluo-N2DL-HeLa/01 t017.tif``."""
    image_file: pathlib.Path
    """File of the image."""
    labels_file: pathlib.Path
    """File of the label image of its cells."""
    markers_file: pathlib.Path | None = None
    """File of a label image that marks all cells, also those without a drawn outline; None if there is
    none."""
    shape: tuple[int, int]
    """Size of both, (y, x)."""
    channels: int
    """1 for grey images, 3 for RGB."""
    margin: int = 0
    """Pixels along the edge in which cells are not annotated unless they reach further inside."""
    movie_files: tuple[pathlib.Path, ...] = ()
    """All frames, in order, of the movie that the image belongs to; empty for a single image."""

    def window_files(self, length: int) -> tuple[pathlib.Path, ...]:
        """Files of a window of consecutive frames that ends with this image.

        Frames before the beginning of the movie are replaced by its first frame; for a single image, by the
        image.
        """
        if not self.movie_files:
            return (self.image_file,) * length
        last = self.movie_files.index(self.image_file)
        return tuple(self.movie_files[max(0, last - back)] for back in reversed(range(length)))

    @property
    def files(self) -> tuple[pathlib.Path, ...]:
        """All files from which the image and its annotation are read."""
        files = (self.image_file, self.labels_file, self.markers_file)
        return tuple(file for file in files if file is not None)

    def image(self) -> Num[np.ndarray, "y x channel"]:
        """The pixels as they are stored.

        Raises:
            InputError: If the file is damaged or holds a pixel that is not finite.
        """
        return read_finite_picture(self.image_file)

    def labels(self) -> Integer[np.ndarray, "y x"]:
        """Label image of the cells, 0 for background; of a label in several pieces, only the largest piece.

        Manual masks hold stray pixels of a label far from its cell, which would shift its centroid.
        Pixels that touch at a corner belong to one piece.

        Raises:
            InputError: If the file is damaged or holds a negative label.
        """
        return _largest_pieces(self._stored_labels())

    def annotation(self) -> Annotation:
        """Label image of the cells and the mask of known pixels; every file is read once.

        Not known are the pixels in the margin that belong to no labelled cell, those on the smaller pieces of
        a label, and those on the markers of cells without a drawn outline.

        Raises:
            InputError: If a file is damaged, or holds a label that is negative or no whole number.
        """
        stored = self._stored_labels()
        labels = _largest_pieces(stored)
        (y, x), margin = stored.shape, self.margin
        known = np.zeros(stored.shape, bool)
        known[margin : max(margin, y - margin), margin : max(margin, x - margin)] = True
        known &= stored == 0
        if self.markers_file is not None:
            markers = read_picture(self.markers_file)[..., 0]
            known &= np.isin(markers, markers[stored > 0]) | (markers == 0)
        return Annotation(labels, known | (labels > 0))

    def _stored_labels(self) -> Integer[np.ndarray, "y x"]:
        labels = whole_labels(read_picture(self.labels_file)[..., 0], str(self.labels_file))
        if labels.min() < 0:
            raise InputError(
                f"{self.labels_file} holds label {labels.min()}; 0 is background and cells are positive."
            )
        return labels


def consecutive_frames(images: Iterable[AnnotatedImage]) -> Iterator[list[AnnotatedImage]]:
    """Splits images into sequences of consecutive frames of one movie; a single image is its own sequence."""
    run: list[AnnotatedImage] = []
    for image in images:
        if run and not (image.movie_files and image.window_files(2)[0] == run[-1].image_file):
            yield run
            run = []
        run.append(image)
    if run:
        yield run


def read_finite_picture(path: pathlib.Path) -> Num[np.ndarray, "y x channel"]:
    """Reads the pixels of a file as they are stored.

    Raises:
        InputError: If the file is damaged or holds a pixel that is not finite.
    """
    image = read_picture(path)
    if image.dtype.kind == "f" and not np.isfinite(image).all():
        raise InputError(f"{path} holds pixels that are NaN or infinite; give a finite image.")
    return image


def annotated_image(
    name: str,
    image_file: pathlib.Path,
    labels_file: pathlib.Path,
    *,
    markers_file: pathlib.Path | None = None,
    margin: int = 0,
    movie_files: tuple[pathlib.Path, ...] = (),
) -> AnnotatedImage:
    """Makes an annotated image; checks that the headers of the image and of its mask agree.

    Args:
        name: Name for tables and pictures.
        image_file: The image, TIFF or PNG, grey or RGB.
        labels_file: Label image of its cells, with whole numbers.
        markers_file: A label image that marks all cells, or None.
        margin: Pixels along the edge in which cells are not annotated unless they reach further inside.
        movie_files: All frames, in order, of the movie that the image belongs to.

    Returns:
        The image.

    Raises:
        InputError: If a file is absent, damaged or of another kind, or the sizes differ.
    """
    image, labels = read_picture_header(image_file), read_picture_header(labels_file)
    if labels.channels != 1:
        raise InputError(
            f"{labels_file} has {labels.channels} channels of {labels.dtype}; a mask has one, of whole "
            "numbers, which are the labels of cells."
        )
    if labels.shape != image.shape:
        raise InputError(
            f"{labels_file} has {labels.shape[0]} x {labels.shape[1]} pixels, but its image {image_file} "
            f"has {image.shape[0]} x {image.shape[1]}."
        )
    return AnnotatedImage(
        name=name,
        image_file=image_file,
        labels_file=labels_file,
        markers_file=markers_file,
        shape=image.shape,
        channels=image.channels,
        margin=margin,
        movie_files=movie_files,
    )


def _largest_pieces(labels: Integer[np.ndarray, "y x"]) -> Integer[np.ndarray, "y x"]:
    """Sets all but the largest connected piece of every label to background."""
    piece = np.asarray(measure.label(labels, connectivity=2))
    area = np.bincount(piece.ravel())
    owner = np.zeros(len(area), labels.dtype)
    owner[piece] = labels
    order = np.lexsort((-area, owner))
    largest = np.zeros(len(area), bool)
    largest[order[np.unique(owner[order], return_index=True)[1]]] = True
    return np.where(largest[piece], labels, 0)
