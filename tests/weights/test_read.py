"""Any weight file gives arrays by name, or an error that names the file; its code is never run."""

import json
import pathlib
import re
import struct
import subprocess
import sys
import zipfile

import h5py
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import example, given, settings

from cellmotion_jax.errors import InputError
from cellmotion_jax.weights import limits
from cellmotion_jax.weights.read import read_tensors
from cellmotion_jax.weights.safetensors_files import read_metadata
from tests.weights.torch_zip import TorchFile

ARRAYS = {
    "stem/kernel": np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32),
    "stem/bias": np.arange(4, dtype=np.float64),
    "steps": np.array(7),
}


def refused(path, sentence):
    return pytest.raises(InputError, match=rf"^{re.escape(str(path))} {sentence}")


def assert_equal(read, expected):
    assert set(read) == set(expected)
    for name, values in expected.items():
        np.testing.assert_array_equal(read[name], values, strict=True)


def write_safetensors(path, tensors, metadata=None):
    """The format by its description: tensors are ``{name: (type, shape, bytes)}``."""
    header, offset = {}, 0
    for name, (dtype, shape, data) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [offset, offset + len(data)]}
        offset += len(data)
    if metadata:
        header["__metadata__"] = metadata
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(data for *_, data in tensors.values()))


def as_safetensors(path):
    kinds = {"float32": "F32", "float64": "F64", "int64": "I64"}
    tensors = {n: (kinds[a.dtype.name], list(a.shape), a.tobytes()) for n, a in ARRAYS.items()}
    write_safetensors(path, tensors, {"model": "small"})


def as_npz(path):
    with path.open("wb") as file:
        np.savez_compressed(file, **ARRAYS)


def as_torch(path):
    file = TorchFile()
    file.write(path, {name: file.tensor(array) for name, array in ARRAYS.items()})


def as_old_torch(path):
    file = TorchFile()
    file.write_legacy(path, {name: file.tensor(array) for name, array in ARRAYS.items()})


def as_old_keras(path):
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [b"stem"]
        group = file.create_group("stem")
        group.attrs["weight_names"] = [b"stem/kernel:0", b"stem/bias:0"]
        group["stem/kernel:0"], group["stem/bias:0"] = ARRAYS["stem/kernel"], ARRAYS["stem/bias"]


def as_keras(path):
    with h5py.File(path, "w") as file:
        group = file.create_group("layers/dense/vars")
        group.attrs["name"] = "stem"
        group["0"], group["1"] = ARRAYS["stem/kernel"], ARRAYS["stem/bias"]


def as_keras_archive(path):
    inner = path.with_suffix(".inner")
    as_keras(inner)
    layer = {"class_name": "Dense", "config": {"name": "stem", "use_bias": True}}
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps({"config": {"name": "small", "layers": [layer]}}))
        archive.write(inner, "model.weights.h5")


FORMATS = [as_safetensors, as_npz, as_torch, as_old_torch, as_old_keras, as_keras, as_keras_archive]


@pytest.mark.parametrize("write", FORMATS)
def test_the_contents_tell_the_format_not_the_name(tmp_path, write):
    for name in ("x", "x.h5", "x.pth"):
        write(tmp_path / name)
        read = read_tensors(str(tmp_path / name))
        expected = {n: a for n, a in ARRAYS.items() if n != "steps" or "keras" not in write.__name__}
        assert_equal(read, expected)


