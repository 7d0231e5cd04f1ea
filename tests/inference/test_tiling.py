"""Tiles give what the whole image gives, at every pixel once, whatever the sizes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellmotion_jax.errors import InputError
from cellmotion_jax.inference.tiling import PAPER_TILING, Tiling, predict_tiled
from cellmotion_jax.models.deep_distance import DistanceMaps, Task
from tests.cell_models import tiny_network

# Two 3 x 3 convolutions per level on the way down and up, 2 * (1 + 2 + 4) + 2 * (1 + 2) = 20 pixels, and what
# of the pooling windows lies beyond, up to 3.
RECEPTIVE_FIELD = 24


@pytest.fixture(scope="module")
def predict():
    network, variables = tiny_network(tasks=(Task.inner, Task.classification))
    return jax.jit(lambda images: network.apply(variables, images, train=False).maps)


def noise(*shape):
    return np.random.default_rng(0).normal(size=(*shape, 1)).astype(np.float32)


def first_channel(images):
    return images[..., 0]


def recorded(shapes):
    """The identity, which notes the shapes that it is called with."""

    def predict(images):
        shapes.append(images.shape)
        return images[..., 0]

    return predict


@pytest.mark.parametrize(
    "tiling",
    [
        Tiling(tile=64, margin=RECEPTIVE_FIELD),
        Tiling(tile=64, margin=RECEPTIVE_FIELD, batch_size=5),
        Tiling(tile=64, margin=RECEPTIVE_FIELD, stride=8),
        Tiling(tile=72, margin=RECEPTIVE_FIELD + 1, stride=19),
    ],
)
def test_tiles_with_margins_of_the_receptive_field_equal_the_whole_image(predict, tiling):
    image = noise(90, 70)
    tiled = predict_tiled(predict, image, tiling=tiling, multiple=4)
    assert isinstance(tiled, DistanceMaps)
    assert tiled.outer is None
    # The mirrored image, by a multiple of the pooling that exceeds the margin.
    around = 32
    mirrored = np.pad(image, ((around, around + 2), (around, around + 2), (0, 0)), mode="symmetric")
    whole = predict(mirrored[None])
    for ours, theirs in ((tiled.inner, whole.inner), (tiled.classification, whole.classification)):
        assert np.ptp(ours) > 0.1
        np.testing.assert_allclose(ours, theirs[0, around:-34, around:-34], atol=1e-5)
    # Far from the borders what lies beyond them does not matter.
    alone = predict(image[None, :88, :68]).inner[0]
    np.testing.assert_allclose(tiled.inner[24:64, 24:44], alone[24:64, 24:44], atol=1e-5)


def test_no_border_shows_in_the_maps_of_a_constant_image(predict):
    def largest_difference(values):
        """Between pixels of the same place in their pooling window, where transposed convolutions differ."""
        return max(np.ptp(values[i::4, j::4]) for i in range(4) for j in range(4))

    image = np.full((50, 83, 1), 0.7, np.float32)
    maps = predict_tiled(predict, image, tiling=Tiling(tile=64, margin=RECEPTIVE_FIELD), multiple=4)
    assert largest_difference(maps.classification) < 1e-5
    assert largest_difference(predict(jnp.full((1, 52, 84, 1), 0.7)).classification[0]) > 0.01


sizes = st.integers(1, 90)
tilings = st.builds(
    lambda tile, margin, stride, batch_size: Tiling(
        tile=4 * tile,
        margin=min(margin, 2 * tile - 2),
        stride=stride and min(stride, 4 * tile - 2 * min(margin, 2 * tile - 2)),
        batch_size=batch_size,
    ),
    st.integers(2, 12),
    st.integers(0, 9),
    st.one_of(st.none(), st.integers(4, 40)),
    st.integers(1, 4),
)


@given(sizes, sizes, tilings)
def test_every_pixel_comes_back_in_its_place(height, width, tiling):
    image = noise(height, width)
    shapes = []
    result = predict_tiled(recorded(shapes), image, tiling=tiling, multiple=4)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, image[..., 0], rtol=1e-5, atol=1e-6)
    assert len(set(shapes)) == 1
    batch, tile_y, tile_x, _ = shapes[0]
    assert batch <= tiling.batch_size
    for size, tile in ((height, tile_y), (width, tile_x)):
        assert tile % 4 == 0
        assert tile <= tiling.tile
        assert tile < size + 2 * tiling.margin + 2 * 4


@pytest.mark.parametrize(("margin", "stride"), [(0, 4), (2, 4), (3, 8), (5, 5)])
def test_a_pixel_is_the_mean_over_the_tiles_that_have_it_within_their_margins(margin, stride):
    """Every tile predicts the row within it, so that a pixel tells the mean corner of its tiles."""

    def row_within_tile(tiles):
        return np.broadcast_to(np.arange(16, dtype=np.float32)[None, :, None], tiles.shape[:3])

    tiling = Tiling(tile=16, margin=margin, stride=stride)
    result = predict_tiled(row_within_tile, noise(50, 16), tiling=tiling, multiple=4)
    first, stride = -(-margin // 4) * 4, stride // 4 * 4
    for row in range(50):
        starts = [start for start in range(-first, 50, stride) if margin <= row - start < 16 - margin]
        # Tiles beyond those needed to reach the last row are not made.
        starts = [start for start in starts if start - stride + 16 - margin < 50]
        np.testing.assert_allclose(result[row], row - np.mean(starts), rtol=1e-6)


def test_the_papers_tiling_averages_64_tiles_and_leaves_out_no_pixel():
    shapes = []
    image = noise(512 + 7 * 64, 512)
    result = predict_tiled(recorded(shapes), image, tiling=PAPER_TILING, multiple=16)
    np.testing.assert_allclose(result, image[..., 0], rtol=1e-6)
    assert shapes == [(1, 512, 512, 1)] * 8


def test_side_by_side_tiles_are_no_larger_than_their_number_allows():
    shapes = []
    predict_tiled(recorded(shapes), noise(600, 20), tiling=Tiling(), multiple=16)
    # Two tiles of 304 and twice 48; one of 32 and twice 48.
    assert shapes == [(1, 400, 128, 1)] * 2


def test_the_last_batch_is_filled_up():
    shapes = []
    tiling = Tiling(tile=16, margin=4, batch_size=3)
    result = predict_tiled(recorded(shapes), noise(24, 24), tiling=tiling, multiple=8)
    np.testing.assert_array_equal(result, noise(24, 24)[..., 0])
    assert shapes == [(3, 16, 16, 1)] * 6  # For 16 tiles.


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_pixel_that_is_not_finite_is_named(value):
    image = noise(8, 9)
    image[5, 7] = value
    with pytest.raises(InputError, match="1 pixels, the first in row 5, column 7"):
        predict_tiled(first_channel, image, tiling=Tiling(), multiple=4)


def test_a_map_that_is_not_finite_is_refused():
    with pytest.raises(InputError, match="the network gives NaN or infinity"):
        predict_tiled(lambda tiles: tiles[..., 0] * jnp.inf, noise(8, 9), tiling=Tiling(), multiple=4)


def test_what_is_no_image_is_refused():
    for shape in ((4, 4), (0, 4, 1), (1, 4, 4, 1)):
        with pytest.raises(ValueError, match="image must have the axes"):
            predict_tiled(first_channel, np.zeros(shape, np.float32), tiling=Tiling(), multiple=4)


def test_maps_of_another_size_than_the_tile_are_refused():
    with pytest.raises(ValueError, match=r"predict made maps of shape \(1, 3, 4\)"):
        predict_tiled(lambda x: x[:, 1:, :, 0], noise(4, 4), tiling=Tiling(tile=4, margin=0), multiple=4)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"tile": 96}, "tile is 96; it must exceed twice the margin of 48"),
        ({"margin": -1}, "margin is -1"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"stride": 0}, "stride is 0"),
        ({"stride": 417}, "at most 416"),
    ],
)
def test_settings_out_of_range_are_refused(settings, sentence):
    with pytest.raises(InputError, match=sentence):
        Tiling(**settings)


@pytest.mark.parametrize(
    ("tiling", "multiple", "sentence"),
    [
        (Tiling(tile=500), 16, "tile is 500; for this network it is a multiple of 16"),
        (Tiling(tile=128, margin=50), 32, "cannot go on by 32 pixels"),
        (Tiling(stride=10), 16, "cannot go on by 16 pixels"),
    ],
)
def test_tiles_that_do_not_suit_the_network_are_refused(tiling, multiple, sentence):
    with pytest.raises(InputError, match=sentence):
        predict_tiled(first_channel, noise(9, 9), tiling=tiling, multiple=multiple)
