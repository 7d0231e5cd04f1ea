"""A command imports its modules only when it is chosen, and nothing of training."""

import subprocess
import sys

import pytest

TRAINING = ("orbax", "grain", "tensorflow_datasets", "tensorflow", "tensorboardX", "laptrack", "pandas")
HEAVY = (*TRAINING, "jax", "flax", "numpy", "scipy", "skimage", "matplotlib", "tyro", "tifffile")
RUN = """
import sys
from cellmotion_jax.cli import main
try:
    main(sys.argv[1].split())
except SystemExit as exit_:
    print("exit", exit_.code)
print("imported", *sorted({name.partition(".")[0] for name in sys.modules}))
"""


def run(command: str) -> tuple[str, set[str]]:
    done = subprocess.run(
        [sys.executable, "-c", RUN, command], capture_output=True, text=True, timeout=300, check=True
    )
    shown, _, imported = done.stdout.rpartition("imported ")
    return shown + done.stderr, set(imported.split())


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("--help", "usage: cellmotion COMMAND"),
        ("--version", "cellmotion_jax 0."),
        ("predict movie", "There is no command 'predict'; did you mean "),
        ("trian", "did you mean 'train'"),
    ],
)
def test_what_needs_no_command_imports_nothing_heavy(command, words):
    shown, imported = run(command)
    assert words in shown
    assert not imported & set(HEAVY)


@pytest.mark.parametrize(
    "command",
    [
        "analyze",
        "models",
        "segment",
        "track",
        "track --by linking",
        "measure",
        "evaluate",
        "simulate",
        "import-weights",
    ],
)
def test_no_command_but_train_imports_what_trains(command):
    shown, imported = run(f"{command} --help")
    assert f"usage: cellmotion {command.split()[0]}" in shown
    assert "exit 0" in shown
    assert not imported & set(TRAINING)
