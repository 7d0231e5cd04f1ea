"""Every tensor of a source is imported or reported, and imported weights are loaded bit-identically."""

import os
import pickle

import chex
import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from cellmotion_jax.errors import InputError
from cellmotion_jax.weights import layouts
from cellmotion_jax.weights.catalogue import CATALOGUE
from cellmotion_jax.weights.convert import import_weights, load_weights
from cellmotion_jax.weights.layouts import Slot

MOBILENET = "mobilenet-v2-0.35"
KERAS_LEAVES = {"scale": "gamma", "mean": "moving_mean", "var": "moving_variance"}


def shapes(model):
    module = CATALOGUE[model].module
    variables = jax.eval_shape(lambda: module.init(jax.random.key(0), jnp.zeros((1, 64, 64, 3)), train=False))
    return {name: leaf.shape for name, leaf in flax.traverse_util.flatten_dict(variables, sep="/").items()}


@pytest.fixture(scope="module")
def keras_tensors():
    """Random weights of MobileNetV2 by the names and in the layout of Keras, written out by hand."""
    rng = np.random.default_rng(0)
    tensors = {}
    for path, shape in shapes(MOBILENET).items():
        layer, leaf = path.split("/")[1:]
        value = rng.normal(size=shape).astype(np.float32)
        is_norm = layer.endswith(("_BN", "_bn")) or layer.startswith("bn_")
        if is_norm:
            tensors[f"{layer}/{KERAS_LEAVES.get(leaf, 'beta')}"] = value
        elif "depthwise" in layer:
            tensors[f"{layer}/depthwise_kernel"] = value.transpose(0, 1, 3, 2)
        else:
            tensors[f"{layer}/kernel"] = value
    return tensors


@pytest.fixture
def write(tmp_path):
    def write(tensors, name="source.npz"):
        np.savez(tmp_path / name, **tensors)
        return tmp_path / name

    return write


def refusal(source, tmp_path, model=MOBILENET):
    out = tmp_path / "out.safetensors"
    with pytest.raises(InputError) as error:
        import_weights(source, model=model, out=out)
    assert not out.exists()
    return str(error.value)


def test_what_is_imported_comes_back_under_our_names_to_the_bit(keras_tensors, write, tmp_path):
    source, out = write(keras_tensors), tmp_path / "weights" / "out.safetensors"
    report = import_weights(source, model=MOBILENET, out=out, licence="Apache-2.0")
    assert (report.tensors, report.values, report.left_out) == (260, 410_208, ())
    loaded = load_weights(out)
    params, statistics = loaded.variables["params"], loaded.variables["batch_stats"]
    np.testing.assert_array_equal(params["Conv1"]["kernel"], keras_tensors["Conv1/kernel"])
    np.testing.assert_array_equal(params["bn_Conv1"]["scale"], keras_tensors["bn_Conv1/gamma"])
    np.testing.assert_array_equal(statistics["Conv_1_bn"]["var"], keras_tensors["Conv_1_bn/moving_variance"])
    np.testing.assert_array_equal(
        params["block_3_depthwise"]["kernel"][..., 0, :],
        keras_tensors["block_3_depthwise/depthwise_kernel"][..., 0],
    )
    assert loaded.metadata["licence"] == "Apache-2.0"
    assert loaded.metadata["source"] == "source.npz"
    assert len(loaded.metadata["sha256"]) == 64
    assert loaded.scaling == CATALOGUE[MOBILENET].scaling
    images = jnp.zeros((1, 32, 32, 3))
    expected = jax.eval_shape(
        lambda: CATALOGUE[MOBILENET].module.init(jax.random.key(0), images, train=False)
    )
    chex.assert_trees_all_equal_shapes_and_dtypes(loaded.variables, expected)


