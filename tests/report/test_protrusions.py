"""The picture of a cell shows its tips with their lengths."""

import numpy as np
import pytest

from cellmotion_jax.errors import InputError
from cellmotion_jax.morphology import ProtrusionSettings, find_protrusions
from cellmotion_jax.report.protrusions import plot_protrusions
from tests.label_images import discs


def _cell():
    labels = discs((90, 120), (45, 40, 15), (80, 110, 8))
    labels[44:47, 40:95] = 1
    return labels


def test_every_tip_is_labelled_with_its_length(tmp_path, drawn):
    labels = _cell()
    out = tmp_path / "cell.png"
    image = labels.astype(float)
    plot_protrusions(image, labels, 1, out, pixel_size_um=0.65, settings=ProtrusionSettings())
    assert out.stat().st_size > 10_000
    found = find_protrusions(labels, pixel_size_um=0.65)
    (figure,) = drawn
    assert figure.get_suptitle() == "Cell 1: 1 protrusion"
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert f"{found.from_body_um[0]:.0f} µm" in texts
    assert f"{found.length_um[0]:.0f} µm" in [text.get_text() for text in figure.axes[1].texts]
    assert [axes.get_title(loc="left") for axes in figure.axes[:2]] == [
        "length of a protrusion from the body",
        "from the centre, the body included",
    ]
    mapped = figure.axes[1].images[1].get_array()
    assert np.nanmax(mapped) >= found.length_um[0]


def test_a_cell_of_one_pixel_is_drawn(tmp_path, drawn):
    labels = np.zeros((5, 7), int)
    labels[2, 3] = 4
    out = tmp_path / "pixel.png"
    plot_protrusions(
        np.zeros((5, 7, 3)), labels, 4, out, pixel_size_um=1.0, settings=ProtrusionSettings(), title="Speck"
    )
    assert drawn[0].get_suptitle() == "Speck: 0 protrusions"


@pytest.mark.parametrize(("margin", "length"), [(9, 2), (0, 40)])
def test_tips_in_the_centre_and_images_one_row_high_are_drawn(tmp_path, drawn, margin, length):
    labels = np.pad(np.ones((1, length), int), margin)
    settings = ProtrusionSettings(shortest_um=0.0, shortest_relief_um=0.0)
    plot_protrusions(labels, labels, 1, tmp_path / "row.png", pixel_size_um=1.0, settings=settings)
    lengths = [text.get_text() for text in drawn[0].axes[1].texts]
    assert ("0 µm" in lengths) == (length == 2)


def test_another_shape_and_a_missing_cell_are_refused(tmp_path):
    labels, out = _cell(), tmp_path / "cell.png"
    options = {"pixel_size_um": 1.0, "settings": ProtrusionSettings()}
    with pytest.raises(ValueError, match="label image has shape"):
        plot_protrusions(np.zeros((5, 5)), labels, 1, out, **options)
    with pytest.raises(InputError, match="no cell 9"):
        plot_protrusions(labels, labels, 9, out, **options)
    assert not out.exists()
