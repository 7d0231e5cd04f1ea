"""Siamese head: the similarity of all pairs of two sets of cells from one embedding of each."""

from __future__ import annotations

import flax.linen as nn
import jax.numpy as jnp
from flax.typing import Dtype
from jaxtyping import Array, Float

from cellmotion_jax.models.network import Network
from cellmotion_jax.ops.numerics import safe_abs
from cellmotion_jax.settings import Width


class SiameseHead(Network):
    r"""Embeds every cell once, and compares the embeddings of two frames.

    .. math:: s_{ij} = w^T |a_i - b_j| + c, \quad a_i = W x_i + v, \quad b_j = W z_j + v

    with features :math:`x_i` of the earlier and :math:`z_j` of the later frame (Chen et al. 2021, Section
    2.3). The paper says "their difference"; with a signed one the score is :math:`w^T a_i - w^T b_j + c`, a
    rank of cells that cannot peak where two are alike, so that the absolute value is taken (Koch et al.
    2015). N + M embeddings give all N x M scores.
    """

    width: Width = 256
    """Components of an embedding."""
    dtype: Dtype | None = None
    """Compute type of the embeddings; scores are float32."""

    def setup(self) -> None:
        """Makes the two dense layers."""
        self.embedding = nn.Dense(self.width, dtype=self.dtype)
        # Alike is more probable than not: the further apart two embeddings, the lower the score.
        self.similarity = nn.Dense(1, kernel_init=_negative, dtype=jnp.float32)

    def __call__(
        self, earlier: Float[Array, "*batch n feature"], later: Float[Array, "*batch m feature"]
    ) -> Float[Array, "*batch n m"]:
        """Scores of all pairs of cells from their features."""
        return self.compare(self.embed(earlier), self.embed(later))

    def embed(self, features: Float[Array, "*batch feature"]) -> Float[Array, "*batch width"]:
        """Embeddings of cells."""
        return self.embedding(features)

    def compare(
        self, earlier: Float[Array, "*batch n width"], later: Float[Array, "*batch m width"]
    ) -> Float[Array, "*batch n m"]:
        """Log odds that two cells are one, for all pairs of embeddings."""
        earlier, later = earlier.astype(jnp.float32), later.astype(jnp.float32)
        return self.similarity(safe_abs(earlier[..., :, None, :] - later[..., None, :, :]))[..., 0]


def _negative(key: Array, shape: tuple[int, ...], dtype: Dtype = jnp.float32) -> Array:
    return -jnp.abs(nn.initializers.lecun_normal()(key, shape, dtype))  # type: ignore[arg-type]