def test_the_name_of_a_depthwise_kernel_in_keras_3_is_known_too(keras_tensors, write, tmp_path):
    renamed = {name.replace("depthwise_kernel", "kernel"): value for name, value in keras_tensors.items()}
    assert import_weights(write(renamed), model=MOBILENET, out=tmp_path / "o").tensors == 260


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_other_precisions_become_float32_and_are_reported(keras_tensors, write, tmp_path, dtype):
    source = write({name: value.astype(dtype) for name, value in keras_tensors.items()})
    report = import_weights(source, model=MOBILENET, out=tmp_path / "o.safetensors")
    assert report.source_types == (np.dtype(dtype).name,)
    kernel = load_weights(tmp_path / "o.safetensors").variables["params"]["Conv1"]["kernel"]
    assert kernel.dtype == np.float32
    np.testing.assert_array_equal(kernel, keras_tensors["Conv1/kernel"].astype(dtype).astype(np.float32))


def test_a_head_is_left_out_and_listed(keras_tensors, write, tmp_path):
    head = {"predictions/kernel": np.zeros((1280, 10)), "predictions/bias": np.zeros(10)}
    report = import_weights(write(keras_tensors | head), model=MOBILENET, out=tmp_path / "o")
    assert report.left_out == ("predictions/bias", "predictions/kernel")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"Conv1/kernel": None}, "1 missing (Conv1/kernel)"),
        ({"Conv1/kernel": np.zeros((3, 3, 1, 16))}, "1 of another shape (Conv1/kernel (3, 3, 1, 16))"),
        ({"Conv1/kernel": np.zeros((3, 16))}, "1 of another shape (Conv1/kernel (3, 16))"),
        ({"surprise/kernel": np.zeros(3)}, "1 unknown (surprise/kernel)"),
        ({"bn_Conv1/beta": np.full(16, np.nan)}, "1 not finite real numbers (bn_Conv1/beta)"),
        ({"bn_Conv1/beta": np.full(16, 1e300)}, "1 not finite real numbers (bn_Conv1/beta)"),
        ({"bn_Conv1/beta": np.zeros(16, np.int32)}, "1 not finite real numbers (bn_Conv1/beta)"),
    ],
)
def test_every_tensor_that_does_not_fit_is_named(keras_tensors, write, tmp_path, change, told):
    changed = {name: value for name, value in (keras_tensors | change).items() if value is not None}
    message = refusal(write(changed), tmp_path)
    assert told in message
    assert "source.npz" in message
    assert "keras.applications.MobileNetV2(alpha=0.35)" in message


def test_the_file_of_another_model_is_recognised(keras_tensors, write, tmp_path):
    assert "They are those of mobilenet-v2-0.35" in refusal(
        write(keras_tensors), tmp_path, model="mobilenet-v2-0.5"
    )


def test_many_names_are_counted(write, tmp_path):
    message = refusal(write({"a": np.zeros(1)}), tmp_path)
    assert "260 missing" in message
    assert "and 248 more" in message


def test_a_refused_import_leaves_the_older_file_alone(keras_tensors, write, tmp_path):
    out = tmp_path / "out.safetensors"
    import_weights(write(keras_tensors), model=MOBILENET, out=out)
    before = out.read_bytes()
    with pytest.raises(InputError):
        import_weights(write({"a": np.zeros(1)}, "other.npz"), model=MOBILENET, out=out)
    assert out.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other.npz", "out.safetensors", "source.npz"]


def test_code_in_a_pickle_does_not_run(tmp_path):
    class Attack:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "ran"),)

    source = tmp_path / "weights.pth"
    source.write_bytes(pickle.dumps({"Conv1/kernel": Attack()}))
    assert "weights.pth" in refusal(source, tmp_path)
    assert not (tmp_path / "ran").exists()


def test_an_unknown_model_is_refused_with_those_that_there_are(keras_tensors, write, tmp_path):
    message = refusal(write(keras_tensors), tmp_path, model="resnet")
    assert "resnet50-keras" in message
    assert "resnet50-torchvision" in message


