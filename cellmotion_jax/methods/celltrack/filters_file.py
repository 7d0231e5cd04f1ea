"""The filters that a run has learned, one for each cell, and the file of them (Jackson-Smith 2016)."""

from __future__ import annotations

import dataclasses
import json
import os
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Int32, Shaped
from safetensors.numpy import save_file

from cellmotion_jax.files import written_beside
from cellmotion_jax.tracking import Tracker, TrackState

METADATA_KEY = "cellmotion_filters"


class LearnedFilters(NamedTuple):
    """Filters of the cells that are followed at the end of a movie; lengths are in grid pixels."""

    identities: Int32[np.ndarray, " cell"]
    """Id of each track, ascending."""
    positions: Float32[np.ndarray, "cell 2"]
    """Where it is (y, x)."""
    scales: Float32[np.ndarray, " cell"]
    """Its size relative to its first frame."""
    layers: tuple[dict[str, Shaped[np.ndarray, "cell ..."]], ...]
    """By name, what the filter on each layer of the features has learned: its numerator and denominator, and
    whatever else its form keeps."""


def learned_filters(state: TrackState) -> LearnedFilters:
    """What is left in the end: the filters of the occupied slots.

    Args:
        state: After the last frame.

    Returns:
        The filters, by the ids of their tracks; none if no track lives.
    """
    identity = np.asarray(state.identity)
    occupied = np.flatnonzero(identity)
    occupied = occupied[np.argsort(identity[occupied])]
    return LearnedFilters(
        identities=identity[occupied],
        positions=np.asarray(state.position)[occupied],
        scales=np.asarray(state.scale)[occupied],
        layers=tuple(
            {it.name: np.asarray(getattr(layer, it.name))[occupied] for it in dataclasses.fields(layer)}
            for layer in state.filters
        ),
    )


def save_filters(
    path: str | os.PathLike[str], filters: LearnedFilters, *, tracker: Tracker, zoom: float
) -> None:
    """Writes filters as a safetensors file.

    Tensors are ``identity``, ``position``, ``scale``, and of every layer ``layer_N/numerator``,
    ``layer_N/denominator`` and whatever else the form of filter keeps. Complex ones are float32 with a last
    axis of real and imaginary part. The metadata holds, as JSON under ``cellmotion_filters``, the zoom of the
    grid, side and strides of the window, the features, and form and settings of the filter.

    Args:
        path: The file, replaced if it exists.
        filters: What was learned.
        tracker: With what.
        zoom: Grid pixels per image pixel.
    """
    tensors: dict[str, Shaped[np.ndarray, "..."]] = {
        "identity": filters.identities,
        "position": filters.positions,
        "scale": filters.scales,
    }
    for number, layer in enumerate(filters.layers):
        tensors |= {f"layer_{number}/{name}": _real(values) for name, values in layer.items()}
    described = {
        "zoom": zoom,
        "window": tracker.size,
        "strides": list(tracker.features.strides),
        "features": type(tracker.features).__name__,
        "form": type(tracker.filter).__name__,
        "settings": dict(vars(tracker.filter)),
    }
    # C order: safetensors writes the bytes as they lie in memory.
    tensors = {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}
    with written_beside(path) as partial:
        save_file(tensors, partial, metadata={METADATA_KEY: json.dumps(described)})


def _real(values: Shaped[np.ndarray, "..."]) -> Shaped[np.ndarray, "..."]:
    return np.stack([np.real(values), np.imag(values)], axis=-1) if np.iscomplexobj(values) else values
