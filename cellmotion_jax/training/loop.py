"""The training loop: step, checkpoint, evaluation, log, in this order.

The order matters. A checkpoint is taken before the evaluation of the same step, so a crash there
loses nothing; on resumption everything that follows a checkpoint (evaluation, best parameters, log
rows) is done again for its step, and since all of it is a function of the checkpointed state, an
interrupted run ends with the same bits and the same log as an uninterrupted one.
"""

from __future__ import annotations

import pathlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NoReturn

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from cellmotion_jax.errors import InputError, TrainingDiverged
from cellmotion_jax.files import interruption
from cellmotion_jax.files.failures import MINIMUM_FREE, require_free
from cellmotion_jax.training import checkpoint
from cellmotion_jax.training.config import Optimizer, Phase, Run, learning_rate_schedule, phase_ends
from cellmotion_jax.training.logging import MetricsLog
from cellmotion_jax.training.state import Best, Progress, TrainState, init_progress, init_state, keep_best
from cellmotion_jax.training.step import (
    Augment,
    Objective,
    is_frozen,
    parameter_paths,
    train_step,
    update_side_by_side,
)

LONGEST_LEAD_S = 2.0
"""Time for which updates may be queued on the device."""

Evaluate = Callable[[TrainState], Mapping[str, np.ndarray]]


