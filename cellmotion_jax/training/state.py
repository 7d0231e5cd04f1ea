"""State of a training run from one update to the next; exactly this is saved in a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import flax.linen as nn
import flax.traverse_util
import jax
import jax.numpy as jnp
import optax
from flax import struct
from jaxtyping import Array, Float

# The leaves of these pytrees are arrays with a leading member axis where members train side by side; jax also
# puts shapes, shardings and axis numbers in their place, so nothing narrower is true of them.
Leaf: TypeAlias = Any


class TrainState(struct.PyTreeNode):
    """A model in training."""

    step: Leaf
    """Number of updates done so far (int32); it alone determines the next batch and the random numbers."""
    params: Any
    batch_stats: Any
    opt_state: Any
    key: Leaf
    """JAX random key, folded with ``step`` for all randomness of an update, never split."""


class Best(struct.PyTreeNode):
    """The parameters with the lowest validation metric so far, and the update at which it was reached."""

    metric: Leaf
    step: Leaf
    params: Any
    batch_stats: Any


class MetricSums(struct.PyTreeNode):
    """Sums of the training metrics since the last log row, kept on the device."""

    sums: dict[str, Leaf]
    count: Leaf
    diverged_at: Leaf
    """First update whose loss or gradient was not finite; -1 if there is none."""


class Progress(struct.PyTreeNode):
    """Everything needed to continue a run as if it had never stopped."""

    state: TrainState
    best: Best
    metric_sums: MetricSums


def init_state(
    key: Array,
    example: Any,
    *,
    model: nn.Module,
    optimizer: optax.GradientTransformation,
    pretrained: Mapping[str, Any] | None = None,
) -> TrainState:
    """A fresh training state.

    Args:
        key: JAX random key; initialisation and the run draw from two halves of it.
        example: Model input, an array or a tree of arrays, of the right shapes and types; no value is used.
        model: Linen module called as ``model(inputs, train=...)``.
        optimizer: optax transformation.
        pretrained: ``params`` and ``batch_stats`` of parts of the model, which replace the random initial
            values.

    Returns:
        State at step 0.

    Raises:
        ValueError: Pretrained variables that the model does not have, or has in another shape.
    """
    init_key, run_key = jax.random.split(key)
    variables = _overlaid(model.init(init_key, example, train=False), pretrained or {})
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        params=variables["params"],
        batch_stats=variables.get("batch_stats", {}),
        opt_state=optimizer.init(variables["params"]),
        key=run_key,
    )


def _overlaid(variables: Mapping[str, Any], pretrained: Mapping[str, Any]) -> dict[str, Any]:
    drawn: dict[Any, Any] = flax.traverse_util.flatten_dict(variables, sep="/")
    given: dict[Any, Any] = flax.traverse_util.flatten_dict(pretrained, sep="/")
    for path, leaf in given.items():
        if path not in drawn or drawn[path].shape != leaf.shape:
            there = f"has the shape {drawn[path].shape}" if path in drawn else "does not exist"
            raise ValueError(f"pretrained {path} has the shape {leaf.shape}, but in the model it {there}")
    return flax.traverse_util.unflatten_dict(drawn | given, sep="/")


def init_progress(state: TrainState, metric_names: tuple[str, ...]) -> Progress:
    """Progress at the start of a run: no best parameters yet, no metrics summed."""
    zeros = jnp.zeros(state.step.shape, jnp.float32)
    return Progress(
        state=state,
        best=Best(
            metric=jnp.full(state.step.shape, jnp.inf, jnp.float32),
            step=jnp.zeros_like(state.step),
            # Copies: the state is donated to every update, the best parameters must not go with it.
            params=jax.tree.map(jnp.copy, state.params),
            batch_stats=jax.tree.map(jnp.copy, state.batch_stats),
        ),
        metric_sums=MetricSums(
            sums=dict.fromkeys(metric_names, zeros),
            count=jnp.zeros_like(state.step),
            diverged_at=jnp.full_like(state.step, -1),
        ),
    )


def keep_best(best: Best, state: TrainState, metric: Float[Array, "..."]) -> Best:
    """Updates the best parameters of those members whose metric has improved; NaN is never an improvement."""
    improved = metric < best.metric

    def select(new: Array, old: Array) -> Array:
        return jnp.where(improved.reshape(improved.shape + (1,) * (new.ndim - improved.ndim)), new, old)

    return Best(
        metric=select(metric, best.metric),
        step=select(state.step, best.step),
        params=jax.tree.map(select, state.params, best.params),
        batch_stats=jax.tree.map(select, state.batch_stats, best.batch_stats),
    )
