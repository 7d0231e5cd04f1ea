"""One update of training: augmentation, forward pass, loss, gradient, optimiser."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import NamedSharding
from jaxtyping import Array

from cellmotion_jax.training.state import MetricSums, TrainState

Batch = Mapping[str, Any]
Metrics = dict[str, Array]
Objective = Callable[[Any, Batch], tuple[Array, Metrics]]
Augment = Callable[[Array, Batch], Batch]
Result = TypeVar("Result")
Carry = TypeVar("Carry")


def train_step(
    state: TrainState,
    metric_sums: MetricSums,
    batch: Batch,
    *,
    model: nn.Module,
    objective: Objective,
    augment: Augment,
    optimizer: optax.GradientTransformation,
    frozen: Sequence[str] = (),
    fixed_statistics: Sequence[str] = (),
    statistics_momentum: float | None = None,
) -> tuple[TrainState, MetricSums]:
    """One optimiser update on one batch.

    Args:
        state: Training state.
        metric_sums: Running sums of the metrics.
        batch: Arrays with a leading batch axis; the model reads ``batch["image"]``, an array or a tree of
            arrays.
        model: Linen module called as ``model(images, train=True)``.
        objective: ``(outputs, batch) -> (scalar loss, named scalar terms)``.
        augment: ``(key, batch) -> batch``, images and labels together.
        optimizer: optax transformation over all parameters.
        frozen: Paths of parameters that are not trained. Their gradients and updates are zero, their modules
            run as in evaluation: fixed batch-normalisation statistics, no dropout.
        fixed_statistics: Paths of modules whose parameters are trained, but whose batch normalisation uses
            its running statistics and does not change them.
        statistics_momentum: Momentum of the running statistics of batch normalisation; None uses the value of
            the network.

    Returns:
        The next state and the metrics with this update's loss, terms and gradient norm added.
    """
    augment_key, dropout_key = jax.random.split(jax.random.fold_in(state.key, state.step))
    batch = augment(augment_key, batch)

    def loss_fn(params):
        adjusted = functools.partial(
            _adjusted,
            frozen=frozen,
            fixed_statistics=fixed_statistics,
            statistics_momentum=statistics_momentum,
        )
        with nn.intercept_methods(adjusted):
            outputs, updates = model.apply(
                {"params": params, "batch_stats": state.batch_stats},
                batch["image"],
                train=True,
                rngs={"dropout": dropout_key},
                mutable=["batch_stats"],
            )
        loss, terms = objective(outputs, batch)
        return loss, (terms, updates.get("batch_stats", {}))

    (loss, (terms, batch_stats)), gradients = jax.value_and_grad(loss_fn, has_aux=True)(state.params)
    gradients = _zero_frozen(gradients, frozen)
    updates, opt_state = optimizer.update(gradients, state.opt_state, state.params)
    # Once more on the updates: weight decay and momentum must not move a frozen parameter either.
    params = optax.apply_updates(state.params, _zero_frozen(updates, frozen))
    gradient_norm = optax.tree.norm(gradients)

    metrics = {"loss": loss, "gradient_norm": gradient_norm, **terms}
    finite = jnp.isfinite(loss) & jnp.isfinite(gradient_norm)
    newly_diverged = ~finite & (metric_sums.diverged_at < 0)
    metric_sums = MetricSums(
        sums={name: metric_sums.sums[name] + metrics[name] for name in metric_sums.sums},
        count=metric_sums.count + 1,
        diverged_at=jnp.where(newly_diverged, state.step + 1, metric_sums.diverged_at),
    )
    state = state.replace(step=state.step + 1, params=params, batch_stats=batch_stats, opt_state=opt_state)
    return state, metric_sums


def side_by_side(function: Callable[..., Result]) -> Callable[..., Result]:
    """Compiles a function for all members, over the leading ``member`` axis of all its arguments.

    Members are independent trainings of one architecture: folds, seeds, losses. On an accelerator
    this is ``vmap``: a network as small as the probing CNN leaves it mostly idle otherwise. On a CPU
    one program, compiled for one member, is called for each: XLA:CPU has only slow code for what
    ``vmap`` makes of a convolution (a grouped one; twice the time) and for any convolution inside a
    ``lax.map`` (ten times), and compiling a deep network once per member takes longer than training it.

    Args:
        function: Takes and returns pytrees of arrays without the member axis.

    Returns:
        The same function with a leading member axis on every input and output.
    """
    if jax.default_backend() != "cpu":
        return jax.jit(jax.vmap(function))

    one = jax.jit(lambda index, arguments: function(*_of_member(arguments, index)))

    def one_after_another(*arguments):
        results = [one(index, arguments) for index in _members(arguments)]
        return jax.tree.map(lambda *leaves: jnp.stack(leaves), *results)

    return one_after_another


def update_side_by_side(
    update: Callable[[Carry, Batch], Carry], *, replicated: NamedSharding, sharded: NamedSharding
) -> Callable[[Carry, Batch], Carry]:
    """Compiles an update for all members, as ``side_by_side``; its carry is donated and renewed in place.

    Args:
        update: ``(carry, batch) -> carry`` without the member axis.
        replicated: Sharding of the carry.
        sharded: Sharding of the batch.

    Returns:
        The same function with a leading member axis on every array.
    """
    if jax.default_backend() != "cpu":
        return jax.jit(
            jax.vmap(update),
            in_shardings=(replicated, sharded),
            out_shardings=replicated,
            donate_argnums=0,
        )

    def of_one(carry, batch, index):
        new = update(_of_member(carry, index), _of_member(batch, index))
        return jax.tree.map(
            lambda leaf, of_member: jax.lax.dynamic_update_index_in_dim(leaf, of_member, index, axis=0),
            carry,
            new,
        )

    one = jax.jit(
        of_one,
        in_shardings=(replicated, sharded, replicated),
        out_shardings=replicated,
        donate_argnums=0,
    )
    return lambda carry, batch: functools.reduce(
        lambda carry, index: one(carry, batch, index), _members(carry), carry
    )


def _of_member(tree: Any, index: Array) -> Any:
    return jax.tree.map(lambda leaf: leaf[index], tree)


def _members(tree: Any) -> np.ndarray:
    return np.arange(jax.tree.leaves(tree)[0].shape[0], dtype=np.int32)


def is_frozen(path: str, frozen: Sequence[str]) -> bool:
    """Whether a parameter path such as ``backbone/conv1/kernel`` lies under one of the frozen paths."""
    return any(path == prefix or path.startswith(prefix + "/") for prefix in frozen)


def parameter_paths(params: Any) -> list[str]:
    """Slash-separated paths of all parameters, in tree order."""
    return [_joined(path) for path, _ in jax.tree_util.tree_leaves_with_path(params)]


def _joined(path: tuple[Any, ...]) -> str:
    return jax.tree_util.keystr(path, simple=True, separator="/")


def _zero_frozen(tree: Any, frozen: Sequence[str]) -> Any:
    def zero(path, leaf):
        return jnp.zeros_like(leaf) if is_frozen(_joined(path), frozen) else leaf

    return jax.tree_util.tree_map_with_path(zero, tree)


def _adjusted(
    call,
    args,
    kwargs,
    context,
    *,
    frozen: Sequence[str],
    fixed_statistics: Sequence[str],
    statistics_momentum: float | None,
):
    """Interceptor of the calls of modules in training.

    Under a frozen path they run with ``train=False``, and normalisation with fixed statistics, as it does
    where only these are fixed; elsewhere normalisation follows the batch as fast as it is told.
    """
    module = context.module
    if context.method_name != "__call__":
        return call(*args, **kwargs)
    # What normalisation was made with is changed on the module itself, which lives for this one update.
    path = "/".join(module.path)
    if isinstance(module, nn.BatchNorm):
        if is_frozen(path, (*frozen, *fixed_statistics)):
            object.__setattr__(module, "use_running_average", None)
            kwargs = {**kwargs, "use_running_average": True}
        elif statistics_momentum is not None:
            object.__setattr__(module, "momentum", statistics_momentum)
    elif is_frozen(path, frozen) and "train" in kwargs:
        kwargs = {**kwargs, "train": False}
    return call(*args, **kwargs)
