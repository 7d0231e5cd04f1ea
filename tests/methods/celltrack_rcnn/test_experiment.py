"""The whole experiment on a few simulated nuclei: files, results, refusals."""

import csv
import dataclasses

import numpy as np
import pytest

from cellmotion_jax.data.simulate import Look, Simulation
from cellmotion_jax.errors import InputError
from cellmotion_jax.methods.celltrack_rcnn import experiment as experiment_module
from cellmotion_jax.methods.celltrack_rcnn import results
from cellmotion_jax.methods.celltrack_rcnn.augmentation import WindowAugmentation, unchanged
from cellmotion_jax.methods.celltrack_rcnn.data import RCNNData, load_windows
from cellmotion_jax.methods.celltrack_rcnn.detection import RCNNSettings, cells_of_mask, find_cells
from cellmotion_jax.methods.celltrack_rcnn.evaluation import evaluate_model
from cellmotion_jax.methods.celltrack_rcnn.experiment import (
    BACKBONE_PATH,
    EXPERIMENTS,
    PAPER,
    WAYS,
    RCNNExperiment,
    RCNNNetwork,
)
from cellmotion_jax.methods.celltrack_rcnn.model_file import load_model, save_model
from cellmotion_jax.methods.celltrack_rcnn.training_pass import Sampling
from cellmotion_jax.models.backbones import fpn
from cellmotion_jax.training.config import Phase, Run
from tests.imported_weights import imported
from tests.rcnn_models import ANCHOR_SIZES, SHAPE, OneLayer, tiny_model
from tests.rcnn_movies import picture, tracks_at, write_movie

NUCLEI = Simulation(look=Look.NUCLEI, frames=6, cells=6, height=SHAPE[0], width=SHAPE[1])
PICTURES = ("curves", "tracks", "lineage", "links", "lookalikes")


def experiment(folder, **changes) -> RCNNExperiment:
    settings = {
        "network": RCNNNetwork(
            alpha=0.05, channels=4, box_width=8, embedding_width=8, anchor_sizes=ANCHOR_SIZES
        ),
        "data": RCNNData(simulation=NUCLEI, movies=3, window=64, stride=64, scale=1.0, cells=12),
        "augmentation": unchanged(WindowAugmentation(crop=64)),
        "sampling": Sampling(anchors=32, per_level=50, proposals=50, rois=16, positives=8),
        "phases": (Phase(steps=4),),
        "cells": RCNNSettings(score=0.0, proposals=50),
        "run": Run(batch_size=2, log_every=2, evaluate_every=2, checkpoint_every=4, folder=folder),
        **changes,
    }
    return RCNNExperiment(**settings)


