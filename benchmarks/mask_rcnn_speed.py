"""Mask R-CNN beside torchvision's: time of the whole and of its parts, and peak memory.

``python -m benchmarks.mask_rcnn_speed`` from the root of the repository, where torch and torchvision are
installed besides. Both have the same random weights (`mask_rcnn_parity`) and see the same photograph of
800 x 1088 pixels: ResNet-50 with a pyramid, 1,000 proposals, 91 classes, 100 detections with their masks.
Ours is compiled, and warm; torch is eager, in inference mode, with as many threads as there are cores. Every
part has torchvision's inputs. Printed are the medians of calls in turns, and the median of the ratios of two
successive calls. Peak memory is that of a process of its own, which loads the weights and sees one image of
1024 x 1024.
"""

from __future__ import annotations

import argparse
import functools
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.mask_rcnn_parity import (
    MODEL,
    NETWORK,
    Stages,
    detect,
    paired,
    photograph,
    propose,
    rows,
    torchvision_stages,
    y_first,
)
from benchmarks.timing import interleaved
from cellmotion_jax.models.mask_rcnn import MaskRCNN
from cellmotion_jax.ops.proposals import Boxes
from cellmotion_jax.ops.roi_align import pyramid_level, roi_align
from cellmotion_jax.ops.suppression import suppress_overlapping
from cellmotion_jax.weights.convert import import_weights, load_weights
from tests.models.backbones import torch_originals

SIZE = (341, 457)
"""Rows and columns of the photograph, which torchvision resizes to 800 x 1072 and pads to 800 x 1088."""
CANDIDATES = 1000
"""Of our detections; torchvision takes all that are above its threshold."""
LARGE = 1024
"""Rows and columns for the peak memory."""


@functools.partial(jax.jit, static_argnames="shape")
def infer(variables: Any, images: jax.Array, *, shape: tuple[int, int]) -> tuple[Boxes, jax.Array]:
    """Detections of one image, and the masks of their classes."""

    def run(network: MaskRCNN, images: jax.Array) -> tuple[Boxes, jax.Array]:
        pyramid, (logits, offsets) = network.regions(images, train=False)
        logits, offsets = ([level[0] for level in kind] for kind in (logits, offsets))
        proposals = propose(logits, offsets, network.anchors(images.shape[1:3]), shape=shape)
        outputs = network.boxes(pyramid, proposals.boxes[None])
        found = detect(outputs.logits[0], outputs.offsets[0], proposals, shape=shape, candidates=CANDIDATES)
        return found, masks_of(found.classes, network.masks(pyramid, found.boxes[None])[0])

    return NETWORK.apply(variables, images, method=run)


def masks_of(classes: jax.Array, masks: jax.Array) -> jax.Array:
    """Probabilities of the mask of every detection's class."""
    return jax.nn.sigmoid(jnp.take_along_axis(masks, classes[:, None, None, None], axis=-1)[..., 0])


def our_calls(variables: Any, theirs: Stages, boxes: np.ndarray, scores: np.ndarray) -> dict[str, Any]:
    """The whole and its parts, as functions without arguments."""
    images, pyramid = jnp.asarray(theirs.images), jax.device_put(theirs.pyramid)
    proposals, detected = jnp.asarray(theirs.proposals), theirs.detections
    everywhere = jnp.ones(len(proposals), bool)
    given = Boxes(proposals, everywhere, everywhere, everywhere)
    regions = jax.device_put((theirs.logits, theirs.offsets, theirs.anchors))
    outputs = jax.device_put((theirs.class_logits, theirs.box_offsets))

    @functools.partial(jax.jit, static_argnames="method")
    def apply(variables, *inputs, method):
        return NETWORK.apply(variables, *inputs, method=method)

    @jax.jit
    def masks(variables, pyramid, boxes, classes):
        return masks_of(classes, NETWORK.apply(variables, pyramid, boxes[None], method=MaskRCNN.masks)[0])

    @jax.jit
    def align(pyramid, boxes):
        level = pyramid_level(boxes, finest=2, coarsest=5) - 2
        return roi_align(
            [maps[0] for maps in pyramid[:4]], boxes, level, strides=(4, 8, 16, 32), size=7, aligned=False
        )

    suppress = jax.jit(functools.partial(suppress_overlapping, iou_threshold=0.5))
    return {
        "whole": functools.partial(infer, variables, images, shape=theirs.shape),
        "features and region head": functools.partial(
            apply, variables, images, method=functools.partial(MaskRCNN.regions, train=False)
        ),
        "proposals": functools.partial(propose, *regions, shape=theirs.shape),
        "box head, 1,000 boxes": functools.partial(
            apply, variables, pyramid, proposals[None], method=MaskRCNN.boxes
        ),
        "detections": functools.partial(detect, *outputs, given, shape=theirs.shape, candidates=CANDIDATES),
        "masks, 100 boxes": functools.partial(
            masks, variables, pyramid, jnp.asarray(detected[:, :4]), jnp.asarray(detected[:, 4], int)
        ),
        "RoIAlign, 1,000 boxes": functools.partial(align, pyramid, proposals),
        "suppression, 2,000 boxes": functools.partial(suppress, jnp.asarray(boxes), jnp.asarray(scores)),
    }


