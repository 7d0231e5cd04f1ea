"""Augmentation of pairs of windows inside the compiled step, with random errors of a tracker."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from cellmotion_jax.methods.celltrack_embedding.pairs import FARTHEST
from cellmotion_jax.ops.warp import affine_warp
from cellmotion_jax.settings import Exponent, NotNegative, Settings

NETWORK_SIDE = 64
"""Rows and columns of the network's input: the window of the filter and its surroundings."""
_BORDER = 8
"""Width of the padding around a stored window, by repeated pixels, for windows that are moved or scaled
down."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class PairAugmentation(Settings):
    """Random position, scale and brightness, the same for both windows, and random errors of the tracker.

    The tracker learns and applies a filter on windows around whole pixels near the estimated position of the
    cell. Windows are cut here in the same way, with random errors like those of a tracker.
    """

    turns: bool = True
    """Turn by a random quarter and mirror in half of the cases."""
    scale: Exponent = 0.2
    """Largest change of scale either way, in half of the pairs: lengths are multiplied by its exponential."""
    contrast: Exponent = 0.3
    """Standard deviation of the logarithm of a common factor of both windows."""
    brightness: NotNegative = 0.1
    """Standard deviation of a common shift of brightness, in units of the compressed intensity."""
    bleaching: Exponent = 0.05
    """Standard deviation of the logarithm of a further factor of the second window."""
    noise: NotNegative = 0.1
    """Largest standard deviation of white noise."""
    place_error: NotNegative = 0.7
    """Standard deviation, along each axis, of the error of the position at which the filter is learned, in
    grid pixels."""
    prediction_error: NotNegative = 1.5
    """Standard deviation, along each axis, of the error of the cell's position one frame before, in grid
    pixels."""

    def __call__(self, key: Array, batch: Mapping[str, Array]) -> dict[str, Array]:
        """Cuts the input of the network from stored pairs [batch, ...] of `records.PairSource`.

        Returns:
            ``image`` [batch, 2, 64, 64], and [batch, 2] in grid pixels relative to the middle entries:
            ``offset``, where the cell is believed in the first window, ``predicted``, where it is expected
            in the second, and ``true``, where it is there.
        """
        keys = jax.random.split(key, batch["image"].shape[0])
        stored = {name: batch[name] for name in ("image", "place", "previous", "true")}
        return jax.vmap(self._one)(keys, stored)

    def _one(self, key: Array, pair: dict[str, Array]) -> dict[str, Array]:
        turn_key, scale_key, error_key, light_key, noise_key = jax.random.split(key, 5)
        turn = self._turn(turn_key)
        amount, chance = jax.random.uniform(scale_key, (2,), minval=-1, maxval=1)
        # Half of the pairs are not resampled at all: the tracker does not resample either.
        scale = jnp.where(chance > 0, jnp.exp(self.scale * amount), 1.0)

        errors = jax.random.normal(error_key, (2, 2))
        believed = pair["place"] + self.place_error * errors[0]
        predicted = pair["previous"] + self.prediction_error * errors[1]
        first = jnp.round(believed)
        second = jnp.clip(
            jnp.round(predicted), jnp.ceil(pair["true"] - FARTHEST), jnp.floor(pair["true"] + FARTHEST)
        )
        images = jnp.stack(
            [
                _cut(pair["image"][number], centre, turn, scale)
                for number, centre in enumerate((first, second))
            ]
        )

        def seen(point: Float[Array, " 2"], centre: Float[Array, " 2"]) -> Float[Array, " 2"]:
            return scale * jnp.sum(turn * (point - centre)[None], axis=1)

        gain, shift, fading = jax.random.normal(light_key, (3,))
        factors = jnp.exp(self.contrast * gain + jnp.stack([jnp.zeros(()), self.bleaching * fading]))
        level_key, white_key = jax.random.split(noise_key)
        noise = self.noise * jax.random.uniform(level_key) * jax.random.normal(white_key, images.shape)
        return {
            "image": images * factors[:, None, None] + self.brightness * shift + noise,
            "offset": seen(believed, first),
            "predicted": seen(predicted, second),
            "true": seen(pair["true"], second),
        }

    def _turn(self, key: Array) -> Float[Array, "2 2"]:
        """Random element of the symmetry group of the square, as the matrix that moves the content."""
        transposed, *mirrored = jax.random.bernoulli(key, shape=(3,)) & self.turns
        signs = 1.0 - 2.0 * jnp.stack(mirrored)
        straight = jnp.where(transposed, jnp.eye(2)[::-1], jnp.eye(2))
        return signs[:, None] * straight


def _cut(
    window: Float[Array, "y x"],
    centre: Float[Array, " 2"],
    turn: Float[Array, "2 2"],
    scale: Float[Array, ""],
) -> Float[Array, "64 64"]:
    """The surroundings of a point, rotated and scaled about it; the point is at entry 32."""
    padded = jnp.pad(window, _BORDER, mode="edge")
    # The inverse of a turn is its transpose. Sums, since accelerators may round the product of matrices.
    back = turn.T / scale
    middle = centre + window.shape[0] // 2 + _BORDER
    start = middle - jnp.sum(back * (NETWORK_SIDE // 2), axis=1)
    matrix = jnp.concatenate([back, start[:, None]], axis=1)
    shape = (NETWORK_SIDE, NETWORK_SIDE)
    return affine_warp(padded[..., None], matrix, output_shape=shape)[..., 0]


UNCHANGED = PairAugmentation(
    turns=False,
    scale=0.0,
    contrast=0.0,
    brightness=0.0,
    bleaching=0.0,
    noise=0.0,
    place_error=0.0,
)
"""Settings for test pairs: only the error of the tracker's last position is random."""
