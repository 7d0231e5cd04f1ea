"""Outlines, tips and paths are drawn at their positions, in constant colours that distinguish neighbours."""

import numpy as np
import PIL.Image
import pytest
from matplotlib.colors import to_rgb

from cellmotion_jax.errors import InputError
from cellmotion_jax.files.places import partial_beside
from cellmotion_jax.report.video import TRACK_COLORS, VideoFrame, write_video

SHAPE = (400, 480)
TEXT = 24
FOOT = 24
"""Below wide pictures the marks are explained in one line."""
NO_TIPS = np.zeros((0, 2))
COLORS = np.round(255 * np.array([to_rgb(color) for color in TRACK_COLORS]))


def frame(boxes=(), tips=NO_TIPS, shape=SHAPE, image=None):
    """Cells ``(track, y, x)`` of 40 x 40 pixels on an even background."""
    labels = np.zeros(shape, np.int32)
    for track, y, x in boxes:
        labels[y : y + 40, x : x + 40] = track
    return VideoFrame(np.full(shape, 100, np.uint8) if image is None else image, labels, tips)


def drawn(path, frames, **options):
    assert write_video(frames, path, **options) == len(frames)
    with PIL.Image.open(path) as gif:
        assert gif.n_frames == len(frames)
        return [(gif.seek(number), np.asarray(gif.convert("RGB")))[1] for number in range(len(frames))]


def color_numbers(picture):
    """Number of the track's colour on every pixel below the text, -1 where there is none."""
    below = picture[TEXT:-FOOT].astype(int)
    near = np.abs(below[:, :, None] - COLORS).max(-1) < 3
    return np.where(near.any(-1), near.argmax(-1), -1)


def test_outlines_are_two_pixels_inside_the_cells(tmp_path):
    (picture,) = drawn(tmp_path / "a.gif", [frame([(7, 50, 60)])], tail=0)
    outline = color_numbers(picture) >= 0
    expected = np.zeros(SHAPE, bool)
    expected[50:90, 60:100] = True
    expected[52:88, 62:98] = False
    np.testing.assert_array_equal(outline, expected)


def test_the_border_of_the_frame_is_no_outline(tmp_path):
    whole = VideoFrame(np.zeros(SHAPE, np.uint8), np.ones(SHAPE, np.int32), NO_TIPS)
    (picture,) = drawn(tmp_path / "a.gif", [whole])
    assert (color_numbers(picture) < 0).all()


