"""Scale bars have a round length in micrometres, or in pixels where the size of a pixel is not known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from cellmotion_jax.report.scale_bar import SHARE, draw_scale_bar, scale_bar


@given(st.integers(1, 10_000), st.one_of(st.none(), st.floats(1e-3, 1e3)))
def test_a_bar_is_round_and_takes_between_a_part_and_all_of_its_share(width, size):
    bar = scale_bar(width, size)
    length, unit = bar.label.split()
    assert unit == ("px" if size is None else "µm")
    assert float(length) == pytest.approx(bar.pixels * (1 if size is None else size))
    assert f"{float(length):e}"[0] in "125"
    assert SHARE * width / 2.5 <= bar.pixels * (1 + 1e-9) <= SHARE * width * (1 + 2e-9)


def test_a_bar_changes_neither_the_limits_nor_the_points_of_an_image():
    axes = Figure().add_subplot()
    axes.imshow(np.zeros((40, 90)))
    before = axes.get_xlim(), axes.get_ylim()
    draw_scale_bar(axes, (40, 90), 0.5)
    assert (axes.get_xlim(), axes.get_ylim()) == before
    assert not axes.lines
    (bar,) = axes.artists
    assert bar.txt_label.get_text() == "5 µm"
