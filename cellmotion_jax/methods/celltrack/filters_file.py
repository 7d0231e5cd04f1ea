"""Learned filters of a tracking run, one per cell, and their file (Jackson-Smith 2016)."""

from __future__ import annotations

import dataclasses
import json
import os
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Int32, Shaped

from cellmotion_jax.tracking import Tracker, TrackState
from cellmotion_jax.weights.kinds import FILTERS_KEY
from cellmotion_jax.weights.safetensors_files import write_safetensors


class LearnedFilters(NamedTuple):
    """Filters of the cells that are followed at the end of a movie; lengths are in grid pixels."""

    identities: Int32[np.ndarray, " cell"]
    """Id of each track, ascending."""
    positions: Float32[np.ndarray, "cell 2"]
    """Position (y, x) of each track."""
    scales: Float32[np.ndarray, " cell"]
    """Size of each cell relative to its first frame."""
    layers: tuple[dict[str, Shaped[np.ndarray, "cell ..."]], ...]
    """Learned arrays by name, for the filter on each layer of the features: numerator and denominator, and
    further arrays that depend on the type of filter."""


def learned_filters(state: TrackState) -> LearnedFilters:
    """Filters of the tracks that are followed at the end of a movie.

    Args:
        state: The state after the last frame.

    Returns:
        The filters, sorted by the ids of their tracks; empty if no track is left.
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
    ``layer_N/denominator`` and further arrays that depend on the type of filter. Complex ones are float32
    with a last axis of real and imaginary part. The metadata holds, as JSON under ``cellmotion_filters``, the
    zoom of the grid, side and strides of the window, the features, and form and settings of the filter.

    Args:
        path: The file, replaced if it exists.
        filters: The learned filters.
        tracker: The configuration that learned them.
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
    write_safetensors(path, tensors, metadata={FILTERS_KEY: json.dumps(described)})


def _real(values: Shaped[np.ndarray, "..."]) -> Shaped[np.ndarray, "..."]:
    return np.stack([np.real(values), np.imag(values)], axis=-1) if np.iscomplexobj(values) else values
