"""Tables of cells, tips and tracks as CSV files."""

from __future__ import annotations

import dataclasses
import os
from typing import Any

import numpy as np

from cellmotion_jax.files import write_csv
from cellmotion_jax.morphology.behaviour import CellTable


def write_table(path: str | os.PathLike[str], table: Any) -> None:
    """Writes the columns of a table as CSV, with their names in the first line; missing values are empty.

    Args:
        path: The CSV file, replaced if it exists; it is either complete or as it was before.
        table: A dataclass of equally long arrays, such as `morphology.behaviour.CellTable`, whose speed has
            its unit in the name, or `morphology.tip_table.TipTable`. Fields without an array are left out.
    """
    columns: dict[str, np.ndarray] = {}
    for field in dataclasses.fields(table):
        column = getattr(table, field.name)
        if isinstance(column, np.ndarray):
            columns[field.name] = column
    if isinstance(table, CellTable):
        unit = table.speed_unit.replace("/", "_per_")
        columns = {f"speed_{unit}" if name == "speed" else name: it for name, it in columns.items()}
    write_csv(path, list(columns), zip(*(map(_text, column.tolist()) for column in columns.values())))


def _text(value: float | int | bool) -> str:
    if isinstance(value, bool):
        return str(int(value))
    return "" if value != value else f"{value:.6g}" if isinstance(value, float) else str(value)
