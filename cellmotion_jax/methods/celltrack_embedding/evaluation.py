"""Localisation errors of filters on learned features, for held-out cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import flax.linen as nn
import jax
import numpy as np
from jaxtyping import Float32, Int

from cellmotion_jax.data.pipeline import gather
from cellmotion_jax.methods.celltrack_embedding.augmentation import UNCHANGED
from cellmotion_jax.methods.celltrack_embedding.data import EmbeddingSamples
from cellmotion_jax.methods.celltrack_embedding.objective import EmbeddingObjective
from cellmotion_jax.ops.fourier import peak_shifts
from cellmotion_jax.report.tracking_pairs import PairPicture

_PREPARED_AT_ONCE = 32


def held_out_pairs(samples: EmbeddingSamples) -> list[dict[str, np.ndarray]]:
    """Held-out pairs as inputs of the network; the random errors of the tracker's last position are fixed.

    Args:
        samples: All pairs.

    Returns:
        One dictionary per pair, as `PairAugmentation` makes them, with ``counts``, which is True.
    """
    prepare = jax.jit(UNCHANGED)
    pairs: list[dict[str, np.ndarray]] = []
    for start in range(0, len(samples.held_out), _PREPARED_AT_ONCE):
        positions = np.arange(start, start + _PREPARED_AT_ONCE)
        stored = gather(samples.source, samples.held_out[np.minimum(positions, len(samples.held_out) - 1)])
        batch = jax.device_get(prepare(jax.random.fold_in(jax.random.key(0), start), stored))
        pairs += [
            {**{name: values[row] for name, values in batch.items()}, "counts": np.array(True)}
            for row in range(min(_PREPARED_AT_ONCE, len(samples.held_out) - start))
        ]
    return pairs


class PairErrors(NamedTuple):
    """Distance of every found position of a held-out cell from the truth."""

    origin: Int[np.ndarray, " pair"]
    """Index of the source."""
    error: Float32[np.ndarray, " pair"]
    """Grid pixels."""


def localisation_errors(
    network: nn.Module,
    params: Mapping,
    objective: EmbeddingObjective,
    samples: EmbeddingSamples,
    pairs: Sequence[Mapping[str, np.ndarray]],
    *,
    batch_size: int,
    pictures: int,
) -> tuple[PairErrors, list[PairPicture]]:
    """Locates every held-out cell in its second window and returns the errors.

    Args:
        network: Linen module.
        params: Parameters of the network.
        objective: Objective that computes maps from the network's outputs.
        samples: Samples with the sources of the pairs.
        pairs: Result of `held_out_pairs`.
        batch_size: Number of pairs per batch.
        pictures: Number of pairs that are kept for pictures, evenly spread over all.

    Returns:
        Errors, and the data for pictures of some pairs.
    """

    @jax.jit
    def found(params, batch):
        outputs = network.apply({"params": params}, batch["image"], train=False)
        maps = objective.maps(outputs, batch)  # type: ignore[arg-type]
        return maps, peak_shifts(maps.logits)[0]

    origin = samples.source.origin[samples.held_out]
    drawn = set(np.linspace(0, len(pairs) - 1, pictures).astype(int).tolist())
    errors, kept = [], []
    for start in range(0, len(pairs), batch_size):
        rows = np.arange(start, start + batch_size)
        batch = gather(pairs, np.minimum(rows, len(pairs) - 1))
        maps, places = jax.device_get(found(params, batch))
        errors.append(np.linalg.norm(places - batch["true"], axis=-1))
        for index in sorted(drawn & set(rows.tolist())):
            row = index - start
            kept.append(
                PairPicture(
                    name=samples.names[origin[index]],
                    first=batch["image"][row, 0],
                    second=batch["image"][row, 1],
                    response=np.fft.fftshift(maps.response[row]),
                    logits=np.fft.fftshift(maps.logits[row]),
                    believed=batch["offset"][row],
                    true=batch["true"][row],
                    found=places[row],
                )
            )
    return PairErrors(origin, np.concatenate(errors)[: len(pairs)]), kept
