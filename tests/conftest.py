"""Rules that hold in every test: deterministic hypothesis, no silent rank promotion, real data by fixture."""

import gc
import pathlib
import tempfile

import hypothesis
import jax
import pytest

from tests.annotated_movie import (
    dataset,
    every_decoder,
    frames,
    masks,
    tracks,
    without_imagecodecs,
    write_frames,
)

# Collecting what JAX keeps while it traces finds nothing to free and takes a tenth of the time.
gc.set_threshold(100_000, 50, 100)

hypothesis.settings.register_profile("house", derandomize=True, deadline=None, max_examples=50)
hypothesis.settings.load_profile("house")
jax.config.update("jax_numpy_rank_promotion", "raise")

SHARED = pathlib.Path(__file__).resolve().parents[2] / "shared"
PROGRAMS = pytest.StashKey[str]()


def pytest_configure(config: pytest.Config) -> None:
    """Keeps compiled programs for the length of a run, in one folder for all workers.

    Experiments that are trained twice (resumed, in replicates, in epochs) compile their steps once: of
    `test_a_run_cut_short_goes_on_to_the_same_bits`, 49 s of CPU, this saves 11. Subprocesses know nothing
    of the folder, so that what they print is what users see.
    """
    if hasattr(config, "workerinput"):
        folder = config.workerinput["programs"]
    else:
        made = tempfile.TemporaryDirectory(prefix="cellmotion-jax-tests-")
        config.add_cleanup(made.cleanup)
        folder = config.stash[PROGRAMS] = made.name
    jax.config.update("jax_compilation_cache_dir", folder)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node) -> None:
    node.workerinput["programs"] = node.config.stash[PROGRAMS]


@pytest.fixture(scope="session")
def real_data() -> pathlib.Path:
    return _shared("data")


@pytest.fixture(scope="session")
def real_weights() -> pathlib.Path:
    return _shared("weights")


def _shared(name: str) -> pathlib.Path:
    folder = SHARED / name
    if not folder.is_dir():
        pytest.skip(f"{folder} is absent: real movies and weights are beside the developers' checkouts only")
    return folder
