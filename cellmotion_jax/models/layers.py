"""Layers shared by the networks, optimised for each platform with the same parameters and results."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Literal, TypeAlias

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.linen.dtypes import promote_dtype
from flax.typing import Dtype, Initializer
from jaxtyping import Array, Float

Padding: TypeAlias = Literal["SAME", "VALID"] | tuple[tuple[int, int], tuple[int, int]]
"""``SAME`` and ``VALID`` as in TensorFlow and Keras, or (before, after) along y and along x."""


class DepthwiseConv(nn.Module):
    """Depth-wise convolution: every channel has its own kernel; no bias.

    The kernel has the shape ``(height, width, 1, channel)`` of a grouped ``nn.Conv``, and the numbers are
    the same. On a CPU it is computed by shifted multiply-adds, see ``depthwise_conv``.
    """

    kernel_size: tuple[int, int] = (3, 3)
    """Height and width of the kernel."""
    strides: int = 1
    """Step along y and x."""
    padding: Padding = "SAME"
    """Padding along y and x."""
    dtype: Dtype | None = None
    """Compute type; parameters stay float32."""
    kernel_init: Initializer = nn.initializers.lecun_normal()
    """Initialiser of the kernel."""

    @nn.compact
    def __call__(self, images: Float[Array, "batch y x channel"]) -> Float[Array, "batch y2 x2 channel"]:
        """Filters every channel."""
        shape = (*self.kernel_size, 1, images.shape[-1])
        kernel = self.param("kernel", self.kernel_init, shape)
        images, kernel = promote_dtype(images, kernel, dtype=self.dtype)
        padding = explicit_padding(images.shape[1:3], self.kernel_size, self.strides, self.padding)
        return depthwise_conv(images, kernel, self.strides, padding)


class PointwiseConv(nn.Module):
    """A 1 x 1 convolution, computed as a matrix product.

    The kernel has the shape ``(1, 1, input, feature)`` of ``nn.Conv``, and the numbers are the same;
    XLA:CPU differentiates the product several times faster.
    """

    features: int
    """Output channels."""
    strides: int = 1
    """Stride along y and x; pixels in between are not used."""
    use_bias: bool = False
    """Add a bias."""
    dtype: Dtype | None = None
    """Compute type; parameters stay float32."""
    kernel_init: Initializer = nn.initializers.lecun_normal()
    """Initialiser of the kernel."""

    @nn.compact
    def __call__(self, images: Float[Array, "batch y x channel"]) -> Float[Array, "batch y2 x2 feature"]:
        """Mixes the channels of every pixel."""
        shape = (1, 1, images.shape[-1], self.features)
        kernel = self.param("kernel", self.kernel_init, shape)
        bias = self.param("bias", nn.initializers.zeros_init(), (self.features,)) if self.use_bias else None
        images, kernel, bias = promote_dtype(images, kernel, bias, dtype=self.dtype)
        images = images[:, :: self.strides, :: self.strides]
        mixed = images.reshape(-1, images.shape[-1]) @ kernel[0, 0]
        mixed = mixed if bias is None else mixed + bias[None]
        return mixed.reshape(*images.shape[:3], self.features)


class Conv3x3(nn.Module):
    """A 3 x 3 convolution of stride 1 with zeros around the images, whose gradient is fast on a CPU too.

    Parameters and numbers are those of ``nn.Conv``; see `conv_same`.
    """

    features: int
    """Output channels."""
    dtype: Dtype | None = None
    """Compute type; parameters stay float32."""
    kernel_init: Initializer = nn.initializers.lecun_normal()
    """Initialiser of the kernel."""

    @nn.compact
    def __call__(self, images: Float[Array, "batch y x channel"]) -> Float[Array, "batch y x feature"]:
        """Filters the maps and adds a bias."""
        kernel = self.param("kernel", self.kernel_init, (3, 3, images.shape[-1], self.features))
        bias = self.param("bias", nn.initializers.zeros_init(), (self.features,))
        images, kernel, bias = promote_dtype(images, kernel, bias, dtype=self.dtype)
        return conv_same(images, kernel) + bias[None, None, None]


class UpConv(nn.Module):
    """A 2 x 2 transposed convolution with stride 2: every pixel becomes four, each with its own matrix."""

    features: int
    """Output channels."""
    dtype: Dtype | None = None
    """Compute type."""

    @nn.compact
    def __call__(self, x: Float[Array, "batch y x channel"]) -> Float[Array, "batch 2*y 2*x feature"]:
        """Doubles the size of the maps."""
        batch, height, width, _ = x.shape
        x = PointwiseConv(4 * self.features, dtype=self.dtype, name="kernels")(x)
        x = x.reshape(batch, height, width, 2, 2, self.features).transpose(0, 1, 3, 2, 4, 5)
        bias = self.param("bias", nn.initializers.zeros_init(), (self.features,))
        return x.reshape(batch, 2 * height, 2 * width, self.features) + bias.astype(x.dtype)[None, None, None]


def explicit_padding(
    size: Sequence[int], kernel_size: Sequence[int], strides: int, padding: Padding
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Pixels added before and after, along y and x, for a padding that may be given by name."""
    if not isinstance(padding, str):
        return padding
    (top, bottom), (left, right) = jax.lax.padtype_to_pads(size, kernel_size, (strides, strides), padding)
    return (int(top), int(bottom)), (int(left), int(right))


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def depthwise_conv(
    images: Float[Array, "batch y x channel"],
    kernel: Float[Array, "height width 1 channel"],
    strides: int,
    padding: tuple[tuple[int, int], tuple[int, int]],
) -> Float[Array, "batch y2 x2 channel"]:
    """Cross-correlates every channel with its own kernel.

    XLA:CPU runs the grouped convolution up to 60 times slower than one multiply-add per tap of the
    kernel on shifted images, and its gradient slower still; other platforms have good code for it.
    Gradients are those of the grouped convolution, in reverse mode only.

    Args:
        images: Feature maps.
        kernel: One kernel per channel.
        strides: Step along y and x.
        padding: Zeros added before and after, along y and along x.

    Returns:
        Filtered maps.
    """
    shifted = functools.partial(_sum_of_taps, strides=strides, padding=padding)
    grouped = functools.partial(_grouped_conv, strides=strides, padding=padding)
    return jax.lax.platform_dependent(images, kernel, cpu=shifted, default=grouped)


