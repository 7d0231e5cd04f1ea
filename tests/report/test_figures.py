"""Training curves show the numbers of the log; pictures are written whole or not at all."""

import csv
import subprocess
import sys

import numpy as np
import pytest
from matplotlib.figure import Figure

from cellmotion_jax.errors import InputError
from cellmotion_jax.report.figures import plot_curves, save_figure

HEADER = "step,split,member,metric,value\n"


def write_log(path, rows):
    with path.open("w", newline="") as stream:
        stream.write(HEADER)
        csv.writer(stream).writerows(rows)
    return path


def panel(figure, title):
    return next(axes for axes in figure.axes if axes.get_title(loc="left") == title)


def line(axes, start):
    return next(line for line in axes.lines if line.get_label().startswith(start))


def test_one_panel_per_metric_with_means_over_folds(tmp_path, drawn):
    rows = []
    for step in (10, 20, 30):
        for fold in range(2):
            rows.append((step, "train", f"by image fold {fold}", "loss", 1 / step + fold))
            rows.append(
                (step, "validation", f"by image fold {fold}", "loss", (step - 20) ** 2 / 100 + 2 * fold)
            )
            rows.append((step, "train", f"by image fold {fold}", "learning_rate", 10.0 ** (-step / 10)))
    plot_curves(write_log(tmp_path / "metrics.csv", rows), tmp_path / "curves.png")
    (figure,) = drawn
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["loss", "learning_rate"]
    loss = panel(figure, "loss")
    mean = line(loss, "train")
    np.testing.assert_allclose(mean.get_xdata(), [10, 20, 30])
    np.testing.assert_allclose(mean.get_ydata(), 1 / np.array([10, 20, 30]) + 0.5)
    assert line(loss, "lowest 1 at 20").get_xdata() == 20
    members = [line for line in loss.lines if line.get_linewidth() < 1]
    assert len(members) == 4
    assert all(member.get_linewidth() < mean.get_linewidth() for member in members)
    assert panel(figure, "learning_rate").get_yscale() == "log"


def test_of_a_measure_that_should_rise_the_highest_value_is_marked(tmp_path, drawn):
    rows = [(step, "validation", "one", "SEG", value) for step, value in ((1, 0.5), (2, 0.9), (3, 0.8))]
    plot_curves(write_log(tmp_path / "metrics.csv", rows), tmp_path / "curves.png")
    assert line(panel(drawn[0], "SEG"), "highest 0.9 at 2").get_xdata() == 2


def test_members_that_differ_in_more_than_the_fold_get_rows_of_their_own(tmp_path, drawn):
    names = [f"{protocol} fold {fold}, 2N" for protocol in ("by image", "by track") for fold in range(3)]
    rows = [(step, "train", name, "E_deg", 50.0 + step) for name in names for step in (1, 2)]
    plot_curves(write_log(tmp_path / "metrics.csv", rows), tmp_path / "curves.png")
    titles = [axes.get_title(loc="left") for axes in drawn[0].axes]
    assert titles == ["by image, 2N: E_deg", "by track, 2N: E_deg"]


@pytest.mark.parametrize(
    ("values", "scale"),
    [
        ([1.0, 0.5], "linear"),
        ([1.0, 0.001], "log"),
        ([0.0, 1.0, 0.001], "log"),
        ([-0.9, 0.001, 1.0], "linear"),
    ],
)
def test_axis_is_logarithmic_where_positive_values_span_decades(tmp_path, drawn, values, scale):
    rows = [(step, "train", "a", "loss", value) for step, value in enumerate(values)]
    plot_curves(write_log(tmp_path / "metrics.csv", rows), tmp_path / "curves.png")
    assert drawn[0].axes[0].get_yscale() == scale


def test_values_that_are_not_finite_are_gaps(tmp_path, drawn):
    rows = [
        (1, "validation", "a", "loss", 2.0),
        (2, "validation", "a", "loss", "nan"),
        (3, "train", "a", "loss", "inf"),
    ]
    plot_curves(write_log(tmp_path / "metrics.csv", rows), tmp_path / "curves.png")
    np.testing.assert_array_equal(line(drawn[0].axes[0], "validation").get_ydata(), [2.0, np.nan])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "does not exist"),
        ("", "columns"),
        ("step,loss\n1,2\n", r"columns .*step,split,member,metric,value"),
        (HEADER, "no values"),
        (HEADER + "1,train,a,loss,0.5\n2,train,a,loss,half\n", "line 3"),
        (HEADER + "1,train,a\n", "line 2"),
    ],
)
def test_a_bad_log_is_refused_by_name(tmp_path, content, message):
    path = tmp_path / "metrics.csv"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InputError, match=message) as refusal:
        plot_curves(path, tmp_path / "curves.png")
    assert str(path) in str(refusal.value)
    assert not (tmp_path / "curves.png").exists()


def test_a_figure_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "new" / "picture.png"
    save_figure(Figure(), path)
    before = path.read_bytes()
    assert before.startswith(b"\x89PNG")

    def torn(figure, file, **options):
        file.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(Figure, "savefig", torn)
    with pytest.raises(OSError, match="disk full"):
        save_figure(Figure(), path)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_an_unknown_format_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"picture\.txt does not end in a picture format"):
        save_figure(Figure(), tmp_path / "picture.txt")


def test_no_global_state_of_matplotlib_is_touched():
    code = "import sys, cellmotion_jax.report; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
