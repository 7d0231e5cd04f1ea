"""Tables of starts and of tracks with damaged, strange and enormous contents."""

from __future__ import annotations

import functools
import pathlib
import shutil
from collections.abc import Iterator

import numpy as np

from tests.fuzz.base_files import BaseFiles
from tests.fuzz.case import Case, Expected

REFUSED, FINE, EITHER = Expected.REFUSED, Expected.FINE, Expected.EITHER
ARABIC_ONE = "\u0661"
CELLS = (
    *(
        "nan",
        "inf",
        "-1",
        "1e30",
        "1" + 400 * "0",
        "1" + 5000 * "0",
        "many",
        "",
        "1,5",
        "0x10",
        ARABIC_ONE,
        "1_0",
    ),
    *(" ", "1e400", "-0", "9223372036854775808", "4294967296", "65536", '"', "\0", "2.5"),
)


def table_cases(base: BaseFiles) -> Iterator[Case]:
    """Every cell of a table with each of some values, and tables of other forms."""
    for column, name in enumerate(("id", "y", "x", "frame")):
        for cell in CELLS:
            row = ["1", "20", "18", "0"]
            row[column] = cell
            harmless = EITHER if cell in ("-0", ARABIC_ONE, "1_0", "2.5", "0x10") or column == 0 else REFUSED
            yield start_case(base, f"{name} {cell[:12]!r}", f"id,y,x,frame\n{','.join(row)}\n", harmless)
    for number, (name, text, expected) in enumerate(_start_tables()):
        yield start_case(base, f"{number} {name}", text, expected)
    for column, name in enumerate("LBEP"):
        for cell in CELLS:
            row = ["1", "0", "2", "0"]
            row[column] = cell
            harmless = EITHER if cell in ("-0", ARABIC_ONE, "1_0", " ", "", "65536") else REFUSED
            for command in ("measure", "evaluate"):
                yield track_case(
                    base, command, f"{name} {cell[:12]!r}", f"{' '.join(row)}\n2 0 2 0\n", harmless
                )
    for number, (name, text, expected) in enumerate(_track_tables()):
        for command in ("measure", "evaluate"):
            yield track_case(base, command, f"{number} {name}", text, expected)


def start_case(base: BaseFiles, name: str, text: str | bytes, expected: Expected) -> Case:
    """A case with a table of starts."""
    arguments = ("track", base["stack.tif"], "--start", "s.csv", "--cell-diameter", "15", "--window", "32")
    return Case(
        name=f"tables/starts/{name}",
        family="tables",
        arguments=(*arguments, "--out", "out"),
        expected=expected,
        words=("s.csv",),
        make=functools.partial(_write, "s.csv", text),
    )


def track_case(base: BaseFiles, command: str, name: str, text: str | bytes, expected: Expected) -> Case:
    """A case with a table of tracks beside sound masks."""
    more = (base["Set/01"], "--out", "out.json") if command == "evaluate" else ("--out", "out")
    return Case(
        name=f"tables/{command}/{name}",
        family="tables",
        arguments=(command, "r", *more),
        expected=expected,
        words=("res_track.txt", "mask000.tif", "mask001.tif", "mask002.tif"),
        make=functools.partial(_write_result, base, text),
        outputs=("out", "out.json"),
    )


def _write(name: str, text: str | bytes, folder: pathlib.Path) -> None:
    (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())


def _write_result(base: BaseFiles, text: str | bytes, folder: pathlib.Path) -> None:
    shutil.copytree(base.folder / "result", folder / "r")
    _write("r/res_track.txt", text, folder)


