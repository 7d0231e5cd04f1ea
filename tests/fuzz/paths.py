"""Paths that are no regular files, and outputs that cannot be written."""

from __future__ import annotations

import functools
import os
import pathlib
import subprocess
from collections.abc import Callable, Iterator

from tests.fuzz.base_files import BaseFiles
from tests.fuzz.case import Case, Expected

REFUSED, FINE, EITHER = Expected.REFUSED, Expected.FINE, Expected.EITHER
ROOT = os.geteuid() == 0 if hasattr(os, "geteuid") else False
DEVICES = {"null": 3, "zero": 5, "full": 7, "random": 8}


def _fifo(path: pathlib.Path) -> None:
    os.mkfifo(path)


def _device(minor: int, path: pathlib.Path) -> None:
    os.mknod(path, 0o666 | 0o020000, os.makedev(1, minor))
    path.chmod(0o666)


def _socket(path: pathlib.Path) -> None:
    os.mknod(path, 0o140644)


def _folder(path: pathlib.Path) -> None:
    path.mkdir()


def _itself(path: pathlib.Path) -> None:
    path.symlink_to(path.name)


def _dangling(path: pathlib.Path) -> None:
    path.symlink_to("nothing-there")


def _sparse(path: pathlib.Path) -> None:
    with path.open("wb") as file:
        file.truncate(200 * 2**30)


def _empty(path: pathlib.Path) -> None:
    path.touch()


STRANGE: dict[str, Callable[[pathlib.Path], None]] = {
    "fifo": _fifo,
    "socket": _socket,
    "folder": _folder,
    "link to itself": _itself,
    "dangling link": _dangling,
    "sparse of 200 GB": _sparse,
    "empty file": _empty,
    **(
        {f"device {name}": functools.partial(_device, minor) for name, minor in DEVICES.items()}
        if ROOT
        else {}
    ),
}
"""Things that are no file to read, each with a function that makes it."""


def input_cases(base: BaseFiles) -> Iterator[Case]:
    """Every argument that is a path with everything that is no such file."""
    for name, command, suffix in _inputs(base):
        file = f"it{suffix}"
        last = name.split()[-1].split(".")[0]
        arguments = tuple(file if part == "HERE" else part for part in command)
        for kind, make in STRANGE.items():
            yield Case(
                name=f"paths/{name}/{kind}",
                family="paths",
                arguments=arguments,
                expected=REFUSED,
                words=(file, "it"),
                make=lambda folder, make=make, file=file: make(folder / file),
                outputs=("out", "out.json", "out.safetensors"),
            )
        for kind, path in {
            "missing": "missing" + suffix,
            "too long": 300 * "x" + suffix,
            "5,000 deep": "/".join(2500 * "x") + suffix,
            "empty": "",
            "no text": "\udcff\udcfe" + suffix,
            "new line": "a\nb" + suffix,
            "below a file": base["stack.tif"] + "/x" + suffix,
            "home": "~nobody-of-this-name/x" + suffix,
            "dash": "-",
            "a word of the shell": "*.tif",
            "brackets": "[bold]x[/bold]" + suffix,
        }.items():
            yield Case(
                name=f"paths/{name}/{kind}",
                family="paths",
                arguments=tuple(path if part == "HERE" else part for part in command),
                expected=REFUSED,
                words=(path or last, last, "stack.tif", "long", "name"),
                outputs=("out", "out.json", "out.safetensors"),
            )


