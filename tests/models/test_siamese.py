"""The Siamese head compares all pairs at once, and can match where a signed difference cannot."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cellmotion_jax.models.siamese import SiameseHead

KEY = jax.random.key(0)
HEAD = SiameseHead(width=5)
EARLIER, LATER = (jax.random.normal(key, (n, 4)) for key, n in zip(jax.random.split(KEY), (3, 6)))
init, apply = jax.jit(HEAD.init), jax.jit(HEAD.apply)


@pytest.fixture(scope="module")
def variables():
    return init(KEY, EARLIER, LATER)


def test_scores_of_all_pairs_are_those_of_each_pair_by_itself(variables):
    scores = apply(variables, EARLIER, LATER)
    assert scores.shape == (3, 6)
    one = jax.jit(HEAD.apply)
    for i, j in np.ndindex(3, 6):
        alone = one(variables, EARLIER[i : i + 1], LATER[j : j + 1])
        np.testing.assert_allclose(alone, scores[i : i + 1, j : j + 1], rtol=1e-5)


def test_scores_follow_the_formula(variables):
    embedding, similarity = (
        {name: np.asarray(leaf, float) for name, leaf in variables["params"][layer].items()}
        for layer in ("embedding", "similarity")
    )
    a, b = (np.asarray(features) @ embedding["kernel"] + embedding["bias"] for features in (EARLIER, LATER))
    expected = np.abs(a[:, None] - b) @ similarity["kernel"][:, 0] + similarity["bias"]
    np.testing.assert_allclose(apply(variables, EARLIER, LATER), expected, rtol=1e-4)


def test_batches_are_compared_image_by_image(variables):
    earlier, later = jnp.stack([EARLIER, -EARLIER]), jnp.stack([LATER, 2 * LATER])
    together = apply(variables, earlier, later)
    for found, *pair in zip(together, earlier, later):
        np.testing.assert_allclose(found, apply(variables, *pair), rtol=1e-5)


def test_no_cells_have_no_scores(variables):
    assert apply(variables, EARLIER[:0], LATER).shape == (0, 6)
    assert apply(variables, EARLIER, LATER[:0]).shape == (3, 0)


def test_at_first_a_cell_is_most_similar_to_itself(variables):
    """Its distance is 0, and no weight of a distance is positive."""
    assert np.all(variables["params"]["similarity"]["kernel"] <= 0)
    scores = np.asarray(apply(variables, LATER, LATER))
    np.testing.assert_array_equal(scores.argmax(axis=1), np.arange(6))
    np.testing.assert_array_equal(np.diag(scores), 0)  # The bias
    np.testing.assert_allclose(scores, scores.T, rtol=1e-6)


def test_equal_cells_have_a_finite_gradient_and_none_by_their_distance(variables):
    def own_scores(earlier, later):
        return jnp.sum(jnp.diagonal(HEAD.apply(variables, earlier, later, method="compare")))

    embeddings = jax.random.normal(KEY, (6, 5))
    slope = jax.jit(jax.grad(own_scores))
    assert not np.any(slope(embeddings, embeddings))
    assert np.all(slope(embeddings, embeddings + 1))

    def total(variables):
        return jnp.sum(jnp.square(1 - HEAD.apply(variables, LATER, LATER)))

    gradients = jax.jit(jax.grad(total))(variables)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradients))


def identity_head():
    """Embeddings are the features, and a score is minus the distance of two of them (the sum of sides)."""
    width = EARLIER.shape[-1]
    embedding = {"kernel": np.eye(width), "bias": np.zeros(width)}
    similarity = {"kernel": -np.ones((width, 1)), "bias": np.zeros(1)}
    params = jax.tree.map(np.float32, {"embedding": embedding, "similarity": similarity})
    return SiameseHead(width=width), {"params": params}


def test_the_distance_of_embeddings_matches_cells_in_any_order():
    order = np.array([3, 0, 5, 1, 4, 2])
    head, params = identity_head()
    scores = head.apply(params, LATER, LATER[order])
    np.testing.assert_array_equal(order[np.argmax(scores, axis=1)], np.arange(6))


def test_a_signed_difference_ranks_the_later_cells_alike_for_every_earlier_one():
    r"""Why the absolute value is there, see the class.

    .. math:: w^T (a_i - b_j) + c = w^T a_i - w^T b_j + c

    The part that depends on j does not depend on i, so that one later cell is the best of all earlier ones:
    of two cells that stay where they are, both find their own only if :math:`w^T b_1 < w^T b_2` and
    :math:`w^T b_2 < w^T b_1`.
    """
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(3, 5)), rng.normal(size=(6, 5))
    for weights in rng.normal(size=(20, 5)):
        signed = (a[:, None] - b) @ weights
        np.testing.assert_array_equal(np.argsort(signed, axis=1), np.tile(np.argsort(-(b @ weights)), (3, 1)))
        assert len(set(((b[:, None] - b) @ weights).argmax(axis=1))) == 1
    # The head ranks them differently for different cells.
    head, params = identity_head()
    assert len(set(np.argmax(head.apply(params, LATER, LATER), axis=1).tolist())) == 6


def test_embeddings_in_half_precision_give_scores_in_single(variables):
    half = SiameseHead(width=5, dtype=jnp.bfloat16)
    assert half.apply(variables, EARLIER, method="embed").dtype == jnp.bfloat16
    scores = half.apply(variables, EARLIER, LATER)
    assert scores.dtype == jnp.float32
    np.testing.assert_allclose(scores, apply(variables, EARLIER, LATER), atol=0.1)
