"""DeepCell's feature nets as a `inference.segmenter.Segmenter` of nuclei; frames are independent."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from jaxtyping import Num

from cellmotion_jax.data.downsampling import upsample_map
from cellmotion_jax.inference.segmenter import FrameCells, cells_of_labels
from cellmotion_jax.methods.deepcell.model_file import load_ensemble
from cellmotion_jax.methods.deepcell.nuclei import (
    DeepCellEnsemble,
    NucleiSettings,
    find_nuclei,
    load_published_ensemble,
)
from cellmotion_jax.models.feature_net import INTERIOR
from cellmotion_jax.settings import Side


@dataclasses.dataclass(frozen=True, kw_only=True)
class DeepCellSettings(NucleiSettings):
    """Settings of the segmentation that need no new training."""

    tile: Side = 640
    """Largest side of a tile, in downsampled pixels; it limits the memory."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class DeepCellSegmenter:
    """See `inference.segmenter.Segmenter`. The score of a nucleus is its mean probability of the interior."""

    ensemble: DeepCellEnsemble
    """The networks."""
    settings: DeepCellSettings
    """Settings of their use."""

    @property
    def channels(self) -> int:
        """Frames are grey."""
        return 1

    @property
    def cell_diameter(self) -> None:
        """None: the files do not store it."""
        return None

    @property
    def frames_before(self) -> int:
        """Frames are independent."""
        return 0

    @property
    def stricter(self) -> str:
        """The smallest area of a nucleus."""
        return "smallest"

    def with_settings(self, settings: DeepCellSettings) -> DeepCellSegmenter:
        """The same networks with other settings."""
        return dataclasses.replace(self, settings=settings)

    def segment(self, frames: Iterable[Num[np.ndarray, "y x channel"]]) -> Iterator[FrameCells]:
        """Finds the nuclei of every frame."""
        settings = self.settings
        for frame in frames:
            nuclei = find_nuclei(self.ensemble, frame, settings=settings, tile=settings.tile)
            interior = np.ascontiguousarray(nuclei.probabilities[..., INTERIOR])
            yield cells_of_labels(nuclei.labels, upsample_map(interior, settings.downsample, frame.shape[:2]))


def open_segmenter(paths: Sequence[str | os.PathLike[str]], *, published: bool) -> DeepCellSegmenter:
    """Reads one network or the replicates of an ensemble.

    Args:
        paths: Files of `cellmotion train` or of `cellmotion import-weights`.
        published: Whether the files are from `cellmotion import-weights`.

    Returns:
        The segmenter, with the settings of the training, or those that suit the published networks.

    Raises:
        InputError: If a file holds something else, or another network than the first.
    """
    if published:
        return DeepCellSegmenter(ensemble=load_published_ensemble(paths), settings=DeepCellSettings())
    ensemble, settings = load_ensemble(paths)
    return DeepCellSegmenter(ensemble=ensemble, settings=DeepCellSettings(**dataclasses.asdict(settings)))