def _inputs(base: BaseFiles) -> Iterator[tuple[str, tuple[str, ...], str]]:
    """Arguments that are paths of files: name, command with HERE, suffix."""
    stack, start, model = base["stack.tif"], base["labels/m000.tif"], base["cell.safetensors"]
    out, run = ("--out", "out"), ("--run.folder", "out")
    yield "segment movie", ("segment", "HERE", "--model", model, *out), ".tif"
    yield "segment model", ("segment", stack, "--model", "HERE", *out), ".safetensors"
    yield "track movie", ("track", "HERE", "--start", start, *out), ".tif"
    yield "track start", ("track", stack, "--start", "HERE", *out), ".csv"
    yield "track start.tif", ("track", stack, "--start", "HERE", *out), ".tif"
    yield "track segmentation", ("track", stack, "--segmentation", "HERE", *out), ".tif"
    yield "track model", ("track", stack, "--start", start, "--model", "HERE", *out), ".safetensors"
    yield "link segmentation", ("track", stack, "--by", "linking", "--segmentation", "HERE", *out), ".tif"
    yield "measure result", ("measure", "HERE", *out), ""
    yield "measure movie", ("measure", base["result"], "HERE", *out), ".tif"
    yield "evaluate result", ("evaluate", "HERE", base["Set/01"], "--out", "out.json"), ""
    yield "evaluate reference", ("evaluate", base["result"], "HERE", "--out", "out.json"), ""
    for suffix in (".h5", ".pth", ".npz", ".safetensors", ".keras"):
        command = ("import-weights", "HERE", "--model", "yolov8-n", "--out", "out.safetensors")
        yield f"import source{suffix}", command, suffix
    for name in ("direction", "deep-distance", "recognet", "deepcell", "convlstm"):
        yield f"train {name} root", ("train", name, "--data.root", "HERE", *run), ""
    yield (
        "train celltrack-embedding movies",
        ("train", "celltrack-embedding", "--data.movies", "HERE", *run),
        "",
    )
    weights = ("train", "direction-yolov8-n", "--data.root", base["Set"], "--weights", "HERE", *run)
    yield "train direction-yolov8-n weights", weights, ".safetensors"
    weights = ("train", "convlstm", "--data.root", base["Set"], "--weights", "HERE", *run)
    yield "train convlstm weights", weights, ".safetensors"


def output_cases(base: BaseFiles) -> Iterator[Case]:
    """Every command with outputs that cannot be written, and some that can."""
    commands = {
        "link": ("track", base["stack.tif"], "--by", "linking", "--segmentation", base["labels"], "--out"),
        "measure": ("measure", base["result"], "--out"),
        "simulate": ("simulate", "--frames", "2", "--height", "96", "--width", "96", "--cells", "2", "--look",
                     "NUCLEI", "--out"),
        "track": ("track", base["stack.tif"], "--start", base["labels/m000.tif"], "--window", "32", "--out"),
        "segment": ("segment", base["stack.tif"], "--model", base["video.safetensors"], "--out"),
        "evaluate": ("evaluate", base["result"], base["Set/01"], "--out"),
        "import": ("import-weights", base["folder-of-weights/w.npz"], "--model", "yolov8-n", "--out"),
        "train": ("train", "deepcell", "--data.root", base["nothing-to-learn"], "--run.folder"),
    }  # fmt: skip
    suffixes = {"evaluate": ".json", "import": ".safetensors"}
    for name, command in commands.items():
        suffix = suffixes.get(name, "")
        for kind, (path, make, expected) in _outputs(suffix).items():
            # This training has too few images, so that it is refused in any case.
            refused = REFUSED if name == "train" else expected
            yield Case(
                name=f"outputs/{name}/{kind}",
                family="outputs",
                arguments=(*command, path),
                expected=refused,
                words=(
                    path.strip("/-.").rpartition("/")[2][:20] or path,
                    "name",  # Of a path that is too long to be printed whole.
                    "out",
                    "folder",
                    "nothing-to-learn",
                ),
                make=make,
                outputs=() if expected is REFUSED else (path.removeprefix("./").rstrip("/"), "target", "a"),
            )


