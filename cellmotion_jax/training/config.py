"""Settings of a training run; the string below each field is its help text."""

from __future__ import annotations

import dataclasses
import enum
import itertools
import pathlib
from collections.abc import Sequence
from typing import Annotated

import jax.numpy as jnp
import optax

from cellmotion_jax.settings import (
    Count,
    NotNegative,
    Positive,
    Range,
    Seed,
    Settings,
    Share,
    ShareBelowOne,
    WholeFromZero,
)


class Precision(enum.Enum):
    """Floating-point type of computations; parameters and optimiser state are always float32."""

    float32 = enum.member(jnp.float32)
    bfloat16 = enum.member(jnp.bfloat16)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Phase(Settings):
    """A phase of training with one learning-rate schedule and one set of frozen parameters."""

    steps: Count | None = None
    """Number of optimiser updates; give either steps or epochs."""
    epochs: Count | None = None
    """Number of passes over the training samples; where several members train together, over the largest
    training split."""
    learning_rate: NotNegative = 1e-3
    """Peak learning rate."""
    warmup_steps: WholeFromZero = 0
    """Updates over which the rate rises linearly from zero to its peak."""
    final_fraction: Share = 1.0
    """The rate follows a cosine down to this fraction of its peak; 1 keeps it constant."""
    frozen: tuple[str, ...] = ()
    """Paths of parameters that are not trained, for example `backbone` or `head/direction`. Their modules run
    as in evaluation: fixed batch-normalisation statistics and no dropout."""
    fixed_statistics: tuple[str, ...] = ()
    """Paths of modules whose parameters are trained, but whose batch-normalisation statistics stay fixed.
    Useful for a pretrained encoder when batches are too small to estimate these statistics."""
    statistics_momentum: ShareBelowOne | None = None
    """Momentum of the running statistics of batch normalisation. None uses the value of the network, which
    its authors chose for very many updates (MobileNetV2: 0.999); for a training of a few hundred updates 0.9
    is suitable."""

    def check_together(self) -> None:
        """Refuses a phase with both steps and epochs, or neither."""
        if (self.steps is None) == (self.epochs is None):
            self.refuse("steps", f"and epochs is {self.epochs}: give one of them, and none for the other")

    def in_steps(self, *, samples: int, batch_size: int) -> Phase:
        """The same phase with its length in updates; a batch may contain samples of two epochs."""
        if self.epochs is None:
            return self
        return dataclasses.replace(self, steps=self.epochs * -(-samples // batch_size), epochs=None)

    def schedule(self) -> optax.Schedule:
        """The learning rate as a function of the update within this phase, whose length must be in steps."""
        decay = optax.cosine_decay_schedule(
            self.learning_rate, max(_steps(self) - self.warmup_steps, 1), alpha=self.final_fraction
        )
        warmup = optax.linear_schedule(0.0, self.learning_rate, max(self.warmup_steps, 1))
        return optax.join_schedules([warmup, decay], [self.warmup_steps])


@dataclasses.dataclass(frozen=True, kw_only=True)
class AdamW(Settings):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019)."""

    b1: ShareBelowOne = 0.9
    """Decay of the first moment."""
    b2: ShareBelowOne = 0.999
    """Decay of the second moment."""
    weight_decay: NotNegative = 0.0
    """Decoupled weight decay; 0 is plain Adam."""
    clip_norm: Positive = 1.0
    """Gradients are scaled down to this global norm."""

    def build(self, schedule: optax.Schedule) -> optax.GradientTransformation:
        """The optax transformation for a learning-rate schedule over the whole run."""
        return optax.chain(
            optax.clip_by_global_norm(self.clip_norm),
            optax.adamw(schedule, b1=self.b1, b2=self.b2, weight_decay=self.weight_decay),
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class AdaDelta(Settings):
    """AdaDelta: updates scaled by the ratio of past updates to past gradients (Zeiler 2012).

    The learning rate of a phase multiplies the updates; 1 is the published method.
    """

    rho: ShareBelowOne = 0.95
    """Decay of both running means."""
    epsilon: Annotated[float, Range(1e-20, 1)] = 1e-6
    """Constant added to both running means before the square root; it determines the size of the first
    updates."""

    def build(self, schedule: optax.Schedule) -> optax.GradientTransformation:
        """The optax transformation for a learning-rate schedule over the whole run."""
        return optax.adadelta(schedule, rho=self.rho, eps=self.epsilon)


@dataclasses.dataclass(frozen=True, kw_only=True)
class SGD(Settings):
    """Stochastic gradient descent with momentum and an L2 penalty, as in torch."""

    momentum: ShareBelowOne = 0.9
    """Share of the last update's direction that is kept."""
    weight_decay: NotNegative = 0.0
    """Factor of the parameters that is added to their gradients."""
    clip_norm: Positive = 10.0
    """Gradients are scaled down to this global norm."""

    def build(self, schedule: optax.Schedule) -> optax.GradientTransformation:
        """The optax transformation for a learning-rate schedule over the whole run."""
        return optax.chain(
            optax.clip_by_global_norm(self.clip_norm),
            optax.add_decayed_weights(self.weight_decay),
            optax.sgd(schedule, momentum=self.momentum),
        )


Optimizer = AdamW | AdaDelta | SGD
OPTIMIZERS: dict[str, type[AdamW] | type[AdaDelta] | type[SGD]] = {
    "adamw": AdamW,
    "adadelta": AdaDelta,
    "sgd": SGD,
}
"""The optimisers by the names of ``--optimizer``."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Run(Settings):
    """Settings of a run: batch size, seed, evaluation, checkpoints, early stopping, folder."""

    batch_size: Annotated[int, Range(1, 2**16)] = 32
    """Samples per update (and per member, where several train together)."""
    seed: Seed = 0
    """Random seed of initialisation, sampling order, augmentation and splits."""
    log_every: Count = 20
    """Updates between log rows; metrics stay on the device in between."""
    evaluate_every: Count = 100
    """Updates between evaluations on the validation samples."""
    checkpoint_every: Count = 200
    """Updates between checkpoints; the last update is always saved."""
    patience: Count | None = None
    """Evaluations without improvement after which the run stops; None trains to the end."""
    folder: pathlib.Path | None = None
    """Where checkpoints, logs and pictures go; runs/EXPERIMENT by default. A run found there is resumed."""


# Fields that may change between a run and its resumption: they do not alter what is computed.
RESUMABLE_CHANGES = ("run.log_every", "run.checkpoint_every", "run.patience", "run.folder")


def phase_ends(phases: Sequence[Phase]) -> tuple[int, ...]:
    """The update after which each phase ends, counted from the start of the run."""
    return tuple(itertools.accumulate(_steps(phase) for phase in phases))


def _steps(phase: Phase) -> int:
    if phase.steps is None:
        raise ValueError(f"the length of {phase} is in epochs; Phase.in_steps gives it in steps")
    return phase.steps


def learning_rate_schedule(phases: Sequence[Phase]) -> optax.Schedule:
    """The learning rate over the whole run, one phase after another."""
    return optax.join_schedules([phase.schedule() for phase in phases], list(phase_ends(phases)[:-1]))
