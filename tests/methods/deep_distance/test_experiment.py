"""The whole experiment on a few simulated nuclei: files, results, resumption, refusals."""

import csv
import dataclasses
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tifffile

from cellmotion_jax.data.downsampling import downsampling_for
from cellmotion_jax.data.simulate import Look, Simulation, simulate, write_simulation
from cellmotion_jax.errors import InputError
from cellmotion_jax.inference.tiling import Tiling
from cellmotion_jax.methods.deep_distance.augmentation import TileAugmentation
from cellmotion_jax.methods.deep_distance.cells import find_cells
from cellmotion_jax.methods.deep_distance.data import NETWORK_DIAMETER, DeepDistanceData
from cellmotion_jax.methods.deep_distance.experiment import (
    NO_AUGMENTATION,
    DeepDistanceExperiment,
    DeepDistanceNetwork,
)
from cellmotion_jax.methods.deep_distance.model_file import load_model
from cellmotion_jax.methods.deep_distance.objective import DeepDistanceObjective
from cellmotion_jax.metrics import IOU_THRESHOLDS
from cellmotion_jax.metrics.annotation import known_cells
from cellmotion_jax.models.deep_distance import DistanceMaps, DistanceOutputs, Table2, Task
from cellmotion_jax.morphology import distance_targets, inner_distance
from cellmotion_jax.training.config import AdaDelta, Phase, Run

NUCLEI = Simulation(look=Look.NUCLEI, frames=4, cells=8, height=160, width=160)
MODELS = (Table2.deep_distance_extended, Table2.multi_classification_boundary)


@pytest.fixture(scope="module")
def other_cells(tmp_path_factory):
    """A dataset that is not trained on."""
    folder = tmp_path_factory.mktemp("other") / "cells"
    write_simulation(simulate(dataclasses.replace(NUCLEI, seed=99)), folder)
    return folder


def experiment(folder, **changes) -> DeepDistanceExperiment:
    settings = {
        "models": MODELS[:1],
        "network": DeepDistanceNetwork(base_width=2, depth=1),
        "data": DeepDistanceData(simulation=NUCLEI, movies=3, tile=64, stride=64, downsample=1),
        "phases": (Phase(steps=6),),
        "tiling": Tiling(tile=128, margin=16),
        "run": Run(batch_size=2, log_every=2, evaluate_every=3, checkpoint_every=3, folder=folder),
        **changes,
    }
    return DeepDistanceExperiment(**settings)


@pytest.fixture(scope="module")
def finished(tmp_path_factory, other_cells):
    folder = tmp_path_factory.mktemp("run")
    made = experiment(folder, models=MODELS)
    dataclasses.replace(made, data=dataclasses.replace(made.data, independent=(other_cells,))).train()
    return folder


