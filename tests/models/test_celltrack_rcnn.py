"""The tracking branch embeds every cell once and compares all pairs; places are scaled before."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cellmotion_jax.errors import InputError
from cellmotion_jax.models.celltrack_rcnn import CellEmbeddings, CellTrackRCNN
from tests.rcnn_models import tiny_network

NETWORK, VARIABLES = tiny_network()
RNG = np.random.default_rng(0)
FEATURES = RNG.normal(size=(2, 3, 7, 7, 4)).astype(np.float32)
OFFSETS = RNG.normal(0, 50, (2, 3, 4, 2)).astype(np.float32)


def embed(features=FEATURES, offsets=OFFSETS, network=NETWORK, variables=VARIABLES):
    return network.apply(variables, jnp.asarray(features), jnp.asarray(offsets), method="embed")


def compare(earlier, later, network=NETWORK, variables=VARIABLES):
    return network.apply(variables, earlier, later, method="compare")


def dense(head, layer, x):
    weights = VARIABLES["params"][f"{head}_head"][layer]
    return x @ weights["kernel"] + weights["bias"]


def test_embeddings_follow_the_formula():
    found = embed()
    assert found.visual.shape == found.spatial.shape == (2, 3, 8)
    visual = dense("visual", "embedding", FEATURES.reshape(2, 3, -1))
    np.testing.assert_allclose(found.visual, visual, rtol=1e-4, atol=1e-5)
    places = (OFFSETS / np.array(NETWORK.place_unit, np.float32)).reshape(2, 3, -1)
    np.testing.assert_allclose(found.spatial, dense("spatial", "embedding", places), rtol=1e-4, atol=1e-5)


def test_offsets_are_divided_by_the_unit_along_each_axis():
    units = OFFSETS * np.array([1.0, 3.0], np.float32)
    wide = NETWORK.clone(place_unit=(NETWORK.place_unit[0], 3 * NETWORK.place_unit[1]))
    found = embed(offsets=units, network=wide).spatial
    np.testing.assert_allclose(found, embed().spatial, rtol=1e-5, atol=1e-5)


def test_all_pairs_are_compared_by_both_heads():
    cells = embed()
    earlier, later = (CellEmbeddings(*(leaf[frame] for leaf in cells)) for frame in (0, 1))
    scores = compare(earlier, later)
    for head, found, one, other in zip(("visual", "spatial"), scores, earlier, later):
        expected = dense(head, "similarity", np.abs(one[:, None] - other[None]))[..., 0]
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    # With a batch of both orders at once.
    both = jax.tree.map(lambda first, second: jnp.stack([first, second]), earlier, later)
    turned = jax.tree.map(lambda first, second: jnp.stack([second, first]), earlier, later)
    for alone, together in zip(scores, compare(both, turned)):
        np.testing.assert_allclose(together[0], alone, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(together[1], alone.T, rtol=1e-5, atol=1e-5)


def test_without_a_spatial_head_places_do_not_matter():
    network, variables = tiny_network(spatial=False)
    assert set(VARIABLES["params"]) - set(variables["params"]) == {"spatial_head"}
    found = embed(offsets=np.full_like(OFFSETS, np.nan), network=network, variables=variables)
    assert found.spatial is None
    scores = compare(found, found, network, variables)
    assert scores.spatial is None
    assert np.isfinite(scores.visual).all()


def test_images_of_odd_sides_are_refused():
    with pytest.raises(ValueError, match=r"\(1, 64, 65, 3\) must have sides that are multiples of 32"):
        jax.eval_shape(lambda: NETWORK.apply(VARIABLES, jnp.zeros((1, 64, 65, 1)), train=False))


@pytest.mark.parametrize("changes", [{"neighbours": 0}, {"place_unit": (0.0, 1.0)}, {"embedding_width": 0}])
def test_settings_out_of_range_are_refused(changes):
    with pytest.raises(InputError, match=next(iter(changes))):
        CellTrackRCNN(detector=NETWORK.detector, scaling=NETWORK.scaling, **changes)
