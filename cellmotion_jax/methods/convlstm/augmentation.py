"""Augmentation of windows of frames inside the compiled step: random patches, preferably at cells."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Annotated

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from cellmotion_jax.ops.sampling import draw_pixel
from cellmotion_jax.ops.warp import affine_warp, similarity_matrix
from cellmotion_jax.settings import Exponent, NotNegative, Range, Settings

LARGEST_WEIGHT = 1e12
"""Largest allowed weight; its product with the number of pixels of a frame is still a finite float32."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class PatchSampling(Settings):
    """Transforms whole windows of frames at random and cuts a patch around a random pixel (Section 3.1).

    Since the transform precedes the cut, pixels from outside of the patch are real image content, not zeros
    or mirror images. A similarity moves all pixels alike, so that a pixel drawn in the frame and then moved
    has the probability of one drawn in the moved frame; only the patch itself is resampled. All frames of a
    window are transformed together. Pixels outside the frame count as not annotated. ``weight`` 1 and no
    changes are the "no sampling" of Appendix B.4.
    """

    patch: Annotated[int, Range(32, 2**14)] = 128
    """Rows and columns of a patch in (downsampled) pixels; 512 in the paper."""
    weight: Annotated[float, Range(0, LARGEST_WEIGHT)] = 50_000.0
    """Ratio of the probabilities that a cell pixel and a background pixel become the centre of a patch;
    50,000 in the paper, 500,000 in the authors' configuration, 1 for uniform sampling."""
    mirror: bool = True
    """Mirror in half of the cases."""
    rotation: NotNegative = 1.0
    """Largest rotation either way, as a fraction of half a turn."""
    scale: Exponent = 0.2
    """Largest change of scale either way: lengths are multiplied by the exponential of it."""
    contrast: Exponent = 0.2
    """Largest change of contrast either way: the image is multiplied by the exponential of it."""
    brightness: NotNegative = 0.2
    """Largest shift of brightness either way; the percentiles of a frame are at -1 and 1."""
    noise: NotNegative = 0.05
    """Largest standard deviation of white noise, on the same scale."""

    def __call__(self, key: Array, batch: Mapping[str, Array]) -> dict[str, Array]:
        """Cuts a patch from every window.

        Args:
            key: JAX random key.
            batch: ``image`` [batch, time, y, x, 1] and, of the last frames, ``cell``, ``contact``,
                ``annotated`` [batch, y, x].

        Returns:
            The same of the patches.
        """
        keys = jax.random.split(key, batch["image"].shape[0])
        return jax.vmap(self._one)(keys, dict(batch))

    def _one(self, key: Array, window: dict[str, Array]) -> dict[str, Array]:
        centre_key, place_key, light_key, level_key, noise_key = jax.random.split(key, 5)
        centre = draw_pixel(
            centre_key, window["cell"] & window["annotated"], weight=self.weight, where=window["annotated"]
        )
        matrix = self._matrix(place_key, centre.astype(jnp.float32), window["cell"].shape)
        image = jnp.moveaxis(window["image"][..., 0], 0, -1)
        maps = [window[name][..., None].astype(image.dtype) for name in ("cell", "contact", "annotated")]
        # All maps are looked up at the same places, as channels of one image.
        warped = affine_warp(
            jnp.concatenate([image, *maps], axis=-1), matrix, output_shape=(self.patch, self.patch)
        )
        frames = jnp.moveaxis(warped[..., :-3], -1, 0)[..., None]
        gain, shift = jax.random.uniform(light_key, (2,), minval=-1, maxval=1)
        level = self.noise * jax.random.uniform(level_key)
        frames = frames * jnp.exp(self.contrast * gain) + self.brightness * shift
        return {
            "image": frames + level * jax.random.normal(noise_key, frames.shape, frames.dtype),
            "cell": warped[..., -3] > 0.5,
            "contact": warped[..., -2] > 0.5,
            # A pixel is known if all that it was interpolated from is.
            "annotated": warped[..., -1] > 0.999,
        }

    def _matrix(self, key: Array, centre: Float[Array, "2"], shape: tuple[int, ...]) -> Float[Array, "2 3"]:
        """Matrix from pixels of the patch to positions in the frame."""
        mirrored_key, moved_key = jax.random.split(key)
        angle, size = jax.random.uniform(moved_key, (2,), minval=-1, maxval=1)
        linear = similarity_matrix(
            rotation=jnp.pi * self.rotation * angle,
            scale=jnp.exp(self.scale * size),
            mirror_horizontal=jax.random.bernoulli(mirrored_key) & self.mirror,
            shape=(self.patch, self.patch),
        )[:, :2]
        # A patch that would leave the frame is pushed back, but not so far that it leaves the pixel that was
        # drawn; turned, it may still leave the frame. Its own centre is a pixel, so that a patch that is not
        # turned is cut out as it is.
        before = self.patch // 2
        last = jnp.array(shape, jnp.float32) - self.patch + before
        inside = jnp.where(last >= before, jnp.clip(centre, before, last), (before + last) / 2)
        (a, b), (c, d) = linear
        inverse = jnp.array([[d, -b], [-c, a]]) / (a * d - b * c)
        push = jnp.clip(jnp.sum(inverse * (inside - centre)[None], axis=1), before - self.patch + 1, before)
        centre = centre + jnp.sum(linear * push[None], axis=1)
        offset = centre - jnp.sum(linear * before, axis=1)
        return jnp.concatenate([linear, offset[:, None]], axis=1)