def _outputs(suffix: str) -> dict[str, tuple[str, Callable[[pathlib.Path], None], Expected]]:
    """Places to write: the argument, what makes them, and what is right."""

    def nothing(folder: pathlib.Path) -> None:
        del folder

    def at(make: Callable[[pathlib.Path], None]) -> Callable[[pathlib.Path], None]:
        return lambda folder: make(folder / f"it{suffix}")

    def full(path: pathlib.Path) -> None:
        path.write_text("mine")

    def linked(path: pathlib.Path) -> None:
        target = path.with_name("target")
        target.touch() if suffix else target.mkdir()
        path.symlink_to("target")

    def shared(path: pathlib.Path) -> None:
        path.mkdir()
        path.chmod(0o2775)

    def with_file(path: pathlib.Path) -> None:
        path.mkdir()
        (path / "note.txt").write_text("mine")

    def tmpfs(size: str, path: pathlib.Path) -> None:
        path.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=777", "none", str(path)], check=True)

    it = f"it{suffix}"
    overwritten = FINE if suffix else REFUSED
    places: dict[str, tuple[str, Callable[[pathlib.Path], None], Expected]] = {
        "new": (it, nothing, FINE),
        "new below new folders": (f"a/b/{it}", nothing, FINE),
        "with a slash": (f"{it}/", nothing, EITHER if suffix else FINE),
        "dots": (f"./{it}", nothing, FINE),
        "root": ("/", nothing, REFUSED),
        "empty": ("", nothing, REFUSED),
        "here": (".", with_file_here, REFUSED),
        "parent": ("..", nothing, REFUSED),
        "a file": (it, at(full), overwritten),
        "below a file": (f"it/x{suffix}", lambda folder: full(folder / "it"), REFUSED),
        "an empty folder": (it, at(_folder), REFUSED if suffix else FINE),
        "an empty folder of a group": (it, at(shared), REFUSED if suffix else FINE),
        "a folder with a file": (it, at(with_file), REFUSED),
        "a link": (it, at(linked), FINE),
        "a dangling link": (it, at(_dangling), EITHER),
        "a link to itself": (it, at(_itself), REFUSED),
        "a fifo": (it, at(_fifo), REFUSED),
        "a socket": (it, at(_socket), REFUSED),
        "too long": (300 * "x" + suffix, nothing, REFUSED),
        "250 characters": (250 * "x" + suffix, nothing, REFUSED if suffix else EITHER),
        "below /proc": (f"/proc/{it}", nothing, REFUSED),
        "below /dev": (f"/dev/{it}", nothing, REFUSED),
        "/dev/null": ("/dev/null", nothing, REFUSED),
        "/dev/full": ("/dev/full", nothing, REFUSED),
        "/dev/stdout": ("/dev/stdout", nothing, REFUSED),
        "not text": ("\udcff\udcfe" + suffix, nothing, EITHER),
        "new line": ("a\nb" + suffix, nothing, EITHER),
        "another suffix": ("it.other", nothing, REFUSED if suffix == ".json" else EITHER),
        "where one may not write": (f"kept/{it}", kept, REFUSED),
    }
    if ROOT:
        for name, minor in DEVICES.items():
            places[f"device {name}"] = (it, at(functools.partial(_device, minor)), REFUSED)
        below = f"disk/{it}"
        for size in ("4k", "16k", "40k", "100k"):
            places[f"disk of {size}"] = (
                below, lambda folder, size=size: tmpfs(size, folder / "disk"),
                # The file of scores is small.
                EITHER if size == "100k" or (suffix == ".json" and size != "4k") else REFUSED,
            )  # fmt: skip
        if not suffix:
            places["an empty volume"] = (it, at(functools.partial(tmpfs, "100m")), FINE)
    return places


def with_file_here(folder: pathlib.Path) -> None:
    """Makes a file in the working directory."""
    (folder / "note.txt").write_text("mine")


def kept(folder: pathlib.Path) -> None:
    """Makes a folder that nobody may write to."""
    (folder / "kept").mkdir()
    (folder / "kept").chmod(0o555)