def test_every_model_is_tested_on_every_part_by_every_rule(finished):
    assert (finished / "summary.md").read_text().startswith("```\n")
    with (finished / "results.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    seen = {(row["model"], row["part"], row["rule"]) for row in rows}
    outlines = [f"outlines, IoU {threshold:g}" for threshold in IOU_THRESHOLDS]
    rules = {"deep distance extended": outlines, "multi classification boundary": []}
    assert seen == {
        (name, part, rule)
        for name, more in rules.items()
        for part in ("validation", "test", "cells")
        for rule in ("one-to-one", "optimal", *more)
    }
    for row in rows:
        counts = [int(row[name]) for name in ("TP", "FP", "FN")]
        assert float(row["F"]) == pytest.approx(
            2 * counts[0] / max(1, 2 * counts[0] + sum(counts[1:])), abs=1e-4
        )
        assert int(row["images"]) == (1 if row["part"] == "cells" else 4)


def test_every_model_leaves_its_file_log_and_pictures(finished):
    assert (finished / "models.png").stat().st_size > 10_000
    for model in MODELS:
        folder = finished / model.name.replace("_", "-")
        pictures = [
            f"cells-{part}-{what}" for part in ("validation", "test") for what in ("worst", "typical")
        ]
        for picture in ("curves", "parameter", *pictures):
            assert (folder / f"{picture}.png").stat().st_size > 10_000
        with (folder / "metrics.csv").open() as stream:
            metrics = {row["metric"] for row in csv.DictReader(stream) if row["split"] == "validation"}
        assert metrics == {"loss", *(task.value for task in model.value.tasks)}


def test_other_cells_are_checked_before_anything_is_trained(tmp_path, other_cells):
    made = experiment(tmp_path / "run")

    def with_independent(*roots):
        return dataclasses.replace(made, data=dataclasses.replace(made.data, independent=roots))

    with pytest.raises(InputError, match="a part 'cells' already"):
        with_independent(other_cells, other_cells).train()
    colours = tmp_path / "colours"
    for name, picture in (("images", np.zeros((20, 20, 3), np.uint8)), ("masks", np.eye(20, dtype=np.uint8))):
        (colours / name).mkdir(parents=True)
        for number in range(3):
            kind = {"photometric": "rgb"} if picture.ndim == 3 else {}
            tifffile.imwrite(colours / name / f"{number}.tif", picture, **kind)
    with pytest.raises(InputError, match=r"images/\d.tif has 3 channels"):
        with_independent(colours).train()
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_the_file_of_a_model_finds_cells_by_itself(finished):
    model = load_model(finished / "deep-distance-extended" / "model.safetensors")
    image = np.random.default_rng(0).normal(size=(70, 50, 1))
    cells = find_cells(model, image, segment=True, tiling=Tiling(tile=64, margin=8))
    assert cells.maps.inner.shape == cells.labels.shape == (70, 50)
    assert model.network.tasks == (Task.inner, Task.outer, Task.classification)
    assert model.cell_diameter > 5


@pytest.mark.slow
def test_a_run_cut_short_goes_on_to_the_same_bits(tmp_path):
    """All checkpoints but the first are taken away, as if the run had been killed after it."""
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    experiment(whole).train()
    shutil.copytree(whole, cut)
    for path in (cut / "checkpoints").glob("00000006*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    (cut / "model.safetensors").unlink()
    experiment(cut).train()
    for name in ("model.safetensors", "results.csv", "metrics.csv"):
        assert (cut / name).read_bytes() == (whole / name).read_bytes(), name


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"models": ()}, "models is .*name at least one"),
        ({"phases": ()}, "phases is .*name at least one"),
        (
            {"network": DeepDistanceNetwork(depth=3), "data": DeepDistanceData(tile=100)},
            "data.tile is 100.*multiple of 8",
        ),
        ({"data": DeepDistanceData(movies=2)}, "movies is 2"),
        (
            {"network": DeepDistanceNetwork(depth=5), "tiling": Tiling(tile=96, margin=40)},
            "cannot go on by 32",
        ),
    ],
)
def test_settings_that_cannot_be_are_refused(tmp_path, changes, words):
    with pytest.raises(InputError, match=words):
        experiment(tmp_path, **changes).train()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: DeepDistanceNetwork(base_width=0), "base_width is 0"),
        (lambda: DeepDistanceNetwork(dropout=1.0), "dropout is 1.0"),
        (lambda: DeepDistanceData(stride=0), "stride is 0"),
        (lambda: TileAugmentation(noise=-0.1), "noise is -0.1"),
        (lambda: DeepDistanceObjective(outer=-1.0), "outer is -1.0"),
        (lambda: DeepDistanceObjective(inner=float("nan")), "inner is nan"),
    ],
)
def test_numbers_out_of_range_are_refused(make, words):
    with pytest.raises(InputError, match=words):
        make()


def test_the_loss_is_the_weighted_sum_over_the_tasks_there_are_and_pixels_that_are_known():
    raw = DistanceMaps(inner=jnp.full((1, 2, 2), 0.5), classification=jnp.zeros((1, 2, 2)))
    known = jnp.array([[[True, True], [False, False]]])
    nothing = jnp.full((1, 2, 2), jnp.nan)
    batch = {
        "annotated": known,
        "inner": jnp.where(known, jnp.array([[[1.0, 0.0], [0.0, 0.0]]]), nothing),
        "classification": jnp.where(known, jnp.array([[[1.0, 1.0], [0.0, 0.0]]]), nothing),
    }
    loss, terms = DeepDistanceObjective(inner=2.0)(DistanceOutputs(maps=raw, raw=raw), batch)
    assert {name: float(value) for name, value in terms.items()} == {"inner": 0.25, "classification": 0.25}
    assert float(loss) == pytest.approx(2 * 0.25 + 0.1 * 0.25)


