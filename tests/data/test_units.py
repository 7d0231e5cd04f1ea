"""Units of length and time, and resolutions that are no calibration."""

import math

import hypothesis
import hypothesis.strategies as st
import pytest

from cellmotion_jax.data.units import is_printing_resolution, microns, seconds, square_pixel_um


@pytest.mark.parametrize(
    ("value", "unit"),
    [
        (0.65, "um"),
        (0.65, "µm"),
        (0.65, "μm"),
        (0.65, "micron"),
        (0.65, " microns "),
        (0.65, "\\u00B5m"),
        (0.65, "micrometer"),
        (650, "nm"),
        (6500, "Å"),
        (6.5e-4, "mm"),
        (6.5e-5, "cm"),
        (6.5e-7, "m"),
        (0.65 / 25400, "inch"),
        (0.65 / 25400, "in"),
        ("0.65", "um"),
    ],
)
def test_lengths_are_the_same_in_any_unit(value, unit):
    assert microns(value, unit) == pytest.approx(0.65, rel=1e-12)


@pytest.mark.parametrize(
    ("value", "unit"),
    [
        (0.65, "pixel"),
        (0.65, ""),
        (0.65, None),
        (0.65, 3),
        (0, "um"),
        (-1, "um"),
        ("much", "um"),
        ("9" * 5000, "um"),
        (math.nan, "um"),
        (math.inf, "um"),
        (10**400, "um"),
        (None, "um"),
        (1e308, "m"),
    ],
)
def test_what_is_no_length(value, unit):
    assert microns(value, unit) is None


@pytest.mark.parametrize(
    ("value", "unit"), [(900, "s"), (900.0, "sec"), (15, "min"), (0.25, "h"), (9e5, "ms"), (1 / 96, "days")]
)
def test_intervals_are_the_same_in_any_unit(value, unit):
    assert seconds(value, unit) == pytest.approx(900)


@pytest.mark.parametrize(("value", "unit"), [(0, "s"), (1, "frame"), (1e9, "s"), (1e-9, "s"), (1, None)])
def test_what_is_no_interval(value, unit):
    assert seconds(value, unit) is None


def test_pixels_count_if_they_are_square_and_of_a_microscope():
    assert square_pixel_um(0.65, 0.65) == 0.65
    for sizes in ((0.65, 0.7), (0.65, None), (None, None), (80.0, 80.0), (1e-6, 1e-6)):
        assert square_pixel_um(*sizes) is None


@pytest.mark.parametrize("dpi", [72, 96, 150, 300, 600, 1200, 2400, 4800, 9600])
@pytest.mark.parametrize("rounded", [False, True])
def test_dots_per_inch_of_printers_and_scanners_are_no_calibration(dpi, rounded):
    per_cm = round(dpi / 2.54, 2) if rounded else dpi / 2.54
    assert is_printing_resolution(1e4 / per_cm)


@hypothesis.given(
    st.sampled_from([0.0645, 0.125, 0.19, 0.3225, 0.5, 0.65, 0.645, 0.87, 1.3, 1.6, 2.0, 3.25, 6.5])
)
def test_pixels_of_microscopes_are_none_of_a_printer(size):
    assert not is_printing_resolution(size)
