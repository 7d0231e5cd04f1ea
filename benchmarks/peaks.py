"""Peaks of a map of 1024 x 1024 pixels with 400 cells beside scikit-image and beside single dilations.

``python benchmarks/peaks.py``. The map is what a detection network returns: 1 / (1 + 0.1 distance) around
every cell, 0 between the cells, noise. The results are compared before anything is timed: the reconstruction
is equal to the bit, and every plateau holds marks of scikit-image.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import scipy.ndimage
import scipy.spatial
import skimage.morphology
from jax import lax
from timing import interleaved, print_table

from cellmotion_jax.ops.ordering import to_ordered_integers
from cellmotion_jax.ops.peaks import h_maxima, peak_centroids
from cellmotion_jax.ops.reconstruction import reconstruct, reconstruct_by_scans

SIZE = 1024
MANY, FEW = 400, 10
RADIUS = 20
H = 0.2
OURS = "cellmotion_jax"


def map_of_cells(cells: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    pixels = np.stack(np.mgrid[:SIZE, :SIZE], axis=-1)
    centres = rng.uniform(0, SIZE, (cells, 2))
    distance, _ = scipy.spatial.cKDTree(centres).query(pixels)
    noisy = 1 / (1 + 0.1 * distance) + 0.02 * rng.normal(size=distance.shape)
    return np.where(distance < RADIUS, np.maximum(noisy, 0), 0).astype(np.float32)


@jax.jit
def ours_reconstruct(image):
    return reconstruct(image - H, image, connectivity=8)


@jax.jit
def scans(image):
    levels = to_ordered_integers(image - H), to_ordered_integers(image)
    return reconstruct_by_scans(*levels, connectivity=8)


@jax.jit
def single_dilations(image):
    """A dilation per step, of shifted maps: four times as fast on a CPU as ``lax.reduce_window``."""

    def largest_of_three(levels, axis):
        ends = [(1, 1) if i == axis else (0, 0) for i in range(2)]
        padded = jnp.pad(levels, ends, constant_values=-jnp.inf)
        before, after = (lax.slice_in_dim(padded, i, i + SIZE, axis=axis) for i in (0, 2))
        return jnp.maximum(levels, jnp.maximum(before, after))

    def dilate(state):
        levels, _ = state
        raised = jnp.minimum(image, largest_of_three(largest_of_three(levels, 0), 1))
        return raised, jnp.any(raised != levels)

    return lax.while_loop(lambda state: state[1], dilate, (image - H, True))[0]


@jax.jit
def ours_h_maxima(image):
    return h_maxima(image, H, connectivity=8)


@jax.jit
def ours_points(image):
    return peak_centroids(image, ours_h_maxima(image), connectivity=8, max_peaks=1024)


def scikit_image_points(image):
    pieces, count = scipy.ndimage.label(skimage.morphology.h_maxima(image, H), np.ones((3, 3)))
    return np.array(scipy.ndimage.center_of_mass(pieces > 0, pieces, range(1, count + 1)))


def main() -> None:
    compare_reconstructions(MANY)
    compare_reconstructions(FEW)

    image = map_of_cells(MANY)
    on_device = jnp.asarray(image)
    plateaus, count = scipy.ndimage.label(ours_h_maxima(on_device), np.ones((3, 3)))
    marks = skimage.morphology.h_maxima(image, H)
    np.testing.assert_array_equal(np.unique(plateaus[marks > 0]), np.arange(1, count + 1))
    assert ours_points(on_device).found == count
    print(f"h-maxima of the map of {MANY} cells: {count} peaks")
    _compare(
        {
            OURS: lambda: ours_h_maxima(on_device),
            "skimage.morphology.h_maxima": lambda: skimage.morphology.h_maxima(image, H),
        }
    )
    print("\nh-maxima and their centroids")
    _compare(
        {
            OURS: lambda: ours_points(on_device),
            "scikit-image, scipy.ndimage.center_of_mass": lambda: scikit_image_points(image),
        }
    )


def compare_reconstructions(cells: int) -> None:
    image = map_of_cells(cells)
    on_device = jnp.asarray(image)
    result = ours_reconstruct(on_device)
    np.testing.assert_array_equal(skimage.morphology.reconstruction(image - np.float32(H), image), result)
    np.testing.assert_array_equal(single_dilations(on_device), result)
    np.testing.assert_array_equal(scans(on_device), to_ordered_integers(result))
    print(f"Reconstruction of the map lowered by {H}: {SIZE} x {SIZE} pixels, {cells} cells")
    _compare(
        {
            OURS: lambda: ours_reconstruct(on_device),
            "skimage.morphology.reconstruction": lambda: skimage.morphology.reconstruction(image - H, image),
            "associative scans, for accelerators": lambda: scans(on_device),
            "one dilation per step": lambda: single_dilations(on_device),
        }
    )
    print()


def _compare(contenders) -> None:
    packages = ("jax", "scikit-image", "scipy")
    print_table(interleaved(contenders, rounds=5, calls=3, warm_up=1), ours=OURS, packages=packages)


if __name__ == "__main__":
    main()
