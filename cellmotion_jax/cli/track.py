"""``cellmotion track``: tracks the cells of a movie, by correlation filters or by linking label images."""

from __future__ import annotations

import dataclasses
from typing import Literal

from cellmotion_jax.cli.option_defaults import parse_early


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Way:
    """The option that determines all other options."""

    by: Literal["filters", "linking"] = "filters"


def track_cells(arguments: list[str]) -> None:
    """Tracks cells by correlation filters, or by linking the label images of neighbouring frames."""
    if parse_early(_Way, arguments, prog="cellmotion track").by == "linking":
        from cellmotion_jax.cli.track_by_linking import link_cells

        link_cells(arguments)
    else:
        from cellmotion_jax.cli.track_by_filters import follow_cells

        follow_cells(arguments)
