"""``cellmotion models``: lists the trained networks that come with the package."""

from __future__ import annotations

import dataclasses

from cellmotion_jax.cli.options import parse_options
from cellmotion_jax.settings import Settings
from cellmotion_jax.weights.shipped import SHIPPED


@dataclasses.dataclass(frozen=True, kw_only=True)
class _ModelsOptions(Settings):
    """Lists the trained networks that come with the package; `--model NAME` takes their names."""


def list_models(arguments: list[str]) -> None:
    """Prints name, size, use and model card of every network."""
    parse_options(_ModelsOptions, arguments, prog="cellmotion models")
    for model in SHIPPED.values():
        size = model.path.stat().st_size / 1e6
        print(f"{model.name:16}{size:4.1f} MB  {model.good_for}; card: {model.card}")  # noqa: T201
