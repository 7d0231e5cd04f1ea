"""Folders of images and masks."""

import pathlib

import numpy as np
import PIL.Image
import tifffile

LABELS = np.zeros((12, 16), np.uint16)
LABELS[2:6, 2:7] = 1
LABELS[6:10, 4:9] = 3


def write_pairs(
    root: pathlib.Path,
    *,
    images: int = 5,
    labels: np.ndarray = LABELS,
    channels: int = 1,
    image_suffix: str = ".tif",
    mask_suffix: str = ".tif",
) -> pathlib.Path:
    """Writes constant images, in which field n has the intensity n, all with the same cells."""
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True)
    for n in range(images):
        image = np.full(labels.shape, n, np.uint8 if image_suffix == ".png" else np.uint16)
        if channels == 3:
            image = np.stack([image, np.full_like(image, 50), np.full_like(image, 90)], -1)
        write_picture(root / "images" / f"field{n}{image_suffix}", image)
        write_picture(root / "masks" / f"field{n}{mask_suffix}", labels)
    return root


def write_picture(path: pathlib.Path, pixels: np.ndarray) -> None:
    """Writes one TIFF or PNG file."""
    if path.suffix == ".png":
        PIL.Image.fromarray(pixels.astype(np.uint8)).save(path)
    else:
        tifffile.imwrite(path, pixels, photometric="rgb" if pixels.ndim == 3 else "minisblack")
