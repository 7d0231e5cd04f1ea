"""State dicts of torch are read without torch, and no other operation of a pickle is executed."""

import collections
import pathlib
import pickle
import re
import zipfile

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from cellmotion_jax.errors import InputError
from cellmotion_jax.weights.read import read_tensors
from tests.weights.torch_zip import KINDS, Global, Storage, Tensor, TorchFile

RNG = np.random.default_rng(0)


def refused(path, sentence):
    return pytest.raises(InputError, match=rf"^{re.escape(str(path))} {sentence}")


def saved(path, value, file=None, **options):
    (file or TorchFile()).write(path, value, **options)
    return path


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("byteorder", ["little", "big"])
def test_every_type_is_read_from_every_protocol_and_byte_order(tmp_path, protocol, byteorder):
    file = TorchFile(byteorder)
    arrays = {name: (7 * RNG.normal(size=(2, 3, 4))).astype(name) for name in KINDS}
    arrays |= {"scalar": np.array(3), "empty": np.zeros((0, 5), np.float32)}
    state = collections.OrderedDict((name, file.tensor(array)) for name, array in arrays.items())
    read = read_tensors(saved(tmp_path / "x.pth", state, file, protocol=protocol))
    assert list(read) == list(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(read[name], array, strict=True)


def test_files_from_before_torch_1_6_are_read(tmp_path):
    file = TorchFile()
    arrays = {name: (7 * RNG.normal(size=(2, 3))).astype(name) for name in KINDS}
    state = {name: file.tensor(array) for name, array in arrays.items()}
    file.write_legacy(tmp_path / "x.pth", state)
    read = read_tensors(tmp_path / "x.pth")
    for name, array in arrays.items():
        np.testing.assert_array_equal(read[name], array, strict=True)


def test_bfloat16_becomes_float32(tmp_path):
    file = TorchFile()
    bits = np.array([0x3F80, 0xC0A0], np.uint16)
    read = read_tensors(saved(tmp_path / "x.pth", {"a": file.tensor(bits, "BFloat16Storage")}, file))
    np.testing.assert_array_equal(read["a"], np.array([1, -5], np.float32), strict=True)


@given(
    numbers=st.integers(1, 60),
    offset=st.integers(0, 12),
    shape=st.lists(st.integers(0, 4), max_size=3),
    strides=st.lists(st.integers(0, 20), min_size=3, max_size=3),
)
def test_a_view_is_what_its_strides_say_or_refused(tmp_path_factory, numbers, offset, shape, strides):
    path = tmp_path_factory.mktemp("view") / "x.pth"
    file, strides = TorchFile(), strides[: len(shape)]
    data = np.arange(numbers, dtype=np.float32)
    saved(path, {"a": Tensor(file.storage(data), offset, tuple(shape), tuple(strides))}, file)
    places = [offset + int(np.dot(index, strides)) for index in np.ndindex(*shape)]
    if len(places) > numbers or max(places, default=0) >= numbers:
        with refused(path, "holds 'a' of shape .* does not fit into its "):
            read_tensors(path)
    else:
        np.testing.assert_array_equal(read_tensors(path)["a"], np.float32(places).reshape(shape))


def test_tensors_may_share_a_storage(tmp_path):
    file = TorchFile()
    data = RNG.normal(size=(4, 6))
    whole = file.tensor(data)
    state = {"whole": whole, "turned": whole._replace(shape=(6, 4), strides=(1, 6)), "again": whole}
    read = read_tensors(saved(tmp_path / "x.pth", state, file))
    np.testing.assert_array_equal(read["whole"], data)
    np.testing.assert_array_equal(read["turned"], data.T)
    assert np.shares_memory(read["whole"], read["again"])


@pytest.mark.parametrize(
    ("offset", "shape", "strides"),
    [(-1, (2,), (1,)), (0, (-2,), (1,)), (0, (2,), (-1,)), (0, (2, 2), (1,)), (0, ("2",), (1,)), (0, 2, 1)],
)
def test_a_shape_that_no_tensor_has_is_refused(tmp_path, offset, shape, strides):
    file = TorchFile()
    state = {"a": Tensor(file.storage(np.ones(4)), offset, shape, strides)}
    path = saved(tmp_path / "x.pth", state, file)
    with refused(path, "is truncated or damaged"):
        read_tensors(path)


def test_a_storage_that_promises_more_than_it_has_is_refused(tmp_path):
    file = TorchFile()
    storage = file.storage(np.ones(4))._replace(count=2**60)
    path = saved(tmp_path / "x.pth", {"a": Tensor(storage, 0, (2**60,), (1,))}, file)
    with refused(path, "holds 'a' of shape .* does not fit into its 4 numbers"):
        read_tensors(path)
    file.write_legacy(path, {"a": Tensor(storage, 0, (2**60,), (1,))})
    with refused(path, "is truncated or damaged"):
        read_tensors(path)


def test_a_storage_that_is_absent_is_refused(tmp_path):
    path = saved(tmp_path / "x.pth", {"a": Tensor(Storage("FloatStorage", "7", 1), 0, (1,), (1,))})
    with refused(path, "is truncated or damaged .*archive/data/7"):
        read_tensors(path)


class OfTraining:
    """Things that training loops save beside the weights."""

    def __init__(self, file):
        self.file = file

    def __getitem__(self, name):
        a, b = (self.file.tensor(np.full(2, number, np.float32)) for number in (1, 2))
        state, other = {"a": a}, {"b": b}
        optimizer = {"state": {0: {"exp_avg": b}}, "param_groups": [{"lr": 0.1, "betas": (0.9, 0.999)}]}
        return {
            "bare": state,
            "checkpoint": {"epoch": 3, "state_dict": state, "optimizer": optimizer, "note": None, "on": True},
            "model": {"model": state, "ema": other, "best": 2**70},
            "only": {"generator": state, "step": 3},
            "sizes": {"params": state, "size": [1, 2.5, "x"], "seen": {1, 2}, "raw": b"bytes"},
            "numbers among tensors": state | {"version": 2},
            "two": {"generator": state, "discriminator": other},
            "two usual": {"model": state, "state_dict": other},
            "top and below": state | {"ema": other},
            "nested": {"model": state | {"head": [b]}},
            "none": {"epoch": 3},
            "list": [a, b],
            "one tensor": a,
        }[name]


@pytest.mark.parametrize("name", ["bare", "checkpoint", "model", "only", "sizes", "numbers among tensors"])
@pytest.mark.parametrize("protocol", [2, 4])
def test_the_state_dict_is_found_among_what_training_saved(tmp_path, name, protocol):
    file = TorchFile()
    read = read_tensors(saved(tmp_path / "x.pth", OfTraining(file)[name], file, protocol=protocol))
    assert list(read) == ["a"]
    np.testing.assert_array_equal(read["a"], [1, 1])


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("two", r"holds several state dicts \('generator', 'discriminator'\); save the wanted one alone\.$"),
        ("two usual", r"holds several state dicts \('model', 'state_dict'\)"),
        ("top and below", r"holds several state dicts \('ema', '\(top level\)'\)"),
        ("nested", "holds 'head' as a list, not as a tensor; save a state dict with torch.save"),
        ("none", "holds no mapping of names to tensors"),
        ("list", "holds no mapping of names to tensors"),
        ("one tensor", "holds no mapping of names to tensors"),
    ],
)
def test_what_is_no_single_state_dict_is_refused(tmp_path, name, sentence):
    file = TorchFile()
    path = saved(tmp_path / "x.pth", OfTraining(file)[name], file)
    with refused(path, sentence):
        read_tensors(path)


