"""Movies of bright discs, of which one moves, one rests with a long arm, and one leaves."""

import csv

import numpy as np
import tifffile

from tests.label_images import discs

SHAPE = (96, 128)
FRAMES = 5


def cells(frame):
    """A disc that moves right by 3 pixels a frame, one that rests with a long arm, and one that leaves."""
    labels = discs(SHAPE, (24, 20 + 3 * frame, 9), (64, 90, 12))
    labels[62:67, 40:90] = 2
    if frame < 2:
        labels[discs(SHAPE, (80, 18, 8)) > 0] = 3
    return labels


def write_movie(folder, frames=range(FRAMES), *, image=lambda labels: 1000 + 3000 * (labels > 0)):
    folder.mkdir()
    noise = np.random.default_rng(0)
    for number, frame in enumerate(frames):
        picture = image(cells(frame)) + noise.normal(0, 20, SHAPE)
        tifffile.imwrite(folder / f"t{number:03d}.tif", picture.astype(np.uint16))
    return folder


def rows_of(path):
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))
