"""RecogNet learns which nucleus it sees: windows, parts, the whole experiment, its file, refusals."""

import csv
import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from cellmotion_jax.data.ctc import open_dataset
from cellmotion_jax.data.simulate import Look, Simulation, simulate, write_simulation
from cellmotion_jax.errors import InputError
from cellmotion_jax.methods.recognet.data import RecogNetData, load_windows, split_windows
from cellmotion_jax.methods.recognet.experiment import RecogNetExperiment, RecogNetNetwork
from cellmotion_jax.methods.recognet.model_file import load_model
from cellmotion_jax.methods.recognet.objective import RecogNetObjective
from cellmotion_jax.methods.recognet.windows import nucleus_windows
from cellmotion_jax.models.recognet import RecogOutputs
from cellmotion_jax.ops import standardize
from cellmotion_jax.training.config import AdamW, Phase, Run

MOVIE = Simulation(
    look=Look.NUCLEI, frames=12, cells=6, height=128, width=128, division_rate_per_h=0.0, death_rate_per_h=0.0
)
WINDOW = 16


@pytest.fixture(scope="module")
def movie(tmp_path_factory):
    folder = tmp_path_factory.mktemp("movie") / "nuclei"
    write_simulation(simulate(MOVIE), folder)
    return folder


def experiment(folder, movie, **changes) -> RecogNetExperiment:
    settings = {
        "network": RecogNetNetwork(widths=(8, 8), dense_width=32, dropout=0.0, dense_dropout=0.0),
        "data": RecogNetData(root=movie, identities=8, window=WINDOW),
        "optimizer": AdamW(weight_decay=1e-4),
        "phases": (Phase(epochs=25, learning_rate=3e-3),),
        "run": Run(batch_size=8, log_every=10, evaluate_every=40, checkpoint_every=200, folder=folder),
        **changes,
    }
    return RecogNetExperiment(**settings)


@pytest.fixture(scope="module")
def finished(tmp_path_factory, movie):
    folder = tmp_path_factory.mktemp("run")
    experiment(folder, movie).train()
    return folder


