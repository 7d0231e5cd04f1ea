"""``cellmotion track``: tracks cells by correlation filters, by linking label images, or by an R-CNN."""

from __future__ import annotations

import dataclasses
from typing import Literal

from cellmotion_jax.cli.options import parse_early
from cellmotion_jax.settings import Settings


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Way(Settings):
    """The option that determines all other options."""

    by: Literal["filters", "linking", "rcnn"] = "filters"


def track_cells(arguments: list[str]) -> None:
    """Tracks cells by correlation filters, by linking label images, or by a CellTrack R-CNN."""
    way = parse_early(_Way, arguments, prog="cellmotion track")[0].by
    if way == "linking":
        from cellmotion_jax.cli.track_by_linking import link_cells

        link_cells(arguments)
    elif way == "rcnn":
        from cellmotion_jax.cli.track_by_rcnn import detect_and_track

        detect_and_track(arguments)
    else:
        from cellmotion_jax.cli.track_by_filters import follow_cells

        follow_cells(arguments)
