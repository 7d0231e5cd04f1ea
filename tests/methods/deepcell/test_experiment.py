"""Feature nets learn classes of pixels: both samplings, replicates, their files, refusals."""

import csv
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cellmotion_jax.data.simulate import Look, Simulation
from cellmotion_jax.errors import InputError
from cellmotion_jax.methods.deepcell.augmentation import PixelAugmentation
from cellmotion_jax.methods.deepcell.data import DeepCellData, Sampling
from cellmotion_jax.methods.deepcell.evaluation import class_counts
from cellmotion_jax.methods.deepcell.experiment import DeepCellExperiment, Field, StridedFeatureNet
from cellmotion_jax.methods.deepcell.model_file import DeepCellModel, load_ensemble, save_model
from cellmotion_jax.methods.deepcell.nuclei import DeepCellEnsemble, NucleiSettings, find_nuclei
from cellmotion_jax.methods.deepcell.objective import DeepCellObjective
from cellmotion_jax.models.feature_net import Conv, FeatureMaps, FeatureNet, Pool
from cellmotion_jax.training.config import Phase, Run

NUCLEI = Simulation(look=Look.NUCLEI, frames=4, cells=4, height=96, width=96)
CHEAP = {"xla_backend_optimization_level": 0}
TINY = (Conv(2, 3), Pool(), Conv(3, 4), Conv(2, 4))


