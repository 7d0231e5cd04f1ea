"""Images of growing size through tiles beside the same network on the whole image at once: speed and memory.

``python -m benchmarks.whole_image`` from the root of the repository. Without ``--model`` the network has
``--base-width`` and random weights and sees noise. With one, ``--image`` (a TIFF file) is repeated as its
mirror image up to every size, and detection and outlines are measured as well.

Every contender runs at every size in a process of its own. Its memory is the peak of what was resident
(VmHWM of Linux), and beside it what was resident before there was an image: Python, JAX and the weights. One
call compiles, the median of ``--rounds`` more is told. What does not fit into ``--limit-gib`` of address
space is left out. On an accelerator the memory of the device is not in these numbers.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import pathlib
import re
import resource
import statistics
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import tifffile

from cellmotion_jax.methods.deep_distance.cells import find_cells, predict_maps
from cellmotion_jax.methods.deep_distance.detection import DetectionSettings
from cellmotion_jax.methods.deep_distance.model_file import DeepDistanceModel
from cellmotion_jax.methods.deep_distance.model_file import load_model as load_cell_model
from cellmotion_jax.models.deep_distance import DeepDistance
from cellmotion_jax.ops.intensity import standardize

SIZES = ((512, 512), (1024, 1024), (2048, 2048), (3096, 4140))  # The last is that of the paper.


def tiles(model: DeepDistanceModel, image: np.ndarray) -> object:
    return predict_maps(model, image)


def at_once(model: DeepDistanceModel, image: np.ndarray) -> object:
    """Mirrored only as far as the poolings need; the zeros of the convolutions show at the borders."""
    missing = [(0, -side % model.network.multiple) for side in image.shape[:2]]
    padded = np.pad(image.astype(np.float32), (*missing, (0, 0)), mode="symmetric")
    return jax.device_get(maps_of(model.variables, standardize(jnp.asarray(padded))[None], model.network))


@functools.partial(jax.jit, static_argnames="network")
def maps_of(variables, images, network):
    return network.apply(variables, images, train=False).maps


def cells(model: DeepDistanceModel, image: np.ndarray) -> object:
    return find_cells(model, image, segment=model.can_segment)


CONTENDERS = {"tiles": tiles, "the whole image at once": at_once, "tiles, detection, outlines": cells}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--base-width", type=int, default=16)
    parser.add_argument("--model", type=pathlib.Path)
    parser.add_argument("--image", type=pathlib.Path)
    parser.add_argument("--largest", type=float, default=13, help="megapixels")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--limit-gib", type=float, default=12)
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)  # What the processes are started with.
    options = parser.parse_args()
    if options.measure:
        name, height, width = options.measure
        print(json.dumps(measure(CONTENDERS[name], (int(height), int(width)), options)))
        return

    setting = "nothing that fits"
    print("| image | megapixels | | seconds | megapixels / s | peak MiB | before the image |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for height, width in SIZES:
        megapixels = height * width / 1e6
        for name in list(CONTENDERS)[: 3 if options.model else 2]:
            if megapixels > options.largest:
                continue
            result = in_own_process(name, height, width)
            told = "does not fit | | |"
            if result:
                setting = result["setting"]
                seconds = statistics.median(result["seconds"])
                told = f"{seconds:.2f} | {megapixels / seconds:.2f} | {result['peak']} | {result['before']}"
            print(f"| {height} x {width} | {megapixels:.2f} | {name} | {told} |", flush=True)
    print(f"\n{setting}")


def in_own_process(name: str, height: int, width: int) -> dict | None:
    command = [sys.executable, "-m", "benchmarks.whole_image", *sys.argv[1:]]
    done = subprocess.run(
        [*command, "--measure", name, str(height), str(width)], capture_output=True, text=True, check=False
    )
    if done.returncode == 0:
        return json.loads(done.stdout)
    if re.search(
        "out of memory|RESOURCE_EXHAUSTED|MemoryError|bad_alloc|allocat", done.stderr, re.IGNORECASE
    ):
        return None
    raise RuntimeError(done.stderr)


def measure(contender, shape: tuple[int, int], options: argparse.Namespace) -> dict:
    device = jax.devices()[0]
    if device.platform == "cpu":  # Drivers of accelerators reserve addresses without measure.
        limit = int(options.limit_gib * 2**30)
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    model = load_cell_model(options.model) if options.model else random_model(options.base_width)
    jax.block_until_ready(jax.device_put(model.variables))
    before = peak_resident_mib()
    image = image_of(shape, options)
    seconds = []
    for _ in range(1 + options.rounds):
        start = time.perf_counter()
        contender(model, image)
        seconds.append(time.perf_counter() - start)
    return {
        "seconds": seconds[1:],
        "before": before,
        "peak": peak_resident_mib(),
        "setting": f"{device.platform} ({device.device_kind}), {os.cpu_count()} cores, "
        f"jax {jax.__version__}; base width {model.network.base_width}, depth {model.network.depth}, "
        f"{len(model.network.tasks)} tasks",
    }


def random_model(base_width: int) -> DeepDistanceModel:
    """Weights drawn by NumPy, since compiling the network's own initialisation takes long."""
    network = DeepDistance(base_width=base_width)
    shapes = jax.eval_shape(lambda: network.init(jax.random.key(0), jnp.zeros((1, 16, 16, 1)), train=False))
    rng = np.random.default_rng(0)
    return DeepDistanceModel(
        network=network,
        variables=jax.tree.map(lambda leaf: rng.uniform(0.01, 0.02, leaf.shape).astype(np.float32), shapes),
        channels=1,
        downsample=1,
        cell_diameter=30.0,
        boundary_width=2.0,
        detection=DetectionSettings(),
        area_threshold=1,
    )


def image_of(shape: tuple[int, int], options: argparse.Namespace) -> np.ndarray:
    if options.image is None:
        return np.random.default_rng(0).integers(0, 4096, (*shape, 1), np.uint16)
    image = tifffile.imread(options.image)[: shape[0], : shape[1]]
    missing = [(0, wanted - had) for wanted, had in zip(shape, image.shape)]
    return np.pad(image, missing, mode="symmetric")[..., None]


def peak_resident_mib() -> int:
    """Of this process alone, where ``getrusage`` would begin with that of the process that started it."""
    status = pathlib.Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) // 1024


if __name__ == "__main__":
    main()
