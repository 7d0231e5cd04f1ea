"""Annotated images from Cell Tracking Challenge data or from image and mask files, and their split."""

from __future__ import annotations

import hashlib
import os
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from cellmotion_jax.data.annotated_image import AnnotatedImage, annotated_image
from cellmotion_jax.data.ctc import CtcSequence, open_dataset
from cellmotion_jax.data.frame_files import list_tiffs
from cellmotion_jax.data.picture import SUFFIXES, read_picture
from cellmotion_jax.errors import InputError
from cellmotion_jax.input_files import require_folder

__all__ = [
    "AnnotatedImage",
    "ImageSplit",
    "median_cell_diameter",
    "open_annotated",
]

# Cells that lie wholly in this border (pixels, the challenge's own figures E) are not annotated.
BORDER_MARGIN = {
    "BF-C2DL-HSC": 25,
    "BF-C2DL-MuSC": 25,
    "DIC-C2DH-HeLa": 50,
    "Fluo-C2DL-Huh7": 50,
    "Fluo-C2DL-MSC": 50,
    "Fluo-N2DH-GOWT1": 50,
    "Fluo-N2DL-HeLa": 25,
    "PhC-C2DH-U373": 50,
    "PhC-C2DL-PSC": 25,
}
# Frames between two parts of a movie, where there is room for them.
_LARGEST_GAP = 2


class ImageSplit(NamedTuple):
    """Split of annotated images into three parts; no image is in two parts, and no part is empty."""

    train: tuple[AnnotatedImage, ...]
    """Training images; at least one has a cell."""
    validation: tuple[AnnotatedImage, ...]
    """Validation images."""
    test: tuple[AnnotatedImage, ...]
    """Test images."""


def open_annotated(root: str | os.PathLike[str]) -> ImageSplit:
    """Opens annotated images of either of two kinds of folders and splits them.

    1. A Cell Tracking Challenge dataset or one sequence of it, with ``01_GT/TRA``. The silver segmentation
       (``01_ST/SEG``) of a frame is used, or, without one, the gold (``01_GT/SEG``); frames without either
       are left out, and so are gold ones in which most of the tracked cells were not drawn. Each sequence is
       split by time: the first 60 % of its annotated frames are for training, the last 30 % for testing, and
       in the middle of the rest are those for validation, with 2 frames left out on either side of them
       (fewer where there is no room). Cells that lie completely within the challenge's margin are not
       annotated.
    2. A folder with ``images`` and ``masks``, which hold TIFF or PNG files of the same names but for the
       suffix. The files are ordered by the SHA-256 digest of their names without suffix; the first 5/29
       are for testing, the next 4/29 for validation, the rest for training, so that the split is the same
       on every machine. Of 29 images 5, 4 and 20.

    Args:
        root: The folder.

    Returns:
        The split. CTC frames are in the order of sequences and time, others in that of their digests.

    Raises:
        InputError: If the folder is of neither kind, an image has no mask or the other way round, their
            sizes differ, a mask does not hold whole numbers, an image is not grey or RGB or differs from
            the others in that, there are too few images to split, or no image for training has a cell.
    """
    root = pathlib.Path(os.path.abspath(os.path.expanduser(root)))
    require_folder(root, what="a CTC dataset or a folder with images and masks")
    if (root / "images").exists() or (root / "masks").exists():
        split = _split_pairs(root)
    elif list_tiffs(root) or any(child.name.isdecimal() for child in root.iterdir()):
        split = _split_dataset(root)
    else:
        raise InputError(
            f"{root} holds no annotated images; give a CTC dataset (01/t000.tif, ... and 01_ST or 01_GT) or "
            "a folder with images and masks."
        )
    first = split.train[0]
    for image in (image for part in split for image in part):
        if image.channels != first.channels:
            raise InputError(
                f"{image.image_file} has {image.channels} channels, but {first.image_file} has "
                f"{first.channels}; all images are grey or all RGB."
            )
    if not any(image.labels().any() for image in split.train):
        raise InputError(
            f"No cell is labelled in the {len(split.train)} training images of {root} (e.g. in "
            f"{first.labels_file}); there is nothing to learn from."
        )
    return split


