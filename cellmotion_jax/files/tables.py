"""Tables of measurements as CSV files, with the unit of every column in its name.

The rule, which ``docs/tables.md`` states for users: a number with a unit carries it at the end of the name of
its column (``area_px2``, ``heading_rad``). Places (``y``, ``x``) are the exception, they are in pixels of the
image. Where the size of a pixel is known, columns in micrometres follow (``y_um``, ``area_um2``). What has no
unit in its name is a number of something, an id, a ratio or a score.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from cellmotion_jax.files.written import write_csv


class Unit(NamedTuple):
    """Unit of a column of numbers."""

    name: str
    """What the name of the column ends in; nothing for places."""
    in_um: str = ""
    """Unit of a second column, in micrometres; nothing if there is none."""
    power: int = 0
    """The power of the pixel size that leads from one to the other."""

    @property
    def metadata(self) -> Mapping[str, Unit]:
        """What a field of a dataclass takes, to say that its column has this unit."""
        return MappingProxyType({"unit": self})


PLACE = Unit("", "um", 1)
"""Row or column in pixels of the image, counted from the centre of its first pixel."""
LENGTH = Unit("px", "um", 1)
AREA = Unit("px2", "um2", 2)
ANGLE = Unit("rad")
"""Counter-clockwise from +x, y up."""


def write_table(path: str | os.PathLike[str], table: Any, *, pixel_size_um: float | None = None) -> None:
    """Writes the columns of a table as CSV, with their names and units in the first line.

    Missing values are empty, truths are 0 and 1, decimals have six digits.

    Args:
        path: The CSV file, replaced if it exists; it is either complete or as it was before.
        table: A dataclass of equally long arrays; fields without an array are left out. The unit of a column
            is in the metadata of its field, or in a text field of the same name with ``_unit`` at its end.
        pixel_size_um: Side of a pixel in micrometres, None where it is not known.
    """
    columns = columns_of(table, pixel_size_um=pixel_size_um)
    write_csv(path, list(columns), zip(*(map(_text, column.tolist()) for column in columns.values())))


def columns_of(table: Any, *, pixel_size_um: float | None = None) -> dict[str, np.ndarray]:
    """The columns of a table under the names that carry their units, those in micrometres last.

    Args:
        table: See `write_table`.
        pixel_size_um: Side of a pixel in micrometres, None where it is not known.

    Returns:
        An array for every name.
    """
    columns: dict[str, np.ndarray] = {}
    micrometres: dict[str, np.ndarray] = {}
    for field in dataclasses.fields(table):
        column = getattr(table, field.name)
        if not isinstance(column, np.ndarray):
            continue
        unit: Unit = field.metadata.get("unit", Unit(getattr(table, f"{field.name}_unit", "")))
        columns[named(field.name, unit.name)] = column
        if pixel_size_um is not None and unit.in_um:
            micrometres[named(field.name, unit.in_um)] = column * pixel_size_um**unit.power
    return columns | micrometres


def named(name: str, unit: str) -> str:
    """The name of a column with its unit.

    >>> named("speed", "um/min"), named("y", "")
    ('speed_um_per_min', 'y')
    """
    return f"{name}_{unit.replace('/', '_per_')}" if unit else name


def _text(value: float | int | bool) -> str:
    if isinstance(value, bool):
        return str(int(value))
    return "" if value != value else f"{value:.6g}" if isinstance(value, float) else str(value)
