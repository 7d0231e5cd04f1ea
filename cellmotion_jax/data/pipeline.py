"""Training batches from stored samples, by random access: the batch depends on the step number only."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import grain
import numpy as np
from jaxtyping import Int

from cellmotion_jax.errors import InputError


@runtime_checkable
class Source(Protocol):
    """Sequence of samples, each a dictionary of arrays and scalars with the same names and shapes."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Mapping[str, Any]: ...


def member_batches(
    source: Source,
    *,
    members: Sequence[Int[np.ndarray, "..."]],
    batch_size: int,
    seed: int,
    start_step: int,
) -> Iterator[dict[str, np.ndarray]]:
    """Endless batches for independent trainings (members) that run together.

    Each member sees all of its samples once per epoch, in its own order, which changes from epoch to epoch; a
    batch may contain samples of two epochs. The batch of step i is a pure function of (source, members,
    batch_size, seed, i). Samples are read ahead by threads. A list of samples is a source too, so that where
    memory allows ``[*source]`` reads and decodes each one only once.

    Args:
        source: The samples.
        members: For each training the indices of its samples.
        batch_size: Samples per member and step.
        seed: Seed of the orders, at least 0.
        start_step: Step of the first batch.

    Returns:
        Iterator of numeric features with the leading axes [member, batch].

    Raises:
        InputError: If a batch is larger than the samples of a member.
    """
    for number, indices in enumerate(members):
        if batch_size > len(indices):
            raise InputError(
                f"batch_size is {batch_size}, but member {number} has only {len(indices)} samples to train "
                "on; choose a smaller batch or more data."
            )
    steps = grain.MapDataset.source(_Steps(source, members, batch_size=batch_size, seed=seed))
    return iter(steps[start_step:].to_iter_dataset(grain.ReadOptions(num_threads=4, prefetch_buffer_size=8)))


def gather(source: Source, indices: Int[np.ndarray, "*batch"]) -> dict[str, np.ndarray]:
    """Reads samples and stacks their numeric features; text features are left out.

    Args:
        source: The samples.
        indices: Indices of the samples, at least one, in any shape and with repetition; each sample is read
            once.

    Returns:
        One array per numeric feature, with the axes of the indices leading.

    >>> samples = [{"angle": np.float32(3), "name": "a"}, {"angle": np.float32(5), "name": "b"}]
    >>> gather(samples, np.array([[1, 0], [1, 1]]))["angle"].tolist()
    [[5.0, 3.0], [5.0, 5.0]]
    """
    distinct, place = np.unique(indices, return_inverse=True)
    samples = [source[int(index)] for index in distinct]
    numeric = [name for name, value in samples[0].items() if np.asarray(value).dtype.kind in "biuf"]
    return {name: np.stack([sample[name] for sample in samples])[place] for name in numeric}


class _Steps:
    """The batch of every step, by its number."""

    def __init__(
        self, source: Source, members: Sequence[Int[np.ndarray, "..."]], *, batch_size: int, seed: int
    ) -> None:
        self._source = source
        self._orders: list[Any] = [
            grain.MapDataset.source([int(index) for index in indices])
            .seed(int(np.random.SeedSequence([seed, member]).generate_state(1)[0]))
            .shuffle()
            .repeat()
            .batch(batch_size)
            for member, indices in enumerate(members)
        ]

    def __len__(self) -> int:
        return sys.maxsize

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        return gather(self._source, np.stack([order[index] for order in self._orders]))
