"""Layers shared by the networks, written for speed on every platform with the same parameters and numbers."""

from __future__ import annotations

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.typing import Dtype
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


class PatchConv(nn.Module):
    """A small VALID convolution with stride 1, parameter-compatible with ``flax.linen.Conv``.

    On an accelerator it is the native convolution. On a CPU it is one matrix product over gathered
    patches: XLA:CPU is slow in the weight gradient of a convolution with few input channels, and
    runs any convolution inside a loop (``lax.map`` over members, ``lax.scan`` over frames) on one
    thread of naive code, about ten times slower than this.

    Attributes:
        features: Output channels.
        kernel_size: ``(y, x)`` extent of the kernel.
        dtype: Compute type; parameters stay float32.
    """

    features: int
    """Output channels."""
    kernel_size: Sequence[int]
    """Extent of the kernel (y, x)."""
    dtype: Dtype | None = None
    """Compute type; parameters stay float32."""

    @nn.compact
    def __call__(self, images: Float[Array, "batch y x channel"]) -> Float[Array, "batch y2 x2 feature"]:
        """Convolves; the output is smaller by ``kernel_size - 1``.

        Raises:
            ValueError: The images are smaller than the kernel.
        """
        rows, columns = self.kernel_size
        if images.shape[1] < rows or images.shape[2] < columns:
            raise ValueError(
                f"{self.name}: images of shape {images.shape} are smaller than the kernel of {rows} x {columns}"
            )
        kernel = self.param(
            "kernel",
            nn.initializers.lecun_normal(),
            (rows, columns, images.shape[-1], self.features),
            jnp.float32,
        )
        bias = self.param("bias", nn.initializers.zeros, (self.features,), jnp.float32)
        images, kernel, bias = nn.dtypes.promote_dtype(images, kernel, bias, dtype=self.dtype)
        convolved = jax.lax.platform_dependent(
            images, kernel, cpu=_patch_product, default=_native_convolution
        )
        return convolved + jnp.reshape(bias, (1, 1, 1, -1))


def _patch_product(images: Array, kernel: Array) -> Array:
    rows, columns, _, features = kernel.shape
    height, width = images.shape[1] - rows + 1, images.shape[2] - columns + 1
    patches = jnp.concatenate(
        [images[:, i : i + height, j : j + width] for i in range(rows) for j in range(columns)], axis=-1
    )
    return patches @ kernel.reshape(-1, features)


def _native_convolution(images: Array, kernel: Array) -> Array:
    return jax.lax.conv_general_dilated(
        images, kernel, window_strides=(1, 1), padding="VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