def _start_tables() -> Iterator[tuple[str, str | bytes, Expected]]:
    sound = "id,y,x,frame\n1,20,18,0\n2,44,46,0\n"
    yield "sound", sound, FINE
    yield "byte order mark", b"\xef\xbb\xbf" + sound.encode(), FINE
    yield "carriage returns", sound.replace("\n", "\r\n"), FINE
    yield "without ids", "y,x\n20,18\n44,46\n", FINE
    yield "more columns", "y,x,note\n20,18,a\n44,46,b\n", FINE
    yield "utf-16", sound.encode("utf-16"), EITHER
    yield "semicolons", sound.replace(",", ";"), EITHER
    yield "tabs", sound.replace(",", "\t"), EITHER
    yield "empty", "", REFUSED
    yield "header alone", "y,x\n", REFUSED
    yield "no header", "20,18\n", REFUSED
    yield "columns twice", "y,x,y,x\n20,18,44,46\n", EITHER
    yield "too few cells", "id,y,x,frame\n1,20\n", REFUSED
    yield "too many cells", "y,x\n20,18,5,6,7\n", EITHER
    yield "an id twice", "id,y,x\n1,20,18\n1,44,46\n", REFUSED
    yield "a frame after the last", "y,x,frame\n20,18,7\n", REFUSED
    yield "outside", "y,x\n64,64\n", REFUSED
    yield "bytes", bytes(range(256)), REFUSED
    yield "zeros", bytes(10_000), REFUSED
    yield "one line of 20 MB", b"y,x\n" + 20_000_000 * b"1", REFUSED
    yield "one quoted cell of 20 MB", b'y,x\n"' + 20_000_000 * b"1" + b'",2\n', REFUSED
    yield "100,000 columns", ",".join(["y", "x", *(f"c{n}" for n in range(100_000))]) + "\n1,2\n", EITHER
    yield "a million rows", "y,x\n" + 1_000_000 * "20,18\n", REFUSED
    yield "3,000 rows", "y,x\n" + 3_000 * "20,18\n", EITHER


def _track_tables() -> Iterator[tuple[str, str | bytes, Expected]]:
    sound = "1 0 2 0\n2 0 2 0\n"
    yield "sound", sound, FINE
    yield "byte order mark", b"\xef\xbb\xbf" + sound.encode(), EITHER
    yield "carriage returns", sound.replace("\n", "\r\n"), FINE
    yield "old line ends", sound.replace("\n", "\r"), FINE
    yield "tabs", sound.replace(" ", "\t"), FINE
    yield "empty lines", "\n\n" + sound + "\n\n", FINE
    yield "empty", "", REFUSED
    yield "commas", sound.replace(" ", ","), REFUSED
    yield "three numbers", "1 0 2\n2 0 2\n", REFUSED
    yield "its own parent", "1 0 2 1\n2 0 2 0\n", REFUSED
    yield "parents in a circle", "1 0 2 2\n2 0 2 1\n", REFUSED
    yield "an unknown parent", "1 0 2 9\n2 0 2 0\n", REFUSED
    yield "a track twice", sound + "1 0 2 0\n", REFUSED
    yield "backwards", "1 2 0 0\n2 0 2 0\n", REFUSED
    yield "after the last frame", "1 0 9 0\n2 0 2 0\n", REFUSED
    yield "a track without pixels", sound + "3 0 2 0\n", EITHER
    yield "a label without a track", "1 0 2 0\n", REFUSED
    yield "bytes", bytes(range(256)), REFUSED
    yield "zeros", bytes(10_000), REFUSED
    yield "one line of 20 MB", 20_000_000 * b"1", REFUSED
    yield "a million tracks", "".join(f"{n} 0 0 0\n" for n in range(1, 1_000_001)), EITHER
    yield "a line of parents", "".join(f"{n} {n} {n} {n - 1}\n" for n in range(1, 20_001)), REFUSED


def mutated_tables(base: BaseFiles, rng: np.random.Generator) -> Iterator[Case]:
    """Random tables without end."""
    pieces = [*CELLS, "0", "1", "2", "20", "44", "y", "x", "id", "frame", "\n", "\n", ",", ",", " "]
    for number in range(10**9):
        count = int(rng.integers(1, 30))
        text = "".join(pieces[rng.integers(len(pieces))] for _ in range(count))
        if rng.uniform() < 0.5:
            yield start_case(base, f"random {number}", "id,y,x,frame\n" + text, EITHER)
        else:
            command = ("measure", "evaluate")[rng.integers(2)]
            yield track_case(base, command, f"random {number}", "1 0 2 0\n" + text, EITHER)
