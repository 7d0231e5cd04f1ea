"""Cells followed by correlation filters beside OpenCV's MOSSE and KCF: same boxes, same frames, one run.

``python benchmarks/correlation_filters.py`` on simulated nuclei, or with the folder of a movie behind it, in
which cells are put where a frame is brightest. OpenCV is no dependency of ours: ``pip install
opencv-contrib-python``. Only updates are timed; every round begins anew from the first frame. OpenCV's
trackers run as its users run them, one after the other, and a second time shared out to as many threads as
there are cores. The other tables need no peer: where the time of a frame goes, beside the bare transform of
its windows; what it costs by number of cells; and the memory of short and long movies.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import dataclasses
import functools
import os
import resource
import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.ndimage
from timing import interleaved, print_table

from cellmotion_jax.data.movie import open_movie
from cellmotion_jax.data.simulate.config import Look, Simulation
from cellmotion_jax.data.simulate.movie import simulate
from cellmotion_jax.ops import first_maximum, gather_windows
from cellmotion_jax.tracking import (
    Births,
    Exclusion,
    Tracker,
    TrackState,
    empty_state,
    follow,
    normalized_entropy,
    peak_to_sidelobe_ratio,
    search,
    update_levels,
)

BOX = 40
CELLS, SLOTS = 500, 512
FRAMES = 9
ROUNDS = 3
PLAIN = Tracker(size=BOX)
EXCLUSIVE = dataclasses.replace(PLAIN, exclusion=Exclusion())

run = jax.jit(follow)


class Scene(NamedTuple):
    """Frames as they were recorded, and where cells are in the first of them."""

    frames: np.ndarray
    points: np.ndarray


def simulated() -> Scene:
    field = Simulation(
        look=Look.NUCLEI,
        frames=FRAMES,
        height=768,
        width=1024,
        cells=560,
        division_rate_per_h=0.0,
        death_rate_per_h=0.0,
    )
    movie = simulate(field)
    labels = np.unique(movie.masks[0])[1 : CELLS + 1]
    points = scipy.ndimage.center_of_mass(movie.masks[0] > 0, movie.masks[0], labels)
    return Scene(movie.frames, np.array(points, np.float32))


def recorded(path: str) -> Scene:
    movie = open_movie(path)
    frames = np.stack([movie[t] for t in range(min(FRAMES, len(movie)))])
    smooth = scipy.ndimage.gaussian_filter(frames[0].astype(np.float32), 4)
    summits = np.argwhere(smooth == scipy.ndimage.maximum_filter(smooth, 11))
    brightest = np.argsort([-smooth[tuple(point)] for point in summits])[:CELLS]
    return Scene(frames, summits[brightest].astype(np.float32))


def started(tracker: Tracker, scene: Scene, slots: int) -> TrackState:
    """The state after the first frame."""
    cells = len(scene.points)
    births = Births(jnp.arange(1, cells + 1, dtype=jnp.int32)[None], jnp.asarray(scene.points)[None])
    state = empty_state(tracker, slots=slots, shape=scene.frames.shape[1:])
    return run(tracker, state, as_floats(scene.frames[:1]), births)[0]


def as_floats(frames: np.ndarray) -> jax.Array:
    return jnp.asarray(frames, jnp.float32)


def no_births(frames: int) -> Births:
    return Births(jnp.zeros((frames, 1), jnp.int32), jnp.zeros((frames, 1, 2)))


def beside_opencv(scene: Scene) -> None:
    try:
        import cv2
    except ImportError:
        print("OpenCV is not installed (pip install opencv-contrib-python): no peer to compare with.\n")
        return
    low, high = np.percentile(scene.frames, [0.1, 99.9])
    grey = (255 * np.clip((scene.frames - low) / (high - low), 0, 1)).astype(np.uint8)
    colour = [np.repeat(frame[..., None], 3, axis=2) for frame in grey]
    boxes = [(round(float(x)) - BOX // 2, round(float(y)) - BOX // 2, BOX, BOX) for y, x in scene.points]
    later, steps = as_floats(scene.frames[1:]), len(scene.frames) - 1

    def ours(tracker: Tracker) -> Callable[[], Callable[[], Any]]:
        return lambda: functools.partial(
            run, tracker, started(tracker, scene, SLOTS), later, no_births(steps)
        )

    def theirs(create: Callable[[], Any], threads: int) -> Callable[[], Callable[[], Any]]:
        def begin() -> Callable[[], Any]:
            trackers = [create() for _ in boxes]
            for tracker, box in zip(trackers, boxes):
                tracker.init(colour[0], box)
            shares = [trackers[start::threads] for start in range(threads)]

            def follow_share(share: list[Any]) -> None:
                for frame in colour[1:]:
                    for tracker in share:
                        tracker.update(frame)

            if threads == 1:
                return functools.partial(follow_share, trackers)
            return lambda: list(pool.map(follow_share, shares))

        return begin

    cores = os.cpu_count() or 1
    mosse, kcf = cv2.legacy.TrackerMOSSE_create, cv2.legacy.TrackerKCF_create
    with concurrent.futures.ThreadPoolExecutor(cores) as pool:
        contenders = {
            "cellmotion_jax": ours(PLAIN),
            "cellmotion_jax, no two cells on one place": ours(EXCLUSIVE),
            "MOSSE": theirs(mosse, 1),
            f"MOSSE in {cores} threads": theirs(mosse, cores),
            "KCF": theirs(kcf, 1),
            f"KCF in {cores} threads": theirs(kcf, cores),
        }
        for begin in contenders.values():  # compiles
            jax.block_until_ready(begin()())
        seconds: dict[str, list[float]] = {name: [] for name in contenders}
        for _ in range(ROUNDS):
            for name, begin in contenders.items():
                update = begin()
                start = time.perf_counter()
                jax.block_until_ready(update())
                seconds[name].append(time.perf_counter() - start)
    print(f"Updates of {len(boxes)} cells over {steps} frames of {scene.frames.shape[1:]}, boxes of {BOX} px")
    print(f"jax {jax.__version__}, OpenCV {cv2.__version__}, {cores} cores\n")
    print("| | updates / s, median | fastest | ours is faster, median | fastest |")
    print("| --- | --- | --- | --- | --- |")
    updates, (plain, *_) = len(boxes) * steps, seconds.values()
    for name, values in seconds.items():
        median, fastest = statistics.median(values), min(values)
        print(
            f"| {name} | {updates / median:,.0f} | {updates / fastest:,.0f} "
            f"| {median / statistics.median(plain):.1f} | {fastest / min(plain):.1f} |"
        )
    print()


def beside_the_transform(scene: Scene) -> None:
    """Every part as a program of its own; the whole fuses some of them."""
    frame = as_floats(scene.frames[1:2])
    state = started(PLAIN, scene, SLOTS)
    exclusive = started(EXCLUSIVE, scene, SLOTS)
    prepared = jax.jit(lambda frame: PLAIN.features.prepare(frame))(frame[0])
    centres = jnp.round(state.position).astype(jnp.int32)

    @jax.jit
    def cut(image: jax.Array) -> jax.Array:
        return gather_windows(image, centres, size=BOX)

    windows = cut(prepared.levels[0])
    planes = jnp.moveaxis(windows, -1, 1)
    maps = jax.jit(search)(PLAIN, state, prepared)
    rates = jnp.full(SLOTS, 0.01)

    @jax.jit
    def learn(state: TrackState, windows: jax.Array) -> Any:
        offsets = state.position - centres
        return update_levels(PLAIN.form, state.filters, (windows,), offsets, rates, strides=(1,))

    def compiled(function: Callable, *arguments: Any) -> Callable[[], Any]:
        return functools.partial(jax.jit(function), *arguments)

    seconds = interleaved(
        {
            "rfft2 of the windows": compiled(jnp.fft.rfft2, planes),
            "whole frame": functools.partial(run, PLAIN, state, frame, no_births(1)),
            "whole frame, no two cells on one place": functools.partial(
                run, EXCLUSIVE, exclusive, frame, no_births(1)
            ),
            "standardise the frame": compiled(lambda frame: PLAIN.features.prepare(frame), frame[0]),
            "cut windows": functools.partial(cut, prepared.levels[0]),
            "search: windows, transform, filter, inverse, prior": compiled(search, PLAIN, state, prepared),
            "highest place": compiled(first_maximum, maps.logits),
            "peak-to-sidelobe ratio": compiled(peak_to_sidelobe_ratio, maps.response),
            "entropy": compiled(normalized_entropy, maps.logits),
            "learn: transform, averages": functools.partial(learn, state, windows),
        },
        rounds=5,
        calls=3,
        warm_up=1,
    )
    print(f"One frame, {SLOTS} slots, windows of {BOX} px")
    print_table(seconds, ours="rfft2 of the windows", packages=("jax", "numpy"))
    print()


def by_number_of_cells(scene: Scene) -> None:
    print("| cells | ms per frame | us per cell | no two on one place, ms per frame |")
    print("| --- | --- | --- | --- |")
    frame = as_floats(scene.frames[1:2])
    for cells in (1, 4, 16, 64, 256, 1024, 4000):
        some = scene._replace(points=np.resize(scene.points, (cells, 2)))
        contenders = {
            tracker: functools.partial(run, tracker, started(tracker, some, cells), frame, no_births(1))
            for tracker in (PLAIN, EXCLUSIVE)
            if tracker is PLAIN or cells <= len(scene.points)
        }
        seconds = interleaved(contenders, rounds=3, calls=2, warm_up=1)
        plain, *exclusive = (1e3 * statistics.median(values) for values in seconds.values())
        print(
            f"| {cells:,} | {plain:.2f} | {1e3 * plain / cells:.1f} | {exclusive[0]:.1f} |"
            if exclusive
            else f"| {cells:,} | {plain:.2f} | {1e3 * plain / cells:.1f} | |"
        )
    print()


def by_length_of_movie(scene: Scene) -> None:
    """The peak never falls, so that the shorter movie has to come first."""
    print("| frames | peak memory, MiB |")
    print("| --- | --- |")
    chunk = as_floats(scene.frames[:FRAMES])
    state = started(PLAIN, scene, SLOTS)
    for frames in (60, 600):
        for _ in range(frames // FRAMES):
            state, told = run(PLAIN, state, chunk, no_births(len(chunk)))
            jax.block_until_ready(told)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"| {frames} | {peak:.0f} |")
    print()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("movie", nargs="?", help="folder of frames, or a stack; simulated nuclei if absent")
    path = parser.parse_args().movie
    scene = simulated() if path is None else recorded(path)
    by_length_of_movie(scene)
    beside_opencv(scene)
    beside_the_transform(scene)
    by_number_of_cells(scene)


if __name__ == "__main__":
    main()
