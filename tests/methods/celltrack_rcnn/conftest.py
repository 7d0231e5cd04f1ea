"""Programs of these tests are compiled with few optimisations, in half the time, where none runs long."""

import jax
import pytest


@pytest.fixture(scope="module", autouse=True)
def cheap_programs(request):
    jax.config.update("jax_disable_most_optimizations", request.path.name != "test_overfit.py")
    yield
    jax.config.update("jax_disable_most_optimizations", False)
