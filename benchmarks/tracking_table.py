"""Features x options x movies: how well correlation filters follow cells, in one table.

``python -m benchmarks.tracking_table DATASET [DATASET ...] --embedding FILE ...`` from the root of the
repository, with folders in the layout of the Cell Tracking Challenge (``01``, ``01_GT/TRA``). Networks are
optional: the model.safetensors of ``celltrack-embedding`` (several: the first for the first dataset and so
on, so that each movie is followed by a network that has not seen it) and of ``recognet``, an imported
DeepCell feature network, imported MobileNetV2 weights.

Every cell of frame 0 is followed until its reference track ends ("first"), and every cell from its birth
("births"). For each: the share of frames within 20 and 10 px of the true centroid, the area under the
precision curve, identity switches per 100 frames, the share reported lost, and of that flag precision and
recall against a distance of more than 20 px. The frame in which a cell begins does not count, for its place
is given. ``--pictures FOLDER`` draws the precision curves of all configurations, and of each one precision
and recall of "lost" against the threshold on the confidence.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import pathlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from cellmotion_jax.data.ctc import CtcSequence, open_dataset
from cellmotion_jax.data.trajectories import Trajectories, read_trajectories
from cellmotion_jax.methods.celltrack.network_features import (
    DeepCellFeatures,
    MobileNetFeatures,
    recognet_features,
)
from cellmotion_jax.methods.celltrack.seeds import Seeds
from cellmotion_jax.methods.celltrack.track_movie import track_movie
from cellmotion_jax.methods.celltrack_embedding.features import embedding_features
from cellmotion_jax.methods.celltrack_embedding.model_file import load_model as load_embedding
from cellmotion_jax.methods.recognet.model_file import load_model as load_recognition_model
from cellmotion_jax.metrics import (
    LostReport,
    PrecisionCurve,
    centre_errors,
    identity_switches,
    lost_curve,
    lost_report,
    precision_curve,
)
from cellmotion_jax.report.tracking_scores import plot_lost, plot_precision
from cellmotion_jax.tracking import (
    PAPER_WEIGHTS,
    Exclusion,
    Features,
    IntensityAndGradient,
    KernelFilter,
    LinearFilter,
    Motion,
    Redetection,
    Tracker,
)
from cellmotion_jax.weights.catalogue import CATALOGUE
from cellmotion_jax.weights.convert import load_weights

BASE = Tracker(exclusion=Exclusion())


COLUMNS = (
    *("movie", "cells", "features", "options"),
    *("within 20 px", "10 px", "area", "switches / 100", "lost", "precision", "recall"),
)


LOST_THRESHOLDS = tuple(np.linspace(-0.5, 1.0, 31).tolist())


class Scores(NamedTuple):
    """What a configuration reaches."""

    precision: PrecisionCurve
    switches: float
    lost: LostReport
    lost_curve: LostReport

    def row(self) -> tuple[str, ...]:
        return (
            *(
                f"{share:.3f}"
                for share in (self.precision.at_20, self.precision.precision[10], self.precision.area)
            ),
            f"{100 * self.switches:.2f}",
            *(f"{share:.2f}" for share in (self.lost.reported, self.lost.precision, self.lost.recall)),
        )


class Case(NamedTuple):
    """A movie with its truth."""

    sequence: CtcSequence
    truth: Trajectories
    diameter: float


def main() -> None:
    options = _options()
    print(f"| {' | '.join(COLUMNS)} |\n|{' --- |' * len(COLUMNS)}")
    for number, root in enumerate(options.datasets):
        case = _case(root)
        curves = {name: {} for name in options.seeds}
        for features, option, tracker, grid in _configurations(options, number):
            if options.only and options.only not in f"{features}, {option}":
                continue
            for name in options.seeds:
                truth = case.truth if name == "births" else case.truth.of_first_frame()
                scores = _scores(case, truth, tracker, grid)
                row = (case.sequence.full_name, name, features, option, *scores.row())
                print(f"| {' | '.join(row)} |", flush=True)
                curves[name][f"{features}: {option}"] = scores.precision
                if options.pictures:
                    place = options.pictures / f"{root.name}-{name}"
                    plot_precision(curves[name], place.with_name(f"{place.name}-precision.png"))
                    plot_lost(
                        LOST_THRESHOLDS,
                        scores.lost_curve,
                        place.with_name(f"{place.name}-lost-{features}-{option}.png"),
                        chosen=tracker.confidence.lost,
                        confidence="confidence",
                    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("datasets", type=pathlib.Path, nargs="+")
    parser.add_argument("--embedding", type=pathlib.Path, nargs="*", default=[], help="one per dataset")
    parser.add_argument("--recognet", type=pathlib.Path)
    parser.add_argument("--deepcell", type=pathlib.Path)
    parser.add_argument("--mobilenet", type=pathlib.Path)
    parser.add_argument("--offset", type=float, default=0.0, help="intensity without light, for DeepCell")
    parser.add_argument("--pictures", type=pathlib.Path, help="folder for the curves")
    parser.add_argument("--only", help="configurations whose features and options hold this text")
    parser.add_argument("--seeds", nargs="+", default=["first", "births"], choices=["first", "births"])
    return parser.parse_args()


def _case(root: pathlib.Path) -> Case:
    """The first sequence of a dataset; its cells are as large as the first segmentation mask says."""
    sequence = open_dataset(root)[0]
    masks = (sequence.segmentation_mask(frame) for frame in range(len(sequence.movie)))
    mask = next((mask for mask in masks if mask is not None), sequence.tracking_mask(0))
    areas = np.bincount(mask.ravel())[1:]
    return Case(sequence, read_trajectories(sequence), math.sqrt(4 * np.median(areas[areas > 0]) / math.pi))


Configuration = tuple[str, str, Tracker, float | None]
"""Features, options, the tracker, and the diameter of cells on its grid; None for as in the image."""


def _configurations(options: argparse.Namespace, number: int) -> Iterator[Configuration]:
    change = dataclasses.replace
    yield "intensity", "none, as in the paper", _unaided(BASE), 16.0
    yield "intensity", "motion", change(BASE, exclusion=None), 16.0
    yield "intensity", "motion, assignment", BASE, 16.0
    yield "intensity", "and not normalised", change(BASE, filter=LinearFilter(normalize=False)), 16.0
    yield "intensity", "and eta 0.05", change(BASE, filter=LinearFilter(learning_rate=0.05)), 16.0
    yield "intensity", "and Gaussian kernel", change(BASE, filter=KernelFilter()), 16.0
    yield "intensity", "and scale", change(BASE, scales=(0.95, 1.0, 1.05)), 16.0
    yield "intensity", "and re-detection", change(BASE, redetection=Redetection()), 16.0
    yield "intensity, gradient", "motion, assignment", change(BASE, features=IntensityAndGradient()), 16.0
    if options.embedding:
        model = load_embedding(options.embedding[min(number, len(options.embedding) - 1)])
        for with_intensity in (False, True):
            name = "embedding, intensity" if with_intensity else "embedding"
            tracker = change(
                BASE,
                features=embedding_features(model, with_intensity=with_intensity),
                weights=(1.0, 1.0)[: 1 + with_intensity],
                filter=LinearFilter(regularization=model.regularization, sigma=model.filter_sigma),
                size=model.window,
                sharpness=model.sharpness,
                motion=change(BASE.motion, spread=model.spread),
            )
            yield name, "motion", change(tracker, exclusion=None), model.diameter
            yield name, "motion, assignment", tracker, model.diameter
            yield name, "and no centring", change(tracker, centring=None), model.diameter
            quick = change(tracker, filter=change(tracker.filter, learning_rate=0.03))
            yield name, "and eta 0.03", quick, model.diameter
            yield name, "and re-detection", change(tracker, redetection=Redetection()), model.diameter
    if options.deepcell:
        pretrained = load_weights(options.deepcell)
        deepcell = DeepCellFeatures(
            network=CATALOGUE[pretrained.model].module,
            variables=pretrained.variables,
            stride=2,
            offset=options.offset,
        )
        yield "DeepCell 1 to 4", "none, as in the paper", _unaided(_on(deepcell, PAPER_WEIGHTS)), None
        yield "DeepCell 1 to 4", "motion, assignment", _on(deepcell, PAPER_WEIGHTS), None
    if options.recognet:
        model = load_recognition_model(options.recognet)
        for name, debiased in (("RecogNet, padded windows", False), ("RecogNet, padding kept out", True)):
            tracker = _on(recognet_features(model, debiased=debiased), PAPER_WEIGHTS)
            yield name, "none, as in the paper", _unaided(tracker), None
            yield name, "motion, assignment", tracker, None
    if options.mobilenet:
        pretrained = load_weights(options.mobilenet)
        entry = CATALOGUE[pretrained.model]
        stages = MobileNetFeatures(
            network=dataclasses.replace(entry.module, levels=3),
            variables=pretrained.variables,
            scaling=entry.scaling,
        )
        yield "MobileNetV2 stages 1 to 3", "motion, assignment", _on(stages, (1.0, 0.5, 0.2)), None


def _unaided(tracker: Tracker) -> Tracker:
    """Without what the paper asks for next."""
    return dataclasses.replace(tracker, exclusion=None, motion=Motion(spread=math.inf, momentum=0.0))


def _on(features: Features, weights: tuple[float, ...]) -> Tracker:
    return dataclasses.replace(BASE, features=features, weights=weights)


def _scores(case: Case, truth: Trajectories, tracker: Tracker, grid_diameter: float | None) -> Scores:
    """Follows the cells and holds the tracks against the truth, cell by cell."""
    cells = np.arange(len(truth.labels))
    begin = truth.begin
    seeds = Seeds(
        begin,
        truth.labels,
        truth.points[begin, cells],
        np.full(len(cells), case.diameter, np.float32),
        truth.boxes[begin, cells],
    )
    wanted = case.diameter if grid_diameter is None else grid_diameter
    tracks = track_movie(
        case.sequence.movie, seeds, tracker, diameter=case.diameter, grid_diameter=wanted
    ).tracks
    column = np.searchsorted(tracks.ids, truth.labels, sorter=np.argsort(tracks.ids))
    order = np.argsort(tracks.ids)[column]
    points, lost = tracks.points[:, order], tracks.lost[:, order]
    counted = truth.present & (np.arange(len(points))[:, None] > begin[None])
    errors = centre_errors(points, truth.points)
    switches = identity_switches(points, case.truth.points, counted, radius=case.diameter / 2).switches
    return Scores(
        precision_curve(errors, counted),
        float(switches.sum() / counted.sum()),
        lost_report(errors, lost, counted),
        lost_curve(errors, tracks.confidence[:, order], counted, thresholds=LOST_THRESHOLDS),
    )


if __name__ == "__main__":
    main()
