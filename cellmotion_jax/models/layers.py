"""Layers shared by the networks, written for speed on every platform with the same parameters and numbers."""

from __future__ import annotations

from jaxtyping import Array, Float


def max_pool_2x2(images: Float[Array, "batch y x channel"]) -> Float[Array, "batch y//2 x//2 channel"]:
    """Maximum over disjoint 2 x 2 windows; an odd last row or column is dropped (VALID padding).

    Equal to ``flax.linen.max_pool(images, (2, 2), (2, 2))`` in value. Its gradient is shared evenly
    between equal maxima of a window instead of going to the first. Written as a reshape because
    XLA:CPU differentiates a ``reduce_window`` through a sequential scatter, several times slower.

    Args:
        images: Feature maps, at least 2 x 2 pixels.

    Returns:
        The pooled maps.
    """
    batch, height, width, channels = images.shape
    even = images[:, : height // 2 * 2, : width // 2 * 2]
    return even.reshape(batch, height // 2, 2, width // 2, 2, channels).max(axis=(2, 4))
