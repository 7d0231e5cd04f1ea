"""The animated picture has every frame, its boxes where they belong, and one contrast throughout."""

import numpy as np
import PIL.Image
import pytest
from matplotlib.colors import to_rgb

from cellmotion_jax.errors import InputError
from cellmotion_jax.files.places import partial_beside
from cellmotion_jax.report.figures import ORANGE, SKY, VERMILLION
from cellmotion_jax.report.live_view import LiveFrame, write_live_view

SHAPE = (60, 120)
SIDE = 240
TEXT = 24


def live_frame(frame=0, **changes):
    """Three cells, of which the second is chosen and the third is lost; the response peaks at (2, 12)."""
    image = np.random.default_rng(frame).normal(100, 5, SHAPE)
    response = np.zeros((16, 16))
    response[2, 12] = 1
    whole = LiveFrame(
        image=image,
        boxes=np.array([[10, 10, 20, 20], [30, 50, 40, 60], [30, 90, 40, 100]], float),
        ids=np.array([1, 22, 3]),
        lost=np.array([False, False, True]),
        chosen=1,
        window=image[20:36, 40:56],
        response=response,
        psr=9.5,
    )
    return whole._replace(**changes)


def frames_of(path):
    with PIL.Image.open(path) as gif:
        return [(gif.seek(frame), np.asarray(gif.convert("RGB")))[1] for frame in range(gif.n_frames)]


def places(picture, color, *, left_of=SIDE):
    """Bounding box, in pixels of the frame, of all pixels of a colour in the view of the whole frame."""
    near = np.abs(picture.astype(int) - np.round(255 * np.array(to_rgb(color)))).max(-1) < 3
    found = np.argwhere(near[TEXT:, :left_of]) * SHAPE[1] / SIDE
    return [*found.min(0), *found.max(0)] if len(found) else []


def test_boxes_are_where_the_cells_are_in_the_colour_of_their_state(tmp_path):
    assert write_live_view([live_frame()], tmp_path / "a.gif", side=SIDE) == 1
    (picture,) = frames_of(tmp_path / "a.gif")
    assert places(picture, SKY) == [10, 10, 20, 20]
    assert places(picture, ORANGE) == [30, 50, 40, 60]
    assert places(picture, VERMILLION) == [30, 90, 40, 100]


def test_the_outline_of_the_window_and_a_chosen_cell_that_is_lost(tmp_path):
    seen = live_frame(window_centre=(40.5, 60.5), lost=np.ones(3, bool))
    write_live_view([seen], tmp_path / "a.gif", side=SIDE)
    (picture,) = frames_of(tmp_path / "a.gif")
    assert places(picture, SKY) == []
    assert places(picture, ORANGE) == [33, 53, 49, 69]
    assert places(picture, VERMILLION) == [10, 10, 40, 100]


def test_every_frame_is_there_in_order_and_only_one_is_asked_for_at_a_time(tmp_path):
    written = []

    def stream():
        for frame in range(4):
            written.append(partial_beside(tmp_path / "a.gif").exists())
            boxes = live_frame().boxes + np.array([0, frame, 0, frame])
            yield live_frame(frame, boxes=boxes, image=np.full(SHAPE, 10.0 * frame))

    assert write_live_view(stream(), tmp_path / "a.gif", side=SIDE, frames_per_s=20.0) == 4
    assert written == [False, True, True, True]
    pictures = frames_of(tmp_path / "a.gif")
    assert [places(picture, SKY)[1] for picture in pictures] == [10, 11, 12, 13]
    with PIL.Image.open(tmp_path / "a.gif") as gif:
        assert (gif.info["duration"], gif.info["loop"]) == (50, 0)
    assert [path.name for path in tmp_path.iterdir()] == ["a.gif"]


def test_black_and_white_are_those_of_the_first_frame(tmp_path):
    ramp = np.linspace(0, 100, SHAPE[1]) * np.ones((SHAPE[0], 1))
    stream = [live_frame(image=ramp * factor, boxes=np.full((3, 4), np.nan)) for factor in (1, 0.5, 2)]
    write_live_view(stream, tmp_path / "a.gif", side=SIDE)
    greys = [picture[TEXT:, :SIDE].astype(int) for picture in frames_of(tmp_path / "a.gif")]
    means = [grey.mean() for grey in greys]
    assert means[1] < means[0] < means[2]
    assert greys[0][0, 0].max() == 0
    assert greys[2][0, -1].min() == 255


