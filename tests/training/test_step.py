"""One update: members side by side, frozen parameters, randomness by step."""

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cellmotion_jax.errors import InputError
from cellmotion_jax.training.config import AdamW, Phase, learning_rate_schedule
from cellmotion_jax.training.state import Best, MetricSums, TrainState, init_state, keep_best
from cellmotion_jax.training.step import is_frozen, side_by_side, train_step
from tests.training import toy

OPTIMIZER = AdamW(weight_decay=0.1).build(lambda step: 1e-2)
NO_SUMS = MetricSums(
    sums={"loss": jnp.zeros(()), "mse": jnp.zeros(())},
    count=jnp.zeros((), jnp.int32),
    diverged_at=-jnp.ones((), jnp.int32),
)


def fresh(seed: int):
    return init_state(jax.random.key(seed), jnp.zeros((8, 3)), model=toy.Toy(), optimizer=OPTIMIZER)


def step(state, metric_sums, batch, frozen=(), fixed_statistics=()):
    return train_step(
        state, metric_sums, batch, model=toy.Toy(), objective=toy.objective, augment=toy.augment,
        optimizer=OPTIMIZER, frozen=frozen, fixed_statistics=fixed_statistics,
    )  # fmt: skip


def batch(step: int, member: int = 0):
    return {name: jnp.asarray(leaf[member]) for name, leaf in next(toy.batches(3)(step)).items()}


def stack(*trees):
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


@pytest.mark.parametrize("members", [1, 3])
def test_members_side_by_side_equal_members_one_by_one(members):
    alone = [jax.jit(step)(fresh(m), NO_SUMS, batch(0, m)) for m in range(members)]
    states = stack(*[fresh(m) for m in range(members)])
    all_sums = stack(*[NO_SUMS] * members)
    together = side_by_side(step)(states, all_sums, stack(*[batch(0, m) for m in range(members)]))
    key_data = jax.random.key_data
    chex.assert_trees_all_close(
        jax.tree.map(lambda x: x, (together[0].params, together[0].opt_state, together[1])),
        stack(*[(state.params, state.opt_state, metric_sums) for state, metric_sums in alone]),
        atol=1e-6,
    )
    chex.assert_trees_all_equal(
        key_data(together[0].key), jnp.stack([key_data(state.key) for state, _ in alone])
    )


def test_frozen_parameters_and_statistics_do_not_move_even_by_weight_decay():
    before = fresh(0)
    after, _ = step(before, NO_SUMS, batch(0), frozen=("encoder",))
    chex.assert_trees_all_equal(after.params["encoder"], before.params["encoder"])
    chex.assert_trees_all_equal(after.batch_stats, before.batch_stats)
    assert not np.array_equal(after.params["head"]["kernel"], before.params["head"]["kernel"])


def test_a_frozen_encoder_normalises_with_its_running_statistics():
    state = fresh(0)
    shifted = jax.tree.map(lambda leaf: leaf + 3.0, state.batch_stats)
    moved = state.replace(batch_stats=shifted)
    _, usual = step(state, NO_SUMS, batch(0), frozen=("encoder",))
    _, other = step(moved, NO_SUMS, batch(0), frozen=("encoder",))
    assert float(usual.sums["loss"]) != float(other.sums["loss"])
    _, usual = step(state, NO_SUMS, batch(0))
    _, other = step(moved, NO_SUMS, batch(0))
    assert float(usual.sums["loss"]) == float(other.sums["loss"])


def test_an_encoder_of_fixed_statistics_trains_on_what_it_is_used_with_later():
    before = fresh(0)
    after, metric_sums = step(before, NO_SUMS, batch(0), fixed_statistics=("encoder",))
    chex.assert_trees_all_equal(after.batch_stats, before.batch_stats)
    moved = jax.tree.map(
        lambda new, old: jnp.any(new != old), after.params["encoder"], before.params["encoder"]
    )
    assert any(jax.tree.leaves(moved))
    shifted = before.replace(batch_stats=jax.tree.map(lambda leaf: leaf + 3.0, before.batch_stats))
    _, other = step(shifted, NO_SUMS, batch(0), fixed_statistics=("encoder",))
    assert float(metric_sums.sums["loss"]) != float(other.sums["loss"])


def test_randomness_follows_from_the_step_alone():
    state = fresh(0)
    first, metric_sums = step(state, NO_SUMS, batch(0))
    again, metric_sums_again = step(state, NO_SUMS, batch(0))
    chex.assert_trees_all_equal(first.params, again.params)
    _, later = step(state.replace(step=jnp.int32(5)), NO_SUMS, batch(0))
    loss, loss_again, loss_later = (float(it.sums["loss"]) for it in (metric_sums, metric_sums_again, later))
    assert loss_later != loss == loss_again


def test_paths_are_matched_by_whole_names():
    assert is_frozen("encoder/dense/kernel", ("encoder",))
    assert is_frozen("encoder/dense/kernel", ("head", "encoder/dense"))
    assert not is_frozen("encoder2/dense/kernel", ("encoder",))
    assert not is_frozen("encoder/dense/kernel", ())


