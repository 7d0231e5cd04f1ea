"""The embedding experiment on a few simulated cells: files, refusals, and the loss by itself."""

import csv
import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cellmotion_jax.data.simulate import Look, Simulation
from cellmotion_jax.errors import InputError
from cellmotion_jax.methods.celltrack_embedding.data import EmbeddingData
from cellmotion_jax.methods.celltrack_embedding.experiment import EmbeddingExperiment, EmbeddingNetwork
from cellmotion_jax.methods.celltrack_embedding.model_file import load_model
from cellmotion_jax.methods.celltrack_embedding.objective import EmbeddingObjective
from cellmotion_jax.methods.celltrack_embedding.pairs import PairSettings
from cellmotion_jax.models.embedding import EmbeddingMaps, PairOutputs
from cellmotion_jax.ops.fourier import peak_shifts
from cellmotion_jax.tracking.correlation_filter import LinearFilter
from cellmotion_jax.training.config import Phase, Run

SMALL = Simulation(frames=3, cells=6, height=96, width=96, pixel_size_um=1.3)
DATA = EmbeddingData(
    phase_contrast=SMALL,
    nuclei=dataclasses.replace(SMALL, look=Look.NUCLEI),
    simulated=1,
    pairs=PairSettings(train=8, held_out=3),
)


def experiment(folder, **changes) -> EmbeddingExperiment:
    settings = {
        "network": EmbeddingNetwork(features=2, base_width=2),
        "data": DATA,
        "phases": (Phase(steps=4),),
        "run": Run(batch_size=4, log_every=2, evaluate_every=2, checkpoint_every=2, folder=folder),
        **changes,
    }
    return EmbeddingExperiment(**settings)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    experiment(folder).train()
    return folder


def test_a_run_leaves_its_model_table_log_and_pictures(finished):
    model = load_model(finished / "model.safetensors")
    assert (model.diameter, model.window, model.filter_sigma) == (16.0, 48, 1.5)
    assert 0.005 < model.regularization < 0.02
    assert 9 < model.sharpness < 11
    assert 5 < model.spread < 7
    assert (finished / "summary.md").read_text().startswith("```\n")
    with (finished / "results.csv").open() as stream:
        rows = {row["source"]: int(row["pairs"]) for row in csv.DictReader(stream)}
    assert rows == {"simulated phase-contrast": 3, "simulated nuclei": 3, "all": 6}
    for picture in ("curves", "pairs"):
        assert (finished / f"{picture}.png").stat().st_size > 10_000
    with (finished / "metrics.csv").open() as stream:
        logged = {(row["split"], row["metric"]) for row in csv.DictReader(stream)}
    assert {("validation", name) for name in ("loss", "within_2", "within_4")} <= logged
    assert {("train", name) for name in ("regularization", "sharpness", "spread")} <= logged


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: EmbeddingData(simulated=0), "simulated is 0"),
        (lambda: EmbeddingData(simulated=-1), "simulated is -1"),
        (lambda: EmbeddingNetwork(features=0), "features is 0"),
        (lambda: EmbeddingObjective(window=47), "window is 47"),
        (lambda: EmbeddingObjective(place_sigma=0.0), "place_sigma is 0"),
        (lambda: EmbeddingExperiment(phases=()), "phases is .*name at least one"),
    ],
)
def test_settings_that_cannot_be_are_refused(make, words):
    with pytest.raises(InputError, match=words):
        make()


def test_a_source_is_given_once(tmp_path):
    root = tmp_path / "cells"
    (root / "01").mkdir(parents=True)
    with pytest.raises(InputError, match="cells"):
        experiment(tmp_path / "run", data=dataclasses.replace(DATA, movies=(root, root))).train()


OBJECTIVE = EmbeddingObjective(window=16)
CHEAP = {"xla_backend_optimization_level": 0}
maps_of = jax.jit(OBJECTIVE.maps, compiler_options=CHEAP)
loss_of = jax.jit(OBJECTIVE.__call__, compiler_options=CHEAP)


