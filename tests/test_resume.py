"""A run that is killed or terminated at random steps and restarted ends bit-identically."""

import os
import pathlib
import random
import signal
import subprocess
import sys

import numpy as np

CHILD = """
import pathlib, sys
import jax, numpy as np
from cellmotion_jax.files import interruption
from cellmotion_jax.training.config import Phase, Run
from tests.training import toy

folder = pathlib.Path(sys.argv[1])

def reported(start):
    for step, batch in enumerate(toy.batches(2)(start), start=start + 1):
        print(step, flush=True)
        yield batch

with interruption.handled(last=True):
    try:
        best = toy.toy_fit(
            folder,
            phases=(Phase(steps=40),),
            run=Run(batch_size=8, log_every=2, evaluate_every=5, checkpoint_every=4),
            batches=reported,
        )
    except interruption.Interrupted as error:
        sys.exit(str(error))
np.save(folder / "best.npy", np.concatenate([np.asarray(x).ravel() for x in jax.tree.leaves(best)]))
"""


def start(folder: pathlib.Path) -> subprocess.Popen:
    environment = os.environ | {"PYTHONPATH": str(pathlib.Path(__file__).parents[1])}
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
    )


def run_and_end_at(folder: pathlib.Path, step: int | None, number: int = signal.SIGKILL) -> int:
    """Runs the training in a process of its own and ends that once it asks for the batch of ``step``."""
    with start(folder) as process:
        for line in process.stdout:
            # Before training, one batch is asked for as an example; its step says nothing.
            if step is not None and int(line) >= step:
                process.send_signal(number)
                break
        process.stdout.read()
        return process.wait(timeout=300)


def test_killed_at_random_steps_it_ends_with_the_same_bits(tmp_path):
    first, second, third = sorted(random.Random(7).sample(range(2, 40), 3))
    assert run_and_end_at(tmp_path / "whole", None) == 0
    assert run_and_end_at(tmp_path / "killed", first) == -signal.SIGKILL
    assert run_and_end_at(tmp_path / "killed", second, signal.SIGTERM) == 1
    saved = max(int(record.stem) for record in (tmp_path / "killed" / "checkpoints").glob("*.json"))
    assert saved >= second - 1
    assert run_and_end_at(tmp_path / "killed", third) in (-signal.SIGKILL, 0)
    assert run_and_end_at(tmp_path / "killed", None) == 0
    whole, killed = (np.load(tmp_path / name / "best.npy") for name in ("whole", "killed"))
    np.testing.assert_array_equal(killed, whole)
    logs = [(tmp_path / name / "metrics.csv").read_text() for name in ("whole", "killed")]
    assert logs[0] == logs[1]
    lists = [
        sorted(path.name for part in ("checkpoints", "best") for path in (tmp_path / name / part).iterdir())
        for name in ("whole", "killed")
    ]
    assert lists[0] == lists[1]
