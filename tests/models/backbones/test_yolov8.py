"""The backbone computes what its published structure says, written down once more, and fits its weights."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict, unflatten_dict

from cellmotion_jax.models.backbones.yolov8 import YOLOv8Backbone, YOLOv8Features
from tests.models.backbones.parity import relative_errors

MODULES = {"split": "cv1", "merge": "cv2", "reduce": "cv1", "conv1": "cv1", "conv2": "cv2"}
LEAVES = {
    "kernel": "conv.weight",
    "scale": "bn.weight",
    "bias": "bn.bias",
    "mean": "bn.running_mean",
    "var": "bn.running_var",
}
OF_NORM = ("bn.weight", "bn.bias", "bn.running_mean", "bn.running_var")
# Compiled in a third of the time.
jit = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})


def torch_name(path):
    """``params/stage2/c2f/bottleneck_0/conv1/bn/scale`` is ``model.2.m.0.cv1.bn.weight``."""
    _, first, *inner, _, leaf = path
    if first.startswith("stage"):
        inner[0] = str(2 * int(first[-1]) - {"down": 3, "c2f": 2}[inner[0]])
    else:
        inner.insert(0, {"stem": "0", "sppf": "9"}[first])
    return ".".join(["model", *(MODULES.get(m, m.replace("bottleneck_", "m.")) for m in inner), LEAVES[leaf]])


def shapes_of(model, image_shape=(1, 64, 64, 3)):
    return jax.eval_shape(
        lambda: model.init_with_output(jax.random.key(0), jnp.zeros(image_shape), train=False)
    )


def our_variables():
    """Shape of every variable by its path."""
    return flatten_dict(shapes_of(YOLOv8Backbone())[1])


def random_weights():
    """A torch state dict that keeps activations in range."""
    rng, weights = np.random.default_rng(0), {}
    for path, leaf in our_variables().items():
        if path[-1] == "kernel":
            value = rng.normal(0, (2 / np.prod(leaf.shape[:3])) ** 0.5, leaf.shape).transpose(3, 2, 0, 1)
        else:
            value = rng.uniform(-0.3, 0.3, leaf.shape) + (path[-1] in ("scale", "var"))
        weights[torch_name(path)] = value.astype(np.float32)
    return weights


def variables_of(weights):
    """A torch state dict as Flax variables."""
    variables = {}
    for path in our_variables():
        value = jnp.asarray(weights[torch_name(path)], jnp.float32)
        variables[path] = value.transpose(2, 3, 1, 0) if path[-1] == "kernel" else value
    return unflatten_dict(variables)


def what_is_normalised(variables, images, *, train):
    """Mean and variance of what enters every batch normalisation, and the statistics it has after it."""

    def moments(variables, images):
        _, state = YOLOv8Backbone().apply(
            variables,
            images,
            train=train,
            capture_intermediates=lambda module, _: module.name == "conv",
            mutable=["intermediates", "batch_stats"],
        )
        found = {}
        for path, (maps,) in flatten_dict(state["intermediates"]).items():
            norm = (*path[:-2], "bn")
            found[(*norm, "mean")] = jnp.mean(maps, axis=(0, 1, 2))
            found[(*norm, "var")] = jnp.var(maps, axis=(0, 1, 2))
        return found, flatten_dict(state["batch_stats"])

    return jax.device_get(jit(moments)(variables, images))


class LaxLayers:
    """Layers on channels-first arrays in plain JAX."""

    def __init__(self, weights):
        self.weights = weights

    def unit(self, x, name, strides=1):
        kernel = self.weights[f"{name}.conv.weight"]
        border = (kernel.shape[-1] // 2,) * 2
        x = jax.lax.conv_general_dilated(x, kernel, (strides, strides), (border, border))
        scale, bias, mean, var = (self.weights[f"{name}.{leaf}"][:, None, None] for leaf in OF_NORM)
        x = (x - mean[None]) / jnp.sqrt(var + 1e-3)[None] * scale[None] + bias[None]
        return x / (1 + jnp.exp(-x))

    def pool(self, x):
        border = ((0, 0), (0, 0), (2, 2), (2, 2))
        return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 1, 5, 5), (1, 1, 1, 1), border)

    def concatenate(self, parts):
        return jnp.concatenate(parts, 1)


class TorchLayers:
    """The same in torch."""

    def __init__(self, torch, weights):
        self.torch, self.weights = torch, {name: torch.tensor(value) for name, value in weights.items()}

    def unit(self, x, name, strides=1):
        functional, kernel = self.torch.nn.functional, self.weights[f"{name}.conv.weight"]
        x = functional.conv2d(x, kernel, stride=strides, padding=kernel.shape[-1] // 2)
        scale, bias, mean, var = (self.weights[f"{name}.{leaf}"] for leaf in OF_NORM)
        return functional.silu(functional.batch_norm(x, mean, var, scale, bias, eps=1e-3))

    def pool(self, x):
        return self.torch.nn.functional.max_pool2d(x, 5, 1, 2)

    def concatenate(self, parts):
        return self.torch.cat(parts, 1)


def stages(x, layers):
    """The published structure, module by module."""
    features = [layers.unit(x, "model.0", 2)]
    for number, bottlenecks in ((1, 1), (3, 2), (5, 2), (7, 1)):
        x = layers.unit(features[-1], f"model.{number}", 2)
        c2f = f"model.{number + 1}"
        x = layers.unit(x, f"{c2f}.cv1")
        half = x.shape[1] // 2
        parts = [x[:, :half], x[:, half:]]
        for index in range(bottlenecks):
            inner = layers.unit(parts[-1], f"{c2f}.m.{index}.cv1")
            parts.append(parts[-1] + layers.unit(inner, f"{c2f}.m.{index}.cv2"))
        features.append(layers.unit(layers.concatenate(parts), f"{c2f}.cv2"))
    x = layers.unit(features[-1], "model.9.cv1")
    pooled = [x, layers.pool(x), layers.pool(layers.pool(x)), layers.pool(layers.pool(layers.pool(x)))]
    return [*features[:-1], layers.unit(layers.concatenate(pooled), "model.9.cv2")]


def in_lax(weights, images):
    return jit(lambda weights, x: stages(x, LaxLayers(weights)))(weights, images)


def in_torch(weights, images):
    torch = pytest.importorskip("torch")
    return [maps.numpy() for maps in stages(torch.tensor(images), TorchLayers(torch, weights))]


@pytest.mark.parametrize("size", [(64, 64), (75, 97)])
@pytest.mark.parametrize("reference", [in_lax, in_torch])
def test_every_stage_equals_the_structure_written_down_again(reference, size):
    weights = random_weights()
    images = np.random.default_rng(1).uniform(0, 1, (2, *size, 3)).astype(np.float32)
    expected = reference(weights, images.transpose(0, 3, 1, 2))
    expected = dict(zip(YOLOv8Features._fields, (maps.transpose(0, 2, 3, 1) for maps in expected)))
    features = jit(lambda v, x: YOLOv8Backbone().apply(v, x, train=False))(variables_of(weights), images)
    errors = relative_errors(features._asdict(), expected)
    assert max(errors.values()) < 1e-4, errors


def test_running_statistics_take_up_three_per_cent_of_the_batch():
    variables = variables_of(random_weights())
    images = np.random.default_rng(1).uniform(0, 1, (2, 64, 64, 3)).astype(np.float32)
    batch, after = what_is_normalised(variables, images, train=True)
    before = flatten_dict(variables["batch_stats"])
    expected = {path: 0.97 * old + 0.03 * batch[path] for path, old in before.items()}
    assert len(expected) == 2 * 27
    chex.assert_trees_all_close(after, expected, rtol=1e-4, atol=1e-5)


@pytest.fixture(scope="module")
def pretrained(real_weights):
    with np.load(real_weights / "yolov8n_state_fp16.npz", allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


@pytest.mark.real_data
def test_every_tensor_of_the_published_backbone_has_its_place(pretrained):
    backbone = {name for name in pretrained if int(name.split(".")[1]) < 10}
    counters = {name for name in backbone if name.endswith("num_batches_tracked")}
    ours = {torch_name(path): leaf for path, leaf in our_variables().items()}
    assert set(ours) == backbone - counters
    for name, leaf in ours.items():
        height_and_width, last = leaf.shape[:-2], leaf.shape[-2:]
        assert pretrained[name].shape == (*last[::-1], *height_and_width), name
    assert sum(pretrained[name].size for name in ours if "running" not in name) == 1_272_656


@pytest.fixture(scope="module")
def photographs():
    """Five pictures that come with scikit-image, from 0 to 1."""
    data, transform = pytest.importorskip("skimage.data"), pytest.importorskip("skimage.transform")
    pictures = [data.astronaut(), data.chelsea(), data.coffee(), data.rocket(), data.stereo_motorcycle()[0]]
    resized = [transform.resize(picture, (320, 416), anti_aliasing=True) for picture in pictures]
    return np.stack(resized).astype(np.float32)


def agreement(variables, images):
    """Per normalisation, the correlation over channels of the mean that enters with the one in training."""
    found, running = what_is_normalised(variables, images, train=False)
    return {path[:-1]: np.corrcoef(found[path], running[path])[0, 1] for path in found if path[-1] == "mean"}


@pytest.mark.real_data
def test_photographs_cause_the_activations_of_the_original_training(pretrained, photographs):
    """A wrong wiring with the right shapes shows here and nowhere else.

    The median correlation is 0.97. Of the wrong wirings that were tried (the halves of C2f swapped for the
    chain, for the merge or for both; merged after the bottlenecks, or in reverse; no shortcut) none reaches
    0.80.
    """
    variables = variables_of(pretrained)
    right = agreement(variables, photographs)
    assert np.median(list(right.values())) > 0.9
    assert min(right.values()) > 0.6
    # Pooled features merged in another order: at most 0.93.
    assert right["sppf", "merge", "bn"] > 0.97

    wrong = agreement(with_halves_swapped(variables), photographs)
    assert np.median(list(wrong.values())) < 0.85


def with_halves_swapped(variables):
    """The merge of every C2f block mistakes the first half of the split for the second."""
    swapped = flatten_dict(variables)
    for path, kernel in swapped.items():
        if path[2:] == ("c2f", "merge", "conv", "kernel"):
            first, second, rest = jnp.split(kernel, [kernel.shape[3] // 2, kernel.shape[3]], axis=2)
            swapped[path] = jnp.concatenate([second, first, rest], axis=2)
    return unflatten_dict(swapped)


def test_in_bfloat16_features_are_that_and_parameters_float32():
    features, variables = shapes_of(YOLOv8Backbone(dtype=jnp.bfloat16))
    assert all(maps.dtype == jnp.bfloat16 for maps in features)
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(variables))


@pytest.mark.parametrize(
    ("shape", "message"), [((1, 64, 64, 1), "3 channels"), ((1, 64, 31, 3), "sides below 32")]
)
def test_images_it_cannot_take_are_refused_by_shape(shape, message):
    with pytest.raises(ValueError, match=rf"\(1, 64, .*{message}"):
        shapes_of(YOLOv8Backbone(), shape)
