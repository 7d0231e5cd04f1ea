"""Table of tracks and lineages of the Cell Tracking Challenge (CTC): one row ``L B E P`` per track."""

from __future__ import annotations

import dataclasses
import os
import pathlib

import numpy as np
from jaxtyping import Int

from cellmotion_jax.errors import InputError
from cellmotion_jax.input_files import read_text, whole_number

MAX_LABEL = 65535
"""Largest label of a track in masks that are read, that of 16 bits."""
MOST_TRACKS = 10**6
"""Rows of a table that are read."""
_WHAT = "a table of tracks with one line 'L B E P' per track"
_COLUMNS = ("label", "first frame", "last frame", "parent")


@dataclasses.dataclass(frozen=True, eq=False)
class TrackTable:
    """Tracks as four columns of equal length, one row per track, in the order of the file.

    Attributes:
        label: Track ids, the values of the track's pixels in every tracking mask.
        begin: First frame of each track, counted from 0.
        end: Last frame of each track, inclusive.
        parent: Id of the track that this one continues or was born from, 0 for none.
    """

    label: Int[np.ndarray, " track"]
    begin: Int[np.ndarray, " track"]
    end: Int[np.ndarray, " track"]
    parent: Int[np.ndarray, " track"]

    def __len__(self) -> int:
        return len(self.label)

    def alive(self, frame: int) -> Int[np.ndarray, " alive"]:
        """Labels of the tracks that span a frame, ascending."""
        return np.sort(self.label[(self.begin <= frame) & (frame <= self.end)])

    def text(self) -> str:
        """The rows in the format of ``man_track.txt`` and ``res_track.txt``."""
        rows = zip(self.label, self.begin, self.end, self.parent)
        return "".join(f"{label} {begin} {end} {parent}\n" for label, begin, end, parent in rows)


def read_man_track(path: str | os.PathLike[str]) -> TrackTable:
    """Reads a ``man_track.txt`` or ``res_track.txt`` and checks every rule of the format.

    Each line holds ``L B E P``: a unique label of at least 1, the first and the last frame (0-based,
    inclusive, B <= E) and the parent's label or 0. A parent is listed and ends before its child begins;
    the two need not be adjacent, and any number of children is legal. Any white space separates the numbers,
    which may have a point (``1.0``, ``1e0``) as long as they are whole, and empty lines are ignored, as in
    the challenge's own C++ tools.

    Args:
        path: The text file.

    Returns:
        The table, in the order of the file.

    Raises:
        InputError: If the file is absent, empty or breaks a rule; the message names the line.
    """
    path = pathlib.Path(path)
    rows, places = [], []
    for number, line in enumerate(read_text(path, what=_WHAT).splitlines(), start=1):
        if line.strip():
            if len(rows) == MOST_TRACKS:
                raise InputError(f"{path} lists more than {MOST_TRACKS:,} tracks, the most that are read.")
            rows.append(_parse(line, place=f"{path} line {number}"))
            places.append(f"{path} line {number}")
    if not rows:
        raise InputError(f"{path} lists no track; it should hold one line 'L B E P' per track.")
    columns = np.asarray(rows, np.int64)
    table = TrackTable(*(columns[:, column] for column in range(4)))
    _check_rows(table, places)
    return table


def check_track_table(tracks: TrackTable, *, frames: int, source: str) -> None:
    """Checks the rules of `read_man_track` and that no track ends after the movie.

    Args:
        tracks: The table.
        frames: Number of frames of the movie.
        source: Name of the table in error messages.

    Raises:
        InputError: If a rule is broken, or a label exceeds `MAX_LABEL`.
    """
    if not len(tracks):
        raise InputError(f"{source} lists no track; a movie with annotation has at least one.")
    _check_rows(tracks, [f"{source} row {row}" for row in range(1, len(tracks) + 1)])
    if tracks.label.max() > MAX_LABEL:
        raise InputError(
            f"{source} lists label {tracks.label.max()}; labels up to {MAX_LABEL} can be read: number the "
            "tracks "
            "and their masks anew."
        )
    late = np.flatnonzero(tracks.end >= frames)
    if late.size:
        row = late[0]
        raise InputError(
            f"{source} lets track {tracks.label[row]} end in frame {tracks.end[row]}, "
            f"but the movie's last frame is {frames - 1}."
        )


def _parse(line: str, *, place: str) -> tuple[int, ...]:
    """The four whole numbers of one line."""
    fields = line.split()
    if len(fields) != 4:
        raise InputError(f"{place} reads {line.strip()[:40]!r}; it should be four whole numbers 'L B E P'.")
    numbers = []
    for name, field in zip(_COLUMNS, fields):
        number = whole_number(field)
        if number is None:
            raise InputError(
                f"{place} reads {line.strip()[:40]!r}; it should be four whole numbers 'L B E P', and its "
                f"{name} is "
                f"{field[:20]!r}."
            )
        numbers.append(number)
    return tuple(numbers)


def _check_rows(tracks: TrackTable, places: list[str]) -> None:
    """Checks every rule that needs no masks; `places` names the position of each row for messages."""
    row_of: dict[int, int] = {}
    for row, label in enumerate(tracks.label.tolist()):
        begin, end, parent = (int(column[row]) for column in (tracks.begin, tracks.end, tracks.parent))
        if label < 1:
            raise InputError(f"{places[row]} has label {label}; labels are at least 1.")
        if label in row_of:
            raise InputError(f"{places[row]} lists label {label} again (first: {places[row_of[label]]}).")
        if not 0 <= begin <= end:
            raise InputError(
                f"{places[row]} lets track {label} last from frame {begin} to {end}; 0 <= B <= E is right."
            )
        if parent < 0:
            raise InputError(f"{places[row]} has parent {parent}; a parent is a label, or 0 for none.")
        row_of[label] = row
    parent_of = dict(zip(tracks.label.tolist(), tracks.parent.tolist()))
    for label, parent in parent_of.items():
        if parent and parent not in row_of:
            raise InputError(
                f"{places[row_of[label]]} gives track {label} the parent {parent}, which is not listed."
            )
    _check_acyclic(parent_of, places, row_of)
    for label, parent in parent_of.items():
        if parent and tracks.end[row_of[parent]] >= tracks.begin[row_of[label]]:
            raise InputError(
                f"{places[row_of[label]]} begins track {label} in frame {tracks.begin[row_of[label]]}, "
                f"but its parent {parent} lasts until frame {tracks.end[row_of[parent]]}; "
                "a parent ends before its child begins."
            )


def _check_acyclic(parent_of: dict[int, int], places: list[str], row_of: dict[int, int]) -> None:
    """Raises InputError if a track is its own ancestor; the message names the cycle."""
    settled = {0}
    for start in parent_of:
        walk: dict[int, None] = {}
        label = start
        while label not in settled:
            if label in walk:
                circle = [*walk][[*walk].index(label) :]
                members = [str(member) for member in [*circle, label]]
                story = " -> ".join(members if len(members) < 12 else [*members[:9], "...", members[-1]])
                raise InputError(
                    f"{places[row_of[label]]} closes a cycle of parents ({story}); "
                    "a track cannot be its own ancestor."
                )
            walk[label] = None
            label = parent_of[label]
        settled.update(walk)
