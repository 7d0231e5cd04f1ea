"""Any value of any setting, and any text in place of a table: taken with its meaning, or one sentence."""

import math
import numbers

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from cellmotion_jax.data.track_table import read_man_track
from cellmotion_jax.errors import InputError
from cellmotion_jax.methods.celltrack.seeds_file import read_seed_file
from cellmotion_jax.settings import check_field
from tests.test_settings import NUMBERS

SHAPE = (40, 60)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=9)
    | st.sampled_from([np.float32(0.5), np.int8(3), np.bool_(True), np.nan, 10**400]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.tuples(inner) | st.dictionaries(st.text(), inner, max_size=2)
    ),
    max_leaves=4,
)
CELLS = st.sampled_from(
    ["0", "1", "2", "7", "-1", "-0", "1.5", "1e3", "nan", "inf", "1e400", "", " ", '"', "#", "٣", "\0", "1_0"]
) | st.text(max_size=4)
LINES = st.lists(st.lists(CELLS, max_size=5), max_size=6)
HEADERS = st.sampled_from(["y,x", "id,frame,y,x", "x,y,frame", "y,x,y", "\ufeffy,x", "Y,X", "", "y;x"])
ENDS = st.sampled_from(["\n", "\r\n", "\r", "\n\n"])


def done(call, *arguments, **named):
    """The result of a call, or None and the sentence of its refusal."""
    try:
        return call(*arguments, **named), None
    except InputError as error:
        return None, str(error)


def is_plain(sentence, start):
    return sentence.startswith(start) and "\n" not in sentence and len(sentence) < 1000


@settings(max_examples=400)
@given(st.sampled_from(NUMBERS), VALUES)
def test_any_value_of_a_setting(setting, value):
    owner, name, _ = setting
    _, refused = done(check_field, owner, name, value)
    if refused:
        assert is_plain(refused, f"{owner.__name__}.{name} is ")
        return
    items = value if isinstance(value, list | tuple) else [value]
    for item in items:
        assert not isinstance(item, numbers.Real) or (math.isfinite(item) and abs(item) < 2**62)


@given(HEADERS, LINES, ENDS)
def test_any_table_of_places(tmp_path_factory, header, lines, end):
    path = tmp_path_factory.getbasetemp() / "places.csv"
    path.write_bytes(end.join([header, *map(",".join, lines)]).encode("utf-8", "surrogatepass"))
    seeds, refused = done(read_seed_file, path, shape=SHAPE)
    if refused:
        assert is_plain(refused, str(path))
        return
    assert len(seeds) == len(set(seeds.ids)) > 0
    assert (seeds.ids > 0).all()
    assert (seeds.frame >= 0).all()
    assert ((seeds.points >= -0.5) & (seeds.points < np.array(SHAPE) - 0.5)).all()


@given(LINES, ENDS)
def test_any_table_of_tracks(tmp_path_factory, lines, end):
    path = tmp_path_factory.getbasetemp() / "res_track.txt"
    path.write_bytes(end.join(map(" ".join, lines)).encode("utf-8", "surrogatepass"))
    tracks, refused = done(read_man_track, path)
    if refused:
        assert is_plain(refused, str(path))
        return
    assert len(tracks) == len(set(tracks.label)) > 0
    assert (tracks.begin <= tracks.end).all()
    assert np.isin(tracks.parent, [0, *tracks.label]).all()
