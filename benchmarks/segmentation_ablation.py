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

from cellmotion_jax.report.figures import plot_curves
from cellmotion_jax.training.convlstm import ConvLSTMExperiment, VideoNetwork
from cellmotion_jax.training.patch_sampling import PatchSampling
from cellmotion_jax.training.video_data import VideoData

ONE_FRAME = VideoNetwork(recurrent=False)
STILL = {"mirror": False, "rotation": 0.0, "scale": 0.0, "contrast": 0.0, "brightness": 0.0, "noise": 0.0}


def variants(whole: ConvLSTMExperiment) -> dict[str, ConvLSTMExperiment]:
    """One change at a time from the network without recurrence, trained in two steps."""
    one = dataclasses.replace(whole, network=ONE_FRAME, data=dataclasses.replace(whole.data, window=1))
    free = tuple(dataclasses.replace(it, frozen=(), fixed_statistics=()) for it in one.phases)
    return {
        "two steps": one,
        "random weights": dataclasses.replace(one, weights=None, phases=free),
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
    whole = ConvLSTMExperiment(weights=weights, data=VideoData(root=root))
    chosen = variants(whole)
    for name, experiment in chosen.items():
        if not only or name in only:
            run = dataclasses.replace(experiment.run, folder=out / name.replace(" ", "-").replace(",", ""))
            dataclasses.replace(experiment, run=run).train()
    out.mkdir(parents=True, exist_ok=True)
    merged = out / "metrics.csv"
    with merged.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("step", "split", "member", "metric", "value"))
        for name in chosen:
            log = out / name.replace(" ", "-").replace(",", "") / "metrics.csv"
            if log.exists():
                with log.open(encoding="utf-8") as rows:
                    for row in csv.DictReader(rows):
                        writer.writerow((row["step"], row["split"], name, row["metric"], row["value"]))
    plot_curves(merged, out / "curves.png")
    print(f"Curves: {out / 'curves.png'}")


if __name__ == "__main__":
    tyro.cli(main)