@pytest.fixture(scope="module", autouse=True)
def tiny_networks():
    """Networks of a thousandth of the size, which compile in a fraction of the time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Field.px31, "_value_", TINY)
        yield


def experiment(folder, **changes) -> DeepCellExperiment:
    data = {
        "simulation": NUCLEI,
        "movies": 3,
        "tile": 16,
        "stride": 2,
        "downsample": 2,
        **changes.pop("data", {}),
    }
    settings = {
        "data": DeepCellData(**data),
        "phases": (Phase(steps=4),),
        "run": Run(batch_size=4, log_every=2, evaluate_every=2, checkpoint_every=2, folder=folder),
        **changes,
    }
    return DeepCellExperiment(**settings)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    experiment(folder, replicates=2).train()
    return folder


def test_replicates_and_their_ensemble_are_tested_on_both_parts(finished):
    assert (finished / "summary.md").read_text().startswith("```\n")
    with (finished / "results.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    networks = ("replicate 0", "replicate 1", "ensemble of 2")
    assert {(row["network"], row["part"]) for row in rows} == {
        (network, part) for network in networks for part in ("validation", "test")
    }
    kinds = {row["what"] for row in rows}
    assert {"boundary", "interior", "background", "one-to-one", "outlines, IoU 0.5"} <= kinds
    for part in ("validation", "test"):
        for what in ("worst", "typical"):
            assert (finished / f"nuclei-{part}-{what}.png").stat().st_size > 10_000


def test_the_files_of_the_replicates_make_an_ensemble(finished):
    files = [finished / f"replicate{i}" / "model.safetensors" for i in range(2)]
    ensemble, settings = load_ensemble(files)
    kernels = ensemble.variables["params"]["conv1"]["kernel"]
    assert kernels.shape == (2, 2, 2, 1, 3)
    assert not np.array_equal(kernels[0], kernels[1])
    assert (settings.downsample, settings.stride) == (2, 2)
    image = np.random.default_rng(0).gamma(2, 100, (60, 70, 1))
    assert find_nuclei(ensemble, image, settings=settings).labels.shape == (60, 70)


@pytest.mark.slow
def test_balanced_pixels_train_the_same_network(tmp_path):
    data = {"sampling": Sampling.balanced, "pixels_per_class": 20}
    experiment(tmp_path, data=data, phases=(Phase(steps=1),)).train()
    ensemble, _ = load_ensemble([tmp_path / "model.safetensors"])
    assert ensemble.variables["params"]["conv1"]["kernel"].shape == (1, 2, 2, 1, 3)


def test_training_answers_are_those_of_the_network_at_its_stride():
    images = jax.random.normal(jax.random.key(0), (1, 14, 15, 1))
    plain, strided = FeatureNet(TINY), StridedFeatureNet(TINY, stride=2)
    init = jax.jit(lambda: strided.init(jax.random.key(1), images, train=False), compiler_options=CHEAP)
    variables = init()

    def answers(network):
        apply = functools.partial(network.apply, train=False)
        return jax.jit(apply, compiler_options=CHEAP)(variables, images).logits

    every, second = answers(plain), answers(strided)
    np.testing.assert_allclose(second, every[:, ::2, ::2], atol=1e-5)


def test_the_loss_weighs_classes_and_counts_what_is_annotated_under_the_answers():
    rng = np.random.default_rng(0)
    logits = jnp.asarray(rng.normal(size=(1, 2, 2, 3)), jnp.float32)
    target = jnp.asarray(rng.integers(0, 3, (1, 8, 8)))
    annotated = jnp.ones((1, 8, 8), bool).at[0, 2, 4].set(False)
    weights = (2.0, 1.0, 0.5)
    objective = DeepCellObjective(margin=2, stride=2, weights=weights)
    loss, terms = objective(FeatureMaps(logits, ()), {"target": target, "annotated": annotated})
    log = np.log(jax.nn.softmax(logits))[0]
    places = [(0, 0), (1, 0), (1, 1)]  # (0, 1) is the answer for (2, 4).
    classes = [int(target[0, 2 + 2 * y, 2 + 2 * x]) for y, x in places]
    expected = [-weights[it] * log[y, x, it] for it, (y, x) in zip(classes, places)]
    assert float(loss) == pytest.approx(np.mean(expected), rel=1e-5)
    wrong = [weights[it] * (it != int(np.argmax(log[y, x]))) for it, (y, x) in zip(classes, places)]
    assert float(terms["balanced_error_rate"]) == pytest.approx(
        sum(wrong) / sum(weights[it] for it in classes), rel=1e-5
    )


def test_augmentation_turns_all_maps_as_one_and_scales_the_image():
    numbers = jnp.arange(3 * 25, dtype=jnp.float32).reshape(3, 5, 5)
    batch = {"image": numbers[..., None], "target": numbers.astype(int), "annotated": numbers % 3 == 0}
    moved = jax.jit(PixelAugmentation(contrast=0.2).__call__)(jax.random.key(2), batch)
    np.testing.assert_array_equal(moved["annotated"], moved["target"] % 3 == 0)
    gains = moved["image"][..., 0] / jnp.maximum(moved["target"], 1)
    for gain in gains.reshape(3, 25)[1:]:
        assert np.ptp(gain) < 1e-4
        assert np.exp(-0.2) <= gain[0] <= np.exp(0.2)
    still = jax.jit(PixelAugmentation(turns=False, contrast=0.0).__call__)(jax.random.key(2), batch)
    np.testing.assert_array_equal(still["image"], batch["image"])


def test_pixels_of_each_class_are_counted():
    probabilities = np.eye(3, dtype=np.float32)[[0, 0, 1, 2, 2]]
    counts = class_counts(probabilities, np.array([0, 1, 1, 2, 0], np.uint8))
    assert [int(it) for it in counts["boundary"]] == [1, 1, 1]
    assert [int(it) for it in counts["interior"]] == [1, 0, 1]
    assert [int(it) for it in counts["background"]] == [1, 1, 0]


def tiny_file(path, *, layers=TINY, **settings):
    network = FeatureNet(layers)
    side = network.receptive_field
    shapes = jax.eval_shape(
        lambda: network.init(jax.random.key(0), jnp.zeros((1, side, side, 1)), train=False)
    )
    variables = jax.tree.map(lambda leaf: np.ones(leaf.shape, np.float32), shapes)
    model = DeepCellModel(network=network, variables=variables, settings=NucleiSettings(**settings))
    save_model(path, model)
    return path


def test_a_network_comes_back_as_it_was(tmp_path):
    path = tiny_file(tmp_path / "one.safetensors", downsample=3, seed=0.6, extent=0.1)
    ensemble, settings = load_ensemble([path])
    assert isinstance(ensemble, DeepCellEnsemble)
    assert ensemble.network == FeatureNet(TINY)
    assert settings == NucleiSettings(downsample=3, seed=0.6, extent=0.1)


def test_files_that_make_no_ensemble_are_refused(tmp_path):
    first = tiny_file(tmp_path / "one.safetensors")
    other = tiny_file(tmp_path / "other.safetensors", layers=(Conv(3, 2), Pool(), Conv(2, 2)))
    with pytest.raises(InputError, match="needs the weights of at least one"):
        load_ensemble([])
    with pytest.raises(InputError, match="holds another network"):
        load_ensemble([first, other])
    with pytest.raises(InputError, match="does not exist; it should be a safetensors"):
        load_ensemble([tmp_path / "none.safetensors"])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: DeepCellData(tile=0), "tile is 0"),
        (lambda: DeepCellData(pixels_per_class=0), "pixels_per_class is 0"),
        (lambda: DeepCellData(boundary_width=0.5), "boundary_width is 0.5"),
        (lambda: PixelAugmentation(contrast=-1.0), "contrast is -1.0"),
        (lambda: DeepCellExperiment(phases=()), "phases is .*name at least one"),
        (lambda: DeepCellExperiment(replicates=0), "replicates is 0"),
        (lambda: DeepCellExperiment(data=DeepCellData(stride=4)), "data.stride is 4; it is at most 2"),
    ],
)
def test_settings_that_cannot_be_are_refused(make, words):
    with pytest.raises(InputError, match=words):
        make()
