"""Commands on a tiny movie, in processes of their own, which `kills.py` and `full_disk.py` disturb."""

from __future__ import annotations

import hashlib
import os
import pathlib
import re
import subprocess
import sys
from typing import NamedTuple

import numpy as np
import tifffile

from cellmotion_jax.methods.deep_distance.detection import DetectionSettings
from cellmotion_jax.methods.deep_distance.model_file import save_model
from tests.blob_movies import draw, straight
from tests.cell_models import tiny_cell_model

FRAMES = 12
RUN = """
import signal
from cellmotion_jax.cli import main
# A shell lets what it starts in the background ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)
main()
"""
# Compiling is quick then, and bits are still comparable.
ENVIRONMENT = {"JAX_PLATFORMS": "cpu", "JAX_DISABLE_MOST_OPTIMIZATIONS": "1", "PYTHONPATH": os.getcwd()}
TRAINING = """--network.features 2 --network.base-width 2 --data.simulated 1 --data.pairs.train 16
--data.pairs.held-out 4 --data.phase-contrast.frames 3 --data.phase-contrast.cells 6
--data.phase-contrast.height 96 --data.phase-contrast.width 96 --data.phase-contrast.pixel-size-um 1.3
--data.nuclei.frames 3 --data.nuclei.cells 6
--data.nuclei.height 96 --data.nuclei.width 96 --data.nuclei.pixel-size-um 1.3 --phases.0.steps 60
--run.batch-size 4 --run.log-every 2 --run.evaluate-every 10 --run.checkpoint-every 8"""
# Orbax, TensorBoard and TFDS put random numbers and times into names and contents.
RANDOM_NAMES = re.compile(r"(checkpoints|best)/\d+/.*|tensorboard/.*")
RANDOM_CONTENTS = re.compile(
    r"(checkpoints|best)/\d+\.json|data/.*(json|array_record.*)|config\.json|run\.json"
)


class Command(NamedTuple):
    """A command without its output."""

    name: str
    arguments: tuple[str, ...]
    option: str = "--out"

    def start(self, out: pathlib.Path) -> subprocess.Popen[str]:
        """Starts it in a process of its own."""
        arguments = [*self.arguments, self.option, str(out)]
        return subprocess.Popen(
            [sys.executable, "-c", RUN, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | ENVIRONMENT,
        )


def make_commands(folder: pathlib.Path) -> list[Command]:
    """Writes a movie of two cells and a tiny model, and returns the commands."""
    paths = np.stack([straight((20, 16), (1, 2), FRAMES), straight((44, 50), (0, -1), FRAMES)], axis=1)
    (folder / "01").mkdir(parents=True)
    for number, frame in enumerate(draw(paths)):
        image = np.round(1000 + 300 * frame).astype(np.uint16)
        tifffile.imwrite(folder / "01" / f"t{number:03d}.tif", image)
    (folder / "places.csv").write_text("id,y,x,frame\n1,20,16,0\n2,44,50,0\n")
    model = folder / "model.safetensors"
    save_model(model, tiny_cell_model(detection=DetectionSettings(h=0.02, floor=0.0)))
    movie = str(folder / "01")
    start = ("--start", str(folder / "places.csv"), "--cell-diameter", "16", "--window", "32", "--no-compete")
    return [
        Command("segment", ("segment", movie, "--model", str(model))),
        Command("track", ("track", movie, *start)),
        Command("analyze", ("analyze", movie, "--model", str(model), "--cell-diameter", "16")),
        Command("train", ("train", "celltrack-embedding", *TRAINING.split()), "--run.folder"),
    ]


def contents(folder: pathlib.Path) -> dict[str, str]:
    """Names of all files and digests of those that are the same in every run; hidden ones included."""
    found = {}
    for path in sorted(folder.rglob("*")):
        # The names of stored samples depend on the place of the movies that they were made from.
        name = re.sub(r"-[0-9a-f]{16}/", "-*/", path.relative_to(folder).as_posix())
        if path.is_file() and not RANDOM_NAMES.search(name):
            same = not RANDOM_CONTENTS.search(name)
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest() if same else "made"
    return found


def sentences(stderr: str) -> list[str]:
    """The lines on the standard error, without progress bars and the notice of a resumption."""
    lines = [line.rpartition("\r")[2] for line in stderr.splitlines()]
    bar = re.compile(r"^Resuming |\d+%\||step/s|s/step|it/s|s/it|frame/s")
    return [line for line in lines if line.strip() and not bar.search(line)]
