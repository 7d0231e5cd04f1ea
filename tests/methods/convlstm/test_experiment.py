"""The whole video experiment on small simulated movies: files, results, encoder, refusals."""

import csv
import dataclasses

import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import save_file

from cellmotion_jax.data.simulate import Simulation
from cellmotion_jax.errors import InputError
from cellmotion_jax.methods.convlstm.augmentation import PatchSampling
from cellmotion_jax.methods.convlstm.data import ConvLSTMData
from cellmotion_jax.methods.convlstm.experiment import ConvLSTMExperiment, ConvLSTMNetwork
from cellmotion_jax.methods.convlstm.foreground import Memory, foreground_maps
from cellmotion_jax.methods.convlstm.model_file import load_model
from cellmotion_jax.methods.convlstm.objective import ConvLSTMObjective
from cellmotion_jax.models.backbones.mobilenet_v2 import MobileNetV2
from cellmotion_jax.models.convlstm_unet import SegmentationOutputs
from cellmotion_jax.training.config import Phase, Run
from cellmotion_jax.weights.convert import import_weights, load_weights

MOVIE = Simulation(frames=4, cells=2, height=96, width=112)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    """Weights of the encoder as `cellmotion import-weights` writes them, drawn at random."""
    folder = tmp_path_factory.mktemp("weights")
    shapes = jax.eval_shape(
        lambda: MobileNetV2().init(jax.random.key(0), jnp.zeros((1, 32, 32, 3)), train=False)
    )
    rng = np.random.default_rng(0)
    names = {"scale": "gamma", "bias": "beta", "mean": "moving_mean", "var": "moving_variance"}
    tensors = {}
    for path, leaf in flax.traverse_util.flatten_dict(shapes).items():
        layer, name = path[-2], names.get(path[-1], path[-1])
        draws = np.abs(rng.normal(size=leaf.shape)).astype(np.float32)
        if layer.endswith("depthwise"):
            name, draws = "depthwise_kernel", draws.swapaxes(2, 3)
        tensors[f"{layer}/{name}"] = draws / max(1, np.prod(leaf.shape[:-1]))
    np.savez(folder / "keras.npz", **tensors)
    import_weights(folder / "keras.npz", model="mobilenet-v2-0.35", out=folder / "encoder.safetensors")
    return folder / "encoder.safetensors"


def experiment(folder, **changes) -> ConvLSTMExperiment:
    settings = {
        "network": ConvLSTMNetwork(base_filters=2, levels=1),
        "data": ConvLSTMData(simulation=MOVIE, movies=3, window=2, downsample=2),
        "sampling": PatchSampling(patch=32),
        "phases": (Phase(steps=2, fixed_statistics=("encoder",)),),
        "memory": (Memory.refreshed, Memory.window),
        "run": Run(batch_size=2, log_every=2, evaluate_every=2, checkpoint_every=2, folder=folder),
        **changes,
    }
    return ConvLSTMExperiment(**settings)


@pytest.fixture(scope="module")
def finished(tmp_path_factory, encoder):
    folder = tmp_path_factory.mktemp("run")
    experiment(folder, weights=encoder).train()
    return folder


def test_every_memory_is_tested_on_every_frame_of_every_part(finished):
    assert (finished / "summary.md").read_text().startswith("```\n")
    with (finished / "results.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert {(row["memory"], row["part"]) for row in rows} == {
        (memory, part) for memory in ("refreshed", "window") for part in ("validation", "test")
    }
    assert len(rows) == 2 * (4 + 4)
    assert all(0 <= float(row["jaccard"]) <= 1 for row in rows)
    for picture in ("curves", "cells-test-worst", "cells-test-typical"):
        assert (finished / f"{picture}.png").stat().st_size > 10_000
    with (finished / "metrics.csv").open() as stream:
        metrics = {row["metric"] for row in csv.DictReader(stream) if row["split"] == "validation"}
    assert metrics == {"loss", "jaccard_distance", "SEG"}


