"""Pictures of filters and maps are drawn, of empty ones too."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from cellmotion_jax.report.features import plot_feature_maps, plot_filters


@pytest.fixture
def figures(monkeypatch):
    """Every figure that is saved."""
    saved = []
    original = Figure.savefig
    monkeypatch.setattr(
        Figure, "savefig", lambda self, *args, **kwargs: (saved.append(self), original(self, *args, **kwargs))
    )
    return saved


def test_every_filter_has_a_panel_on_its_own_scale(tmp_path, figures):
    filters = np.random.default_rng(0).normal(size=(3, 3, 10)) * 10.0 ** np.arange(10)
    filters[..., 3] = 0
    plot_filters(filters, tmp_path / "filters.png", title="Filters")
    assert (tmp_path / "filters.png").stat().st_size > 5_000
    panels = figures[0].axes
    assert len(panels) == 10
    for index, axes in enumerate(panels):
        low, high = axes.images[0].get_clim()
        assert low == -high
        assert high == (np.abs(filters[..., index]).max() if index != 3 else 1.0)


def test_maps_are_those_that_vary_most(tmp_path, figures):
    rng = np.random.default_rng(0)
    windows = rng.normal(size=(2, 8, 8))
    layer = rng.normal(size=(2, 4, 4, 5)) * [0, 1, 9, 1, 0]
    plot_feature_maps(windows, {"conv1": layer}, tmp_path / "maps.png", names=["a", "b"], title="Maps")
    shown = {axes.get_title() for axes in figures[0].axes}
    assert shown == {"a", "b", "conv1, map 2", ""}
    pictures = [np.asarray(axes.images[0].get_array()) for axes in figures[0].axes]
    assert any(np.array_equal(picture, layer[1, ..., 2]) for picture in pictures)