def fit(
    *,
    model: nn.Module,
    objective: Objective,
    augment: Augment,
    optimizer: Optimizer,
    phases: Sequence[Phase],
    run: Run,
    folder: pathlib.Path,
    members: Sequence[str],
    batches: Callable[[int], Iterator[Mapping[str, np.ndarray]]],
    evaluate: Evaluate,
    best_metric: str,
    pretrained: Mapping[str, Any] | None = None,
) -> Best:
    """Trains one or several members together and returns the best parameters of each.

    ``folder`` will contain ``checkpoints`` (the latest states), ``best`` (the best parameters so far) and the
    log.

    Args:
        model: Linen module.
        objective: ``(outputs, batch) -> (loss, terms)``.
        augment: ``(key, batch) -> batch``, inside the compiled step.
        optimizer: Optimiser settings.
        phases: Stretches of training with their learning rates and frozen parameters.
        run: Intervals, seed, early stopping.
        folder: Folder of this run; a run found there is resumed.
        members: Names of the members.
        batches: ``start_step -> iterator`` of batches with leading axes ``[member, batch]``; batch i
            must be a function of i alone.
        evaluate: Validation metrics of shape ``[member]`` for a state with a leading member axis.
        best_metric: The validation metric that decides which parameters are best; smaller is better.
        pretrained: ``params`` and ``batch_stats`` of parts of the model, where every member starts.

    Returns:
        The best parameters, with a leading member axis.

    Raises:
        InputError: If settings contradict each other, or differ from those of the run in ``folder``.
        TrainingDiverged: If the loss or a gradient is not finite; the message names the update and the
            checkpoint that is kept.
    """
    mesh = _mesh()
    if run.batch_size % mesh.size:
        raise InputError(
            f"run.batch-size {run.batch_size} cannot be divided among {mesh.size} devices; "
            f"use a multiple of {mesh.size}."
        )
    replicated = NamedSharding(mesh, PartitionSpec())
    sharded = NamedSharding(mesh, PartitionSpec(None, "data"))
    schedule = learning_rate_schedule(phases)
    transformation = optimizer.build(schedule)
    example = next(batches(0))
    progress = _fresh_progress(
        example, model=model, objective=objective, augment=augment, transformation=transformation,
        seed=run.seed, sharding=replicated, pretrained=pretrained or {},
    )  # fmt: skip
    _check_frozen(phases, progress.state)

    # The checkpoints that are kept, one that is being written, and the best parameters beside each.
    size = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(progress))
    require_free(folder, folder, size=MINIMUM_FREE + 2 * (checkpoint.KEEP + 1) * size)
    checkpoints = folder / "checkpoints"
    start = 0
    if (found := checkpoint.restore_latest(checkpoints, progress)) is not None:
        start, progress = found

    def compiled(phase: Phase):
        def update(carry, batch):
            state, metric_sums = carry
            return train_step(
                state, metric_sums, batch, model=model, objective=objective, augment=augment,
                optimizer=transformation, frozen=phase.frozen,
                fixed_statistics=phase.fixed_statistics, statistics_momentum=phase.statistics_momentum,
            )  # fmt: skip

        return update_side_by_side(update, replicated=replicated, sharded=sharded)

    ends = phase_ends(phases)
    total = ends[-1]
    steps = [compiled(phase) for phase in phases]
    update_best = jax.jit(keep_best, out_shardings=replicated)

    with (
        MetricsLog(folder, members=members, start=start, total=total) as log,
        interruption.safe_points() as points,
    ):
        if 0 < start < total:
            log.say(f"Resuming the run in {folder} after step {start} of {total}.")

        def after(step: int, progress: Progress) -> tuple[Progress, bool]:
            """Evaluation and log rows of a step; also done for the step a run is resumed at."""
            stop = False
            if step % run.evaluate_every == 0 or step == total:
                metrics = evaluate(progress.state)
                metric = jax.device_put(jnp.asarray(metrics[best_metric], jnp.float32), replicated)
                progress = progress.replace(best=update_best(progress.best, progress.state, metric))
                if np.any(jax.device_get(progress.best.step) == step):
                    checkpoint.save(folder / "best", step, progress.best)
                log.write(step, "validation", metrics)
                stop = _out_of_patience(progress.best, step, run)
            if step % run.log_every == 0 or step == total:
                metric_sums = jax.device_get(progress.metric_sums)
                means = {name: sums / metric_sums.count for name, sums in metric_sums.sums.items()}
                means["learning_rate"] = np.full(len(members), np.asarray(schedule(step - 1)))
                log.write(step, "train", means)
                _stop_if_diverged(metric_sums.diverged_at, members, checkpoints)
                empty = jax.tree.map(jnp.zeros_like, progress.metric_sums)
                empty = empty.replace(diverged_at=progress.metric_sums.diverged_at)
                progress = progress.replace(metric_sums=empty)
            return progress, stop

        def interrupted(step: int, progress: Progress, error: interruption.Interrupted) -> NoReturn:
            """Saves the updates done so far, and the evaluation of a step is done again after it."""
            if points.unsaved:
                _stop_if_diverged(jax.device_get(progress.metric_sums.diverged_at), members, checkpoints)
                checkpoint.save(checkpoints, step, progress, every=run.checkpoint_every, interrupted=True)
            interruption.claim_end()  # What is said now is this, also if it takes a while.
            raise interruption.Interrupted(
                error.number, f"{folder} keeps step {step} of {total}; the same command goes on from there"
            ) from None

        stop, pace = False, _Pace()
        if start > 0:
            _restore_best(folder / "best", progress.best)
            progress, stop = after(start, progress)
        data = batches(start)
        for step in range(start + 1, total + 1):
            if stop:
                log.say(f"Stopped early after step {step - 1}: no improvement in {run.patience} evaluations.")
                break
            phase = next(i for i, end in enumerate(ends) if step <= end)
            batch = jax.device_put(next(data), sharded)
            state, metric_sums = steps[phase]((progress.state, progress.metric_sums), batch)
            progress = progress.replace(state=state, metric_sums=metric_sums)
            points.unsaved = True
            pace.keep(metric_sums)
            log.advance()
            if step % run.checkpoint_every == 0 or step == total:
                _stop_if_diverged(jax.device_get(metric_sums.diverged_at), members, checkpoints)
                checkpoint.save(checkpoints, step, progress, every=run.checkpoint_every)
                points.unsaved = False
            try:
                interruption.stop_if_requested()
                progress, stop = after(step, progress)
            except interruption.Interrupted as error:
                interrupted(step, progress, error)
    return progress.best