def outputs_of(features, *, centre=None, sharpness=10.0, regularization=0.01) -> PairOutputs:
    """Outputs whose maps are given, [batch, 2, y, x, feature]."""
    first, second = (
        EmbeddingMaps(features[:, number], None if centre is None else centre[:, number])
        for number in range(2)
    )
    numbers = (jnp.asarray(number) for number in (regularization, sharpness, 50.0))
    return PairOutputs(first, second, *numbers)


def shifted_pair():
    """Random features, and the same moved by (2, -1) pixels."""
    image = jax.random.normal(jax.random.key(0), (1, 24, 24, 3))
    image = sum(jnp.roll(image, (i, j), (1, 2)) for i in range(3) for j in range(3))
    batch = {
        "offset": jnp.zeros((1, 2)),
        "predicted": jnp.zeros((1, 2)),
        "true": jnp.array([[2.0, -1.0]]),
    }
    return jnp.stack([image, jnp.roll(image, (2, -1), (1, 2))], axis=1), batch


def test_a_cell_that_moved_is_found_and_costs_little():
    features, batch = shifted_pair()
    maps = maps_of(outputs_of(features), batch)
    np.testing.assert_allclose(peak_shifts(maps.logits)[0], batch["true"], atol=0.3)
    loss, terms = loss_of(outputs_of(features), batch)
    away, missed = loss_of(outputs_of(features), batch | {"true": -batch["true"]})
    assert float(loss) < float(away)
    assert (float(terms["within_2"]), float(missed["within_2"])) == (1.0, 0.0)


def test_the_learned_lambda_is_the_lambda_of_the_filter():
    features, batch = shifted_pair()
    response = maps_of(outputs_of(features, regularization=0.3), batch).response
    form = LinearFilter(regularization=0.3, sigma=OBJECTIVE.filter_sigma)
    first, second = (features[:, number, 4:20, 4:20] for number in range(2))
    spectra = form.respond(form.init(first, batch["offset"]), second)
    np.testing.assert_allclose(response, jnp.fft.irfft2(spectra, s=(16, 16)), atol=1e-5)


def test_evidence_for_centres_decides_where_the_filter_is_silent():
    features, batch = shifted_pair()
    centre = jnp.zeros((1, 2, 24, 24)).at[0, 1, 12 + 2, 12 - 1].set(20.0)
    outputs = outputs_of(0 * features, centre=centre)
    np.testing.assert_allclose(peak_shifts(maps_of(outputs, batch).logits)[0], [[2, -1]], atol=0.2)


def test_the_gradient_reaches_the_features_through_the_filter():
    """Against a difference quotient along the gradient of each window alone."""
    features, batch = shifted_pair()

    def plain(features):
        return OBJECTIVE(outputs_of(features), batch)[0]

    loss = jax.jit(plain, compiler_options=CHEAP)
    gradient = jax.jit(jax.grad(plain), compiler_options=CHEAP)(features)
    for number in range(2):
        direction = jnp.zeros_like(features).at[:, number].set(gradient[:, number])
        slope = float(jnp.linalg.norm(direction.ravel()))
        step = 0.05 * direction / slope
        quotient = float(loss(features + step) - loss(features - step)) / 0.1
        assert slope > 1e-3
        assert quotient == pytest.approx(slope, rel=0.02)


def test_pairs_that_do_not_count_change_nothing():
    features, batch = shifted_pair()
    twice = jnp.concatenate([features, jnp.full_like(features, jnp.nan)])
    doubled = {name: jnp.concatenate([value, value]) for name, value in batch.items()}
    alone, _ = loss_of(outputs_of(features), batch)
    both, terms = loss_of(outputs_of(twice), doubled | {"counts": jnp.array([True, False])})
    assert float(both) == pytest.approx(float(alone), rel=1e-5)
    assert float(terms["within_4"]) == 1.0
