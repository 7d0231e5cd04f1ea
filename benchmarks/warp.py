"""Rotation of 32 images of 128 x 128 beside JAX's own interpolation, Keras and SciPy.

``python benchmarks/warp.py``. All are bilinear with a constant border and agree inside the image; those in
JAX are jitted over the whole batch, SciPy rotates one image after another.
"""

from __future__ import annotations

import os

os.environ["KERAS_BACKEND"] = "jax"

import jax
import jax.numpy as jnp
import keras
import numpy as np
import scipy.ndimage
from jax.scipy.ndimage import map_coordinates
from timing import interleaved, print_table

from cellmotion_jax.ops.warp import affine_warp, rotation_matrix

BATCH = 32
SHAPE = (128, 128)
OURS = "cellmotion_jax"


@jax.jit
@jax.vmap
def ours(image, matrix):
    return affine_warp(image, matrix)


@jax.jit
@jax.vmap
def jax_map_coordinates(image, matrix):
    points = jnp.stack(jnp.meshgrid(*map(jnp.arange, SHAPE), indexing="ij")).reshape(2, -1)
    places = jnp.sum(matrix[:, :2, None] * points[None], axis=1) + matrix[:, 2:]
    return map_coordinates(image[..., 0], list(places), order=1).reshape(*SHAPE, 1)


@jax.jit
def keras_affine_transform(images, matrices):
    # Keras orders x before y and appends the two perspective terms.
    (yy, yx, y0), (xy, xx, x0) = jnp.moveaxis(matrices, 0, -1)
    zero = jnp.zeros_like(yy)
    transform = jnp.stack([xx, xy, x0, yx, yy, y0, zero, zero], axis=-1)
    return keras.ops.image.affine_transform(images, transform, interpolation="bilinear", fill_mode="constant")


def scipy_affine_transform(images, matrices):
    return np.stack(
        [
            scipy.ndimage.affine_transform(image[..., 0], matrix[:, :2], matrix[:, 2], order=1)[..., None]
            for image, matrix in zip(images, matrices)
        ]
    )


def main() -> None:
    images = jax.random.normal(jax.random.key(0), (BATCH, *SHAPE, 1))
    angles = jax.random.uniform(jax.random.key(1), (BATCH,), maxval=2 * jnp.pi)
    matrices = jax.vmap(lambda angle: rotation_matrix(angle, SHAPE))(angles)
    on_host = np.asarray(images), np.asarray(matrices)
    contenders = {
        OURS: lambda: ours(images, matrices),
        "jax.scipy map_coordinates": lambda: jax_map_coordinates(images, matrices),
        "keras.ops.image.affine_transform": lambda: keras_affine_transform(images, matrices),
        "scipy.ndimage.affine_transform": lambda: scipy_affine_transform(*on_host),
    }
    # The inner disc: at the border their conventions differ.
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]] - np.reshape(SHAPE, (2, 1, 1)) / 2 + 0.5
    inside = np.hypot(y, x) < min(SHAPE) / 2 - 1
    for name, rotate in contenders.items():
        np.testing.assert_allclose(
            np.asarray(rotate())[:, inside],
            np.asarray(contenders[OURS]())[:, inside],
            atol=1e-3,
            err_msg=name,
        )
    print(f"Rotation of {BATCH} images of {SHAPE[0]} x {SHAPE[1]}")
    print_table(interleaved(contenders, rounds=20, calls=5), ours=OURS, packages=("jax", "keras", "scipy"))


if __name__ == "__main__":
    main()