def their_calls(network: Any, theirs: Stages, boxes: np.ndarray, scores: np.ndarray) -> dict[str, Any]:
    """The same of torchvision."""
    import torch
    import torchvision
    from torchvision.models.detection.image_list import ImageList
    from torchvision.models.detection.roi_heads import maskrcnn_inference

    heads, rpn = network.roi_heads, network.rpn
    tensor, sizes = torch_originals.channels_first(theirs.images), [theirs.shape]
    images = ImageList(tensor, sizes)
    with torch.inference_mode():
        features = network.backbone(tensor)
        maps = list(features.values())
        logits, offsets = rpn.head(maps)
        proposals = rpn(images, features)[0]
        outputs = heads.box_predictor(heads.box_head(heads.box_roi_pool(features, proposals, sizes)))
        detected, _, labels = heads.postprocess_detections(*outputs, proposals, sizes)

    def whole():
        features = network.backbone(tensor)
        return heads(features, rpn(images, features)[0], sizes)[0]

    def propose():
        """What `RegionProposalNetwork.forward` does after its head."""
        from torchvision.models.detection.rpn import concat_box_prediction_layers

        anchors = rpn.anchor_generator(images, maps)
        counts = [level[0].numel() for level in logits]
        scores, deltas = concat_box_prediction_layers(logits, offsets)
        decoded = rpn.box_coder.decode(deltas, anchors)
        return rpn.filter_proposals(decoded.view(1, -1, 4), scores, sizes, counts)

    def box_outputs():
        return heads.box_predictor(heads.box_head(heads.box_roi_pool(features, proposals, sizes)))

    def masks():
        aligned = heads.mask_roi_pool(features, detected, sizes)
        return maskrcnn_inference(heads.mask_predictor(heads.mask_head(aligned)), labels)

    boxes, scores = torch.from_numpy(y_first(boxes)), torch.from_numpy(scores)
    calls = {
        "whole": whole,
        "features and region head": lambda: rpn.head(list(network.backbone(tensor).values())),
        "proposals": propose,
        "box head, 1,000 boxes": box_outputs,
        "detections": lambda: heads.postprocess_detections(*outputs, proposals, sizes),
        "masks, 100 boxes": masks,
        "RoIAlign, 1,000 boxes": lambda: heads.box_roi_pool(features, proposals, sizes),
        "suppression, 2,000 boxes": lambda: torchvision.ops.nms(boxes, scores, 0.5),
    }
    return {name: torch.inference_mode()(call) for name, call in calls.items()}


