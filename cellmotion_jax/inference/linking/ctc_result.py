"""Writing of linked tracks as a result folder of the Cell Tracking Challenge (CTC)."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

import numpy as np
from jaxtyping import Int32, Integer

from cellmotion_jax.data.ctc_masks import write_result
from cellmotion_jax.errors import InputError
from cellmotion_jax.inference.linking.linker import Links, tracked_labels


def write_linked_result(
    folder: str | os.PathLike[str],
    links: Links,
    segmentations: Iterable[Integer[np.ndarray, "y x"]],
    *,
    digits: int = 3,
) -> None:
    """Writes linked instances as ``maskT.tif`` and ``res_track.txt``, each instance under its track.

    One mask is in memory at a time; the rules are those of
    :func:`~cellmotion_jax.data.ctc_masks.write_masks`.

    Args:
        folder: The folder to make, e.g. ``DATASET/01_RES``. It may exist if it is empty.
        links: Result of `link_instances` or of a `Linker`.
        segmentations: The label images that were linked, given again.
        digits: Number of digits of the frame numbers, as in the movie; more if the number of frames needs
            them.

    Raises:
        ValueError: If an image holds a label that was not linked.
        InputError: If there is no instance in the whole movie, more than 32767 tracks, other images than
            were linked, or the folder holds something.
    """
    if not len(links.table):
        raise InputError(f"{folder} cannot be written: no cell was found in any frame.")

    def masks() -> Iterator[Int32[np.ndarray, "y x"]]:
        for frame, labels in enumerate(segmentations):
            # One frame too many is refused where frames are counted.
            known = frame < len(links.tracks)
            yield tracked_labels(labels, links.tracks[frame]) if known else labels.astype(np.int32)

    write_result(folder, masks(), links.table, frames=len(links.tracks), digits=digits)
