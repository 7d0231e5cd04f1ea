"""What pretraining, sampling and the recurrent unit are worth for the ConvLSTM U-Net, on one budget.

    python benchmarks/segmentation_ablation.py .../PhC-C2DH-U373 --weights encoder.safetensors --out FOLDER

Every variant is trained by the experiment `convlstm` with the same numbers of updates and rates, one after
another; a run that is killed goes on. Writes the curves of all of them into one picture (Figure 6 and
Appendix B.4 of Gomez-de-Mariscal et al. 2021) and prints SEG and the Jaccard index on the test frames.
"""

import csv
import dataclasses
import pathlib

import tyro
from matplotlib.artist import Artist

from cellmotion_jax.methods.convlstm.augmentation import PatchSampling
from cellmotion_jax.methods.convlstm.data import ConvLSTMData
from cellmotion_jax.methods.convlstm.experiment import ConvLSTMExperiment, ConvLSTMNetwork
from cellmotion_jax.report.figures import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    VERMILLION,
    label_axes,
    legend_below,
    new_figure,
    save_figure,
)

COLORS = (BLUE, VERMILLION, ORANGE, GREY, GREEN)
ONE_FRAME = ConvLSTMNetwork(recurrent=False)
STILL = {"mirror": False, "rotation": 0.0, "scale": 0.0, "contrast": 0.0, "brightness": 0.0, "noise": 0.0}


def variants(whole: ConvLSTMExperiment) -> dict[str, ConvLSTMExperiment]:
    """One change at a time from the network without recurrence, trained in two steps."""
    one = dataclasses.replace(whole, network=ONE_FRAME, data=dataclasses.replace(whole.data, window=1))
    return {
        "two steps": one,
        "random weights": dataclasses.replace(one, weights=None),
        "no sampling": dataclasses.replace(one, sampling=PatchSampling(weight=1.0)),
        "no sampling, no augmentation": dataclasses.replace(one, sampling=PatchSampling(weight=1.0, **STILL)),
        "ConvLSTM": whole,
    }


def main(
    root: tyro.conf.Positional[pathlib.Path],
    /,
    *,
    weights: pathlib.Path,
    out: pathlib.Path = pathlib.Path("runs/segmentation-ablation"),
    only: tuple[str, ...] = (),
) -> None:
    """Trains the variants, or those named in only, and compares all that are finished."""
    whole = ConvLSTMExperiment(weights=weights, data=ConvLSTMData(root=root))
    chosen = variants(whole)
    if unknown := set(only) - set(chosen):
        raise SystemExit(f"only names {sorted(unknown)}; there are {list(chosen)}")
    for name, experiment in chosen.items():
        if not only or name in only:
            run = dataclasses.replace(experiment.run, folder=_folder(out, name))
            dataclasses.replace(experiment, run=run).train()
    plot_variants(
        {
            name: _folder(out, name) / "metrics.csv"
            for name in chosen
            if (_folder(out, name) / "model.safetensors").exists()
        },
        out / "curves.png",
    )
    print(f"Curves: {out / 'curves.png'}")


def plot_variants(logs: dict[str, pathlib.Path], path: pathlib.Path) -> None:
    """Validation of all variants, a panel per measure."""
    panels = {"jaccard_distance": "Jaccard index of validation frames", "SEG": "SEG of validation frames"}
    figure = new_figure(11.0, 4.6, title="One budget, one change at a time", hint="")
    handles: list[Artist] = []
    for column, (metric, title) in enumerate(panels.items()):
        axes = figure.add_subplot(1, 2, column + 1)
        label_axes(axes, title=title, x="update")
        for number, (name, log) in enumerate(logs.items()):
            points = _validation(log, metric)
            values = [1 - value if metric == "jaccard_distance" else value for _, value in points]
            steps = [step for step, _ in points]
            (line,) = axes.plot(steps, values, color=COLORS[number], linewidth=2, label=name)
            handles += [line] * (column == 0)
        axes.set_ylim(0.7, 1)
    legend_below(
        figure,
        handles,
        hint="The encoder is frozen up to the middle, except with random weights; no curve below 0.7.",
    )
    save_figure(figure, path)


def _folder(out: pathlib.Path, name: str) -> pathlib.Path:
    return out / name.replace(" ", "-").replace(",", "")


def _validation(log: pathlib.Path, metric: str) -> list[tuple[int, float]]:
    with log.open(encoding="utf-8") as rows:
        return [
            (int(row["step"]), float(row["value"]))
            for row in csv.DictReader(rows)
            if (row["split"], row["metric"]) == ("validation", metric)
        ]


if __name__ == "__main__":
    tyro.cli(main)
