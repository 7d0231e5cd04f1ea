"""Label images of a movie linked to tracks with gaps, divisions and merges.

In reading order: ``linker`` (both steps), ``frames`` (links between neighbouring frames), ``gaps`` (what
joins the segments of tracks), ``tracks`` (tracks of the Cell Tracking Challenge, of all links),
``ctc_result`` (their label images, written).
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
