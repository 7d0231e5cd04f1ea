"""Objectives for directions: loss of a network's outputs, and decoding of the outputs to angles.

An objective is one of the paper's configurations: an encoding, an output activation and a loss. It also
decodes outputs to an angle and a confidence.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping
from typing import ClassVar, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from cellmotion_jax.losses import (
    circular,
    von_mises_nll,
)
from cellmotion_jax.metrics.angular import mean_angular_error_deg
from cellmotion_jax.models.direction import DirectionOutputs
from cellmotion_jax.ops import angles
from cellmotion_jax.ops.numerics import masked_mean
from cellmotion_jax.settings import Settings


class AngleLoss(enum.Enum):
    """Losses between two angles, Eq. (3) to (6)."""

    linear = enum.member(circular.linear)
    linear_squared = enum.member(circular.linear_squared)
    cyclic = enum.member(circular.cyclic)
    cyclic_squared = enum.member(circular.cyclic_squared)
    cosine = enum.member(circular.cosine)


class CircleLoss(enum.Enum):
    """Losses between two points on the circle, Eq. (7) and (8)."""

    dist = enum.member(circular.circle_distance)
    dist_squared = enum.member(circular.circle_distance_squared)


class CircleActivation(enum.Enum):
    """Output activations for points on the circle, Eq. (2)."""

    identity = enum.member(angles.identity_activation)
    sigmoid = enum.member(angles.sigmoid_activation)


class DirectionEstimate(NamedTuple):
    """A predicted direction with its confidence."""

    angle: Float[Array, "*batch"]
    """Radians in [0, 2 pi)."""
    confidence: Float[Array, "*batch"]
    """Larger is more certain; the scale depends on the objective (kappa, or the length of the encoded
    vector)."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class AngleObjective(Settings):
    """One output neuron, converted to an angle by x mod 2 pi."""

    neurons: ClassVar[int] = 1
    kappa_head: ClassVar[bool] = False
    loss: AngleLoss = AngleLoss.cosine
    """Distance between predicted and true angle."""

    @property
    def label(self) -> str:
        """Short name for tables and legends."""
        return f"1N cyclic {self.loss.name}"

    def losses(self, outputs: DirectionOutputs, angle: Float[Array, " batch"]) -> Float[Array, " batch"]:
        """Loss of every sample."""
        return self.loss.value(angles.cyclic_activation(outputs.encoding[:, 0]), angle)

    def decode(self, outputs: DirectionOutputs) -> DirectionEstimate:
        """The angle; one neuron gives no confidence, which is set to 1."""
        angle = angles.cyclic_activation(outputs.encoding[:, 0])
        return DirectionEstimate(angle, jnp.ones_like(angle))


@dataclasses.dataclass(frozen=True, kw_only=True)
class CircleObjective(Settings):
    """Two output neurons, a point on the circle. The defaults are the paper's choice (Table 3)."""

    neurons: ClassVar[int] = 2
    kappa_head: ClassVar[bool] = False
    activation: CircleActivation = CircleActivation.sigmoid
    """Applied to both neurons."""
    loss: CircleLoss = CircleLoss.dist_squared
    """Distance between predicted and true point."""

    @property
    def label(self) -> str:
        """Short name for tables and legends."""
        return f"2N {self.activation.name} {self.loss.name}"

    def losses(self, outputs: DirectionOutputs, angle: Float[Array, " batch"]) -> Float[Array, " batch"]:
        """Loss of every sample."""
        return self.loss.value(self.activation.value(outputs.encoding), angles.encode_circle(angle))

    def decode(self, outputs: DirectionOutputs) -> DirectionEstimate:
        """The angle of the point and, as confidence, its distance from the origin."""
        point = self.activation.value(outputs.encoding)
        return DirectionEstimate(angles.decode_circle(point), jnp.linalg.norm(point, axis=-1))


@dataclasses.dataclass(frozen=True, kw_only=True)
class VonMisesObjective(Settings):
    """Two output neurons for the mean direction, one for the concentration: von Mises likelihood, Eq. (9)."""

    neurons: ClassVar[int] = 2
    kappa_head: ClassVar[bool] = True

    @property
    def label(self) -> str:
        """Short name for tables and legends."""
        return "2N von Mises"

    def losses(self, outputs: DirectionOutputs, angle: Float[Array, " batch"]) -> Float[Array, " batch"]:
        """Negative log likelihood of every sample."""
        estimate = self.decode(outputs)
        return von_mises_nll(estimate.angle, angle, kappa=estimate.confidence)

    def decode(self, outputs: DirectionOutputs) -> DirectionEstimate:
        """The mean direction and, as confidence, its concentration kappa."""
        if outputs.concentration is None:
            raise ValueError("the von Mises objective needs a network with kappa_head=True")
        return DirectionEstimate(
            angles.decode_circle(outputs.encoding), jax.nn.softplus(outputs.concentration)
        )


DirectionObjective: TypeAlias = CircleObjective | AngleObjective | VonMisesObjective


@dataclasses.dataclass(frozen=True)
class ObjectivePerMember:
    """Objective of members that train together and have different objectives.

    ``batch["objective"]`` holds, for every sample, the index of its member's objective; all objectives are
    evaluated, which is cheap compared with the network, and the member's own is selected.
    """

    objectives: tuple[DirectionObjective, ...]

    def __call__(
        self, outputs: DirectionOutputs, batch: Mapping[str, Array]
    ) -> tuple[Array, dict[str, Array]]:
        """The mean loss of a batch and its angular error in degrees."""
        estimate = self.decode(outputs, batch["objective"])
        error = mean_angular_error_deg(estimate.angle, batch["angle"])
        return masked_mean(self.losses(outputs, batch)), {"E_deg": error}

    def losses(self, outputs: DirectionOutputs, batch: Mapping[str, Array]) -> Float[Array, " batch"]:
        """Loss of every sample under its objective, given by ``batch["objective"]``."""
        losses = jnp.stack([objective.losses(outputs, batch["angle"]) for objective in self.objectives])
        return _take(losses, batch["objective"])

    def decode(self, outputs: DirectionOutputs, index: Array) -> DirectionEstimate:
        """Directions, decoded for each sample by the objective with the index ``index``."""
        estimates = [objective.decode(outputs) for objective in self.objectives]
        return DirectionEstimate(
            _take(jnp.stack([e.angle for e in estimates]), index),
            _take(jnp.stack([e.confidence for e in estimates]), index),
        )


def _take(stacked: Float[Array, "objective batch"], index: Array) -> Float[Array, " batch"]:
    return jnp.take_along_axis(stacked, index[None], axis=0)[0]
