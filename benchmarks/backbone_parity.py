"""Largest deviation of every stage of every backbone from the original, through the import of weights.

``python -m benchmarks.backbone_parity`` from the root of the repository, with ``--real ../shared/weights``
for published weights as well. Networks of Keras and torchvision with random weights, and the published
structure of YOLOv8-n in plain JAX, are saved to a file; the file is imported and loaded as by a user, and
both see the same images. The error of a stage is max |ours - theirs| / max |theirs| in float32. Exits with 1
if one exceeds 1e-4.
"""

from __future__ import annotations

import argparse
import functools
import pathlib
import sys
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from cellmotion_jax.weights.catalogue import CATALOGUE
from tests.models.backbones import keras_originals, torch_originals, yolov8_original
from tests.models.backbones.parity import imported, photographs, random_images, relative_errors
from tests.models.backbones.yolov8_agreement import agreement

SIZES = ((64, 64), (75, 97))
LARGEST_ERROR = 1e-4
MOBILENET, YOLO = "mobilenet-v2-0.35", "yolov8-n"


class Original(NamedTuple):
    """A network that is not ours."""

    name: str
    """Library and kind of file."""
    save: Callable[[pathlib.Path], pathlib.Path]
    """Writes the weights into a folder and returns the path."""
    stages: Callable[[np.ndarray], Mapping[str, Any]]
    """Images to features by our names."""


def of_keras(model: str, size: tuple[int, int]) -> Original:
    network = keras_originals.build(model, size)
    return Original(
        f"Keras, {keras_originals.PUBLISHED[model].suffix}",
        functools.partial(keras_originals.save, network, model),
        lambda images: keras_originals.run(network, images, training=False)[0],
    )


def of_torchvision(build: Callable[[], Any], stages: Callable[..., Mapping[str, Any]]) -> Original:
    network = build()
    return Original(
        "torchvision, .pth",
        functools.partial(torch_originals.save, network),
        functools.partial(stages, network),
    )


def written_down_again() -> Original:
    weights = yolov8_original.random_weights()
    return Original(
        "published structure, .npz",
        functools.partial(yolov8_original.save, weights),
        functools.partial(yolov8_original.in_lax, weights),
    )


def originals() -> dict[str, Callable[[tuple[int, int]], Original]]:
    """What is installed, by the names of the catalogue, for a size of image."""
    found: dict[str, Callable[[tuple[int, int]], Original]] = {
        model: functools.partial(of_keras, model) for model in keras_originals.PUBLISHED
    }
    if torch_originals.is_installed():
        resnet, fpn = torch_originals.resnet50, torch_originals.resnet50_fpn
        found["resnet50-torchvision"] = lambda size: of_torchvision(resnet, torch_originals.resnet_stages)
        found["resnet50-fpn"] = lambda size: of_torchvision(fpn, torch_originals.fpn_stages)
    else:
        print("torchvision is not installed, its networks are left out.\n")
    return {**found, YOLO: lambda size: written_down_again()}


def errors(model: str, original: Original, images: np.ndarray) -> dict[str, float]:
    """Of every stage, from fine to coarse."""
    network, variables = CATALOGUE[model].module, imported(model, original.save)
    ours = jax.jit(lambda v, x: network.apply(v, x, train=False))(variables, images)._asdict()
    found = relative_errors(ours, original.stages(images))
    return {stage: found[stage] for stage in ours}


def print_rows(model: str, original: str, by_size: list[dict[str, float]]) -> float:
    """One row per stage, one column per size; returns the largest error."""
    for stage in by_size[0]:
        numbers = " | ".join(f"{of_size[stage]:.1e}" for of_size in by_size)
        print(f"| {model} | {original} | {stage} | {numbers} |", flush=True)
    return max(max(of_size.values()) for of_size in by_size)


def print_random() -> float:
    """All backbones with random weights; returns the largest error."""
    print(f"| backbone | original | stage | {' | '.join(f'{y} x {x}' for y, x in SIZES)} |")
    print(f"| --- | --- | --- |{' --- |' * len(SIZES)}")
    largest = 0.0
    for model, build in originals().items():
        cases = [(build(size), random_images(size)) for size in SIZES]
        by_size = [errors(model, original, images) for original, images in cases]
        largest = max(largest, print_rows(model, cases[0][0].name, by_size))
    return largest


def print_real_mobilenet(folder: pathlib.Path) -> float:
    """MobileNetV2 as published, in ours and in Keras, on photographs; returns the largest error."""
    source = folder / "mobilenet_v2_0.35_224_no_top.npz"
    sizes = ((224, 224), (225, 291))
    by_size = []
    for size in sizes:
        images = CATALOGUE[MOBILENET].scaling.of_colours(photographs(size))
        network = keras_originals.build(MOBILENET, size)
        with keras_originals.assigned(network, source):
            theirs, _ = keras_originals.run(network, images, training=False)
        original = Original("Keras, .npz", lambda _: source, lambda _, theirs=theirs: theirs)
        by_size.append(errors(MOBILENET, original, images))
    print(f"\n| backbone | original | stage | {' | '.join(f'{y} x {x}' for y, x in sizes)} |")
    print(f"| --- | --- | --- |{' --- |' * len(sizes)}")
    return print_rows(f"{MOBILENET}, published weights, photographs", "Keras, .npz", by_size)


def print_real_yolo(folder: pathlib.Path) -> None:
    """What photographs cause in YOLOv8-n beside what its training has seen."""
    variables = imported(YOLO, lambda _: folder / "yolov8n_state_fp16.npz")
    images = CATALOGUE[YOLO].scaling.of_colours(photographs((320, 416)))
    correlations = agreement(variables, images)
    print("\n| yolov8-n, published weights, photographs: means before normalisation | correlation |")
    print("| --- | --- |")
    for path, correlation in correlations.items():
        print(f"| {'/'.join(path[:-1])} | {correlation:.3f} |")
    print(f"| median | {np.median(list(correlations.values())):.3f} |")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--real", type=pathlib.Path, metavar="FOLDER", help="folder of published weights")
    folder = parser.parse_args().real
    largest = print_random()
    if folder is not None:
        largest = max(largest, print_real_mobilenet(folder))
        print_real_yolo(folder)
    print(f"\nLargest error {largest:.1e}, allowed {LARGEST_ERROR:.0e}")
    return int(largest > LARGEST_ERROR)


if __name__ == "__main__":
    sys.exit(main())
