"""The file of the filters holds all that is needed to apply them again."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cellmotion_jax.methods.celltrack.filters_file import learned_filters, save_filters
from cellmotion_jax.tracking import (
    Births,
    KernelFilter,
    LinearFilter,
    Tracker,
    empty_state,
    step,
)
from cellmotion_jax.weights.kinds import FILTERS_KEY
from cellmotion_jax.weights.safetensors_files import read_metadata, read_safetensors
from tests.blob_movies import draw

FRAME = jnp.asarray(draw(np.array([[[20, 20], [44, 40]]]))[0])
BIRTHS = Births(jnp.array([9, 4]), jnp.array([[20.0, 20.0], [44.0, 40.0]]))


@pytest.fixture(params=[LinearFilter(), KernelFilter()], ids=["linear", "kernel"], scope="module")
def followed(request):
    tracker = Tracker(filter=request.param, size=32)
    state = empty_state(tracker, slots=8, shape=(64, 64))
    return tracker, jax.jit(step)(tracker, state, FRAME, BIRTHS)[0]


def test_only_occupied_slots_are_kept_and_they_are_sorted(followed):
    filters = learned_filters(followed[1])
    assert filters.identities.tolist() == [4, 9]
    np.testing.assert_allclose(filters.positions, [[44, 40], [20, 20]])
    assert {len(values) for values in filters.layers[0].values()} == {2}


def test_what_is_read_again_answers_as_before(tmp_path, followed):
    tracker, state = followed
    filters = learned_filters(state)
    save_filters(tmp_path / "filters.safetensors", filters, tracker=tracker, zoom=0.5)
    tensors = read_safetensors(tmp_path / "filters.safetensors")
    described = json.loads(read_metadata(tmp_path / "filters.safetensors")[FILTERS_KEY])
    assert described["zoom"] == 0.5
    assert described["features"] == "Intensity"
    form = {"LinearFilter": LinearFilter, "KernelFilter": KernelFilter}[described["form"]]
    assert form(**described["settings"]) == tracker.filter
    for name, values in filters.layers[0].items():
        read = tensors[f"layer_0/{name}"]
        read = read[..., 0] + 1j * read[..., 1] if np.iscomplexobj(values) else read
        np.testing.assert_array_equal(read, values)
