"""Frames side by side with outlines, boxes and ids of their cells, one colour per track."""

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from cellmotion_jax.ops.labels import number_cells, tight_boxes
from cellmotion_jax.report.tracked_cells import (
    MOST_BOXES,
    MOST_IDS,
    TrackedView,
    plot_tracked_cells,
    track_colour,
)


def view(labels, name="t000.tif"):
    """Cells whose labels are their tracks."""
    cells = number_cells(labels)
    image = np.random.default_rng(0).normal(size=labels.shape) + (labels > 0)
    boxes = tight_boxes(cells.number, np.arange(1, len(cells.labels)))
    return TrackedView(name, image, cells.number.astype(np.int32), boxes, cells.labels[1:].astype(int))


def squares(count, side=20):
    """Cells of 4 x 4 pixels in a grid."""
    labels = np.zeros((6 * side, 6 * side), int)
    for cell in range(count):
        row, column = divmod(cell, side)
        labels[6 * row + 1 : 6 * row + 5, 6 * column + 1 : 6 * column + 5] = cell + 1
    return labels


def test_a_cell_has_its_outline_its_box_and_its_id_in_the_colour_of_its_track(tmp_path, drawn):
    first, second = np.zeros((2, 30, 40), int)
    first[4:10, 5:12], second[6:12, 7:14] = 9, 9
    second[20:26, 30:40] = 2
    plot_tracked_cells([view(first), view(second, "t001.tif")], tmp_path / "cells.png", title="Two frames")
    assert (tmp_path / "cells.png").stat().st_size > 10_000
    assert drawn[0].get_suptitle() == "Two frames"
    left, right = drawn[0].axes
    assert [axes.get_title(loc="left") for axes in (left, right)] == [
        "t000.tif: 1 cell",
        "t001.tif: 2 cells",
    ]
    assert [text.get_text() for text in left.texts] == ["9"]
    assert [text.get_text() for text in right.texts] == ["2", "9"]
    for axes in (left, right):
        (outlines,) = axes.collections
        for outline, colour, box, text in zip(
            outlines.get_segments(), outlines.get_colors(), axes.patches, axes.texts
        ):
            track = int(text.get_text())
            np.testing.assert_allclose(colour[:3], track_colour(track))
            np.testing.assert_allclose(box.get_edgecolor()[:3], track_colour(track))
            assert to_rgb(text.get_color()) == track_colour(track)
            # Both lie around the pixels of the cell, the box outside of the outline.
            x, y = outline.T
            assert box.get_x() <= x.min() < x.max() <= box.get_x() + box.get_width()
            assert box.get_y() <= y.min() < y.max() <= box.get_y() + box.get_height()
    (outline,) = left.collections[0].get_segments()
    np.testing.assert_allclose(outline.min(axis=0), (4.5, 3.5))
    np.testing.assert_allclose(outline.max(axis=0), (11.5, 9.5))


@pytest.mark.parametrize("count", [0, 1, MOST_IDS, MOST_IDS + 1, MOST_BOXES + 1])
def test_many_cells_have_outlines_alone(tmp_path, drawn, count):
    plot_tracked_cells([view(squares(count))], tmp_path / "cells.png", title="Cells")
    (axes,) = drawn[0].axes
    assert len(axes.collections[0].get_segments()) == count
    assert len(axes.texts) == (count if count <= MOST_IDS else 0)
    assert len(axes.patches) == (count if count <= MOST_BOXES else 0)


def test_cells_at_the_edge_and_in_pieces_are_outlined(tmp_path, drawn):
    labels = np.zeros((20, 30), int)
    labels[:3, :3] = labels[-1:, -1:] = 1
    labels[8:12, 10:20], labels[9:11, 12:14] = 2, 0
    plot_tracked_cells([view(labels)], tmp_path / "cells.png", title="Cells")
    # Two pieces, and an edge outside and one inside of a hole.
    assert len(drawn[0].axes[0].collections[0].get_segments()) == 4


def test_colours_of_following_ids_differ():
    colours = np.array([track_colour(track) for track in range(1, 200)])
    assert ((colours >= 0.29) & (colours <= 1)).all()
    assert np.linalg.norm(np.diff(colours, axis=0), axis=1).min() > 0.3
