"""Segmentation of nuclei in images of any size with DeepCell's feature nets, also with published weights.

    ensemble = load_published_ensemble(["nuclei_0.safetensors", ..., "nuclei_4.safetensors"])
    nuclei = find_nuclei(ensemble, image)  # labels, points, probabilities

The files are made by ``cellmotion import-weights`` from the published ones.
"""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.ndimage
from jaxtyping import Array, Float, Float32, Int32, Num

from cellmotion_jax.data.downsampling import downsample_image, image_points, upsample_labels
from cellmotion_jax.errors import InputError
from cellmotion_jax.inference.tiling import Tiling, check_image, predict_tiled
from cellmotion_jax.models.feature_net import INTERIOR, FeatureNet, ensemble_probabilities
from cellmotion_jax.morphology.marker_growth import flood_markers
from cellmotion_jax.ops.intensity import local_contrast
from cellmotion_jax.ops.labels import number_cells
from cellmotion_jax.ops.peaks import label_components
from cellmotion_jax.settings import Count, Downsample, OneOf, Settings, ShareBelowOne
from cellmotion_jax.weights.catalogue import CATALOGUE
from cellmotion_jax.weights.convert import load_weights

# The lowest number of an image of signed 16-bit numbers that were stored as unsigned ones.
SIGNED_AS_UNSIGNED = 32768.0


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class DeepCellEnsemble:
    """Networks of one kind, trained with different random seeds."""

    network: FeatureNet
    """The module."""
    variables: dict[str, Any]
    """Variables of the networks, each array with a leading ``member`` axis."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class NucleiSettings(Settings):
    """Settings of the segmentation of nuclei. Sizes are in pixels of the downsampled image."""

    downsample: Downsample = 1
    """Average blocks of ``downsample x downsample`` pixels first. The published networks find nuclei with a
    diameter of 20 to 30 pixels."""
    offset: float | None = None
    """Intensity of the dark image. The default is 32,768 if no pixel is below that, as in Fluo-N2DL-HeLa, and
    0 otherwise."""
    stride: Annotated[int, OneOf((1, 2, 4, 8))] = 2
    """Predict every ``stride``-th pixel along y and x, a power of two up to 8, and interpolate between them;
    2 needs a quarter of the computing time."""
    seed: ShareBelowOne = 0.85
    """Probability of the interior above which a connected component is a nucleus."""
    extent: ShareBelowOne = 0.25
    """Probability of the interior down to which nuclei are grown, because they include a part of their
    boundary."""
    smallest: Count = 20
    """Smallest area of a nucleus in pixels before it is grown."""

    def check_together(self) -> None:
        """Refuses nuclei that would shrink instead of grow."""
        if self.extent > self.seed:
            self.refuse("extent", f"nuclei grow from probabilities of {self.seed} (seed) down to it")


class Nuclei(NamedTuple):
    """The nuclei of one image."""

    labels: Int32[np.ndarray, "y x"]
    """Labels 1, 2, ... on the pixels of the nuclei, in the order of their first pixels, row by row."""
    points: Float32[np.ndarray, "nucleus 2"]
    """Centroid (y, x) of nucleus i + 1, in pixels of the image."""
    probabilities: Float32[np.ndarray, "small_y small_x class"]
    """Probabilities of boundary, interior and background on the downsampled grid."""


def load_published_ensemble(paths: Sequence[str | os.PathLike[str]]) -> DeepCellEnsemble:
    """Loads one network or several replicates of it; the published ones come in fives.

    Args:
        paths: Files that ``cellmotion import-weights --model deepcell-...`` wrote.

    Returns:
        The ensemble, its variables on the default device.

    Raises:
        InputError: If there is no file, a file cannot be read, or the files hold different or unsupported
            networks.
    """
    if not paths:
        raise InputError("an ensemble needs the weights of at least one network.")
    loaded = [load_weights(path) for path in paths]
    for path, weights in zip(paths, loaded):
        if weights.model != loaded[0].model:
            raise InputError(f"{path} holds {weights.model}, but {paths[0]} {loaded[0].model}.")
    network = CATALOGUE[loaded[0].model].module
    if not isinstance(network, FeatureNet):
        known = ", ".join(name for name, entry in CATALOGUE.items() if isinstance(entry.module, FeatureNet))
        raise InputError(f"{paths[0]} holds {loaded[0].model}; right would be one of {known}.")
    variables = jax.tree.map(lambda *members: jnp.stack(members), *(w.variables for w in loaded))
    return DeepCellEnsemble(network=network, variables=variables)


def find_nuclei(
    ensemble: DeepCellEnsemble,
    image: Num[np.ndarray, "..."],
    *,
    settings: NucleiSettings = NucleiSettings(),
    tile: int = 640,
) -> Nuclei:
    """Segments the nuclei of a fluorescence image.

    Connected components (4 neighbours) of pixels whose probability of the interior is above ``seed`` are
    nuclei. They are grown into their neighbourhood down to the probability ``extent``, the most likely pixels
    first (a watershed where two meet).

    Args:
        ensemble: Networks for nuclei.
        image: Image ``[y x channel]`` of one channel, bright nuclei on a dark background.
        settings: Settings of the segmentation.
        tile: Largest side of a tile, in downsampled pixels; it limits the memory.

    Returns:
        Labels and centroids on the grid of the image, and the probabilities.

    Raises:
        ValueError: If the image is not of shape ``[y x channel]``.
        InputError: As :func:`predict_probabilities`.
    """
    probabilities = predict_probabilities(ensemble, image, settings=settings, tile=tile)
    labels = label_nuclei(probabilities[..., INTERIOR], settings=settings)
    return Nuclei(
        labels=upsample_labels(labels, settings.downsample, image.shape[:2]),
        points=image_points(_centroids(labels), settings.downsample).astype(np.float32),
        probabilities=probabilities,
    )


def predict_probabilities(
    ensemble: DeepCellEnsemble,
    image: Num[np.ndarray, "..."],
    *,
    settings: NucleiSettings = NucleiSettings(),
    tile: int = 640,
) -> Float32[np.ndarray, "small_y small_x class"]:
    """Mean of the members' probabilities of boundary, interior and background for every pixel.

    The image is normalised as a whole, see :func:`~cellmotion_jax.ops.intensity.local_contrast`, is continued
    beyond its border by its mirror image, and is cut into tiles that overlap by the receptive field, so that
    the result does not depend on the tiles.

    Args:
        ensemble: Networks.
        image: Image ``[y x channel]`` of one channel.
        settings: ``downsample``, ``offset`` and ``stride`` of them.
        tile: Largest side of a tile, in downsampled pixels.

    Returns:
        Probabilities on the downsampled grid.

    Raises:
        ValueError: If the image is not of shape ``[y x channel]``.
        InputError: If the image has several channels, a pixel is not finite, it is smaller than a block, or
            more than half of it is not above the offset; or if the network does not support the stride.
    """
    check_image(image)
    if image.shape[-1] != 1:
        raise InputError(f"the image has {image.shape[-1]} channels; give the one that shows the nuclei.")
    network, stride = ensemble.network, settings.stride
    if stride not in [2**n for n in range(network.coarsest.bit_length())]:
        raise InputError(f"stride is {stride}; it is a power of two up to {network.coarsest}.")
    field = network.receptive_field
    contrast = nuclei_contrast(image, field=field, downsample=settings.downsample, offset=settings.offset)
    margin = field // 2 + stride - 1  # A pixel of the result lies between two that were asked for.
    tiling = Tiling(tile=max(tile, 4 * margin) // stride * stride, margin=margin)
    predict = functools.partial(_tile_probabilities, ensemble.variables, network=network, stride=stride)
    return np.stack(predict_tiled(predict, contrast, tiling=tiling, multiple=stride), axis=-1)


def nuclei_contrast(
    image: Num[np.ndarray, "y x channel"], *, field: int, downsample: int, offset: float | None
) -> Float32[np.ndarray, "small_y small_x channel"]:
    """The input of the networks, see :func:`~cellmotion_jax.ops.intensity.local_contrast`.

    Args:
        image: Intensities.
        field: Side of the receptive field, in downsampled pixels.
        downsample: Side of the blocks over which the image is averaged first.
        offset: Intensity of the dark image; see `NucleiSettings`.

    Returns:
        Local contrast on the downsampled grid.

    Raises:
        InputError: If the image is smaller than a block, or more than half of it is not above the offset.
    """
    if offset is None:
        offset = dark_intensity(image)
    small = downsample_image(image, downsample)
    if np.median(small) <= offset:
        raise InputError(
            f"half of the image is not above {offset:g}; the offset is the intensity where there is no light."
        )
    return np.asarray(_contrast(jnp.asarray(small), jnp.float32(offset), window=field))


def dark_intensity(image: Num[np.ndarray, "..."]) -> float:
    """Intensity of the dark image: 32,768 if no pixel is below that, and 0 otherwise.

    Args:
        image: Intensities as they are stored.

    Returns:
        The offset; 32,768 results from a conversion of signed numbers.
    """
    return SIGNED_AS_UNSIGNED if image.min() >= SIGNED_AS_UNSIGNED else 0.0


def label_nuclei(
    interior: Float[np.ndarray, "y x"], *, settings: NucleiSettings = NucleiSettings()
) -> Int32[np.ndarray, "y x"]:
    """Segments nuclei in a map of the probability of their interior.

    Args:
        interior: Probabilities.
        settings: ``seed``, ``extent`` and ``smallest`` of them.

    Returns:
        Labels 1, 2, ... in the order of the first pixels of the nuclei, row by row.
    """
    pieces = number_cells(np.asarray(_pieces(jnp.asarray(interior), jnp.float32(settings.seed)))).number
    areas = np.bincount(pieces.ravel())
    markers = np.where(areas >= settings.smallest, np.arange(areas.size), 0)[pieces]
    grown = flood_markers(markers, interior, interior > settings.extent)
    return number_cells(grown).number.astype(np.int32)


@functools.partial(jax.jit, static_argnames=("network", "stride"))
def _tile_probabilities(
    variables: dict[str, Any], tiles: Float[Array, "batch y x 1"], *, network: FeatureNet, stride: int
) -> tuple[Array, ...]:
    """One map per class of the size of the tiles; the margins are not predicted."""
    probabilities = ensemble_probabilities(network, variables, tiles, stride=stride)
    for axis in (1, 2):
        probabilities = _between(probabilities, stride, axis=axis)
        before = network.receptive_field // 2
        sides = [(0, 0)] * 4
        sides[axis] = (before, max(0, tiles.shape[axis] - before - probabilities.shape[axis]))
        padded = jnp.pad(probabilities, sides)
        probabilities = jax.lax.slice_in_dim(padded, 0, tiles.shape[axis], axis=axis)
    return tuple(jnp.moveaxis(probabilities, -1, 0))


def _between(values: Array, stride: int, *, axis: int) -> Array:
    """Linear interpolation to ``stride`` times as many values; the last value is repeated."""
    end = values.shape[axis]
    last = jax.lax.slice_in_dim(values, end - 1, end, axis=axis)
    following = jnp.concatenate([jax.lax.slice_in_dim(values, 1, end, axis=axis), last], axis=axis)
    steps = [values + i / stride * (following - values) for i in range(stride)]
    shape = (*values.shape[:axis], end * stride, *values.shape[axis + 1 :])
    return jnp.stack(steps, axis=axis + 1).reshape(shape)


@functools.partial(jax.jit, static_argnames="window")
def _contrast(image: Array, offset: Array, *, window: int) -> Array:
    return local_contrast(image, window=window, offset=offset)


@jax.jit
def _pieces(interior: Array, seed: Array) -> Array:
    return label_components(interior > seed, connectivity=4)


def _centroids(labels: Int32[np.ndarray, "y x"]) -> Float[np.ndarray, "nucleus 2"]:
    numbers = np.arange(1, labels.max() + 1)
    return np.reshape(scipy.ndimage.center_of_mass(labels > 0, labels, numbers), (-1, 2))