def test_augmentation_moves_all_maps_as_one_and_lights_the_image_alone():
    numbers = jnp.arange(4 * 36, dtype=jnp.float32).reshape(4, 6, 6)
    batch = dict.fromkeys(("inner", "outer", "classification", "boundary"), numbers)
    batch |= {"image": numbers[..., None], "annotated": numbers % 3 == 0, "name": jnp.arange(4)}
    light = TileAugmentation(rotation=0.0, scale=0.0, contrast=0.2, brightness=0.1, noise=0.0)
    moved = jax.jit(light.__call__)(jax.random.key(3), batch)
    np.testing.assert_array_equal(moved["annotated"], moved["inner"] % 3 == 0)
    np.testing.assert_array_equal(moved["outer"], moved["inner"])
    np.testing.assert_array_equal(moved["name"], batch["name"])
    for before, after, image in zip(numbers, moved["inner"], moved["image"][..., 0]):
        positions = [np.rot90(flipped, turns) for flipped in (before, before.T) for turns in range(4)]
        assert any(np.array_equal(after, position) for position in positions)
        gain, shift = np.polyfit(np.ravel(after), np.ravel(image), 1)
        np.testing.assert_allclose(image, gain * after + shift, atol=1e-3)
        assert np.exp(-0.2) <= gain <= np.exp(0.2)


def test_all_eight_positions_occur():
    image = jnp.arange(4.0).reshape(1, 2, 2)
    batch = dict.fromkeys(TileAugmentation.MAPS, image) | {"image": image[..., None]}
    still = dataclasses.replace(NO_AUGMENTATION, turns=True)
    moved = jax.jit(jax.vmap(lambda key: still(key, batch)["inner"]))(
        jax.random.split(jax.random.key(0), 100)
    )
    assert len(np.unique(np.asarray(moved).reshape(100, 4), axis=0)) == 8


def test_without_augmentation_nothing_changes():
    image = jax.random.normal(jax.random.key(1), (2, 4, 4))
    batch = dict.fromkeys(TileAugmentation.MAPS, image) | {"image": image[..., None]}
    for name, value in jax.jit(NO_AUGMENTATION.__call__)(jax.random.key(2), batch).items():
        np.testing.assert_array_equal(value, batch[name])


turned = jax.jit(
    dataclasses.replace(NO_AUGMENTATION, rotation=1.0, scale=0.4).__call__, static_argnames="squared"
)


@pytest.mark.parametrize(("seed", "squared"), [(0, False), (1, False), (2, True)])
def test_a_cell_of_another_scale_has_the_distances_of_that_scale(seed, squared):
    y, x = np.mgrid[:97, :97]
    disc = ((y - 48) ** 2 + (x - 48) ** 2 < 20**2).astype(int)
    targets = distance_targets(disc)._replace(inner=inner_distance(disc, squared=squared))
    maps = {name: jnp.asarray(value[None], jnp.float32) for name, value in targets._asdict().items()}
    batch = maps | {"image": maps["outer"][..., None], "annotated": jnp.ones((1, 97, 97), bool)}
    moved = jax.tree.map(
        lambda leaf: np.asarray(leaf[0]), turned(jax.random.key(seed), batch, squared=squared)
    )
    radius = 20 * np.sqrt((moved["outer"] > 0.02).sum() / (targets.outer > 0.02).sum())
    assert not 19.5 < radius < 20.5
    distance = np.hypot(y - 48, x - 48)
    inside = (distance > 3) & (distance < radius - 2)
    np.testing.assert_allclose(
        moved["inner"][inside], 1 / (1 + 0.1 * distance[inside] ** (1 + squared)), atol=0.03
    )
    np.testing.assert_allclose(moved["outer"][inside], (1 - distance / radius)[inside], atol=0.08)
    # A turn or a smaller scale brings corners in of which nothing is known.
    assert moved["annotated"][48, 48]
    assert not moved["annotated"].all()


def test_cells_beyond_what_is_annotated_are_not_judged():
    labels = np.array([[1, 1, 2, 2, 2, 3]])
    annotated = np.array([[True, False, False, False, True, False]])
    assert known_cells(labels, annotated).tolist() == [[1, 1, 0, 0, 0, 0]]


def test_downsampling_brings_cells_near_to_the_size_the_network_sees():
    shrinks = [downsampling_for(diameter, NETWORK_DIAMETER) for diameter in (4.0, 26.0, 59.0, 71.0, 114.0)]
    assert shrinks == [1, 1, 2, 2, 4]


def test_adadelta_follows_its_rate():
    optimizer = AdaDelta().build(lambda step: jnp.where(step < 1, 1.0, 0.0))
    params = {"x": jnp.ones(3)}
    state = optimizer.init(params)
    first, state = optimizer.update({"x": jnp.ones(3)}, state, params)
    second, _ = optimizer.update({"x": jnp.ones(3)}, state, params)
    assert np.all(np.asarray(first["x"]) < 0)
    assert np.all(np.asarray(second["x"]) == 0)
