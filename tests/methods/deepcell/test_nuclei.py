"""Probabilities do not depend on tiles, nuclei are where they are, and unusable input is named."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cellmotion_jax.errors import InputError
from cellmotion_jax.methods.deepcell.nuclei import (
    DeepCellEnsemble,
    NucleiSettings,
    find_nuclei,
    label_nuclei,
    load_published_ensemble,
    predict_probabilities,
)
from cellmotion_jax.metrics import segmentation_counts
from cellmotion_jax.models.feature_net import (
    INTERIOR,
    Conv,
    FeatureMaps,
    FeatureNet,
    Pool,
    ensemble_probabilities,
)
from cellmotion_jax.ops import local_contrast
from cellmotion_jax.weights.convert import import_weights

CENTRES = np.array([[1.0, 20.0], [20.0, 63.0], [38.0, 15.0], [42.0, 48.0]])
SHAPE = (50, 70)
CHEAP = {"xla_backend_optimization_level": 0}


class Brightness(FeatureNet):
    """Not trained and right on bright blobs."""

    def __call__(self, images, *, train, layers=None, stride=1):
        rim = self.receptive_field // 2
        inside = images[:, rim:-rim:stride, rim:-rim:stride]
        logits = 8 * (inside - 0.5) * jnp.array([0.0, 1.0, -1.0])[None, None, None]
        return FeatureMaps(logits, ())


def bright(*, members=2):
    net = Brightness((Conv(30, 1), Pool()))
    return DeepCellEnsemble(network=net, variables={"nothing": {"at_all": jnp.zeros((members, 1))}})


@functools.cache
def tiny_ensemble():
    net = FeatureNet((Conv(2, 3), Pool(), Conv(3, 4), Conv(2, 4)), dense_width=6)
    shapes = jax.eval_shape(lambda: net.init(jax.random.key(0), jnp.zeros((1, 9, 9, 1)), train=False))
    rng = np.random.default_rng(0)

    def draw(leaf):
        kernel = leaf.ndim > 1
        return jnp.asarray(rng.uniform(-0.5 if kernel else 0.2, 0.5, (2, *leaf.shape)), jnp.float32)

    variables = jax.tree.map(draw, shapes)
    return DeepCellEnsemble(network=net, variables=variables)


def image_of_nuclei(scale=1):
    rows, columns = np.mgrid[: SHAPE[0] * scale, : SHAPE[1] * scale] / scale
    distance = np.min([np.hypot(rows - y, columns - x) for y, x in CENTRES], axis=0)
    return (1000 + 2000 * (distance < 6.2)).astype(np.uint16)[..., None]


@pytest.mark.parametrize("stride", [1, 2])
def test_probabilities_are_those_of_the_whole_mirrored_image_however_it_is_cut(stride):
    ensemble, settings = tiny_ensemble(), NucleiSettings(stride=stride)
    image = np.random.default_rng(1).gamma(2, 100, (41, 37, 1))
    tiled = predict_probabilities(ensemble, image, settings=settings, tile=24)
    np.testing.assert_allclose(tiled.sum(-1), 1, atol=1e-5)
    rim = ensemble.network.receptive_field // 2
    normalised = jax.jit(local_contrast, static_argnames="window", compiler_options=CHEAP)
    contrast = normalised(jnp.asarray(image, jnp.float32), window=2 * rim + 1)
    mirrored = jnp.pad(contrast, ((rim, rim), (rim, rim), (0, 0)), mode="symmetric")
    direct = jax.jit(ensemble_probabilities, static_argnums=0, compiler_options=CHEAP)(
        ensemble.network, ensemble.variables, mirrored[None]
    )[0]
    assert direct.shape == tiled.shape
    assert np.all(np.ptp(direct, axis=(0, 1)) > 0.02)
    np.testing.assert_allclose(tiled[::stride, ::stride], direct[::stride, ::stride], atol=1e-5)
    between = (tiled[:-2:2, ::stride] + tiled[2::2, ::stride]) / 2
    assert np.allclose(tiled[1:-1:2, ::stride], between, atol=1e-5) == (stride == 2)


@pytest.mark.parametrize(("stride", "downsample"), [(1, 1), (2, 1), (1, 3)])
def test_nuclei_are_found_where_they_are(stride, downsample):
    image = image_of_nuclei(downsample)
    nuclei = find_nuclei(bright(), image, settings=NucleiSettings(stride=stride, downsample=downsample))
    assert nuclei.labels.dtype == np.int32
    assert nuclei.labels.shape == image.shape[:2]
    assert sorted(np.unique(nuclei.labels)) == [0, 1, 2, 3, 4]
    # The first one is cut by the border of the image; reading order is that of the first pixels.
    expected = (CENTRES + 0.5) * downsample - 0.5
    np.testing.assert_allclose(nuclei.points[1:], expected[1:], atol=downsample)
    for label, (y, x) in enumerate(nuclei.points, start=1):
        assert nuclei.labels[round(float(y)), round(float(x))] == label
        np.testing.assert_allclose(
            np.argwhere(nuclei.labels == label).mean(0), (y, x), atol=0.01 * downsample
        )


def test_signed_numbers_stored_as_unsigned_make_no_difference():
    image = image_of_nuclei()
    plain = predict_probabilities(bright(), image)
    np.testing.assert_allclose(predict_probabilities(bright(), image + np.uint16(32768)), plain, atol=1e-4)
    told = predict_probabilities(bright(), image + np.uint16(500), settings=NucleiSettings(offset=500.0))
    np.testing.assert_allclose(told, plain, atol=1e-4)
    untold = predict_probabilities(bright(), image + np.uint16(20000))
    assert untold[..., INTERIOR].max() < plain[..., INTERIOR].max() - 0.2


def test_an_image_without_nuclei_has_none():
    nuclei = find_nuclei(bright(), np.full((*SHAPE, 1), 7))
    assert nuclei.points.shape == (0, 2)
    assert not nuclei.labels.any()


def test_two_nuclei_with_a_dim_bridge_share_it_and_specks_are_no_nuclei():
    interior = np.zeros((12, 30), np.float32)
    interior[2:9, 2:10] = interior[2:9, 13:22] = 0.95
    interior[2:9, 10:13] = 0.5
    interior[10, 25:29] = 0.95
    labels = label_nuclei(interior)
    assert labels.max() == 2
    assert np.all(labels[2:9, 2:22] > 0)
    assert labels[5, 5] == 1
    assert labels[5, 18] == 2
    assert not labels[10].any()
    with_speck = label_nuclei(interior, settings=NucleiSettings(smallest=4))
    assert with_speck[10, 26] == 3
    apart = label_nuclei(interior, settings=NucleiSettings(extent=0.6))
    assert not apart[:, 10:13].any()


def test_what_cannot_be_used_is_refused():
    image = image_of_nuclei()
    with pytest.raises(InputError, match="the image has 2 channels"):
        predict_probabilities(bright(), np.repeat(image, 2, axis=-1))
    with pytest.raises(InputError, match="half of the image is not above 5000; the offset is"):
        predict_probabilities(bright(), image, settings=NucleiSettings(offset=5000.0))
    with pytest.raises(InputError, match="stride is 3; it must be one of 1, 2, 4, 8"):
        predict_probabilities(bright(), image, settings=NucleiSettings(stride=3))
    with pytest.raises(InputError, match=r"extent is 0\.5; nuclei grow from probabilities of 0\.3"):
        NucleiSettings(seed=0.3, extent=0.5)
    with pytest.raises(InputError, match="smallest is 0; it must be a whole number from 1"):
        NucleiSettings(smallest=0)
    with pytest.raises(InputError, match="at least one network"):
        load_published_ensemble([])


@pytest.mark.real_data
def test_published_networks_find_nuclei_that_they_were_not_trained_on(real_weights, real_data, tmp_path):
    from cellmotion_jax.data.ctc import open_dataset

    files = sorted((real_weights / "deepcell2016").glob("*nuclei*.h5"))[:2]
    outs = [tmp_path / f"{number}.safetensors" for number in range(2)]
    for file, out in zip(files, outs):
        import_weights(file, model="deepcell-nuclei-61x61", out=out)
    ensemble = load_published_ensemble(outs)
    assert ensemble.variables["params"]["conv1"]["kernel"].shape == (2, 3, 3, 1, 64)
    sequence = open_dataset(real_data / "Fluo-N2DL-HeLa" / "01")[0]
    part = (slice(370, 490), slice(480, 600))
    nuclei = find_nuclei(ensemble, sequence.movie[45][part][..., None], settings=NucleiSettings(stride=4))
    counts = segmentation_counts(nuclei.labels, sequence.silver_mask(45)[part], thresholds=(0.5,))
    assert counts.true_positives[0] >= 4
    assert counts.false_positives[0] + counts.false_negatives[0] <= 2


@pytest.mark.real_data
def test_networks_of_different_kinds_are_no_ensemble(real_weights, tmp_path):
    folder, outs = real_weights / "deepcell2016", [tmp_path / "a", tmp_path / "b"]
    for pattern, model, out in zip(("nuclei", "ecoli"), ("nuclei-61x61", "ecoli-31x31"), outs):
        import_weights(next(folder.glob(f"*{pattern}*_0.h5")), model=f"deepcell-{model}", out=out)
    with pytest.raises(InputError, match=r"b holds deepcell-ecoli-31x31, but .*a deepcell-nuclei-61x61"):
        load_published_ensemble(outs)
