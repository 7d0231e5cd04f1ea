"""Cheaper tilings beside that of the paper, on the frames of a movie: time, difference of maps and of cells.

``python -m benchmarks.tilings MODEL MOVIE`` from the root of the repository, with the model.safetensors of a
trained network and a folder of TIFF frames or a stack; ``--frames`` for more of them, spread over the movie.
The paper's tiling averages 64 predictions for most pixels. Each other one is held against it: the mean and
the largest absolute difference of the map that cells are detected on, and the F-score of its cells against
the paper's, one to one by optimal assignment within a third of a cell diameter. One call compiles before any
is timed, and the tilings take turns.
"""

from __future__ import annotations

import argparse
import pathlib
import time

import numpy as np

from cellmotion_jax.data.movie import open_movie
from cellmotion_jax.inference.tiling import PAPER_TILING, Tiling
from cellmotion_jax.methods.deep_distance.cells import find_cells
from cellmotion_jax.methods.deep_distance.model_file import load_model as load_cell_model
from cellmotion_jax.metrics import optimal_matches, total_counts

PAPER = "paper: stride 64, averaged"
TILINGS = {
    PAPER: PAPER_TILING,
    "stride 256, averaged": Tiling(margin=0, stride=256),
    "side by side, no margin": Tiling(margin=0),
    "side by side, margin 16": Tiling(margin=16),
    "side by side, margin 48 (default)": Tiling(),
    "side by side, margin 96": Tiling(margin=96),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("movie", type=pathlib.Path)
    parser.add_argument("--frames", type=int, default=3)
    options = parser.parse_args()
    model, movie = load_cell_model(options.model), open_movie(options.movie)
    radius = model.cell_diameter * model.downsample / 3

    seconds = {name: [] for name in TILINGS}
    means, largest, counts = ({name: [] for name in TILINGS} for _ in range(3))
    for turn, frame in enumerate(np.linspace(0, len(movie) - 1, options.frames).astype(int)):
        image, found = movie[frame][..., None], {}
        for name, tiling in TILINGS.items():
            if turn == 0:
                find_cells(model, image, segment=False, tiling=tiling)
            start = time.perf_counter()
            found[name] = find_cells(model, image, segment=False, tiling=tiling)
            seconds[name].append(time.perf_counter() - start)
        for name, cells in found.items():
            difference = np.abs(map_of(cells) - map_of(found[PAPER]))
            means[name].append(difference.mean())
            largest[name].append(difference.max())
            counts[name].append(optimal_matches(cells.points, found[PAPER].points, radius=radius).counts)

    print(
        f"{options.frames} frames of {movie.shape[0]} x {movie.shape[1]}, downsampled by {model.downsample}\n"
    )
    print("| tiling | s / frame | / paper | mean difference | largest | F-score against the paper's cells |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name in TILINGS:
        median, paper = np.median(seconds[name]), np.median(seconds[PAPER])
        f_score = total_counts(counts[name]).f_score
        print(
            f"| {name} | {median:.2f} | {median / paper:.3f} | {np.mean(means[name]):.4f} "
            f"| {np.max(largest[name]):.3f} | {f_score:.4f} |"
        )


def map_of(cells) -> np.ndarray:
    """The first map of the network; it is the inner distance where there is one."""
    return next(values for values in cells.maps if values is not None)


if __name__ == "__main__":
    main()