def test_a_blank_beginning_does_not_decide_the_contrast(tmp_path):
    ramp = np.linspace(1000, 2000, SHAPE[1]) * np.ones((SHAPE[0], 1))
    unseen = {"boxes": np.full((3, 4), np.nan), "response": np.zeros((4, 4))}
    stream = [
        live_frame(image=image, window=image[:16, 50:66], **unseen)
        for image in (np.zeros(SHAPE), ramp, ramp / 2)
    ]
    write_live_view(stream, tmp_path / "a.gif", side=SIDE)
    pictures = frames_of(tmp_path / "a.gif")
    left = SIDE + 6
    assert len(np.unique(pictures[0][TEXT + 60 : TEXT + 70, left + 60 : left + 70])) == 1
    for corner in (0, left):
        row = pictures[1][TEXT + 5, corner:, 0]
        assert row[0] == 0
        assert row[: SIDE - 1 if corner == 0 else 99].max() > 200
        assert pictures[2][TEXT + 5, corner, 0] == 0


def test_the_cross_is_on_the_peak_of_the_response(tmp_path):
    write_live_view([live_frame()], tmp_path / "a.gif", side=SIDE)
    (picture,) = frames_of(tmp_path / "a.gif")
    panel = picture.shape[1] - SIDE - 6
    lower = picture[-panel - TEXT : -TEXT, -panel:].astype(int)
    cross = np.argwhere(np.abs(lower - np.round(255 * np.array(to_rgb(ORANGE)))).max(-1) < 3)
    np.testing.assert_allclose(cross.mean(0), (np.array([2, 12]) + 0.5) * panel / 16, atol=1)


@pytest.mark.parametrize(
    "changes",
    [
        {"image": np.zeros(SHAPE, np.uint16)},
        {
            "image": np.full(SHAPE, np.nan),
            "window": np.full((9, 9), np.nan),
            "response": np.full((9, 9), np.nan),
        },
        {"boxes": np.full((3, 4), np.nan), "psr": np.nan},
        {"boxes": np.tile(np.array([[-30.0, -30.0, 500.0, 500.0]]), (3, 1))},
    ],
    ids=["constant", "nothing finite", "no boxes", "boxes beyond the frame"],
)
def test_frames_with_nothing_to_see(tmp_path, changes):
    write_live_view([live_frame(**changes)] * 2, tmp_path / "a.gif", side=SIDE)
    assert len(frames_of(tmp_path / "a.gif")) == 2


@pytest.mark.parametrize("shape", [(30, 90), (90, 30), (7, 500)])
def test_frames_of_any_shape(tmp_path, shape):
    write_live_view([live_frame(image=np.ones(shape))], tmp_path / "a.gif")
    (picture,) = frames_of(tmp_path / "a.gif")
    assert max(picture.shape) >= 560


def test_what_cannot_be_shown_is_refused(tmp_path):
    out = tmp_path / "a.gif"
    with pytest.raises(InputError, match=r"a.png does not end in .gif"):
        write_live_view([live_frame()], tmp_path / "a.png")
    with pytest.raises(InputError, match="there is no frame to write"):
        write_live_view([], out)
    for options in ({"side": 100}, {"frames_per_s": 0.5}, {"frames_per_s": np.nan}):
        with pytest.raises(InputError, match=r"at least 120 pixels are right|1 to 50 are right"):
            write_live_view([live_frame()], out, **options)
    with pytest.raises(ValueError, match=r"image 1 has shape \(5, 5\), but the first has \(60, 120\)"):
        write_live_view([live_frame(), live_frame(image=np.zeros((5, 5)))], out)
    with pytest.raises(ValueError, match="3 boxes, 3 ids, 3 lost flags and the chosen cell 3"):
        write_live_view([live_frame(chosen=3)], out)
    assert list(tmp_path.iterdir()) == []