def test_a_track_keeps_its_colour_and_neighbours_differ(tmp_path):
    rng = np.random.default_rng(0)
    places = [(1 + number, 10 + 50 * (number // 8), 50 * (number % 8)) for number in range(56)]
    ids = rng.permutation(1000)[:56] + 1
    frames = []
    for step in range(3):
        boxes = [(int(ids[track - 1]), y + 2 * step, x + 3 * step) for track, y, x in places]
        frames.append(frame(boxes[step:]))
    pictures = [color_numbers(picture) for picture in drawn(tmp_path / "a.gif", frames, tail=0)]
    given = [
        {track: numbers[y + 2 * step, x + 3 * step + 20] for track, y, x in places[step:]}
        for step, numbers in enumerate(pictures)
    ]
    assert all(color >= 0 for colors in given for color in colors.values())
    assert all(given[step][track] == color for step in (1, 2) for track, color in given[step].items())
    for track, y, x in places:
        beside = [other for other, v, u in places if 0 < abs(v - y) + abs(u - x) <= 50]
        assert given[0][track] not in [given[0][other] for other in beside]


def test_tips_are_white_dots_over_everything(tmp_path):
    tips = np.array([[50.0, 79.0], [200.0, 300.0], [-50.0, 10.0]])
    (picture,) = drawn(tmp_path / "a.gif", [frame([(1, 50, 60)], tips)])
    for y, x in ((50, 79), (200, 300)):
        assert (picture[TEXT + y, x] == 255).all()
        assert (picture[TEXT + y, x + 4] == 0).all()
    assert (picture[TEXT:-100] == 255).all(-1).sum() < 100


def test_the_way_is_shown_for_as_long_as_asked(tmp_path):
    frames = [frame([(3, 100, 20 + 60 * step)]) for step in range(4)]
    ways = {}
    for tail in (0, 1, 10):
        numbers = color_numbers(drawn(tmp_path / f"{tail}.gif", frames, tail=tail)[-1])
        ways[tail] = np.flatnonzero(numbers[119:121].max(0) >= 0)
    assert ways[0].min() == 200
    assert (ways[1].min(), ways[10].min()) == (159, 39)


def test_large_frames_are_reduced_and_small_ones_enlarged(tmp_path):
    large = frame([(1, 400, 800)], np.array([[1000.0, 1500.0]]), shape=(1200, 2000))
    (picture,) = drawn(tmp_path / "a.gif", [large])
    assert picture.shape == (480 + TEXT + FOOT, 800, 3)
    assert (picture[TEXT + 400, 600] == 255).all()
    np.testing.assert_array_equal(np.argwhere(color_numbers(picture) >= 0).min(0), [160, 320])
    (picture,) = drawn(tmp_path / "b.gif", [frame(shape=(50, 100))])
    assert picture.shape == (200 + TEXT + 2 * FOOT, 400, 3)


def test_the_bar_and_the_time(tmp_path):
    frames = [frame()] * 2
    plain = drawn(tmp_path / "a.gif", frames)
    told = drawn(tmp_path / "b.gif", frames, pixel_size_um=0.65, frame_interval_s=900.0)
    assert (plain[1][:TEXT] != told[1][:TEXT]).any()
    for pictures, length in ((plain, 100), (told, 50 / 0.65)):
        bar = (pictures[1][TEXT + SHAPE[0] - 11] == 255).all(-1)
        assert bar.sum() == round(length) + 1


def test_only_what_changes_is_written(tmp_path):
    rng = np.random.default_rng(0)
    still = np.tile(np.linspace(0, 200, SHAPE[1]), (SHAPE[0], 1))
    noisy = [frame([(1, 10, 10 + 5 * t)], image=still + rng.normal(0, 1.5, SHAPE)) for t in range(10)]
    pictures = drawn(tmp_path / "a.gif", noisy, tail=0)
    drawn(tmp_path / "b.gif", noisy[:1], tail=0)
    assert (tmp_path / "a.gif").stat().st_size < 2 * (tmp_path / "b.gif").stat().st_size
    assert (color_numbers(pictures[9]) >= 0).sum() == 40**2 - 36**2
    assert not (color_numbers(pictures[9])[:, :55] >= 0).any()
    jumped = drawn(tmp_path / "c.gif", [frame(image=still), frame(image=still[:, ::-1])])
    assert jumped[1][100, 5].mean() > 200


def test_frames_are_asked_for_one_at_a_time(tmp_path):
    written = []

    def stream():
        for number in range(3):
            written.append(partial_beside(tmp_path / "a.gif").exists())
            yield frame([(1, 10, 10 + number)])

    assert write_video(stream(), tmp_path / "a.gif") == 3
    assert written == [False, True, True]


@pytest.mark.parametrize("image", [np.full(SHAPE, np.nan), np.zeros(SHAPE, np.uint16)], ids=["nan", "black"])
def test_frames_with_nothing_to_see(tmp_path, image):
    drawn(tmp_path / "a.gif", [frame(image=image)] * 2)


def test_black_and_white_are_those_of_the_first_frame_that_is_not_constant(tmp_path):
    ramp = np.linspace(1000, 2000, SHAPE[1]) * np.ones((SHAPE[0], 1))
    images = [np.zeros(SHAPE), np.full(SHAPE, np.nan), ramp, 0.5 * ramp]
    pictures = drawn(tmp_path / "a.gif", [frame(image=image) for image in images])
    ends = [(int(picture[TEXT, 0, 0]), int(picture[TEXT, -1, 0])) for picture in pictures]
    assert 120 < ends[0][0] == ends[0][1] < 135
    assert ends[1:] == [(0, 0), (0, 255), (0, 0)]


def test_cells_too_small_to_be_drawn_are_counted(tmp_path, monkeypatch):
    told = []
    monkeypatch.setattr("cellmotion_jax.report.video.write_letters", lambda _, __, text: told.append(text))
    labels = np.zeros((1700, 1700), np.int32)
    labels[1::50, 1::50] = np.arange(1, 34 * 34 + 1).reshape(34, 34)
    write_video([VideoFrame(labels.astype(float), labels, NO_TIPS)], tmp_path / "a.gif")
    assert told == [
        "200 px",
        "number, colour: track   thin line: its way in 10 frames   white dot: tip of a protrusion",
        "frame 0   1,156 cells   0 tips",
    ]


def test_every_cell_bears_its_id_unless_there_are_too_many(tmp_path, monkeypatch):
    written = []
    monkeypatch.setattr(
        "cellmotion_jax.report.video.write_number",
        lambda _, place, track, **__: written.append((track, place)),
    )
    drawn(tmp_path / "a.gif", [frame([(7, 50, 60), (12, 200, 300)])])
    assert written == [(7, (80, 70 + TEXT)), (12, (320, 220 + TEXT))]
    written.clear()
    labels = np.zeros((400, 400), np.int32)
    labels[::30, ::30] = np.arange(1, 14 * 14 + 1).reshape(14, 14)
    drawn(tmp_path / "b.gif", [VideoFrame(labels.astype(float), labels, None)])
    assert written == []


def test_marks_that_are_not_drawn_are_not_explained(tmp_path, monkeypatch):
    told = []
    monkeypatch.setattr("cellmotion_jax.report.video.write_letters", lambda _, __, text: told.append(text))
    nothing = frame([(7, 50, 60)])._replace(tips=None)
    drawn(tmp_path / "a.gif", [nothing], tail=0)
    assert told == ["100 px", "number, colour: track", "frame 0   1 cell"]


def test_what_cannot_be_drawn_is_refused(tmp_path):
    out = tmp_path / "a.gif"
    with pytest.raises(InputError, match=r"a\.mp4 does not end in \.gif"):
        write_video([frame()], tmp_path / "a.mp4")
    with pytest.raises(InputError, match="there is no frame"):
        write_video([], out)
    for options in ({"pixel_size_um": 0.0}, {"frame_interval_s": -1.0}, {"tail": -1}, {"frames_per_s": 99.0}):
        with pytest.raises(InputError, match="right"):
            write_video([frame()], out, **options)
    with pytest.raises(ValueError, match=r"frame 1 has an image of shape \(9, 9\)"):
        write_video([frame(), frame(shape=(9, 9))], out)
    assert list(tmp_path.iterdir()) == []