class _Pace:
    """Lets the loop be about `LONGEST_LEAD_S` ahead of the device, which JAX would let it leave far behind.

    What is queued has to be computed before a checkpoint can be saved, and a signal does not wait for long.
    """

    def __init__(self) -> None:
        self._every, self._steps, self._then = 1, 0, time.monotonic()

    def keep(self, results: Any) -> None:
        """Counts a step, and waits for its results if it is time to."""
        self._steps += 1
        if self._steps < self._every:
            return
        jax.block_until_ready(results)
        now = time.monotonic()
        seconds = max((now - self._then) / self._steps, 1e-4)
        self._every, self._steps, self._then = max(1, int(LONGEST_LEAD_S / seconds)), 0, now


def _restore_best(folder: pathlib.Path, best: Best) -> None:
    """Writes the best parameters so far again, if they are damaged or missing."""
    step = int(np.max(jax.device_get(best.step)))
    if step > 0 and not checkpoint.exists(folder, step):
        checkpoint.save(folder, step, best)


def _mesh() -> Mesh:
    # Explicit axes, the default, break the gradient of max-pooling on jax 0.12.
    return jax.make_mesh((jax.local_device_count(),), ("data",), axis_types=(AxisType.Auto,))


def _fresh_progress(
    example: Mapping[str, np.ndarray],
    *,
    model,
    objective,
    augment,
    transformation,
    seed: int,
    sharding: NamedSharding,
    pretrained: Mapping[str, Any],
) -> Progress:
    member_count = jax.tree.leaves(example)[0].shape[0]

    def init(key, pretrained):
        member = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape[1:], leaf.dtype), dict(example))
        augmented = jax.eval_shape(augment, key, member)
        images = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), augmented["image"])

        def fresh(key):
            return init_state(key, images, model=model, optimizer=transformation, pretrained=pretrained)

        state = jax.vmap(fresh)(jax.random.split(key, member_count))
        one = jax.eval_shape(fresh, key)
        outputs = jax.eval_shape(
            lambda variables: model.apply(variables, images, train=False),
            {"params": one.params, "batch_stats": one.batch_stats},
        )
        _, terms = jax.eval_shape(objective, outputs, augmented)
        return init_progress(state, ("loss", "gradient_norm", *terms))

    # It runs once: XLA would spend more time on making the drawing of weights fast than it saves.
    once = jax.jit(init, out_shardings=sharding, compiler_options={"xla_backend_optimization_level": 0})
    return once(jax.random.key(seed), dict(pretrained))


def _check_frozen(phases: Sequence[Phase], state: TrainState) -> None:
    for name, tree, what in (
        ("frozen", state.params, "parameter"),
        ("fixed_statistics", state.batch_stats, "batch normalisation"),
    ):
        paths = parameter_paths(tree)
        for prefix in (prefix for phase in phases for prefix in getattr(phase, name)):
            if not any(is_frozen(path, (prefix,)) for path in paths):
                top = sorted({path.split("/")[0] for path in paths})
                raise InputError(f"{name} names {prefix!r}, but no {what} lies there; the model has {top}.")


def _out_of_patience(best: Best, step: int, run: Run) -> bool:
    if run.patience is None:
        return False
    newest = int(np.max(jax.device_get(best.step)))
    return step - newest >= run.patience * run.evaluate_every


def _stop_if_diverged(diverged_at: np.ndarray, members: Sequence[str], checkpoints: pathlib.Path) -> None:
    for member, step in zip(members, diverged_at):
        if step >= 0:
            raise TrainingDiverged(
                f"The loss of {member} is not finite at step {step}; the last good checkpoint is kept in "
                f"{checkpoints}. Lower the learning rate, or clip the gradients harder."
            )