def test_the_file_of_a_model_segments_by_itself(finished):
    model = load_model(finished / "model.safetensors")
    assert (model.window, model.downsample) == (2, 2)
    maps = list(foreground_maps(model, np.random.default_rng(0).normal(size=(3, 70, 75))))
    assert {it.shape for it in maps} == {(70, 75)}


def test_the_encoder_begins_with_its_weights_and_keeps_their_statistics(finished, encoder):
    trained = load_model(finished / "model.safetensors").variables
    before = load_weights(encoder).variables
    for layer, stats in trained["batch_stats"]["encoder"].items():
        jax.tree.map(np.testing.assert_array_equal, stats, before["batch_stats"][layer])
    kernels = [it["params"] for it in (trained, before)]
    np.testing.assert_allclose(
        kernels[0]["encoder"]["Conv1"]["kernel"], kernels[1]["Conv1"]["kernel"], atol=0.05
    )


def test_a_random_encoder_is_never_frozen_and_a_pretrained_one_is(encoder):
    made = experiment(
        None, phases=(Phase(steps=2, frozen=("encoder/level0", "decoder"), fixed_statistics=("encoder",)),)
    )
    (phase,) = made._phases()
    assert (phase.frozen, phase.fixed_statistics) == (("decoder",), ())
    assert dataclasses.replace(made, weights=encoder)._phases() == made.phases


def test_the_loss_weighs_cells_and_contacts_and_leaves_out_what_is_not_annotated():
    rng = np.random.default_rng(0)
    logits = jnp.asarray(rng.normal(size=(1, 2, 3, 2)), jnp.float32)
    batch = {
        "cell": jnp.array([[[1, 0, 1], [0, 0, 1]]], bool),
        "contact": jnp.array([[[1, 1, 0], [0, 0, 0]]], bool),
        "annotated": jnp.array([[[1, 1, 1], [1, 1, 0]]], bool),
    }
    objective = ConvLSTMObjective(cell=2.0, contact=3.0)
    loss, terms = objective(SegmentationOutputs(logits), batch)
    log = np.log(jax.nn.softmax(logits))[0]
    of_label = np.where(batch["cell"][0], log[..., 1], log[..., 0])
    weights = np.array([[5, 4, 2], [1, 1, 0]])
    assert float(loss) == pytest.approx(-(weights * of_label).sum() / 5, rel=1e-5)
    found = np.asarray(logits[0, ..., 1] > logits[0, ..., 0])
    cell, known = (np.asarray(batch[name][0]) for name in ("cell", "annotated"))
    jaccard = (found & cell & known).sum() / ((found | cell) & known).sum()
    assert float(terms["jaccard_distance"]) == pytest.approx(1 - jaccard)


def test_weights_of_another_network_are_refused(tmp_path, encoder):
    save_file({"params/kernel": np.zeros(2, np.float32)}, tmp_path / "other.safetensors")
    with pytest.raises(InputError, match=r"other\.safetensors"):
        experiment(tmp_path / "run", weights=tmp_path / "other.safetensors").train()


def test_a_frozen_encoder_without_weights_is_warned_of(tmp_path, caplog):
    made = experiment(tmp_path, data=ConvLSTMData(simulation=MOVIE, movies=1))
    with pytest.raises(InputError, match=r"movies is 1"):
        made.train()
    assert "No --weights" in caplog.text


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: ConvLSTMNetwork(base_filters=0), "base_filters is 0"),
        (lambda: ConvLSTMNetwork(levels=6), "levels is 6"),
        (lambda: ConvLSTMNetwork(dropout=1.0), "dropout is 1.0"),
        (lambda: ConvLSTMData(window=0), "window is 0"),
        (lambda: ConvLSTMObjective(contact=-1.0), "contact is -1.0"),
        (lambda: ConvLSTMExperiment(phases=()), "phases is .*name at least one"),
        (
            lambda: ConvLSTMExperiment(sampling=PatchSampling(patch=40)),
            "sampling.patch is 40.*multiple of 16",
        ),
    ],
)
def test_settings_that_cannot_be_are_refused(make, words):
    with pytest.raises(InputError, match=words):
        make()
