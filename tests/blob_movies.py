"""Small movies of blobs of different shapes, each drawn where it should be in each frame."""

import numpy as np
import scipy.ndimage
import tifffile

from cellmotion_jax.data.movie import open_movie
from cellmotion_jax.methods.celltrack.seeds import Seeds


def starts_of(points, *, frames=None, ids=None):
    points = np.asarray(points, np.float32).reshape(-1, 2)
    count = len(points)
    return Seeds(
        frame=np.zeros(count, np.int64) if frames is None else np.asarray(frames, np.int64),
        ids=np.arange(1, count + 1) if ids is None else np.asarray(ids, np.int64),
        points=points,
        diameters=np.full(count, np.nan, np.float32),
        boxes=np.full((count, 4), np.nan, np.float32),
    )


def textures(count, *, side=17, seed=0):
    """One piece of smooth noise on a disc for each cell."""
    rng = np.random.default_rng(seed)
    noise = scipy.ndimage.gaussian_filter(rng.normal(size=(count, side, side)), (0, 2, 2))
    rows, columns = np.indices((side, side)) - side // 2
    return (1 + noise / noise.std()) * (np.hypot(rows, columns) < side / 2)


def draw(paths, *, shape=(64, 64), seed=0):
    """Frames of cells at whole pixels; a path is NaN where its cell is absent."""
    paths = np.asarray(paths)
    frames = np.random.default_rng(seed).normal(0, 0.05, (len(paths), *shape))
    for cell, texture in enumerate(textures(paths.shape[1], seed=seed)):
        half = texture.shape[0] // 2
        for frame, place in zip(frames, paths[:, cell]):
            if not np.isnan(place[0]):
                y, x = place.astype(int)
                frame[y - half : y + half + 1, x - half : x + half + 1] += texture
    return frames.astype(np.float32)


def movie_of(path, frames):
    tifffile.imwrite(path, np.asarray(frames), photometric="minisblack", metadata={"axes": "TYX"})
    return open_movie(path)


def straight(start, step, frames):
    return np.asarray(start) + np.arange(frames)[:, None] * np.asarray(step)