def test_windows_show_the_nuclei_that_are_followed_longest(movie):
    (sequence,) = open_dataset(movie)
    windows = nucleus_windows([sequence], identities=3, window=WINDOW, downsample=1)
    spans = dict(zip(sequence.tracks.label, sequence.tracks.end - sequence.tracks.begin))
    taken = [int(name.rsplit(" ", 1)[1]) for name in windows.names]
    assert min(spans[label] for label in taken) >= max(spans[it] for it in spans if it not in taken)
    centroids = sequence.centroids()
    for sample in range(0, len(windows.frame), 5):
        frame, label = windows.frame[sample], taken[windows.identity[sample]]
        (row,) = np.flatnonzero((centroids.frame == frame) & (centroids.label == label))
        y, x = round(float(centroids.y[row])), round(float(centroids.x[row]))
        image = np.asarray(standardize(jnp.asarray(sequence.movie[frame][..., None], jnp.float32)))
        np.testing.assert_allclose(
            windows.images[sample, WINDOW // 2, WINDOW // 2], image[y, x], rtol=1e-3, atol=1e-3
        )


def test_large_nuclei_are_downsampled_until_the_window_holds_them(movie):
    (sequence,) = open_dataset(movie)
    wide, narrow = (nucleus_windows([sequence], identities=3, window=size) for size in (60, 12))
    assert wide.downsample == 1
    assert narrow.downsample > 1
    assert narrow.images.shape[1:] == (12, 12, 1)


def test_the_end_of_every_track_and_a_tenth_of_the_rest_are_set_apart():
    identity = np.repeat([0, 1], [50, 10])
    frame = np.concatenate([np.arange(50)[::-1], np.arange(10)])
    split = split_windows(identity, frame, later=0.2, seed=0)
    assert sorted(np.concatenate(split)) == list(range(60))
    for nucleus, first in ((0, 40), (1, 8)):
        later = frame[split.later][identity[split.later] == nucleus]
        assert sorted(later) == list(range(first, (50, 10)[nucleus]))
    assert len(split.validation) == 5


def test_training_windows_have_mean_zero_and_lie_within_one(movie, tmp_path):
    samples = load_windows(RecogNetData(root=movie, identities=8, window=WINDOW), cache=tmp_path, seed=0)
    images = np.stack([sample["image"] for sample in samples.parts["train"]])
    assert abs(images.mean()) < 1e-5
    assert 0.99 < (np.abs(images) <= 1).mean() < 1


def test_the_loss_is_the_cross_entropy_of_what_counts():
    logits = jnp.log(jnp.array([[0.25, 0.75], [0.5, 0.5], [0.1, 0.9]])).at[1].set(jnp.nan)
    batch = {"identity": jnp.array([1, 0, 0]), "counts": jnp.array([True, False, True])}
    loss, terms = RecogNetObjective()(RecogOutputs(logits, ()), batch)
    assert float(loss) == pytest.approx(-(np.log(0.75) + np.log(0.1)) / 2, rel=1e-5)
    assert float(terms["error_rate"]) == 0.5


def test_nuclei_are_told_apart_far_better_than_by_chance(finished):
    assert (finished / "summary.md").read_text().startswith("```\n")
    with (finished / "results.csv").open() as stream:
        rows = {row["part"]: row for row in csv.DictReader(stream)}
    assert list(rows) == ["train", "validation", "later"]
    assert float(rows["train"]["accuracy"]) > 0.6
    assert float(rows["validation"]["accuracy"]) > 2 / int(rows["train"]["nuclei"])
    for picture in ("curves", "filters", "maps"):
        assert (finished / f"{picture}.png").stat().st_size > 10_000


def test_its_file_gives_back_the_network(finished):
    model = load_model(finished / "model.safetensors")
    assert model.network.nuclei == 8
    assert 2 <= len(model.names) <= 8
    windows = jnp.zeros((2, model.window, model.window, 1))
    assert model.network.apply(model.variables, windows, train=False).logits.shape == (2, 8)


def test_a_finished_run_is_not_trained_again(finished, movie):
    before = (finished / "model.safetensors").read_bytes()
    experiment(finished, movie).train()
    assert (finished / "model.safetensors").read_bytes() == before


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: RecogNetNetwork(widths=(8, 8, 8)), "widths is .*give pairs"),
        (lambda: RecogNetNetwork(dense_width=0), "dense_width is 0"),
        (lambda: RecogNetNetwork(dropout=1.0), "dropout is 1.0"),
        (lambda: RecogNetData(identities=1), "identities is 1"),
        (lambda: RecogNetData(downsample=0), "downsample is 0"),
        (lambda: RecogNetData(later=0.0), "later is 0.0"),
        (lambda: RecogNetExperiment(phases=()), "phases is .*name at least one"),
        (
            lambda: RecogNetExperiment(network=RecogNetNetwork(widths=(1,) * 8), data=RecogNetData(window=8)),
            "data.window is 8.*at least 16",
        ),
    ],
)
def test_settings_that_cannot_be_are_refused(make, words):
    with pytest.raises(InputError, match=words):
        make()


def test_movies_of_which_nothing_can_be_learned_are_refused(tmp_path):
    alone, short = tmp_path / "alone", tmp_path / "short"
    for folder, changes in ((alone, {"cells": 1}), (short, {"frames": 2})):
        write_simulation(simulate(dataclasses.replace(MOVIE, **changes)), folder)
    (sequence,) = open_dataset(alone)
    with pytest.raises(InputError, match="has 1 tracked nuclei; at least two"):
        nucleus_windows([sequence], identities=1, window=8)
    with pytest.raises(InputError, match="too few to set some apart"):
        load_windows(RecogNetData(root=short, window=8), cache=tmp_path, seed=0)
