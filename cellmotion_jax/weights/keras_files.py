"""Reading of Keras files in another process, which may crash, hang or run out of memory without harm.

HDF5's library notices a file that was cut off, but trusts most other bytes: a file whose structure was
altered can make it crash or loop for ever. The other process is a new Python that imports NumPy and h5py
alone; it answers with a safetensors file on its standard output.
"""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading

import numpy as np
from jaxtyping import Shaped

from cellmotion_jax.errors import InputError
from cellmotion_jax.weights.limits import largest_contents
from cellmotion_jax.weights.safetensors_files import parse_safetensors

KERAS_MEMBERS = ("config.json", "model.weights.h5")
"""Members of a ``.keras`` file."""
REFUSED = "refused"
"""Key in the metadata of an answer: the sentence that refuses the file."""
NAMES = "names"
"""Key in the metadata of an answer: names of the tensors in their order."""
_SECONDS = 15
_BYTES_PER_SECOND = 2**24
_PATIENCE = 20  # Seconds of the clock for each second of work, for slow disks.
_MEMORY = 2**31  # Bytes of address space for the libraries and small files.
_NEVER_STARTED = 1  # Exit code of Python for an exception that nothing caught.
_PROGRAM = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from cellmotion_jax.weights.keras_reader import main; main(*sys.argv[2:])"
)
# One thread: others would reserve memory. No filter of HDF5 that is installed elsewhere is loaded.
_ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "HDF5_PLUGIN_PRELOAD": "::"}


def read_keras(path: pathlib.Path) -> dict[str, Shaped[np.ndarray, "..."]]:
    """Reads the weights in an HDF5 or a ``.keras`` file.

    Args:
        path: The file.

    Returns:
        The tensors as ``layer/tensor``, read-only.

    Raises:
        InputError: If the file is damaged, not one of Keras, holds anything but numbers, or if the reading
            crashes, takes too long or needs too much memory.
    """
    seconds = _SECONDS + path.stat().st_size // _BYTES_PER_SECOND
    memory = _MEMORY + 3 * largest_contents(path)
    import_path = json.dumps([entry for entry in sys.path if isinstance(entry, str)])
    command = [sys.executable, "-c", _PROGRAM, import_path, str(path), str(seconds), str(memory)]
    code, answer, said = _output_of(command, seconds=_PATIENCE * seconds)
    if code == _NEVER_STARTED:
        raise RuntimeError(f"the process that reads {path} did not start: {said}")
    if code:
        raise InputError(
            f"{path} is damaged: HDF5 crashed while reading it, or did not end in {seconds} seconds; copy "
            "it again from where it came."
        )
    tensors, notes = parse_safetensors(answer, path=path)
    if REFUSED in notes:
        raise InputError(notes[REFUSED])
    return {name: tensors[name] for name in json.loads(notes[NAMES])}


def _output_of(command: list[str], *, seconds: int) -> tuple[int, bytes, str]:
    """Exit code, output and messages of a program, which is ended after some time or with this one."""
    with (
        tempfile.TemporaryFile() as messages,
        subprocess.Popen(
            command,
            env=os.environ | _ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=messages,
        ) as process,
    ):
        timer = threading.Timer(seconds, process.kill)
        timer.daemon = True
        timer.start()
        try:
            output = process.stdout.read()  # type: ignore[union-attr]
            code = process.wait()
        finally:
            timer.cancel()
            process.kill()
        messages.seek(0)
        return code, output, messages.read().decode(errors="replace")
