import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage

from cellmotion_jax.ops.fourier import peak_shifts
from cellmotion_jax.tracking import (
    KernelFilter,
    LinearFilter,
    Maps,
    init_levels,
    respond_levels,
    update_levels,
    windows_of_maps,
)

STRIDES = (1, 4)
SIZE = 32
PLACE = jnp.array([[40.0, 37.0]])


@jax.jit
def cut(fine, coarse):
    return windows_of_maps(Maps((fine, coarse)), PLACE, None, strides=STRIDES, size=SIZE).levels


def levels_of(*centres):
    """Windows around one place of frames with a blob: the pixels, and the means of 4 x 4 of them."""
    levels = []
    for centre in centres:
        frame = np.zeros((80, 80), np.float32)
        frame[centre] = 1
        frame = scipy.ndimage.gaussian_filter(frame, 3)
        frame /= frame.max()
        coarse = frame.reshape(20, 4, 20, 4).mean((1, 3))
        levels.append(cut(frame[..., None], coarse[..., None]))
    return tuple(map(jnp.concatenate, zip(*levels)))


@jax.jit
def learned(levels, offsets):
    return init_levels(LinearFilter(), levels, offsets, strides=STRIDES)


def respond(weights, states, levels):
    return respond_levels(LinearFilter(), states, levels, weights=weights)


responses = jax.jit(respond, static_argnums=0)


@pytest.mark.parametrize("form", [LinearFilter(), KernelFilter()], ids=["linear", "kernel"])
def test_responses_of_all_layers_line_up(form):
    shifts = [(0, 0), (4, -4), (-4, 0), (1, 2)]
    trained, later = levels_of(*[(40, 37)] * 4), levels_of(*[(40 + y, 37 + x) for y, x in shifts])

    @jax.jit
    def with_weights(trained, later):
        states = init_levels(form, trained, jnp.zeros((4, 2)), strides=STRIDES)
        choices = [(1.0, 0.0), (0.0, 1.0), (1.0, 0.5)]
        return [peak_shifts(respond_levels(form, states, later, weights=weights)) for weights in choices]

    for found, heights in with_weights(trained, later):
        np.testing.assert_allclose(found, shifts, atol=1.0)
        assert np.all((np.asarray(heights) > 0.5) & (np.asarray(heights) < 1.2))


def test_the_offset_is_in_pixels_for_every_layer():
    offset, levels = jnp.array([[2.0, -3.0]]), levels_of((42, 34))
    states = learned(levels, offset)
    for weights in [(1.0, 0.0), (0.0, 1.0)]:
        found, _ = peak_shifts(responses(weights, states, levels))
        np.testing.assert_allclose(found, offset, atol=0.3)


def test_only_ratios_of_weights_count_and_one_layer_is_the_plain_filter():
    form, levels = LinearFilter(), levels_of((40, 37))
    states = learned(levels, jnp.zeros((1, 2)))
    one = responses((1.0, 0.5), states, levels)
    np.testing.assert_allclose(responses((4.0, 2.0), states, levels), one, atol=1e-6)
    plain = jnp.fft.irfft2(form.respond(states[0], levels[0]), s=(SIZE, SIZE))
    np.testing.assert_allclose(responses((0.3,), states[:1], levels[:1]), plain, atol=1e-6)


def test_updates_reach_every_layer():
    form, nowhere = LinearFilter(), jnp.zeros((1, 2))
    later = levels_of((43, 39))
    old, expected = (learned(levels, nowhere) for levels in (levels_of((40, 37)), later))
    replaced = update_levels(form, old, later, nowhere, jnp.ones(1), strides=STRIDES)
    for a, b in zip(jax.tree.leaves(replaced), jax.tree.leaves(expected)):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)