@pytest.fixture(scope="module")
def one_layer():
    """A backbone of one layer in place of MobileNetV2, whose training takes a minute to compile."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(experiment_module, "MobileNetV2", OneLayer)
        patch.setattr(fpn, "MobileNetV2", OneLayer)  # In the annotation that files are restored by.
        yield


@pytest.fixture(scope="module")
def finished(tmp_path_factory, one_layer):
    folder = tmp_path_factory.mktemp("run")
    experiment(folder).train()
    return folder


def rows_of(path):
    with path.open() as stream:
        return list(csv.DictReader(stream))


def test_a_training_leaves_tables_a_log_and_pictures(finished):
    for picture_name in PICTURES:
        assert (finished / f"{picture_name}.png").stat().st_size > 10_000
    summary = (finished / "summary.md").read_text()
    assert summary.startswith("```\n")
    assert "Our method" in summary
    rows = rows_of(finished / "results.csv")
    assert [(row["model"], row["cells"], row["links"]) for row in rows] == [
        ("celltrack rcnn", cells, links) for cells in ("found", "given") for links in ("assignment", "fusion")
    ]
    for row in rows[2:]:
        assert (row["SEG"], row["DET"]) == ("1.0000", "1.0000")
    metrics = rows_of(finished / "metrics.csv")
    for split in ("train", "validation"):
        names = {row["metric"] for row in metrics if row["split"] == split}
        assert {"loss", "rpn", "rpn_class", "rpn_box", "class", "box", "mask"} <= names
        assert {"track", "track_visual", "track_spatial"} <= names
    assert all(np.isfinite(float(row["value"])) for row in metrics)
    assert {row["member"] for row in metrics} == {"celltrack rcnn"}


def test_the_file_of_the_model_finds_and_embeds_cells(finished):
    model = load_model(finished / "model.safetensors")
    assert model.scale == 1.0
    assert 5 < model.cell_diameter == model.image_diameter < 40
    assert model.network.spatial
    assert model.link.bias != 0
    labels = tracks_at(0)
    found = find_cells(model, picture(labels), settings=RCNNSettings(score=0.0, proposals=50))
    assert found.labels.shape == SHAPE
    assert len(cells_of_mask(model, picture(labels), labels).boxes) == 2


def test_with_both_heads_and_without_one_each_network_has_its_folder(tmp_path, monkeypatch):
    """The trainings themselves are left out."""
    images, nothing = write_movie(tmp_path / "movie"), RCNNSettings(score=1.0, proposals=50)
    result = evaluate_model(tiny_model(), images, WAYS, settings=nothing, given_masks=True)
    trained = []

    def train_one(self, spatial, samples, folder, pretrained):
        trained.append((spatial, folder.name, len(samples.train), pretrained))
        name = "celltrack rcnn" if spatial else "without spatial head"
        return results.TestedModel(name, tiny_model(), result, result)

    monkeypatch.setattr(RCNNExperiment, "_train_one", train_one)
    experiment(tmp_path / "run", spatial=(True, False)).train()
    assert trained == [(True, "spatial", 10, {}), (False, "no-spatial", 10, {})]
    rows = rows_of(tmp_path / "run" / "results.csv")
    assert [row["model"] for row in rows] == ["celltrack rcnn"] * 4 + ["without spatial head"] * 4


@pytest.mark.slow
def test_both_networks_of_table_1_are_trained(tmp_path, one_layer):
    experiment(tmp_path, spatial=(True, False)).train()
    for name in ("spatial", "no-spatial"):
        for picture_name in PICTURES:
            assert (tmp_path / name / f"{picture_name}.png").stat().st_size > 10_000
        model = load_model(tmp_path / name / "model.safetensors")
        assert model.network.spatial == (name == "spatial")
    assert len(rows_of(tmp_path / "results.csv")) == 8


def test_frames_are_brought_to_the_diameter_that_the_network_wants(tmp_path):
    data = RCNNData(simulation=NUCLEI, movies=3, window=64, stride=64, diameter=10.0, cells=12)
    samples = load_windows(data, cache=tmp_path, seed=0)
    assert samples.scale == pytest.approx(10.0 / samples.diameter)
    assert samples.scale != 1
    assert [len(part) for part in samples.images] == [6, 6, 6]
    assert len(samples.train_pairs) == len(samples.validation_pairs) == 5
    assert len(samples.validation) > 0


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"spatial": ()}, "spatial is .*name True, False, or both"),
        ({"spatial": (True, True)}, "spatial is .*name True, False, or both"),
        ({"phases": ()}, "phases is .*name at least one"),
        (
            {"augmentation": WindowAugmentation(crop=48)},
            "augmentation.crop is 48; it must be a multiple of 32",
        ),
        (
            {"augmentation": WindowAugmentation(crop=96)},
            "augmentation.crop is 96; it must be at most data.window, which is 64",
        ),
    ],
)
def test_settings_that_contradict_each_other_are_refused(tmp_path, changes, words):
    with pytest.raises(InputError, match=words):
        experiment(tmp_path, **changes).train()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: RCNNData(window=32, stride=48), "stride is 48; windows of 32 pixels must not leave gaps"),
        (lambda: RCNNData(movies=2), "movies is 2"),
        (lambda: RCNNData(cells=255), "cells is 255"),
        (lambda: RCNNNetwork(channels=0), "channels is 0"),
        (lambda: RCNNNetwork(neighbours=0), "neighbours is 0"),
        (lambda: RCNNNetwork(anchor_sizes=(8.0, 16.0, 32.0, 64.0, 0.0)), "anchor_sizes"),
    ],
)
def test_numbers_out_of_range_are_refused(make, words):
    with pytest.raises(InputError, match=words):
        make()


def test_weights_of_another_backbone_are_refused_before_anything_is_done(tmp_path):
    weights = imported(tmp_path / "w.safetensors", "mobilenet-v2-0.5")
    with pytest.raises(
        InputError, match=r"w\.safetensors holds mobilenet-v2-0\.5, but this network takes"
    ) as refused:
        experiment(tmp_path / "run", weights=weights).train()
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "run" / "data").exists()


def test_a_random_backbone_is_neither_frozen_nor_are_its_statistics_fixed(tmp_path):
    phase = Phase(steps=2, frozen=(BACKBONE_PATH, "network/visual_head"), fixed_statistics=(BACKBONE_PATH,))
    (random,) = experiment(tmp_path, phases=(phase,))._phases()
    assert random == Phase(steps=2, frozen=("network/visual_head",))
    pretrained = experiment(tmp_path, phases=(phase,), weights=tmp_path / "w.safetensors")
    assert pretrained._phases() == (phase,)


def test_the_experiments_of_table_1_differ_in_the_spatial_head():
    heads = {name: entry.experiment.spatial for name, entry in EXPERIMENTS.items()}
    assert heads == {
        "celltrack-rcnn": (True,),
        "celltrack-rcnn-no-spatial": (False,),
        "celltrack-rcnn-table-1": (True, False),
        "celltrack-rcnn-paper": (True,),
    }
    paper = PAPER.network.module(spatial=True, dtype=None)
    assert paper.detector.fpn.channels == 256
    assert paper.detector.anchor_sizes == (32.0, 64.0, 128.0, 256.0, 512.0)
    assert paper.embedding_width == 256
    assert dataclasses.replace(PAPER, spatial=(False,)).spatial == (False,)


def test_a_model_file_may_be_written_over(tmp_path):
    for scale in (1.0, 2.0):
        save_model(tmp_path / "model.safetensors", tiny_model(scale=scale))
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]
