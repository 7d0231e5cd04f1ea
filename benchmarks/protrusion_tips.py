"""Tips of protrusions on simulated cells, against where they were drawn, and the time they take.

``python benchmarks/protrusion_tips.py``. The movies are in phase contrast, with known tips; the masks are
the true ones. A tip is found if it lies within 5 pixels of a drawn one, one to one. Within 5 pixels of the
edge of the image, where it is a matter of a pixel whether a tip is seen, neither misses nor false tips count.

The peer is the method of Gomez-de-Mariscal et al. 2021 from ready-made functions, cell by cell over the whole
image: ``distance_transform_edt``, ``skeletonize``, end points, ``MCP_Geometric``. It is not the authors'
code: their geodesic distance is a loop in Python, and they join cells in several pieces.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import ndimage
from skimage.graph import MCP_Geometric
from skimage.morphology import skeletonize
from timing import interleaved, print_table

from cellmotion_jax.data.simulate import Simulation, simulate
from cellmotion_jax.data.simulate.movie import SimulatedMovie
from cellmotion_jax.metrics import optimal_matches
from cellmotion_jax.morphology.protrusions import ProtrusionSettings, find_protrusions

RADIUS = 5.0
SHORTEST_UM = 20.0
OURS = "cellmotion_jax"
MOVIES = {
    "20 cells in 983 x 985, 2 protrusions each": Simulation(
        frames=16, height=983, width=985, cells=20, protrusions=2.0, seed=5
    ),
    "20 cells in 983 x 985, 0.7 protrusions each": Simulation(
        frames=16, height=983, width=985, cells=20, seed=6
    ),
    "12 cells in 512 x 512, touching, 2 protrusions each": Simulation(
        frames=16, height=512, width=512, cells=12, protrusions=2.0, seed=7
    ),
}


class Found(NamedTuple):
    """Tips of one frame."""

    points: np.ndarray
    length_um: np.ndarray


def ours(settings: ProtrusionSettings, *, free: bool = False) -> Callable[[np.ndarray, float], Found]:
    def find(labels, pixel_size_um):
        found = find_protrusions(labels, pixel_size_um=pixel_size_um, settings=settings)
        kept = ~found.touching if free else slice(None)
        return Found(np.stack([found.y, found.x], axis=1)[kept], found.length_um[kept])

    return find


def paper_in_windows(labels: np.ndarray, pixel_size_um: float) -> Found:
    """The same tips as from whole images, for the table of what is found."""
    tables = [np.zeros((0, 3))]
    for label, box in enumerate(ndimage.find_objects(labels), start=1):
        if box is not None:
            window = tuple(slice(max(side.start - 1, 0), side.stop + 1) for side in box)
            corner = np.array([window[0].start, window[1].start, 0])
            tables.append(paper_tips(labels[window] == label, pixel_size_um) + corner)
    table = np.concatenate(tables)
    return Found(table[:, :2], table[:, 2])


def paper_on_whole_images(labels: np.ndarray, pixel_size_um: float) -> np.ndarray:
    return np.concatenate(
        [paper_tips(labels == label, pixel_size_um) for label in np.unique(labels[labels > 0])]
    )


def paper_tips(mask: np.ndarray, pixel_size_um: float) -> np.ndarray:
    """Row, column and length of all tips of one cell."""
    depth = ndimage.distance_transform_edt(mask)
    centre = np.unravel_index(depth.argmax(), depth.shape)
    skeleton = skeletonize(mask)
    crowd = ndimage.convolve(skeleton.astype(np.uint8), np.ones((3, 3), np.uint8), mode="constant")
    ends = np.argwhere(skeleton & (crowd == 2))
    length = MCP_Geometric(np.where(mask, 1.0, -1.0)).find_costs([centre])[0][tuple(ends.T)] * pixel_size_um
    kept = np.isfinite(length) & (length >= SHORTEST_UM)
    return np.column_stack([ends[kept], length[kept]])


def score(movie: SimulatedMovie, find: Callable[[np.ndarray, float], Found]) -> str:
    """Precision, recall and the error of the length as cells of a table."""
    right = false = missed = 0
    errors: list[np.ndarray] = []
    tips = movie.tips
    size = np.array(movie.masks.shape[1:])
    for frame, labels in enumerate(movie.masks):
        here = tips.frame == frame
        true = np.stack([tips.y[here], tips.x[here]], axis=1)
        found = find(labels.astype(np.int32), movie.pixel_size_um)
        matches = optimal_matches(found.points, true, radius=RADIUS)
        right += matches.detection.size
        false += _inner(found.points[matches.false_detection], size)
        missed += _inner(true[matches.missed_marker], size)
        true_um = tips.length_from_centre[here][matches.marker] * movie.pixel_size_um
        errors.append(found.length_um[matches.detection] - true_um)
    error = np.concatenate(errors)
    return (
        f"{right / (right + false):.3f} | {right / (right + missed):.3f} | {np.median(error):+.2f} | "
        f"{error.mean():+.2f} | {np.median(abs(error)):.2f} | {np.percentile(abs(error), 95):.2f}"
    )


def _inner(points: np.ndarray, size: np.ndarray) -> int:
    return int((np.minimum(points, size - 1 - points).min(axis=1) >= RADIUS).sum())


def main() -> None:
    contenders = {
        "paper (scikit-image)": paper_in_windows,
        "ours, every skeleton end": ours(ProtrusionSettings(shortest_relief_um=0)),
        "**ours**": ours(ProtrusionSettings()),
        "ours, tips on the outline": ours(ProtrusionSettings(to_outline=True)),
        "ours, without touching tips": ours(ProtrusionSettings(), free=True),
    }
    frames = {}
    for name, simulation in MOVIES.items():
        movie = simulate(simulation)
        frames[name] = movie.masks[-1].astype(np.int32)
        print(f"\n{name}: {len(movie.tips.y)} tips of {len(movie.cells.y)} cells\n")
        print("| | precision | recall | length error um: median | mean | median absolute | 95 % absolute |")
        print("| --- | --- | --- | --- | --- | --- | --- |")
        for contender, find in contenders.items():
            print(f"| {contender} | {score(movie, find)} |")
        sys.stdout.flush()
    labels = next(iter(frames.values()))
    print(f"\nOne frame of {labels.shape[0]} x {labels.shape[1]} with {len(np.unique(labels)) - 1} cells\n")
    seconds = interleaved(
        {
            OURS: lambda: find_protrusions(labels, pixel_size_um=0.65).length_um,
            "paper (scikit-image), whole images": lambda: paper_on_whole_images(labels, 0.65),
        },
        rounds=3,
        calls=1,
        warm_up=1,
    )
    print_table(seconds, ours=OURS, packages=("scipy", "scikit-image"))


if __name__ == "__main__":
    main()