@pytest.mark.parametrize("write", FORMATS)
def test_every_truncation_is_refused_in_one_sentence(tmp_path, write):
    path = tmp_path / "x"
    write(path)
    whole = path.read_bytes()
    # HDF5 is read in a process of its own, which takes a while to start.
    first, steps = (range(0, 40, 13), 12) if "keras" in write.__name__ else (range(0, 40), 60)
    for length in sorted({*first, *range(40, len(whole), 1 + len(whole) // steps), len(whole) - 1}):
        path.write_bytes(whole[:length])
        with refused(path, "(is truncated or damaged|is empty|is no file of weights)") as refusal:
            read_tensors(path)
        assert "\n" not in str(refusal.value)


@pytest.fixture(scope="module")
def originals(tmp_path_factory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("originals")
    for write in FORMATS:
        write(folder / write.__name__)
    return {write.__name__: (folder / write.__name__).read_bytes() for write in FORMATS}


# Not bare HDF5, whose library crashes at some altered bytes; in a .keras file a checksum comes before it.
@pytest.mark.parametrize("write", [write for write in FORMATS if write not in (as_old_keras, as_keras)])
@settings(max_examples=80)
@given(
    share=st.floats(0, 1, exclude_max=True),
    flips=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), max_size=8),
    near_start=st.booleans(),
)
@example(share=0.99, flips=[], near_start=False)
def test_damage_gives_arrays_or_one_sentence(tmp_path_factory, originals, write, share, flips, near_start):
    path = tmp_path_factory.getbasetemp() / f"damaged-{write.__name__}"
    damaged = bytearray(originals[write.__name__])
    for where, change in flips:
        damaged[int(where * (min(len(damaged), 512) if near_start else len(damaged)))] ^= change
    path.write_bytes(damaged if flips else damaged[: int(share * len(damaged))])
    read, sentence = {}, ""
    try:
        read = read_tensors(path)
    except InputError as error:
        sentence = str(error)
    assert bool(read) != bool(sentence)
    assert all(isinstance(array, np.ndarray) and array.dtype.kind in "biuf" for array in read.values())
    assert not sentence or (sentence.startswith(str(path)) and "\n" not in sentence)


def test_a_file_that_is_absent_a_folder_or_empty(tmp_path):
    with refused(tmp_path / "x.h5", r"does not exist; it should be a file of weights \(Keras \.h5, .*\)\.$"):
        read_tensors(tmp_path / "x.h5")
    with refused(tmp_path, "is a folder; it should be a file of weights"):
        read_tensors(tmp_path)
    (tmp_path / "x.h5").touch()
    with refused(tmp_path / "x.h5", "is empty"):
        read_tensors(tmp_path / "x.h5")


@pytest.mark.parametrize(
    ("contents", "named"),
    [
        (b"version https://git-lfs.github.com/spec/v1\n", "a pointer of Git LFS to the file"),
        (b"<!DOCTYPE html>", "a web page or XML"),
        (b"{}", "text, such as JSON"),
        (b"\x80", "a file of an unknown format"),
        (b"\x93NUMPY", r"a single array of NumPy \(\.npy\)"),
        (b"II*\0", "a TIFF image"),
        (bytes(257) + b"ustar", "a tar archive"),
    ],
)
def test_a_file_of_something_else_is_named(tmp_path, contents, named):
    (tmp_path / "x.h5").write_bytes(contents)
    with refused(
        tmp_path / "x.h5", f"is no file of weights that can be read, but {named}.*; right are Keras"
    ):
        read_tensors(tmp_path / "x.h5")


def test_a_zip_archive_of_something_else(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("letter.txt", "Dear reader")
    with refused(tmp_path / "x.zip", "is a zip archive, but not of weights"):
        read_tensors(tmp_path / "x.zip")


def test_two_members_of_one_name_are_refused(tmp_path):
    path = tmp_path / "x.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", b"")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("a.npy", b"")
    with refused(path, r"holds two members called 'a\.npy'; which one counts is unclear"):
        read_tensors(path)


def test_an_archive_that_would_fill_the_memory_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "_ALWAYS_ALLOWED", 2**16)
    path = tmp_path / "x.npz"
    np.savez_compressed(path, a=np.zeros(2**20))
    with refused(path, r"has \d+ bytes but announces 8388736; weights do not compress like that"):
        read_tensors(path)
    np.savez_compressed(path, a=np.random.default_rng(0).normal(size=2**17))
    assert read_tensors(path)["a"].size == 2**17


def test_npz_keeps_types_and_refuses_objects_and_text(tmp_path):
    arrays = {name: np.ones(3, name) for name in ("float16", "float32", "int8", "bool")}
    np.savez(tmp_path / "x.npz", **arrays)
    assert_equal(read_tensors(tmp_path / "x.npz"), arrays)
    trace = tmp_path / "trace"
    np.savez(tmp_path / "x.npz", a=np.array([Touches(trace)], object))
    with refused(tmp_path / "x.npz", "holds 'a' as Python objects, which are never unpickled; save plain"):
        read_tensors(tmp_path / "x.npz")
    assert not trace.exists()
    np.savez(tmp_path / "x.npz", a=np.array(["text"]))
    with refused(tmp_path / "x.npz", "holds 'a' of type <U4; weights are real numbers"):
        read_tensors(tmp_path / "x.npz")
    np.savez(tmp_path / "x.npz")
    with refused(tmp_path / "x.npz", ""):
        read_tensors(tmp_path / "x.npz")


class Touches:
    """Creates a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return pathlib.Path.touch, (self.path,)


def test_safetensors_of_every_type(tmp_path):
    kinds = {"BOOL": "?", "U8": "u1", "I16": "i2", "I64": "i8", "F16": "f2", "F32": "f4", "F64": "f8"}
    arrays = {kind: np.array([[0, 1, 1]], code) for kind, code in kinds.items()}
    tensors = {kind: (kind, [1, 3], array.tobytes()) for kind, array in arrays.items()}
    tensors["BF16"] = ("BF16", [2], np.array([0x3F80, 0xC0A0], "<u2").tobytes())
    write_safetensors(tmp_path / "x", tensors)
    assert_equal(read_tensors(tmp_path / "x"), arrays | {"BF16": np.array([1, -5], np.float32)})
    write_safetensors(tmp_path / "x", {"a": ("F8_E4M3", [2], b"12")})
    with refused(tmp_path / "x", "holds 'a' of type F8_E4M3; save it as float32, float16 or bfloat16"):
        read_tensors(tmp_path / "x")


def test_metadata_of_safetensors(tmp_path):
    as_safetensors(tmp_path / "x")
    assert read_metadata(tmp_path / "x") == {"model": "small"}
    write_safetensors(tmp_path / "x", {"a": ("U8", [1], b"1")})
    assert read_metadata(tmp_path / "x") == {}
    as_npz(tmp_path / "x")
    for path in (tmp_path / "x", tmp_path / "absent", tmp_path):
        with refused(path, "(is|does not exist)"):
            read_metadata(path)


def test_safetensors_with_a_name_given_twice_are_refused(tmp_path):
    entry = '"a":{"dtype":"U8","shape":[1],"data_offsets":[%d,%d]}'
    header = ("{" + entry % (0, 1) + "," + entry % (1, 2) + "}").encode()
    (tmp_path / "x").write_bytes(struct.pack("<Q", len(header)) + header + b"12")
    with refused(tmp_path / "x", "is truncated or damaged"):
        read_tensors(tmp_path / "x")


def test_reading_needs_neither_keras_nor_torch_nor_pickle(tmp_path):
    as_keras_archive(tmp_path / "x.keras")
    as_torch(tmp_path / "x.pth")
    program = (
        "import sys; from cellmotion_jax.weights.read import read_tensors\n"
        "before = set(sys.modules)\n"
        "sys.modules.update(dict.fromkeys(('keras', 'torch', 'tensorflow')))\n"
        "assert all(read_tensors(path) for path in sys.argv[1:])\n"
        "assert not {'jax', 'keras', 'torch'} & before, before"
    )
    files = [str(tmp_path / "x.keras"), str(tmp_path / "x.pth")]
    subprocess.run([sys.executable, "-c", program, *files], check=True)


@pytest.mark.real_data
@pytest.mark.parametrize("size", [128, 224])
def test_mobilenet_of_imagenet(real_weights, size):
    read = read_tensors(real_weights / f"mobilenet_v2_0.35_{size}_no_top.npz")
    assert len(read) == 260
    assert sum(array.size for array in read.values()) == 410_208
    assert read["Conv1/kernel"].shape == (3, 3, 3, 16)


@pytest.mark.real_data
def test_yolov8_of_coco(real_weights):
    read = read_tensors(real_weights / "yolov8n_state_fp16.npz")
    assert len(read) == 355
    assert read["model.0.conv.weight"].shape == (16, 3, 3, 3)
    assert {array.dtype.name for array in read.values()} <= {"float16", "int64"}