def test_a_name_given_twice_is_refused(tmp_path):
    twice = pickle.PROTO + b"\x02}(X\x01\0\0\0aK\x01X\x01\0\0\0aK\x02u."
    assert pickle.loads(twice) == {"a": 2}
    with zipfile.ZipFile(tmp_path / "x.pth", "w") as archive:
        archive.writestr("archive/data.pkl", twice)
    with refused(tmp_path / "x.pth", "holds 'a' twice; which one counts is unclear"):
        read_tensors(tmp_path / "x.pth")


class Touches:
    """Creates a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return pathlib.Path.touch, (self.path,)


class Evaluates(Touches):
    def __reduce__(self):
        return eval, (f"open({str(self.path)!r}, 'w').close()",)


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("code", [Touches, Evaluates])
@pytest.mark.parametrize("container", ["zip", "pickle"])
def test_code_in_a_pickle_does_not_run(tmp_path, protocol, code, container):
    path, trace = tmp_path / "x.pth", tmp_path / "trace"
    evil = pickle.dumps({"weight": code(trace)}, protocol)
    if container == "pickle":
        path.write_bytes(evil)
    else:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", evil)
    with refused(path, ""):
        read_tensors(path)
    assert not trace.exists()
    pickle.loads(evil)
    assert trace.exists(), "the pickle is harmless, so the test shows nothing"


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize(
    "name",
    ["os.system", "builtins.eval", "torch.load", "torch.nn.modules.conv.Conv2d", "torch._utils._rebuild"],
)
def test_the_name_of_any_other_object_is_refused(tmp_path, name, protocol):
    module, _, function = name.rpartition(".")
    path = saved(tmp_path / "x.pth", {"a": Global(module, function)}, protocol=protocol)
    sentence = f"names the Python object {re.escape(name)}, which is not run; right is a plain state dict"
    with refused(path, sentence):
        read_tensors(path)


@pytest.mark.parametrize(
    "code", [b"c", b"i", b"o", b"\x81", b"\x92", b"\x82\x01", b"P1\n", b"\x97", b"0", b"2"]
)
def test_other_instructions_are_refused_by_name(tmp_path, code):
    operand = b"os\nsystem\n" if code in (b"c", b"i") else b""
    path = tmp_path / "x.pth"
    path.write_bytes(b"\x80\x05}(" + code + operand + b".")
    with refused(path, "(holds the pickle instruction [A-Z_0-9]+, which|names the Python object os.system)"):
        read_tensors(path)


def test_a_pickle_that_torch_did_not_write_is_refused(tmp_path):
    (tmp_path / "x.pth").write_bytes(pickle.dumps({"a": 1}))
    with refused(tmp_path / "x.pth", "is a pickle, which is never run; save a state dict with torch.save"):
        read_tensors(tmp_path / "x.pth")


@pytest.mark.parametrize("options", [{}, {"pickle_protocol": 4}, {"_use_new_zipfile_serialization": False}])
def test_what_torch_itself_writes(tmp_path, options):
    torch = pytest.importorskip("torch")
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    state = network.state_dict() | {"view": torch.randn(6, 5)[1:, ::2].T, "flag": torch.tensor([True, False])}
    state |= {str(dtype): torch.randn(3).to(dtype) for dtype in (torch.float16, torch.float64, torch.int8)}
    state["shared"] = state["0.weight"][1]
    state["parameter"] = torch.nn.Parameter(torch.randn(2))
    optimizer = torch.optim.AdamW(network.parameters())
    network(torch.ones(1, 3, 5, 5)).sum().backward()
    optimizer.step()
    extras = {"size": torch.Size([1, 2]), "device": torch.device("cpu"), "type": torch.float32, "set": {1}}
    extras |= {"best": np.float64(0.5), "lr": 0.1, "raw": b"abc", "optimizer": optimizer.state_dict()}
    path = tmp_path / "x.pth"
    torch.save({"state_dict": state, **extras}, path, **options)
    read = read_tensors(path)
    assert list(read) == list(state)
    for name, tensor in state.items():
        np.testing.assert_array_equal(read[name], tensor.detach().numpy(), strict=True)


def test_bfloat16_of_torch(tmp_path):
    torch = pytest.importorskip("torch")
    tensor = torch.randn(5, 7).to(torch.bfloat16)
    torch.save({"a": tensor.T}, tmp_path / "x.pth")
    np.testing.assert_array_equal(
        read_tensors(tmp_path / "x.pth")["a"], tensor.T.float().numpy(), strict=True
    )


def test_a_whole_torch_module_is_refused(tmp_path):
    torch = pytest.importorskip("torch")
    torch.save(torch.nn.Linear(2, 3), tmp_path / "x.pth")
    with refused(tmp_path / "x.pth", r"names the Python object torch\.nn\.modules\.linear\.Linear, which"):
        read_tensors(tmp_path / "x.pth")