def test_the_best_is_kept_per_member_and_a_nan_is_never_best():
    state = stack(fresh(0), fresh(1), fresh(2)).replace(step=jnp.array([7, 7, 7]))
    best = Best(
        metric=jnp.array([1.0, 3.0, 2.0]),
        step=jnp.array([1, 1, 1]),
        params=jax.tree.map(jnp.zeros_like, state.params),
        batch_stats=jax.tree.map(jnp.zeros_like, state.batch_stats),
    )
    kept = keep_best(best, state, jnp.array([2.0, 2.0, jnp.nan]))
    assert kept.step.tolist() == [1, 7, 1]
    assert kept.metric.tolist() == [1.0, 2.0, 2.0]
    chex.assert_trees_all_equal(
        jax.tree.map(lambda leaf: leaf[1], kept.params), jax.tree.map(lambda leaf: leaf[1], state.params)
    )
    assert all(not np.any(leaf[0]) for leaf in jax.tree.leaves(kept.params))


def test_schedules_of_phases_follow_one_another():
    phases = (
        Phase(steps=10, learning_rate=1.0, warmup_steps=4),
        Phase(steps=20, learning_rate=0.5, final_fraction=0.1),
    )
    schedule = learning_rate_schedule(phases)
    rates = np.array([schedule(step) for step in range(30)])
    np.testing.assert_allclose(rates[:5], [0, 0.25, 0.5, 0.75, 1.0])
    np.testing.assert_allclose(rates[5:10], 1.0)
    assert rates[10] == 0.5
    assert np.all(np.diff(rates[10:]) < 0)
    assert 0.05 < rates[-1] < 0.06


def test_a_phase_in_epochs_is_as_long_as_its_passes_over_the_samples():
    phase = Phase(epochs=3, learning_rate=0.5, warmup_steps=4)
    in_steps = phase.in_steps(samples=65, batch_size=32)
    assert (in_steps.steps, in_steps.epochs, in_steps.learning_rate) == (9, None, 0.5)
    assert in_steps.in_steps(samples=1000, batch_size=1) == in_steps
    with pytest.raises(ValueError, match="in epochs"):
        learning_rate_schedule([phase])


@pytest.mark.parametrize("lengths", [{}, {"steps": 3, "epochs": 3}, {"epochs": 0}, {"steps": 0}])
def test_a_phase_has_one_length(lengths):
    with pytest.raises(InputError, match=r"Phase\.(steps|epochs) is"):
        Phase(**lengths)


class NormalisedWhenMade(nn.Module):
    """Normalisation that is told how to run when it is made, as in the backbones, and one inside a module."""

    @nn.compact
    def __call__(self, x, *, train: bool):
        x = nn.BatchNorm(use_running_average=not train, momentum=0.99, name="norm")(x)
        return Inner(name="inner")(x, train=train)


class Inner(nn.Module):
    @nn.compact
    def __call__(self, x, *, train: bool):
        return nn.Dropout(0.5, deterministic=not train)(x)


def updated(**options):
    images = 3.0 + jax.random.normal(jax.random.key(0), (8, 4))
    variables = NormalisedWhenMade().init(jax.random.key(1), images, train=False)
    state = TrainState(
        step=jnp.zeros((), jnp.int32),
        params=variables["params"],
        batch_stats=variables["batch_stats"],
        opt_state=OPTIMIZER.init(variables["params"]),
        key=jax.random.key(2),
    )
    after, metric_sums = train_step(
        state,
        MetricSums({"loss": jnp.zeros(()), "gradient_norm": jnp.zeros(())}, jnp.int32(0), jnp.int32(-1)),
        {"image": images}, model=NormalisedWhenMade(),
        objective=lambda outputs, batch: (jnp.mean(outputs), {}), augment=lambda key, batch: batch,
        optimizer=OPTIMIZER, **options,
    )  # fmt: skip
    return after.batch_stats["norm"]["mean"], images.mean(0), metric_sums.sums["loss"], images.mean()


def test_running_statistics_follow_the_batch_as_fast_as_told():
    moved, target, *_ = updated()
    np.testing.assert_allclose(moved, 0.01 * target, rtol=1e-4)
    moved, target, *_ = updated(statistics_momentum=0.5)
    np.testing.assert_allclose(moved, 0.5 * target, rtol=1e-4)


def test_normalisation_that_is_frozen_by_itself_keeps_its_statistics():
    moved, *_ = updated(frozen=("norm",), statistics_momentum=0.5)
    np.testing.assert_array_equal(moved, 0.0)


def test_a_frozen_module_runs_as_in_evaluation():
    # Statistics of 0 and 1 change nothing, and neither does dropout that is switched off.
    *_, loss, mean = updated(frozen=("norm", "inner"))
    np.testing.assert_allclose(loss, mean, rtol=1e-4)
    *_, loss, mean = updated(frozen=("norm",))
    assert abs(loss - mean) > 0.01