def test_loading_says_how_to_convert_what_was_not_imported(keras_tensors, write, tmp_path):
    with pytest.raises(InputError, match=r"cellmotion import-weights .*source\.npz"):
        load_weights(write(keras_tensors))
    save_file({"a": np.zeros(1, np.float32)}, tmp_path / "foreign.safetensors")
    with pytest.raises(InputError, match="not written by `cellmotion import-weights`"):
        load_weights(tmp_path / "foreign.safetensors")


def test_loading_refuses_tensors_that_are_no_longer_those_of_the_model(keras_tensors, write, tmp_path):
    out = tmp_path / "out.safetensors"
    import_weights(write(keras_tensors), model=MOBILENET, out=out)
    metadata, tensors = load_weights(out).metadata, load_file(out)
    tensors["params/renamed/kernel"] = tensors.pop("params/Conv1/kernel")
    save_file(tensors, out, metadata=metadata)
    with pytest.raises(InputError, match="params/Conv1/kernel, params/renamed/kernel"):
        load_weights(out)


def test_loading_refuses_a_truncated_file(keras_tensors, write, tmp_path):
    out = tmp_path / "out.safetensors"
    import_weights(write(keras_tensors), model=MOBILENET, out=out)
    out.write_bytes(out.read_bytes()[:-100])
    with pytest.raises(InputError, match=r"out\.safetensors is truncated or damaged"):
        load_weights(out)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("conv1_conv", "conv1"),
        ("conv1_bn", "bn1"),
        ("conv2_block1_0_conv", "layer1.0.downsample.0"),
        ("conv2_block1_0_bn", "layer1.0.downsample.1"),
        ("conv5_block3_2_bn", "layer4.2.bn2"),
    ],
)
def test_names_in_torchvision(ours, theirs):
    assert layouts.torchvision_resnet(ours) == theirs
    assert f"backbone.body.{theirs}" in layouts.torchvision_fpn(f"backbone/{ours}")


def test_names_of_a_pyramid_of_both_ages():
    assert set(layouts.torchvision_fpn("inner_2")) == {
        f"{prefix}fpn.inner_blocks.0{suffix}" for prefix in ("", "backbone.") for suffix in ("", ".0")
    }
    assert "fpn.layer_blocks.3.0" in layouts.torchvision_fpn("layer_5")


@pytest.mark.parametrize(
    "model", ["resnet50-torchvision", "resnet50-fpn", "mask-rcnn-resnet50-fpn", "yolov8-n"]
)
def test_every_slot_has_a_name_of_its_own_in_torch(model):
    norms = {path.split("/", 1)[1].rpartition("/")[0] for path in shapes(model) if "batch_stats/" in path}
    names = []
    for path, shape in shapes(model).items():
        module, _, leaf = path.split("/", 1)[1].rpartition("/")
        names += CATALOGUE[model].layout.names(Slot(module, leaf, module in norms, shape))
    assert len(names) == len(set(names))


def test_dense_and_convolution_kernels_of_torch_are_turned():
    tensor = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    layout = CATALOGUE["yolov8-n"].layout
    turned = layout.turn(tensor, Slot("stem/conv", "kernel", False, (4, 5, 3, 2)))
    assert turned[3, 4, 2, 1] == tensor[1, 2, 3, 4]
    assert layout.turn(tensor[0, 0], Slot("dense", "kernel", False, (5, 4))).shape == (5, 4)


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("file", "model", "values", "types"),
    [
        ("mobilenet_v2_0.35_128_no_top.npz", MOBILENET, 410_208, ("float32",)),
        ("mobilenet_v2_0.35_224_no_top.npz", MOBILENET, 410_208, ("float32",)),
        ("yolov8n_state_fp16.npz", "yolov8-n", 1_277_680, ("float16",)),
    ],
)
def test_real_weights_are_imported_whole(real_weights, tmp_path, file, model, values, types):
    report = import_weights(real_weights / file, model=model, out=tmp_path / "o.safetensors")
    assert (report.values, report.source_types) == (values, types)
    assert load_weights(tmp_path / "o.safetensors").model == model
