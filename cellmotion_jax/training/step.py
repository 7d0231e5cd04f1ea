"""One update: augmentation, forward, loss, gradient, optimiser. Read top to bottom, this is training."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array

from cellmotion_jax.training.state import TrainState, Window

Batch = Mapping[str, Array]
Metrics = dict[str, Array]
Objective = Callable[[Any, Batch], tuple[Array, Metrics]]
Augment = Callable[[Array, Batch], Batch]
Result = TypeVar("Result")


def train_step(
    state: TrainState,
    window: Window,
    batch: Batch,
    *,
    model: nn.Module,
    objective: Objective,
    augment: Augment,
    optimizer: optax.GradientTransformation,
    frozen: Sequence[str] = (),
) -> tuple[TrainState, Window]:
    """One optimiser update on one batch.

    Args:
        state: Training state.
        window: Running sums of the metrics.
        batch: Arrays with a leading batch axis; the model reads ``batch["image"]``.
        model: Linen module called as ``model(images, train=True)``.
        objective: ``(outputs, batch) -> (scalar loss, named scalar terms)``.
        augment: ``(key, batch) -> batch``, images and labels together.
        optimizer: optax transformation over all parameters.
        frozen: Paths of parameters that must not move. Their gradients and updates are zero, their
            batch-normalisation statistics are fixed and used as in evaluation.

    Returns:
        The next state and the metrics with this update's loss, terms and gradient norm added.
    """
    augment_key, dropout_key = jax.random.split(jax.random.fold_in(state.key, state.step))
    batch = augment(augment_key, batch)

    def loss_fn(params):
        with nn.intercept_methods(functools.partial(_fixed_statistics, frozen=frozen)):
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
    newly_diverged = ~finite & (window.diverged_at < 0)
    window = Window(
        sums={name: window.sums[name] + metrics[name] for name in window.sums},
        count=window.count + 1,
        diverged_at=jnp.where(newly_diverged, state.step + 1, window.diverged_at),
    )
    state = state.replace(step=state.step + 1, params=params, batch_stats=batch_stats, opt_state=opt_state)
    return state, window


def side_by_side(function: Callable[..., Result]) -> Callable[..., Result]:
    """Maps a function over the leading ``member`` axis of all its arguments.

    Members are independent trainings of one architecture: folds, seeds, losses. On an accelerator
    this is ``vmap``: a network as small as the probing CNN leaves it mostly idle otherwise. On a CPU
    the members follow one another in the compiled program: XLA:CPU has only slow code for what
    ``vmap`` makes of a convolution (a grouped one; twice the time) and for any convolution inside a
    ``lax.map`` (ten times).

    Args:
        function: Takes and returns pytrees of arrays without the member axis.

    Returns:
        The same function with a leading member axis on every input and output.
    """

    def one_after_another(*arguments):
        count = jax.tree.leaves(arguments)[0].shape[0]
        members = [jax.tree.map(operator.itemgetter(i), arguments) for i in range(count)]
        results = [function(*member) for member in members]
        return jax.tree.map(lambda *leaves: jnp.stack(leaves), *results)

    return lambda *arguments: jax.lax.platform_dependent(
        *arguments, cpu=one_after_another, default=jax.vmap(function)
    )


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


def _fixed_statistics(call, args, kwargs, context, *, frozen: Sequence[str]):
    """Interceptor: batch normalisation under a frozen path uses and keeps its running statistics."""
    is_norm = isinstance(context.module, nn.BatchNorm) and context.method_name == "__call__"
    if is_norm and is_frozen("/".join(context.module.path), frozen):
        kwargs = {**kwargs, "use_running_average": True}
    return call(*args, **kwargs)
