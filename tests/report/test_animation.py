"""A GIF holds exactly the pictures that were written, and images and letters become greys."""

import numpy as np
import PIL.Image
import pytest

from cellmotion_jax.errors import InputError
from cellmotion_jax.report.animation import GREYS, grey_picture, palette_of, write_gif, write_letters
from cellmotion_jax.report.images import Contrast, contrast_of

COLORS = np.array([[1.0, 0.0, 0.0], [0.0, 0.5, 1.0]])


def picture(numbers):
    image = PIL.Image.fromarray(numbers.astype(np.uint8))
    image.putpalette(palette_of(COLORS))
    return image


def test_every_picture_comes_back_although_only_changes_are_written(tmp_path):
    rng = np.random.default_rng(0)
    numbers = rng.integers(0, GREYS + 2, (5, 30, 41))
    numbers[2] = numbers[1]
    numbers[3, :, :20] = numbers[2, :, :20]
    assert write_gif(map(picture, numbers), tmp_path / "a.gif", frames_per_s=20.0) == 5
    palette = np.frombuffer(palette_of(COLORS), np.uint8).reshape(256, 3)
    with PIL.Image.open(tmp_path / "a.gif") as gif:
        assert (gif.n_frames, gif.info["loop"], gif.info["duration"]) == (5, 0, 50)
        for frame in range(5):
            gif.seek(frame)
            np.testing.assert_array_equal(np.asarray(gif.convert("RGB")), palette[numbers[frame]])


def test_what_is_no_animation_is_refused(tmp_path):
    one = picture(np.zeros((4, 4)))
    with pytest.raises(InputError, match=r"a\.png does not end in \.gif"):
        write_gif([one], tmp_path / "a.png", frames_per_s=8.0)
    with pytest.raises(InputError, match="1 to 50 are right"):
        write_gif([one], tmp_path / "a.gif", frames_per_s=0.5)
    with pytest.raises(InputError, match="there is no frame"):
        write_gif([], tmp_path / "a.gif", frames_per_s=8.0)
    assert list(tmp_path.iterdir()) == []


def test_images_are_averaged_down_and_repeated_up():
    image = np.array([[0.0, 2.0], [4.0, 6.0]])
    contrast = Contrast(0.0, 6.0, 1.0)
    assert grey_picture(image, (1, 1), contrast).tolist() == [[round((GREYS - 1) / 2)]]
    large = grey_picture(image, (4, 4), contrast)
    np.testing.assert_array_equal(large, np.kron(large[::2, ::2], np.ones((2, 2))))
    assert (large[0, 0], large[-1, -1]) == (0, GREYS - 1)


def test_letters_are_white_on_black_and_the_micro_sign_is_one():
    written = []
    for text in ("5 µm", "5 \uffffm"):
        canvas = picture(np.full((30, 60), GREYS))
        write_letters(canvas, (5, 2), text)
        written.append(np.asarray(canvas))
    assert written[0].max() == GREYS
    assert written[0][2:22, 6:20].max() == GREYS - 1
    assert (written[0] != written[1]).any()


def test_contrast_ignores_what_is_not_finite():
    values = np.array([np.nan, np.inf, *np.linspace(0, 10, 500)])
    contrast = contrast_of(values)
    shares = contrast.shares(values)
    assert shares[:3].tolist() == [0, 0, 0]
    assert shares[-1] == 1
    assert (contrast_of(np.full(3, 5.0)).shares(np.full(3, 5.0)) == 0.5).all()
    assert (contrast_of(np.full(3, np.nan)).shares(np.full(3, np.nan)) == 0).all()