def _depthwise_forward(images, kernel, strides, padding):
    return depthwise_conv(images, kernel, strides, padding), (images, kernel)


def _depthwise_backward(strides, padding, inputs, cotangent):
    def on_cpu(images, kernel, cotangent):
        filtered = functools.partial(_sum_of_taps, kernel=kernel, strides=strides, padding=padding)
        _, backward = jax.vjp(filtered, images)
        by_kernel = _kernel_gradient(images, cotangent, kernel.shape, strides, padding)
        return (*backward(cotangent), by_kernel.astype(kernel.dtype))

    def elsewhere(images, kernel, cotangent):
        grouped = functools.partial(_grouped_conv, strides=strides, padding=padding)
        return jax.vjp(grouped, images, kernel)[1](cotangent)

    return jax.lax.platform_dependent(*inputs, cotangent, cpu=on_cpu, default=elsewhere)


depthwise_conv.defvjp(_depthwise_forward, _depthwise_backward)


def _grouped_conv(images, kernel, *, strides, padding):
    return jax.lax.conv_general_dilated(
        images,
        kernel,
        (strides, strides),
        padding,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=images.shape[-1],
    )


def _sum_of_taps(images, kernel, *, strides, padding):
    padded = jnp.pad(images, ((0, 0), *padding, (0, 0)))
    height, width = kernel.shape[:2]
    taps = [
        view * kernel[i, j, 0][None, None, None]
        for (i, j), view in _views(padded, (height, width), strides).items()
    ]
    return functools.reduce(jnp.add, taps)


def _kernel_gradient(images, cotangent, kernel_shape, strides, padding):
    """Products of shifted images with the cotangent, summed row by row.

    A plain sum over batch, y and x is one slow loop for XLA:CPU; adding up whole rows vectorises.
    """
    padded = jnp.pad(images, ((0, 0), *padding, (0, 0)))
    height, width = kernel_shape[:2]
    batch, rows, columns, channels = cotangent.shape

    def add_row(row, sums):
        window = jax.lax.dynamic_slice_in_dim(padded, row * strides, height, axis=1)
        of_row = jax.lax.dynamic_slice_in_dim(cotangent, row, 1, axis=1)
        views = _views(window, (height, width), strides).values()
        return sums + jnp.stack([(view * of_row)[:, 0].astype(jnp.float32) for view in views])

    sums = jnp.zeros((height * width, batch, columns, channels), jnp.float32)
    sums = jax.lax.fori_loop(0, rows, add_row, sums)
    return sums.sum(axis=(1, 2)).reshape(kernel_shape)


def _views(padded: Array, window: tuple[int, int], strides: int) -> dict[tuple[int, int], Array]:
    """Strided views of padded maps, one for every position of a kernel."""
    batch, height, width, channels = padded.shape
    rows, columns = (height - window[0]) // strides, (width - window[1]) // strides  # Steps taken.
    return {
        (i, j): jax.lax.slice(
            padded,
            (0, i, j, 0),
            (batch, i + rows * strides + 1, j + columns * strides + 1, channels),
            (1, strides, strides, 1),
        )
        for i in range(window[0])
        for j in range(window[1])
    }


