"""Convolutional long short-term memory (Shi et al. 2015) that reads feature maps in time order."""

from __future__ import annotations

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.linen.dtypes import promote_dtype
from flax.typing import Dtype
from jaxtyping import Array, Float

from cellmotion_jax.models.layers import conv_same
from cellmotion_jax.models.network import Network
from cellmotion_jax.ops.host_arguments import check_axes
from cellmotion_jax.settings import Width

# Steps of the scan that are written out. XLA:CPU runs a convolution inside a loop about ten times slower than
# outside of one; a window of the paper has 5 frames.
UNROLLED_STEPS = 8


class ConvLSTMState(NamedTuple):
    """State of a ConvLSTM after the frames so far."""

    hidden: Float[Array, "batch y x filter"]
    """The output of the last step."""
    cell: Float[Array, "batch y x filter"]
    """The long-term memory."""


class ConvLSTM(Network):
    r"""3 x 3 convolutional LSTM with sigmoid gates and ELU instead of tanh, as in Keras's ``ConvLSTM2D``.

    .. math:: (i, f, g, o) &= W_x * x_t + W_h * h_{t-1} + b \\
              c_t &= \sigma(f) c_{t-1} + \sigma(i)\,\mathrm{ELU}(g), \qquad
              h_t = \sigma(o)\,\mathrm{ELU}(c_t)

    The gates lie in this order along the channels of the kernels. The bias of the forget gate starts at 1.
    An ELU is not bounded above, as tanh is; the memory is bounded only by what the gates have learned.

    References:
        Shi et al., Convolutional LSTM network, NeurIPS 2015 (without its peephole connections).
    """

    filters: Width
    """Channels of the state."""
    dtype: Dtype | None = None
    """Compute type; parameters stay float32."""

    @nn.compact
    def __call__(
        self, maps: Float[Array, "batch time y x channel"], state: ConvLSTMState | None = None
    ) -> ConvLSTMState:
        """Reads maps in time order.

        Args:
            maps: Feature maps of consecutive frames.
            state: Memory of the frames before them; None begins with an empty one, all zeros.

        Returns:
            The memory after the last frame, whose hidden part is the output for it.

        Raises:
            ValueError: Maps without these axes or without a frame, or a state of another size.
        """
        check_axes("maps", maps.shape, "batch time y x channel")
        batch, time, y, x, channels = maps.shape
        if time == 0:
            raise ValueError(f"maps of shape {maps.shape} have no frame, the second axis")
        if state is not None and state.hidden.shape != (batch, y, x, self.filters):
            raise ValueError(
                f"state of shape {state.hidden.shape} does not belong to maps of shape {maps.shape} "
                f"and {self.filters} filters"
            )
        gates = 4 * self.filters
        kernel = self.param("kernel", nn.initializers.glorot_uniform(), (3, 3, channels, gates))
        recurrent = self.param("recurrent_kernel", nn.initializers.orthogonal(), (3, 3, self.filters, gates))
        bias = self.param("bias", _forgetting_little, (gates,))
        maps, kernel, recurrent, bias = promote_dtype(maps, kernel, recurrent, bias, dtype=self.dtype)
        if state is not None:
            state = ConvLSTMState(*(part.astype(maps.dtype) for part in state))
        both = jnp.concatenate([kernel, recurrent], axis=2)

        def remembered(gates: Array, cell: Array | None) -> ConvLSTMState:
            i, f, g, o = jnp.split(gates + bias[None, None, None], 4, axis=-1)
            new = jax.nn.sigmoid(i) * jax.nn.elu(g)
            cell = new if cell is None else jax.nn.sigmoid(f) * cell + new
            return ConvLSTMState(jax.nn.sigmoid(o) * jax.nn.elu(cell), cell)

        def step(state: ConvLSTMState, maps: Array) -> tuple[ConvLSTMState, None]:
            # One convolution of both is faster than one of each.
            gates = conv_same(jnp.concatenate([maps, state.hidden], axis=-1), both)
            return remembered(gates, state.cell), None

        if state is None:
            state = remembered(conv_same(maps[:, 0], kernel), None)
            maps = maps[:, 1:]
        return jax.lax.scan(step, state, jnp.moveaxis(maps, 1, 0), unroll=UNROLLED_STEPS)[0]


def _forgetting_little(key: Array, shape: tuple[int, ...], dtype=jnp.float32) -> Array:
    del key
    return jnp.zeros(shape, dtype).at[shape[0] // 4 : shape[0] // 2].set(1)
