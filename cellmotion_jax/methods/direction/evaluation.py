"""Predictions of direction networks for validation and test samples."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple, cast

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import tqdm
from jaxtyping import Array, Float

from cellmotion_jax.data.pipeline import gather
from cellmotion_jax.files import interruption
from cellmotion_jax.methods.direction.data import DirectionSamples, Member
from cellmotion_jax.methods.direction.objective import DirectionObjective, ObjectivePerMember
from cellmotion_jax.models.direction import DirectionOutputs
from cellmotion_jax.ops.angles import absolute_difference, rotate_heading
from cellmotion_jax.ops.intensity import standardize
from cellmotion_jax.ops.numerics import masked_mean
from cellmotion_jax.ops.warp import rotate
from cellmotion_jax.training.state import Best, TrainState
from cellmotion_jax.training.step import side_by_side


class MemberPredictions(NamedTuple):
    """The test result of one member; arrays have one row per test sample."""

    member: Member
    objective: DirectionObjective
    target: np.ndarray
    versions: np.ndarray
    """Predicted angle of every rotated version [sample, version]; the first version is the original image."""
    confidence: np.ndarray
    validation_target: np.ndarray
    validation_angle: np.ndarray


class Evaluator:
    """Predicts the validation and test samples of all members in batches of one static shape."""

    def __init__(
        self,
        model: nn.Module,
        objective: ObjectivePerMember,
        samples: DirectionSamples,
        members: Sequence[Member],
        *,
        batch_size: int,
    ) -> None:
        """Reads the validation samples once; functions are compiled at their first call."""
        self._objective = objective
        self._samples = samples
        self._members = members
        self._batch_size = batch_size

        def outputs(params, batch_stats, images) -> DirectionOutputs:
            variables = {"params": params, "batch_stats": batch_stats}
            return cast(DirectionOutputs, model.apply(variables, images, train=False))

        def evaluate(params, batch_stats, batch):
            raw = outputs(params, batch_stats, standardize(batch["image"]))
            loss = objective.losses(raw, batch)
            estimate = objective.decode(raw, batch["objective"])
            error = jnp.degrees(absolute_difference(estimate.angle, batch["angle"]))
            return loss, error, estimate

        def rotated(params, batch_stats, batch, rotation):
            def angles(images):
                return objective.decode(outputs(params, batch_stats, images), batch["objective"]).angle

            return directions_of_rotated(angles, standardize(batch["image"]), rotation)

        self._evaluate = side_by_side(evaluate)
        self._rotated = side_by_side(rotated)
        self._validation = list(self._batches([member.split.validation for member in members]))

    def validate(self, state: TrainState) -> Mapping[str, np.ndarray]:
        """Mean loss and E_deg of every member on its validation samples, shape [member]."""
        loss, error, _, where = self._validation_predictions(state)
        mean = jax.vmap(masked_mean)
        return {"loss": np.asarray(mean(loss, where)), "E_deg": np.asarray(mean(error, where))}

    def test(self, best: Best, *, versions: int, seed: int) -> list[MemberPredictions]:
        """Predictions of every member's best parameters for its test samples and their rotated versions."""
        # One program for one rotation, called for each: a loop inside it would be slow on a CPU.
        rotations = random_rotations(jax.random.key(seed), versions)
        of_members = [jnp.full(len(self._members), rotation) for rotation in rotations]
        angle, confidence, where = [], [], []
        batches = self._batches([member.split.test for member in self._members])
        total = -(-max(len(member.split.test) for member in self._members) // self._batch_size)
        for batch in tqdm.tqdm(batches, total=total, desc="testing", unit="batch", leave=False):
            cells = jax.device_put(_without_mask(batch))
            versions_of = [self._rotated(best.params, best.batch_stats, cells, r) for r in of_members]
            angle.append(np.stack(versions_of, axis=-1))
            confidence.append(self._evaluate(best.params, best.batch_stats, cells)[2].confidence)
            where.append(batch["where"])
        angles, confidences = np.concatenate(angle, axis=1), np.concatenate(confidence, axis=1)
        counted = np.concatenate(where, axis=1)
        _, _, validation, in_validation = self._validation_predictions(best)
        return [
            MemberPredictions(
                member=member,
                objective=self._objective.objectives[member.objective],
                target=self._samples.angle[member.split.test],
                versions=angles[i][counted[i]],
                confidence=confidences[i][counted[i]],
                validation_target=self._samples.angle[member.split.validation],
                validation_angle=np.asarray(validation)[i][np.asarray(in_validation)[i]],
            )
            for i, member in enumerate(self._members)
        ]

    def _validation_predictions(self, state: TrainState | Best) -> tuple[Array, Array, Array, Array]:
        parts = []
        for batch in self._validation:
            interruption.stop_if_requested()
            loss, error, estimate = self._evaluate(state.params, state.batch_stats, _without_mask(batch))
            parts.append((loss, error, estimate.angle, batch["where"]))
        loss, error, angle, where = (jnp.concatenate(part, axis=1) for part in zip(*parts))
        return loss, error, angle, where

    def _batches(self, indices: Sequence[np.ndarray]) -> Iterator[dict[str, np.ndarray]]:
        """Batches [member, batch, ...] over unequal index sets; ``where`` tells samples from padding."""
        size = self._batch_size
        longest = max(map(len, indices))
        padded = np.stack([np.resize(index, -(-longest // size) * size) for index in indices])
        where = np.stack([np.arange(padded.shape[1]) < len(index) for index in indices])
        objective = np.array([[member.objective] * size for member in self._members], np.int32)
        for start in range(0, padded.shape[1], size):
            chunk = padded[:, start : start + size]
            batch = gather(self._samples.source, chunk)
            yield {
                "image": batch["image"],
                "angle": batch["angle"],
                "objective": objective,
                "where": where[:, start : start + size],
            }


def _without_mask(batch: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: leaf for name, leaf in batch.items() if name != "where"}


def random_rotations(key: Array, versions: int) -> Float[Array, " versions"]:
    """Rotation angles of the versions of an image: 0 for the original, then uniformly random angles."""
    angles = jax.random.uniform(key, (versions,), minval=0.0, maxval=2 * jnp.pi)
    return angles.at[0].set(0.0)


def directions_of_rotated(
    predict: Callable[[Float[Array, "batch y x channel"]], Float[Array, " batch"]],
    images: Float[Array, "batch y x channel"],
    rotation: Float[Array, ""],
) -> Float[Array, " batch"]:
    """Rotates the images, predicts their directions, and rotates the predictions back.

    The predictions for several rotations are fused by ``ops.mean_direction.arc_mean`` (the paper's rule)
    or ``circular_mean``; any subset is a smaller ensemble, so that one set of predictions is enough for every
    n of Table 5.

    Args:
        predict: Images to angles in radians.
        images: Standardised images; pixels uncovered by a rotation are filled with 0, their mean.
        rotation: Radians, counter-clockwise; ``vmap`` over it for a whole ensemble at once.

    Returns:
        Angles in [0, 2 pi) in the frame of the unrotated images.
    """
    rotated = jax.vmap(lambda image: rotate(image, rotation, fill=0.0))(images)
    return rotate_heading(predict(rotated), -rotation)
