"""Training and test windows of RecogNet."""

from __future__ import annotations

import dataclasses
import pathlib
from typing import Annotated, NamedTuple

import numpy as np
from jaxtyping import Float16, Int

from cellmotion_jax.data.ctc import open_dataset
from cellmotion_jax.data.image_split import simulated_movies
from cellmotion_jax.data.simulate import Look, Simulation
from cellmotion_jax.errors import InputError
from cellmotion_jax.methods.recognet.windows import NucleusWindows, nucleus_windows
from cellmotion_jax.settings import Downsample, Range, Settings

VALIDATION_SHARE = 0.1
"""13,500 samples for training and 1,500 for validation in the paper."""
WITHIN_UNIT = 99.9
"""Percentage of the training pixels between -1 and 1; not 100, so that one dying nucleus does not determine
the scale."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecogNetData(Settings):
    """Settings of the sources of nuclei and of the windows."""

    root: pathlib.Path | None = None
    """Cell Tracking Challenge dataset, or one sequence of it (01, 01_GT/TRA); None simulates a movie."""
    simulation: Simulation = Simulation(look=Look.NUCLEI, frames=40, cells=32)
    """Settings of the simulation, if there is no root."""
    identities: Annotated[int, Range(2, 10**6)] = 256
    """Number of nuclei to classify, those with the longest tracks; also the number of outputs of the network.
    If there are fewer nuclei, the last outputs are not used."""
    window: Annotated[int, Range(8, 2**12)] = 40
    """Rows and columns of a window in (downsampled) pixels."""
    downsample: Downsample | None = None
    """Frames are averaged over blocks of this side; None: the whole number that lets the median nucleus span
    about three quarters of the window, at least 1. Required if the tracking masks are only markers."""
    later: Annotated[float, Range(0, 1, above=True, below=True)] = 0.2
    """Share of every track, at its end, that is used neither for training nor for validation."""


class WindowSplit(NamedTuple):
    """Indices of windows, ascending; each is in exactly one part."""

    train: Int[np.ndarray, " train"]
    """Training windows."""
    validation: Int[np.ndarray, " validation"]
    """Validation windows, drawn at random from the same frames, as in the paper: neighbouring frames of a
    nucleus are in both parts, so that this accuracy is too optimistic."""
    later: Int[np.ndarray, " later"]
    """Test windows from the end of every track, in frames after those of the training."""


class WindowSource:
    """Windows ready for the network: ``image`` [y, x, 1], ``identity``, and ``counts``, which is True."""

    def __init__(
        self,
        images: Float16[np.ndarray, "sample y x 1"],
        identity: Int[np.ndarray, " sample"],
        *,
        mean: float,
        scale: float,
    ) -> None:
        self.identity = identity
        self._images, self._mean, self._scale = images, mean, scale

    def __len__(self) -> int:
        return len(self.identity)

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        image = (self._images[index].astype(np.float32) - self._mean) / self._scale
        identity = np.array(self.identity[index], np.int32)
        return {"image": image, "identity": identity, "counts": np.array(True)}


class RecogNetSamples(NamedTuple):
    """The samples of an experiment."""

    windows: NucleusWindows
    parts: dict[str, WindowSource]
    """The windows of each part, by the names of `WindowSplit`."""
    mean: float
    """Mean of the training windows."""
    scale: float
    """Divisor of the windows."""


def load_windows(data: RecogNetData, *, cache: pathlib.Path, seed: int) -> RecogNetSamples:
    """Opens or simulates the movie and cuts the windows; splits, centres and scales them.

    Args:
        data: Settings.
        cache: Folder for a simulated movie.
        seed: Seed of the simulation and of the split.

    Returns:
        The samples.

    Raises:
        InputError: If the folder cannot be used, or there are fewer than two nuclei or training windows.
    """
    root = data.root
    if root is None:
        (root,) = simulated_movies(data.simulation, movies=1, cache=cache, seed=seed)
    windows = nucleus_windows(
        open_dataset(root), identities=data.identities, window=data.window, downsample=data.downsample
    )
    split = split_windows(windows.identity, windows.frame, later=data.later, seed=seed)
    if not (len(split.validation) and len(split.later)):
        raise InputError(
            f"{root} has {len(windows.frame)} windows of {len(windows.names)} nuclei; that is too few to set "
            f"some apart for validation and {data.later:.0%} of every track for the test."
        )
    seen = windows.images[split.train].astype(np.float32)
    mean = float(seen.mean())
    scale = float(np.percentile(np.abs(seen - mean), WITHIN_UNIT)) or 1.0
    parts = {
        name: WindowSource(windows.images[part], windows.identity[part], mean=mean, scale=scale)
        for name, part in split._asdict().items()
    }
    return RecogNetSamples(windows, parts, mean, scale)


def split_windows(
    identity: Int[np.ndarray, " sample"], frame: Int[np.ndarray, " sample"], *, later: float, seed: int
) -> WindowSplit:
    """Splits windows: the end of every track, a random tenth of the rest, and the remaining windows.

    Args:
        identity: Nucleus of each window.
        frame: Frame of each window.
        later: Share of each track, rounded down, that belongs to the later part.
        seed: Random seed of the validation part.

    Returns:
        The parts.
    """
    held = np.zeros(len(identity), bool)
    for nucleus in np.unique(identity):
        of_track = np.flatnonzero(identity == nucleus)
        in_time = of_track[np.argsort(frame[of_track], kind="stable")]
        held[in_time[len(in_time) - int(later * len(in_time)) :]] = True
    early = np.random.default_rng(seed).permutation(np.flatnonzero(~held))
    chosen = round(VALIDATION_SHARE * len(early))
    return WindowSplit(np.sort(early[chosen:]), np.sort(early[:chosen]), np.flatnonzero(held))
