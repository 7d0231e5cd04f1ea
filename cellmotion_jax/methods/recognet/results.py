"""Table and pictures of a trained RecogNet, written next to its checkpoints."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np

from cellmotion_jax.data.pipeline import gather
from cellmotion_jax.files import write_csv
from cellmotion_jax.methods.recognet.data import RecogNetSamples
from cellmotion_jax.methods.recognet.model_file import RecogNetModel
from cellmotion_jax.report.features import plot_feature_maps, plot_filters
from cellmotion_jax.report.summary import write_summary

HEADER = ("part", "windows", "nuclei", "accuracy", "loss")
SHOWN_NUCLEI = 4
PAPER = "Paper, random validation windows of other movies: accuracy 0.83, loss 0.76."


def write_results(
    folder: pathlib.Path,
    model: RecogNetModel,
    samples: RecogNetSamples,
    reached: Mapping[str, Mapping[str, np.ndarray]],
) -> None:
    """Writes and prints the accuracy on every part, and draws the filters and maps of some nuclei.

    Args:
        folder: Folder of the experiment.
        model: The trained network.
        samples: Samples of the experiment.
        reached: Loss and error rate of each part.
    """
    rows = [
        (
            name,
            len(part),
            len(np.unique(part.identity)),
            f"{1 - reached[name]['error_rate'][0]:.4f}",
            f"{reached[name]['loss'][0]:.4f}",
        )
        for name, part in samples.parts.items()
    ]
    write_csv(folder / "results.csv", HEADER, rows)
    lines = [f"{'part':<12}{'windows':>9}{'nuclei':>8}{'accuracy':>10}{'loss':>9}"]
    lines += [
        f"{name:<12}{n:>9}{nuclei:>8}{accuracy:>10}{loss:>9}" for name, n, nuclei, accuracy, loss in rows
    ]
    lines += [
        f"Of {model.network.nuclei} outputs {len(model.names)} stand for a nucleus.",
        "Validation windows are drawn at random: neighbouring frames of a nucleus were trained on. "
        "Later windows are the ends of the tracks, of which nothing was.",
        PAPER,
    ]
    write_summary(folder, lines)
    print(f"Tables and pictures: {folder}")  # noqa: T201
    filters = np.asarray(model.variables["params"]["conv1"]["kernel"])[..., 0, :]
    plot_filters(filters, folder / "filters.png", title="First-layer filters of RecogNet")
    _draw_maps(folder / "maps.png", model, samples)


def _draw_maps(path: pathlib.Path, model: RecogNetModel, samples: RecogNetSamples) -> None:
    """Draws the maps of the first later window of a few nuclei."""
    part = samples.parts["later"]
    nuclei, first = np.unique(part.identity, return_index=True)
    images = gather(part, first[:SHOWN_NUCLEI])["image"]
    maps = model.network.apply(model.variables, jnp.asarray(images), train=False, head=False).features  # type: ignore[union-attr]
    plot_feature_maps(
        images[..., 0],
        {f"conv{number}": np.asarray(layer) for number, layer in enumerate(maps, start=1)},
        path,
        names=[model.names[nucleus] for nucleus in nuclei[:SHOWN_NUCLEI]],
        title="What RecogNet makes of nuclei",
    )
