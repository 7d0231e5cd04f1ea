"""The windows that RecogNet is trained on, and which of them it does not see."""

from __future__ import annotations

import dataclasses
import pathlib
from typing import NamedTuple

import numpy as np
from jaxtyping import Float16, Int

from cellmotion_jax.data.ctc import open_dataset
from cellmotion_jax.data.image_split import simulated_movies
from cellmotion_jax.data.simulate import Look, Simulation
from cellmotion_jax.errors import InputError
from cellmotion_jax.methods.recognet.windows import NucleusWindows, nucleus_windows

VALIDATION_SHARE = 0.1
"""13,500 samples for training and 1,500 for validation in the paper."""
WITHIN_UNIT = 99.9
"""Percentage of the training pixels that lie between -1 and 1: one dying nucleus must not set the scale."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecogNetData:
    """Whose nuclei are to be told apart."""

    root: pathlib.Path | None = None
    """Cell Tracking Challenge dataset, or one sequence of it (01, 01_GT/TRA); None simulates a movie."""
    simulation: Simulation = Simulation(look=Look.NUCLEI, frames=40, cells=32)
    """What is simulated where there is no root."""
    identities: int = 256
    """Nuclei to tell apart, those that are followed longest, and outputs of the network. If there are fewer,
    the last outputs stand for none."""
    window: int = 40
    """Rows and columns of a window in (downsampled) pixels."""
    downsample: int | None = None
    """Frames are averaged over blocks of this side; None: the whole number that lets the median nucleus span
    about three quarters of the window, at least 1. To be given where the tracking masks are mere markers."""
    later: float = 0.2
    """Share of every track, its end, that is neither trained on nor chosen by."""

    def __post_init__(self) -> None:
        """Refuses numbers of which nothing can be learned."""
        for name, least in (("identities", 2), ("window", 8), ("downsample", 1)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise InputError(f"data.{name} is {value}; it must be at least {least}.")
        if not 0 < self.later < 1:
            raise InputError(f"data.later is {self.later}; it is a share between 0 and 1.")


class WindowSplit(NamedTuple):
    """Indices of windows, ascending; each is in exactly one part."""

    train: Int[np.ndarray, " train"]
    """To learn from."""
    validation: Int[np.ndarray, " validation"]
    """Drawn at random from the same frames, as in the paper: neighbouring frames of a nucleus lie on both
    sides, so that what is reached here flatters."""
    later: Int[np.ndarray, " later"]
    """The end of every track: frames of which the training has seen nothing."""


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
    """What an experiment learns from."""

    windows: NucleusWindows
    parts: dict[str, WindowSource]
    """By the names of `WindowSplit`."""
    mean: float
    """Of the training windows."""
    scale: float
    """What they are divided by."""


def load_windows(data: RecogNetData, *, cache: pathlib.Path, seed: int) -> RecogNetSamples:
    """Finds or simulates the movie, cuts the windows, splits them, and centres and scales them.

    Args:
        data: Settings.
        cache: Folder for a simulated movie.
        seed: Seed of the simulation and of the split.

    Returns:
        The samples.

    Raises:
        InputError: Anything wrong with the folder, or fewer than two nuclei or windows to learn from.
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
    """Takes the end of every track away, and a tenth of the rest at random.

    Args:
        identity: Nucleus of each window.
        frame: Its frame.
        later: Share of each track, rounded down, that is taken away.
        seed: Seed of the random part.

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