def random_boxes(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Boxes and scores; of 2,000 about a third remains."""
    rng = np.random.default_rng(0)
    corners, sides = rng.uniform(0, 700, (count, 2)), rng.uniform(20, 200, (count, 2))
    boxes = np.concatenate([corners, corners + sides], axis=1).astype(np.float32)
    return boxes, rng.uniform(size=count).astype(np.float32)


def print_times(ours: dict[str, Any], theirs: dict[str, Any], rounds: int) -> None:
    """Milliseconds, and how many times as fast as torchvision we are."""
    print("| | ours, ms | torchvision, ms | times torch's speed | the same of the fastest calls |")
    print("| --- | --- | --- | --- | --- |")
    for name in ours:
        calls: dict[str, Callable[[], Any]] = {"ours": ours[name], "theirs": theirs[name]}
        short = name not in ("whole", "features and region head", "box head, 1,000 boxes")
        seconds = interleaved(calls, rounds=rounds * (3 if short else 1), calls=1, warm_up=2)
        ratio = statistics.median(t / o for o, t in zip(seconds["ours"], seconds["theirs"]))
        our_median, their_median = (1e3 * statistics.median(of) for of in seconds.values())
        fastest = min(seconds["theirs"]) / min(seconds["ours"])
        print(f"| {name} | {our_median:.1f} | {their_median:.1f} | {ratio:.2f} | {fastest:.2f} |", flush=True)


def check_alike(variables: Any, theirs: Stages) -> None:
    """Leaves if the detections differ."""
    found, _ = infer(variables, theirs.images, shape=theirs.shape)
    ours, expected = paired(rows(found), theirs.detections)
    np.testing.assert_allclose(ours, expected, rtol=1e-3, atol=0.05)


def peak_of_ours(path: str) -> None:
    """Prints the peak memory of this process after one image."""
    variables = jax.device_put(load_weights(path).variables)
    images = np.random.default_rng(0).normal(size=(1, LARGE, LARGE, 3)).astype(np.float32)
    jax.block_until_ready(infer(variables, images, shape=(LARGE, LARGE)))
    print_peak()


def peak_of_theirs(path: str) -> None:
    """The same of torchvision."""
    import torch

    network = torch_originals.mask_rcnn()
    network.load_state_dict(torch.load(path, weights_only=True))
    image = torch.from_numpy(np.random.default_rng(0).uniform(size=(3, LARGE, LARGE)).astype(np.float32))
    network.transform.min_size, network.transform.max_size = (LARGE,), LARGE
    with torch.inference_mode():
        images, _ = network.transform([image])
        features = network.backbone(images.tensors)
        network.roi_heads(features, network.rpn(images, features)[0], images.image_sizes)
    print_peak()


def print_peak() -> None:
    """In MiB; not `ru_maxrss`, which a process inherits from the one that started it."""
    status = pathlib.Path("/proc/self/status").read_text()
    print(int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1024)  # type: ignore[index]


def peak_of(option: str, path: pathlib.Path) -> float:
    """MiB."""
    command = [sys.executable, "-m", "benchmarks.mask_rcnn_speed", option, str(path)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7, help="calls; three times as many of short ones")
    parser.add_argument("--peak-of-ours", metavar="FILE", help=argparse.SUPPRESS)
    parser.add_argument("--peak-of-theirs", metavar="FILE", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not torch_originals.is_installed():
        sys.exit("torch and torchvision are not installed.")
    if options.peak_of_ours:
        return peak_of_ours(options.peak_of_ours)
    if options.peak_of_theirs:
        return peak_of_theirs(options.peak_of_theirs)
    import torch

    torch.set_num_threads(os.cpu_count() or 1)
    versions = f"jax {jax.__version__}, torch {torch.__version__}"
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before, {versions}\n")
    image = photograph(SIZE)
    network = torch_originals.adjusted_to(image, torch_originals.mask_rcnn())
    with tempfile.TemporaryDirectory() as name:
        source, out = torch_originals.save(network, pathlib.Path(name)), pathlib.Path(name) / "ours"
        import_weights(source, model=MODEL, out=out)
        our_peak, their_peak = peak_of("--peak-of-ours", out), peak_of("--peak-of-theirs", source)
        variables = jax.device_put(load_weights(out).variables)
    theirs = torchvision_stages(network, image)
    check_alike(variables, theirs)
    boxes = random_boxes(2000)
    print_times(our_calls(variables, theirs, *boxes), their_calls(network, theirs, *boxes), options.rounds)
    print(f"\nPeak memory at {LARGE} x {LARGE}: ours {our_peak:.0f} MiB, torchvision {their_peak:.0f} MiB")


if __name__ == "__main__":
    main()
