"""The summary of a run: printed at its end, and kept in its folder."""

from __future__ import annotations

import pathlib
from collections.abc import Iterable

from cellmotion_jax.files import write_text


def write_summary(folder: pathlib.Path, lines: Iterable[str]) -> None:
    """Prints lines, and writes them to ``summary.md`` as they are printed.

    Args:
        folder: Folder of the run.
        lines: Lines with columns of a fixed width, which do not tell where the folder is.
    """
    text = "\n".join(lines)
    print(text)  # noqa: T201
    write_text(folder / "summary.md", f"```\n{text}\n```\n")


def counted(number: int, noun: str) -> str:
    """A number with its noun.

    >>> counted(1, "track"), counted(2000, "track")
    ('1 track', '2,000 tracks')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