def median_cell_diameter(images: Sequence[AnnotatedImage]) -> float:
    """Median equivalent diameter sqrt(4 area / pi) over all cells of some images.

    Args:
        images: The images. Cells that touch the edge of their image are cut off; they are used only if there
            are no others.

    Returns:
        Pixels.

    Raises:
        InputError: If no image has a cell.
    """
    inner, cut = [], []
    for labels in (image.labels() for image in images):
        cells, areas = np.unique(labels[labels > 0], return_counts=True)
        edge = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
        at_edge = np.isin(cells, edge)
        inner.append(areas[~at_edge])
        cut.append(areas[at_edge])
    inner, cut = (np.concatenate(areas) if areas else np.zeros(0) for areas in (inner, cut))
    if not len(inner) + len(cut):
        raise InputError(f"None of the {len(images)} images has a cell; a diameter needs one.")
    return float(np.sqrt(4 / np.pi * np.median(inner if len(inner) else cut)))


def _split_dataset(root: pathlib.Path) -> ImageSplit:
    """Splits every sequence of a CTC dataset that has masks."""
    parts = []
    for sequence in open_dataset(root):
        images = _annotated_frames(sequence)
        if not images:
            continue
        n = len(images)
        train, test = 6 * n // 10, 3 * n // 10
        gap = min(_LARGEST_GAP, (n - train - test - 1) // 2)
        if not train or not test:
            raise InputError(
                f"{sequence.movie.path} has masks for {n} of its frames; at least 4 are needed to split "
                "them into training, validation and test."
            )
        parts.append((images[:train], images[train + gap : n - test - gap], images[n - test :]))
    if not parts:
        raise InputError(
            f"{root} has no segmentation; expected masks such as 01_ST/SEG/man_seg000.tif or "
            "01_GT/SEG/man_seg000.tif, in which most of the tracked cells are drawn."
        )
    return ImageSplit(*(tuple(image for images in part for image in images) for part in zip(*parts)))


def _annotated_frames(sequence: CtcSequence) -> list[AnnotatedImage]:
    """The frames of a sequence that have a mask."""
    silver, gold = (sequence.root / f"{sequence.name}_{origin}" / "SEG" for origin in ("ST", "GT"))
    images = []
    frames = tuple(header.path for header, _ in sequence.movie.planes)
    for (header, _), (markers, _) in zip(sequence.movie.planes, sequence.tracking_masks.planes):
        number = header.path.name.removeprefix("t")
        masks = [folder / f"man_seg{number}" for folder in (silver, gold)]
        masks = [mask for mask in masks if mask.exists()]
        if not masks:
            continue
        image = annotated_image(
            f"{sequence.full_name} {header.path.name}",
            header.path,
            masks[0],
            markers_file=markers.path,
            margin=BORDER_MARGIN.get(sequence.root.name, 0),
            movie_files=frames,
        )
        if masks[0].parent == silver or _mostly_drawn(masks[0], markers.path):
            images.append(image)
    return images


def _mostly_drawn(mask_file: pathlib.Path, markers_file: pathlib.Path) -> bool:
    """Whether at least half of the tracked cells are drawn: many gold masks show a few cells of a frame."""
    drawn, markers = read_picture(mask_file) > 0, read_picture(markers_file)
    tracked = np.unique(markers[markers > 0])
    return bool(2 * np.isin(tracked, markers[drawn]).sum() >= len(tracked))


def _split_pairs(root: pathlib.Path) -> ImageSplit:
    """Splits a folder of images and masks by the digests of their names."""
    images, masks = (_pictures_by_stem(root / name) for name in ("images", "masks"))
    for stem in sorted(images.keys() ^ masks.keys()):
        lone, other = (images, "masks") if stem in images else (masks, "images")
        raise InputError(f"{lone[stem]} has no partner in {root / other}; every image has one mask.")
    if len(images) < 3:
        raise InputError(
            f"{root / 'images'} holds {len(images)} images (TIFF or PNG); at least 3 are needed to split "
            "them into training, validation and test."
        )
    stems = sorted(images, key=lambda stem: hashlib.sha256(stem.encode()).hexdigest())
    pairs = tuple(annotated_image(f"{root.name}/{images[it].name}", images[it], masks[it]) for it in stems)
    test, validation = (max(1, round(share * len(pairs) / 29)) for share in (5, 4))
    return ImageSplit(
        train=pairs[test + validation :], validation=pairs[test : test + validation], test=pairs[:test]
    )


def _pictures_by_stem(folder: pathlib.Path) -> dict[str, pathlib.Path]:
    """The TIFF and PNG files of a folder by their names without suffix; hidden files do not count."""
    require_folder(folder, what="a folder of TIFF or PNG files; annotated images are in images and masks")
    found: dict[str, pathlib.Path] = {}
    for file in sorted(folder.iterdir()):
        if file.suffix.lower() in SUFFIXES and not file.name.startswith("."):
            if file.stem in found:
                raise InputError(f"{folder} holds {found[file.stem].name} and {file.name}; keep one of them.")
            found[file.stem] = file
    return found
