"""Requirements on every public function of ``ops`` and ``losses``, and on the time of their import."""

import inspect
import json
import re
import subprocess
import sys

import jax
import numpy as np
import pytest

import cellmotion_jax.losses
import cellmotion_jax.metrics
import cellmotion_jax.morphology
import cellmotion_jax.ops
from tests.cases import LOSSES, OF_SHAPES, OPS, Example, call
from tests.metric_cases import METRICS
from tests.morphology_cases import MORPHOLOGY

EXAMPLES = {**OPS, **LOSSES}
# They take and return what other functions of morphology made.
OF_STATES = {"follow_tips", "forget_tips"}


def _sample(example: Example, index: int):
    return {name: jax.numpy.asarray(array[index]) for name, array in example.arrays.items()}


@pytest.mark.parametrize(
    ("package", "examples"),
    [
        (cellmotion_jax.ops, {**OPS, **OF_SHAPES}),
        (cellmotion_jax.losses, LOSSES),
        (cellmotion_jax.metrics, METRICS),
        (cellmotion_jax.morphology, {**MORPHOLOGY, **dict.fromkeys(OF_STATES)}),
    ],
)
def test_every_public_function_has_an_example_and_every_example_a_function(package, examples):
    public = {name for name in package.__all__ if inspect.isfunction(getattr(package, name))}
    assert public == set(examples)


@pytest.mark.parametrize("package", [cellmotion_jax.ops, cellmotion_jax.losses])
def test_every_public_name_is_documented(package):
    for name in package.__all__:
        lines = (inspect.getdoc(getattr(package, name)) or "").splitlines()
        assert lines, name
        assert lines[0].endswith((".", ":")), f"{name}: the first line is a sentence"
        assert "Args:" in lines or not inspect.isfunction(getattr(package, name)), name


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_shows_its_use_and_its_errors(name):
    doc = inspect.getdoc(LOSSES[name].function) or ""
    assert ">>> " in doc
    assert "Raises:" in doc


@pytest.mark.parametrize("name", EXAMPLES)
def test_eager_jit_and_vmap_agree_and_one_trace_serves_one_shape(name):
    example, traces = EXAMPLES[name], []

    @jax.jit
    def compiled(arrays):
        traces.append(name)
        return call(example, arrays)

    samples = [_sample(example, i) for i in range(2)]
    stacked = {name: jax.numpy.asarray(array) for name, array in example.arrays.items()}
    eager = np.stack([call(example, sample) for sample in samples])
    np.testing.assert_allclose([compiled(sample) for sample in samples], eager, rtol=2e-6, atol=2e-6)
    assert traces == [name]
    mapped = jax.jit(jax.vmap(lambda arrays: call(example, arrays)))(stacked)
    np.testing.assert_allclose(mapped, eager, rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize(
    ("name", "argument"), [(name, argument) for name, e in EXAMPLES.items() for argument in e.same_shape]
)
def test_differing_shapes_are_refused_by_name_and_shape(name, argument):
    """``(3,)`` against ``(3, 1)`` would broadcast; it must fail while tracing, with a text that helps."""
    example = EXAMPLES[name]
    arrays = _sample(example, 0)
    right = arrays[argument].shape
    arrays[argument] = arrays[argument][..., None]
    with pytest.raises(ValueError, match=re.escape(f"{argument} has {(*right, 1)}")) as refusal:
        jax.eval_shape(lambda arrays: call(example, arrays), arrays)
    others = [f"{other} has {arrays[other].shape}" for other in example.same_shape if other != argument]
    assert any(other in str(refusal.value) for other in others)


@pytest.mark.parametrize("name", LOSSES)
def test_a_mask_of_another_shape_is_refused(name):
    example = LOSSES[name]
    arrays = _sample(example, 0)
    arrays["where"] = arrays["where"][:, None]
    with pytest.raises(ValueError, match=re.escape("where has (3, 1)")):
        jax.eval_shape(lambda arrays: call(example, arrays), arrays)


_IMPORT = """
import json, sys, time
start = time.perf_counter()
import jax
alone = time.perf_counter() - start
loaded = set(sys.modules)
import cellmotion_jax.losses
total = time.perf_counter() - start
tops = {name.partition(".")[0] for name in set(sys.modules) - loaded}
print(json.dumps({"alone": alone, "total": total, "loaded": sorted(tops - set(sys.stdlib_module_names))}))
"""


@pytest.fixture(scope="module")
def imports() -> list[dict]:
    command = [sys.executable, "-c", _IMPORT]
    runs = [subprocess.run(command, capture_output=True, text=True, check=True) for _ in range(3)]
    return [json.loads(run.stdout) for run in runs]


def test_importing_the_losses_pulls_in_jax_and_little_else(imports):
    heavy = {
        "tensorflow_datasets",
        "grain",
        "orbax",
        "skimage",
        "matplotlib",
        "scipy",
        "flax",
        "optax",
        "tyro",
    }
    assert not heavy & set(imports[0]["loaded"])
    assert "cellmotion_jax" in imports[0]["loaded"]


def test_importing_the_losses_takes_less_than_half_again_of_jax(imports):
    assert min(run["total"] / run["alone"] for run in imports) < 1.5
