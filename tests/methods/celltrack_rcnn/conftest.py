"""Programs of these tests are compiled with few optimisations, in half the time; none runs long."""

import jax
import pytest


@pytest.fixture(scope="module", autouse=True)
def cheap_programs():
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)
