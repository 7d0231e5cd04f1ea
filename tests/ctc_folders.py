"""A tiny Cell Tracking Challenge dataset with a division, and results for it."""

import pathlib

import numpy as np
import tifffile

from cellmotion_jax.data.ctc import TrackTable, write_ctc

TABLE = "1 0 1 0\n2 2 3 1\n3 2 3 1\n4 0 3 0\n"


def masks() -> np.ndarray:
    images = np.zeros((4, 12, 16), np.uint16)
    images[:2, 1:4, 1:9] = 1
    images[2:, 1:4, 1:4], images[2:, 1:4, 5:9] = 2, 3
    images[:, 7:11, 3:6] = 4
    return images


def write_dataset(root: pathlib.Path, *, name: str = "01", gold: tuple[int, ...] = (), silver=()) -> None:
    """Frames, tracking masks, and outlines of some frames."""
    (root / name).mkdir(parents=True)
    for frame, image in enumerate(masks()):
        tifffile.imwrite(root / name / f"t{frame:03d}.tif", image)
    tracks = TrackTable(*np.array([row.split() for row in TABLE.splitlines()], int).T)
    write_ctc(root / f"{name}_GT" / "TRA", masks(), tracks)
    for origin, outlined in (("GT", gold), ("ST", silver)):
        folder = root / f"{name}_{origin}" / "SEG"
        folder.mkdir(parents=True)
        for frame in outlined:
            tifffile.imwrite(folder / f"man_seg{frame:03d}.tif", masks()[frame])


def write_result(folder: pathlib.Path, images: np.ndarray, table: str | None = TABLE) -> pathlib.Path:
    folder.mkdir(parents=True)
    for frame, image in enumerate(images):
        tifffile.imwrite(folder / f"mask{frame:03d}.tif", image)
    if table is not None:
        (folder / "res_track.txt").write_text(table)
    return folder
