"""Linking of the label images of a movie to tracks with gaps, divisions and merges.

In reading order: ``linker`` (both steps), ``frames`` (links between neighbouring frames), ``gaps`` (joining
of track segments), ``tracks`` (tracks of the Cell Tracking Challenge from all links), ``ctc_result`` (writing
of their label images).
"""

from cellmotion_jax.inference.linking.ctc_result import write_linked_result
from cellmotion_jax.inference.linking.linker import (
    Linker,
    Links,
    LinkSettings,
    link_instances,
    tracked_labels,
)

__all__ = [
    "LinkSettings",
    "Linker",
    "Links",
    "link_instances",
    "tracked_labels",
    "write_linked_result",
]
