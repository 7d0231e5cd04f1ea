"""Trained networks that come with the package, each with a model card beside it.

They were trained on simulated movies alone, so that their use is not restricted by the terms of any dataset.
"""

from __future__ import annotations

import os
import pathlib
from typing import NamedTuple

_FOLDER = pathlib.Path(__file__).parent


class ShippedModel(NamedTuple):
    """A network that comes with the package."""

    name: str
    """What ``--model`` takes."""
    good_for: str
    """Cells and microscopy for which it was made."""

    @property
    def path(self) -> pathlib.Path:
        """The model file."""
        return _FOLDER / f"{self.name}.safetensors"

    @property
    def card(self) -> pathlib.Path:
        """The model card: data, command and seed of the training, and measured quality."""
        return _FOLDER / f"{self.name}.md"


SHIPPED = {
    model.name: model
    for model in (
        ShippedModel("nuclei", "stained nuclei and other bright round cells in fluorescence"),
        ShippedModel("phase-contrast", "whole cells in phase contrast"),
    )
}
"""The networks by name."""


def model_file(name: str | os.PathLike[str]) -> pathlib.Path:
    """The file of a model that is named, or a path as it is.

    >>> model_file("nuclei").name, str(model_file("runs/model.safetensors"))
    ('nuclei.safetensors', 'runs/model.safetensors')
    """
    name = os.fspath(name)
    return SHIPPED[name].path if name in SHIPPED else pathlib.Path(name)
