"""A run killed at random steps and restarted ends bit-identically."""

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
from cellmotion_jax.training.config import Phase, Run
from tests.training import toy

folder = pathlib.Path(sys.argv[1])

def reported(start):
    for step, batch in enumerate(toy.batches(2)(start), start=start + 1):
        print(step, flush=True)
        yield batch

best = toy.toy_fit(
    folder,
    phases=(Phase(steps=40),),
    run=Run(batch_size=8, log_every=2, evaluate_every=5, checkpoint_every=4),
    batches=reported,
)
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


def run_and_kill_at(folder: pathlib.Path, step: int | None) -> int:
    """Runs the training in a process of its own and kills that once it asks for the batch of ``step``."""
    with start(folder) as process:
        for line in process.stdout:
            # Before training, one batch is asked for as an example; its step says nothing.
            if step is not None and int(line) >= step:
                process.send_signal(signal.SIGKILL)
                break
        return process.wait(timeout=300)


def test_killed_at_random_steps_it_ends_with_the_same_bits(tmp_path):
    kills = sorted(random.Random(7).sample(range(2, 40), 3))
    assert run_and_kill_at(tmp_path / "whole", None) == 0
    for step in kills:
        assert run_and_kill_at(tmp_path / "killed", step) == -signal.SIGKILL
    assert run_and_kill_at(tmp_path / "killed", None) == 0
    whole, killed = (np.load(tmp_path / name / "best.npy") for name in ("whole", "killed"))
    np.testing.assert_array_equal(killed, whole)
    logs = [(tmp_path / name / "metrics.csv").read_text() for name in ("whole", "killed")]
    assert logs[0] == logs[1]
