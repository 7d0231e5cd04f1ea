"""From raw outputs to losses and back to angles, for every configuration of the paper."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cellmotion_jax.experiments import EXPERIMENTS
from cellmotion_jax.methods.direction.experiment import NINE_CONFIGURATIONS, DirectionExperiment
from cellmotion_jax.methods.direction.objective import (
    AngleObjective,
    CircleActivation,
    CircleObjective,
    ObjectivePerMember,
    VonMisesObjective,
)
from cellmotion_jax.models.direction import DirectionOutputs
from cellmotion_jax.ops.angles import absolute_difference, encode_circle

ANGLES = jnp.linspace(0.0, 6.2, 9)
jit = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})


def perfect_outputs(objective) -> DirectionOutputs:
    """Raw outputs that decode to ANGLES."""
    if isinstance(objective, AngleObjective):
        return DirectionOutputs(ANGLES[:, None] + 2 * jnp.pi, None)
    point = encode_circle(ANGLES)
    if isinstance(objective, CircleObjective) and objective.activation is CircleActivation.sigmoid:
        point = 2 * jnp.arctanh(0.999 * point)
    return DirectionOutputs(point, jnp.full(ANGLES.shape, 4.0))


@pytest.mark.parametrize("objective", [*NINE_CONFIGURATIONS, VonMisesObjective()], ids=lambda o: o.label)
def test_what_decodes_to_the_target_has_a_lower_loss_than_what_does_not(objective):

    @jit
    def answers(outputs):
        away = absolute_difference(objective.decode(outputs).angle, ANGLES)
        others = (ANGLES + 2.0) % (2 * jnp.pi)
        return away, objective.losses(outputs, ANGLES), objective.losses(outputs, others)

    away, right, wrong = answers(perfect_outputs(objective))
    assert np.all(away < 1e-3)
    assert right.shape == ANGLES.shape
    assert np.all(right < wrong)


@pytest.mark.parametrize("objective", [*NINE_CONFIGURATIONS, VonMisesObjective()], ids=lambda o: o.label)
def test_gradients_are_finite_even_for_zero_and_huge_outputs(objective):

    @jit
    @jax.grad
    def slope(x):
        outputs = DirectionOutputs(jnp.full((9, objective.neurons), x), jnp.full(9, x))
        return jnp.sum(objective.losses(outputs, ANGLES))

    for value in (0.0, 1e4, -1e4):
        assert np.isfinite(slope(value))


def test_members_with_different_objectives_get_their_own():
    pair = (CircleObjective(), CircleObjective(activation=CircleActivation.identity))
    both = ObjectivePerMember(pair)
    outputs = DirectionOutputs(jax.random.normal(jax.random.key(0), (9, 2)), None)
    for index, objective in enumerate(pair):
        batch = {"angle": ANGLES, "objective": jnp.full(9, index)}
        loss, terms = both(outputs, batch)
        np.testing.assert_allclose(loss, jnp.mean(objective.losses(outputs, ANGLES)), rtol=1e-6)
        expected = jnp.degrees(jnp.mean(absolute_difference(objective.decode(outputs).angle, ANGLES)))
        np.testing.assert_allclose(terms["E_deg"], expected, rtol=1e-5)


def test_the_nine_configurations_are_experiments_of_their_own():
    assert len({objective.label for objective in NINE_CONFIGURATIONS}) == 9
    directions = [
        entry.experiment
        for entry in EXPERIMENTS.values()
        if isinstance(entry.experiment, DirectionExperiment)
    ]
    single = [experiment.objectives for experiment in directions if len(experiment.objectives) == 1]
    assert all((objective,) in single for objective in NINE_CONFIGURATIONS)
    assert EXPERIMENTS["direction-grid"].experiment.objectives == NINE_CONFIGURATIONS
