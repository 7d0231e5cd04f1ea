"""Loss of a tracking embedding: localisation of a cell by a filter that is learned in another window."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from cellmotion_jax.losses import place_cross_entropy
from cellmotion_jax.models.embedding import LEARNED_NUMBERS, PairOutputs
from cellmotion_jax.ops.fourier import peak_shifts, signed_shifts
from cellmotion_jax.ops.numerics import masked_mean, safe_norm
from cellmotion_jax.settings import Positive, Range, Settings
from cellmotion_jax.tracking.correlation_filter import LinearFilter


class PlaceMaps(NamedTuple):
    """Maps over positions in the second window of a pair; entry ``[0, 0]`` is the middle of the window."""

    response: Float[Array, "batch y x"]
    """Response of the filter that was learned in the first window."""
    logits: Float[Array, "batch y x"]
    """Log probability up to a constant: response, evidence for centres, and motion."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class EmbeddingObjective(Settings):
    """Cross entropy of a cell's position in the second window, with a filter learned in the first one.

    The filter is `tracking.correlation_filter.LinearFilter` in closed form, so that the gradient reaches the
    features of both windows. The log probability of a position is the sum of the response times a learned
    sharpness, the network's evidence that the centre of any cell lies there, and the logarithm of a Gaussian
    with learned spread around the predicted position.
    """

    window: Annotated[int, Range(8, 56)] = 48
    """Side of the filter's window in grid pixels; the tracker's must be the same."""
    filter_sigma: Positive = 1.5
    """Standard deviation of the Gaussian target of the filter, in grid pixels."""
    place_sigma: Positive = 1.0
    """Standard deviation of the Gaussian around the true position, the target of the cross entropy, in grid
    pixels."""

    def check_together(self) -> None:
        """Refuses odd windows."""
        if self.window % 2:
            self.refuse("window", "it must be even")

    def maps(self, outputs: PairOutputs, batch: Mapping[str, Array]) -> PlaceMaps:
        """Learns a filter in every first window and returns the maps of the second window."""
        first, second = (self._middle(maps.features) for maps in (outputs.first, outputs.second))
        form = LinearFilter(regularization=1.0, sigma=self.filter_sigma)
        # Dividing both averages by lambda, with a lambda of 1, is the filter with the learned lambda.
        state = jax.tree.map(lambda leaf: leaf / outputs.regularization, form.init(first, batch["offset"]))
        response = jnp.fft.irfft2(form.respond(state, second), s=(self.window, self.window))
        logits = outputs.sharpness * response
        if outputs.second.centre is not None:
            centre = self._middle(outputs.second.centre)
            logits = logits + jnp.fft.ifftshift(centre, axes=(1, 2))
        shifts = signed_shifts(self.window)
        down, across = (
            -0.5 * jnp.square((shifts[None] - batch["predicted"][:, axis, None]) / outputs.spread)
            for axis in range(2)
        )
        return PlaceMaps(response, logits + down[:, :, None] + across[:, None, :])

    def __call__(self, outputs: PairOutputs, batch: Mapping[str, Array]) -> tuple[Array, dict[str, Array]]:
        """Mean loss of a batch, share of cells found within 2 and 4 grid pixels, and learned parameters.

        ``batch`` has ``offset``, ``predicted`` and ``true`` [batch, 2], as `PairAugmentation` makes them; and
        if it likes ``counts`` [batch], which is False for pairs that do not count.
        """
        logits = self.maps(outputs, batch).logits
        counts = batch.get("counts")
        loss = place_cross_entropy(logits, batch["true"], sigma=self.place_sigma, where=counts)
        found, _ = peak_shifts(logits)
        error = safe_norm(found - batch["true"])
        terms = {
            "within_2": masked_mean((error <= 2).astype(jnp.float32), counts),
            "within_4": masked_mean((error <= 4).astype(jnp.float32), counts),
            **{name: getattr(outputs, name) for name in LEARNED_NUMBERS},
        }
        return masked_mean(loss, counts), terms

    def _middle(self, maps: Float[Array, "batch y x *channel"]) -> Float[Array, "batch v u *channel"]:
        start = (maps.shape[1] - self.window) // 2
        return maps[:, start : start + self.window, start : start + self.window]
