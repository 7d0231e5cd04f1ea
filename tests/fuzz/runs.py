"""Trainings in folders that hold a damaged run, something else, or data that cannot be learnt from."""

from __future__ import annotations

import functools
import io
import pathlib
import shutil
from collections.abc import Callable, Iterator

import numpy as np
import PIL.Image
import tifffile

from tests.fuzz.base_files import BaseFiles
from tests.fuzz.case import Case, Expected
from tests.fuzz.images import png_bomb

REFUSED, FINE, EITHER = Expected.REFUSED, Expected.FINE, Expected.EITHER
Change = Callable[[pathlib.Path], None]


SMALLEST = """
--data.downsample 1 --data.tile 32 --data.stride 32 --network.base-width 2 --network.depth 1 --tiling.tile 64
--tiling.margin 8 --phases.0.steps 2 --phases.0.warmup-steps 0 --run.batch-size 2 --run.log-every 1
--run.checkpoint-every 1 --run.evaluate-every 1
"""


def training(base: BaseFiles, *more: str) -> tuple[str, ...]:
    """The smallest training, of a network of DeepDistance on four pictures."""
    return ("train", "deep-distance", "--data.root", base["pairs"], *SMALLEST.split(), *more)


def run_case(
    base: BaseFiles, finished: pathlib.Path | None, name: str, change: Change, expected: Expected
) -> Case:
    """A training in the folder ``run``, which is a copy of a finished one that was changed."""

    def make(folder: pathlib.Path) -> None:
        if finished is None:
            (folder / "run").mkdir()
        else:
            shutil.copytree(finished, folder / "run")
        change(folder / "run")

    return Case(
        name=f"runs/{name}",
        family="runs",
        arguments=training(base, "--run.folder", "run"),
        expected=expected,
        words=("run",),
        make=make,
        outputs=("run",),
        inputs_may_change=True,
    )


def run_cases(base: BaseFiles, finished: pathlib.Path) -> Iterator[Case]:
    """Every file of a finished run, damaged in several ways; and folders that are no runs.

    Args:
        base: Sound files.
        finished: Folder of a run of `training`, as it was left.
    """
    yield run_case(base, finished, "as it was", lambda run: None, FINE)
    files = sorted(path.relative_to(finished) for path in finished.rglob("*") if path.is_file())
    for file in files:
        for name, damage in DAMAGES.items():
            yield run_case(base, finished, f"{file} {name}", _on(damage, file), EITHER)
    for file in (path for path in files if len(path.parts) == 1 or path.name == "metrics.csv"):
        yield run_case(base, finished, f"{file} a folder", _on(_as_folder, file), EITHER)
    folders = sorted(path.relative_to(finished) for path in finished.rglob("*") if path.is_dir())
    for folder in folders:
        yield run_case(base, finished, f"{folder} gone", _on(shutil.rmtree, folder), EITHER)
        yield run_case(base, finished, f"{folder} a file", _on(_as_file, folder), EITHER)
    config = pathlib.Path("config.json")
    for name, text in {"null": "null", "list": "[]", "number": "3", "text": '"a"', "other": '{"a": 1}',
                       "nested": 100_000 * "[" + 100_000 * "]", "NaN": "NaN"}.items():  # fmt: skip
        change = _on(functools.partial(_text, text), config)
        yield run_case(base, finished, f"config.json {name}", change, REFUSED)
    yield run_case(base, None, "an empty folder", lambda run: None, FINE)
    yield run_case(
        base, None, "a folder of somebody", lambda run: (run / "note.txt").write_text("mine"), EITHER
    )
    yield run_case(base, finished, "not to be written", lambda run: run.chmod(0o555), EITHER)


def data_cases(base: BaseFiles) -> Iterator[Case]:
    """Data sets of pictures in which one picture or mask is strange."""
    for part in ("images", "masks"):
        for number, (name, data) in enumerate(_pictures()):
            yield Case(
                name=f"data/{part}/{number} {name}",
                family="data",
                arguments=(
                    "train",
                    "deepcell",
                    "--data.root",
                    "pairs",
                    *["--data.downsample", "1", "--run.folder", "out"],
                ),
                expected=REFUSED,
                words=("p1.png", "p1.tif"),
                make=functools.partial(_with_picture, base, part, name, data),
            )


def _with_picture(
    base: BaseFiles, part: str, name: str, data: bytes | Callable[[], bytes], folder: pathlib.Path
) -> None:
    shutil.copytree(base.folder / "pairs", folder / "pairs")
    path = folder / "pairs" / part / "p1.png"
    if name.endswith("tif"):
        path.unlink()
        path = path.with_suffix(".tif")
    path.write_bytes(data() if callable(data) else data)


def _pictures() -> Iterator[tuple[str, bytes | Callable[[], bytes]]]:
    """Pictures that are none, or of another kind than those beside them."""

    def png(image: np.ndarray, form: str = "PNG") -> bytes:
        file = io.BytesIO()
        PIL.Image.fromarray(image).save(file, form)
        return file.getvalue()

    def tif(image: np.ndarray) -> bytes:
        file = io.BytesIO()
        tifffile.imwrite(file, image, photometric="minisblack")
        return file.getvalue()

    sound = png(np.full((64, 64), 7, np.uint8))
    yield "empty", b""
    yield "text", b"text"
    yield "cut", sound[:60]
    yield "another size", png(np.zeros((32, 48), np.uint8))
    yield "bomb of 10,000", functools.partial(png_bomb, 10_000)
    yield "bomb of 100,000", functools.partial(png_bomb, 100_000)
    yield "bomb of 2^31", functools.partial(png_bomb, 2**31 - 1)
    yield "four channels", png(np.zeros((64, 64, 4), np.uint8))
    yield "nan tif", tif(np.full((64, 64), np.nan, np.float32))
    yield "complex tif", tif(np.zeros((64, 64), np.complex64))
    yield "planes tif", tif(np.zeros((3, 64, 64), np.uint8))
    yield "empty tif", b""


def _on(damage: Change, file: pathlib.Path) -> Change:
    return lambda run: damage(run / file)


def _text(text: str, path: pathlib.Path) -> None:
    path.write_text(text)


def _halved(path: pathlib.Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _zeroed(path: pathlib.Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def _noisy(path: pathlib.Path) -> None:
    data = np.frombuffer(path.read_bytes(), np.uint8).copy()
    data[::7] ^= 0x5A
    path.write_bytes(data.tobytes())


def _as_folder(path: pathlib.Path) -> None:
    path.unlink()
    path.mkdir()


def _as_file(path: pathlib.Path) -> None:
    shutil.rmtree(path)
    path.write_text("a file")


def _emptied(path: pathlib.Path) -> None:
    path.write_bytes(b"")


def _gone(path: pathlib.Path) -> None:
    path.unlink()


DAMAGES: dict[str, Change] = {
    "empty": _emptied, "half": _halved, "zeros": _zeroed, "noise": _noisy, "gone": _gone,
}  # fmt: skip
