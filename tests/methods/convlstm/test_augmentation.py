"""Patches: where they are cut, what moves together, what is not annotated."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cellmotion_jax.errors import InputError
from cellmotion_jax.methods.convlstm.augmentation import PatchSampling

STILL = {"mirror": False, "rotation": 0.0, "scale": 0.0, "contrast": 0.0, "brightness": 0.0, "noise": 0.0}
SHAPE = (80, 100)
CELL = np.zeros(SHAPE, bool)
CELL[20:26, 70:76] = True


def cut(sampling, batch, *, seed=0):
    compiled = jax.jit(sampling.__call__, compiler_options={"xla_backend_optimization_level": 0})
    return jax.device_get(compiled(jax.random.key(seed), batch))


def windows(cell=CELL, count=6):
    ramp = np.arange(SHAPE[0])[:, None] * 1000.0 + np.arange(SHAPE[1])[None]
    image = np.stack([ramp, ramp + 0.5])[..., None]
    one = {"image": image, "cell": cell, "contact": cell, "annotated": np.ones(SHAPE, bool)}
    return {name: jnp.asarray(np.stack([value] * count)) for name, value in one.items()}


def test_an_unmoved_patch_is_a_part_of_the_frame_with_the_drawn_cell_in_it():
    patches = cut(PatchSampling(patch=32, **STILL), windows())
    assert patches["image"].shape == (6, 2, 32, 32, 1)
    for image, cell in zip(patches["image"], patches["cell"]):
        top, left = divmod(round(float(image[0, 0, 0, 0])), 1000)
        expected = windows()["image"][0, :, top : top + 32, left : left + 32]
        np.testing.assert_allclose(image, expected, atol=0.02)
        np.testing.assert_array_equal(cell, CELL[top : top + 32, left : left + 32])
        # Near the middle but where the frame ends.
        assert cell[10:22, 10:22].any()
    assert patches["annotated"].all()


def test_frames_and_maps_move_together():
    sampling = PatchSampling(patch=48, contrast=0.0, brightness=0.0, noise=0.0)
    batch = windows()
    bright = jnp.broadcast_to(CELL[None, None, ..., None], batch["image"].shape).astype(jnp.float32)
    patches = cut(sampling, {**batch, "image": bright}, seed=1)
    image = patches["image"][..., 0]
    np.testing.assert_array_equal(image[:, 0], image[:, 1])
    np.testing.assert_array_equal(image[:, 0] > 0.5, patches["cell"])
    areas = patches["cell"].sum(axis=(1, 2))
    assert len(set(areas.tolist())) > 1
    assert (areas > 15).all()


def test_what_moves_in_from_outside_is_not_annotated():
    sampling = PatchSampling(patch=64, weight=1.0, contrast=0.0, brightness=0.0, noise=0.0)
    ones = {**windows(), "image": jnp.ones((6, 2, *SHAPE, 1))}
    patches = cut(sampling, ones, seed=2)
    inside = patches["image"][:, 0, ..., 0] > 0.999
    np.testing.assert_array_equal(patches["annotated"], inside)
    assert not inside.all()


def test_the_drawn_cell_is_in_every_patch_even_in_a_corner_and_turned():
    corner = np.zeros(SHAPE, bool)
    corner[1:4, 1:4] = True
    sampling = PatchSampling(patch=64, contrast=0.0, brightness=0.0, noise=0.0)
    patches = cut(sampling, windows(corner, count=40), seed=4)
    assert patches["cell"].any(axis=(1, 2)).all()


def test_a_patch_larger_than_the_frame_holds_all_of_it():
    patches = cut(PatchSampling(patch=128, **STILL), windows(count=1))
    assert int(patches["annotated"].sum()) == pytest.approx(CELL.size, rel=0.05)
    assert int(patches["cell"].sum()) == pytest.approx(CELL.sum(), abs=6)


def test_light_changes_the_frames_alone():
    sampling = PatchSampling(patch=32, **{**STILL, "contrast": 0.3, "brightness": 0.3, "noise": 0.1})
    flat = {**windows(), "image": jnp.ones((6, 2, *SHAPE, 1))}
    means = cut(sampling, flat, seed=3)["image"].mean(axis=(1, 2, 3, 4))
    assert np.ptp(means) > 0.1
    assert (np.exp(-0.3) - 0.35 < means).all()
    assert (means < np.exp(0.3) + 0.35).all()


@pytest.mark.parametrize("name", ["weight", "rotation", "scale", "contrast", "brightness", "noise"])
def test_ranges_that_are_none_are_refused(name):
    with pytest.raises(InputError, match=f"PatchSampling.{name} is -1"):
        PatchSampling(**{name: -1.0})
    with pytest.raises(InputError, match=r"patch is 8"):
        PatchSampling(patch=8)
