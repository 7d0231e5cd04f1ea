"""Which planes of an array with any axes are the frames of a movie."""

import math
import pathlib
import re

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

from cellmotion_jax.data.axes import AxesChoice, find_frames
from cellmotion_jax.errors import InputError

PATH = pathlib.Path("movie.tif")


def found(axes, shape, /, *, names=(), options=True, **choice):
    return find_frames(PATH, axes, shape, choice=AxesChoice(**choice) if options else None, names=names)


@hypothesis.given(
    leading=st.permutations("TCZ"),
    lengths=st.fixed_dictionaries({"T": st.integers(1, 5), "C": st.integers(1, 4), "Z": st.just(1)}),
    told=st.booleans(),
    data=st.data(),
)
def test_frames_are_those_of_the_channel_in_the_order_of_time(leading, lengths, told, data):
    axes = "".join(leading)
    shape = tuple(lengths[axis] for axis in axes)
    planes = np.arange(math.prod(shape)).reshape(shape)
    channel = data.draw(st.integers(0, lengths["C"] - 1))
    axes_of_file = "QQQYX" if told else f"{axes}YX"
    choice = {"axes": f"{axes}YX"} if told else {}
    frames = found(axes_of_file, (*shape, 7, 9), channel=str(channel), **choice)
    expected = np.moveaxis(planes, [axes.index(axis) for axis in "TCZ"], [0, 1, 2])[:, channel, 0]
    assert frames.planes == tuple(expected.tolist())
    assert (frames.shape, frames.samples, frames.sample) == ((7, 9), 1, None)


@pytest.mark.parametrize("axes", ["QYX", "IYX", "TYX"])
def test_one_undeclared_axis_is_time(axes):
    assert found(axes, (5, 7, 9)).planes == (0, 1, 2, 3, 4)
    assert found(axes, (5, 7, 9), options=False).planes == (0, 1, 2, 3, 4)


@pytest.mark.parametrize("channel", ["1", " 1 ", "GFP", "gfp"])
def test_a_channel_is_chosen_by_number_or_name(channel):
    assert found("TCYX", (2, 3, 7, 9), channel=channel, names=("DAPI", "GFP", "Cy5")).planes == (1, 4)


def test_interleaved_colours_are_a_channel_each():
    frames = found("TYXS", (2, 7, 9, 3), channel="green")
    assert (frames.planes, frames.samples, frames.sample) == ((0, 1), 3, 1)
    assert found("YXS", (7, 9, 2), channel="1").sample == 1
    # Whether they are grey, only the pixels tell.
    assert found("YXS", (7, 9, 4)).sample is None


@pytest.mark.parametrize(
    ("axes", "shape", "choice", "sentence"),
    [
        ("ZYX", (5, 7, 9), {}, "movie.tif is a 3-D stack (axes ZYX, 5 x 7 x 9); .* give --axes TYX."),
        ("ZCYX", (5, 2, 7, 9), {}, "is a 3-D stack .* give --axes TCYX."),
        (
            "TZYX",
            (5, 2, 7, 9),
            {},
            "is a 3-D stack (axes TZYX, 5 x 2 x 7 x 9); .*: project or pick a slice.$",
        ),
        ("QYX", (5, 7, 9), {"axes": "ZYX"}, "is a 3-D stack"),
        ("TCYX", (5, 2, 7, 9), {}, "choose one by --channel: 0 or 1.$"),
        (
            "CYX",
            (5, 7, 9),
            {},
            "--channel: 0 to 4, or, if these are the frames of a short movie, .* --axes TYX.",
        ),
        ("SYX", (3, 7, 9), {}, "--channel: 0 to 2, or, .* give --axes TYX."),
        ("YXS", (7, 9, 2), {}, "has colours or channels .* --channel: 0 or 1.$"),
        ("QQYX", (5, 2, 7, 9), {}, "has the axes QQYX (5 x 2 x 7 x 9); .* for example --axes TCYX."),
        ("TRYX", (5, 2, 7, 9), {}, "has the axes TRYX .* --axes"),
        ("TCYXS", (5, 2, 7, 9, 3), {"channel": "1"}, "has channels and colours"),
        ("TCYX", (5, 2, 7, 9), {"channel": "2"}, "channel is 2, but movie.tif has the channels 0 or 1."),
        ("TCYX", (5, 2, 7, 9), {"channel": "-1"}, "channel is -1, but movie.tif has the channels 0 or 1."),
        ("TCYX", (5, 2, 7, 9), {"channel": "²"}, "channel is ², but movie.tif has the channels"),
        ("TYX", (5, 7, 9), {"channel": "1"}, "channel is 1, but movie.tif has one channel; leave it out."),
        (
            "TYX",
            (5, 7, 9),
            {"axes": "TCYX"},
            "axes is TCYX, but movie.tif has 3 axes .* give a letter for each.",
        ),
        ("TYX", (5, 7, 9), {"axes": "YXT"}, "the rows and columns of movie.tif are where TYX has YX"),
        ("TYX", (5, 7, 9), {"axes": "TXY"}, "the rows and columns of movie.tif are where TYX has YX"),
        ("TYX", (5, 7, 9), {"axes": "time"}, "axes is 'time'; it is one of the letters T, C, Z, Y, X, S"),
        ("TYX", (10**12, 7, 9), {}, "declares 1,000,000,000,000 planes; up to 4,194,304 are read."),
        ("TYX", (5, 7, 9), {"axes": ""}, "axes is ''; it is one of the letters"),
        ("TYX", (5, 7, 9), {"axes": "TTX"}, "axes is 'TTX'; it is one of the letters"),
        ("TYXS", (5, 7, 9, 3), {"axes": "YXTC"}, "the rows and columns"),
        ("QYX", (5, 7, 9), {"axes": "YXS"}, "axes is YXS, but movie.tif has no interleaved samples"),
    ],
)
def test_what_is_no_movie_is_refused_with_the_option_that_helps(axes, shape, choice, sentence):
    pattern = re.escape(sentence).replace(r"\.\*", ".*").replace(r"\$", "$").replace(r"\^", "^")
    with pytest.raises(InputError, match=pattern):
        found(axes, shape, **choice)


@pytest.mark.parametrize(("axes", "shape"), [("ZYX", (5, 7, 9)), ("CYX", (5, 7, 9)), ("YXS", (7, 9, 3))])
def test_without_the_options_none_is_named(axes, shape):
    with pytest.raises(InputError) as caught:
        found(axes, shape, options=False)
    assert "--" not in str(caught.value)


def test_names_of_channels_are_listed():
    with pytest.raises(InputError, match=re.escape("choose one by --channel: 0 (DAPI), 1, 2 (Cy5).")):
        found("TCYX", (2, 3, 7, 9), names=("DAPI", "", "Cy5"))
    with pytest.raises(InputError, match="the channels 0 to 29"):
        found("TCYX", (2, 30, 7, 9), channel="x", names=["a name"] * 30)


def test_a_name_that_two_channels_have_chooses_none():
    with pytest.raises(InputError, match="channel is GFP, but"):
        found("TCYX", (2, 2, 7, 9), channel="GFP", names=("GFP", "GFP"))
