"""Rules that hold in every test: deterministic hypothesis, no silent rank promotion, real data by fixture."""

import gc
import pathlib

import hypothesis
import jax
import pytest

# Collecting what JAX keeps while it traces finds nothing to free and takes a tenth of the time.
gc.set_threshold(100_000, 50, 100)

hypothesis.settings.register_profile("house", derandomize=True, deadline=None, max_examples=50)
hypothesis.settings.load_profile("house")
jax.config.update("jax_numpy_rank_promotion", "raise")

SHARED = pathlib.Path(__file__).resolve().parents[2] / "shared"


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
