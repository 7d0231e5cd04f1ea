"""Light on dark is fluorescence, light and dark on grey is transmitted light."""

import numpy as np
import pytest

from cellmotion_jax.data.movie import open_movie
from cellmotion_jax.data.simulate import Look, Simulation, simulate
from cellmotion_jax.pipeline.modality import LIGHT_ON_DARK, Modality, asymmetry, proposed_modality


@pytest.mark.parametrize("look", Look)
@pytest.mark.parametrize("variety", [0.0, 0.7])
def test_simulated_movies_are_told_apart(look, variety):
    for seed in range(3):
        shape = {"height": 160, "width": 192}
        scale = (
            {"pixel_size_um": 0.6, "cells": 12}
            if look is Look.NUCLEI
            else {"pixel_size_um": 1.5, "cells": 10}
        )
        frame = simulate(
            Simulation(look=look, frames=1, seed=seed, variety=variety, **shape, **scale)
        ).frames[0]
        assert (asymmetry(frame) >= LIGHT_ON_DARK) is (look is Look.NUCLEI)


def test_unit_and_offset_do_not_matter_and_the_negative_has_the_opposite_sign():
    frame = np.random.default_rng(0).gamma(2.0, 30.0, (90, 120))
    found = asymmetry(frame)
    assert asymmetry(3.0 * frame + 500.0) == pytest.approx(found, abs=1e-4)
    assert asymmetry(-frame) == pytest.approx(-found, abs=1e-4)


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (3, 2), (2000, 5), (700, 900, 3)])
def test_frames_of_any_shape_and_constant_ones_have_a_value(shape):
    assert asymmetry(np.full(shape, 7, np.uint8)) == 0.0
    assert -1 <= asymmetry(np.random.default_rng(0).integers(0, 255, shape)) <= 1


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "modality"),
    [
        ("Fluo-N2DL-HeLa", Modality.NUCLEI),
        ("Fluo-N2DH-SIM+", Modality.NUCLEI),
        ("PhC-C2DH-U373", Modality.PHASE_CONTRAST),
        ("PhC-C2DL-PSC", Modality.PHASE_CONTRAST),
        ("DIC-C2DH-HeLa", Modality.PHASE_CONTRAST),
    ],
)
def test_real_movies_are_told_apart(real_data, name, modality):
    assert proposed_modality(open_movie(real_data / name / "01")) is modality