@jax.custom_vjp
def conv_same(
    images: Float[Array, "batch y x channel"], kernel: Float[Array, "height width channel feature"]
) -> Float[Array, "batch y x feature"]:
    """Dense convolution of odd size and stride 1, zeros around the images.

    XLA:CPU takes five times as long for the gradient for the kernel as for the convolution itself, because it
    makes a convolution of it whose kernel is the whole image; here it is a matrix product for every row of
    the image, whose factors fit into the cache. Gradients are in reverse mode only.

    Args:
        images: Feature maps.
        kernel: Odd height and width.

    Returns:
        Filtered maps.
    """
    return _dense_conv(images, kernel)


def _dense_conv(images, kernel):
    return jax.lax.conv_general_dilated(
        images, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def _dense_forward(images, kernel):
    return _dense_conv(images, kernel), (images, kernel)


def _dense_backward(inputs, cotangent):
    def on_cpu(images, kernel, cotangent):
        by_images = jax.vjp(lambda images: _dense_conv(images, kernel), images)[1](cotangent)
        by_kernel = _dense_kernel_gradient(images, cotangent, kernel.shape)
        return (*by_images, by_kernel.astype(kernel.dtype))

    def elsewhere(images, kernel, cotangent):
        return jax.vjp(_dense_conv, images, kernel)[1](cotangent)

    return jax.lax.platform_dependent(*inputs, cotangent, cpu=on_cpu, default=elsewhere)


conv_same.defvjp(_dense_forward, _dense_backward)


def _dense_kernel_gradient(images, cotangent, kernel_shape):
    height, width, channels, features = kernel_shape
    _, rows, _, _ = images.shape
    padded = jnp.pad(images, ((0, 0), (height // 2,) * 2, (width // 2,) * 2, (0, 0)))

    def add_row(row, products):
        window = jax.lax.dynamic_slice_in_dim(padded, row, height, axis=1)
        of_row = jax.lax.dynamic_slice_in_dim(cotangent, row, 1, axis=1).reshape(-1, features)
        seen = jnp.concatenate(list(_views(window, (height, width), 1).values()), axis=-1)
        # Turned before the product, which is slow along the first axis of both.
        turned = jax.lax.optimization_barrier(seen.reshape(-1, height * width * channels).T)
        return products + jnp.matmul(turned, of_row, preferred_element_type=jnp.float32)

    products = jnp.zeros((height * width * channels, features), jnp.float32)
    return jax.lax.fori_loop(0, rows, add_row, products).reshape(kernel_shape)


def max_pool(
    images: Float[Array, "batch y x channel"], window: int, *, strides: int, padding: int
) -> Float[Array, "batch y2 x2 channel"]:
    """Maximum over overlapping square windows; pixels outside of the image do not count.

    Equal to ``flax.linen.max_pool`` in value. Its gradient is shared between equal maxima instead of going
    to the first. Taken along y and then along x, as maxima of shifted maps: XLA:CPU differentiates a
    ``reduce_window`` through a sequential scatter, several times slower.

    Args:
        images: Feature maps.
        window: Side of the window.
        strides: Step along y and x.
        padding: Pixels by which the window may leave the image, on every side.

    Returns:
        The pooled maps.
    """
    borders = ((0, 0), (padding, padding), (padding, padding), (0, 0))
    padded = jnp.pad(images, borders, constant_values=-jnp.inf)
    for axis in (1, 2):
        steps = (padded.shape[axis] - window) // strides
        shifted = [
            jax.lax.slice_in_dim(padded, i, i + steps * strides + 1, strides, axis) for i in range(window)
        ]
        padded = functools.reduce(jnp.maximum, shifted)
    return padded


def max_pool_2x2(images: Float[Array, "batch y x channel"]) -> Float[Array, "batch y//2 x//2 channel"]:
    """Maximum over disjoint 2 x 2 windows; an odd last row or column is dropped (VALID padding).

    As ``max_pool(images, 2, strides=2, padding=0)``, with windows that do not overlap written as a reshape,
    and the gradient shared evenly between equal maxima.

    Args:
        images: Feature maps, at least 2 x 2 pixels.

    Returns:
        The pooled maps.
    """
    batch, height, width, channels = images.shape
    even = images[:, : height // 2 * 2, : width // 2 * 2]
    return even.reshape(batch, height // 2, 2, width // 2, 2, channels).max(axis=(2, 4))
