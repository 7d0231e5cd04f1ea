"""Damaged and harmful weight files: each is read, or refused in one sentence, soon and in little memory."""

import itertools
import json
import os
import stat
import sys
import time
import tracemalloc

import numpy as np
import pytest

from cellmotion_jax.errors import InputError
from cellmotion_jax.methods.celltrack_embedding import model_file as embedding
from cellmotion_jax.methods.convlstm import model_file as convlstm
from cellmotion_jax.methods.deep_distance import model_file as deep_distance
from cellmotion_jax.methods.deepcell import model_file as deepcell
from cellmotion_jax.methods.recognet import model_file as recognet
from cellmotion_jax.weights import inert_pickle, keras_files
from cellmotion_jax.weights.convert import import_weights, load_weights
from cellmotion_jax.weights.read import read_tensors
from cellmotion_jax.weights.safetensors_files import read_metadata, write_safetensors
from tests.cell_models import tiny_cell_model
from tests.imported_weights import imported
from tests.nuclei_networks import tiny_nuclei_network
from tests.recognet_models import tiny_recognet
from tests.tracking_embeddings import tiny_embedding
from tests.video_models import tiny_video_model
from tests.weights import damaged_models, harmful_files
from tests.weights.test_read import as_keras, as_old_keras

METHODS = {
    "deep-distance": (deep_distance, tiny_cell_model),
    "convlstm": (convlstm, tiny_video_model),
    "deepcell": (deepcell, tiny_nuclei_network),
    "recognet": (recognet, tiny_recognet),
    "embedding": (embedding, tiny_embedding),
}
MEMORY = 3 * 2**28


@pytest.fixture(scope="module", params=list(METHODS))
def saved(request, tmp_path_factory):
    """A method, its key, and a model file of it."""
    method, make = METHODS[request.param]
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    method.save_model(path, make())
    return method.load_model, method.MODEL_FORMAT.key, path.read_bytes()


@pytest.fixture
def refused(tmp_path):
    """Checks that a file is refused in one sentence that can be printed, and returns the sentence."""

    def sentence(read, contents):
        path = tmp_path / "file"
        path.write_bytes(contents)
        with pytest.raises(InputError) as refusal:
            read(path)
        check_sentence(str(refusal.value), path)
        return str(refusal.value).removeprefix(str(path)).lstrip()

    return sentence


def check_sentence(text, path):
    """It names the file, is not long, and changes no terminal."""
    assert text.startswith(str(path))
    assert text.isprintable()
    assert len(text) < len(str(path)) + 600


@pytest.mark.parametrize("container", [harmful_files.pickle_in_archive, harmful_files.pickle_in_old_file])
def test_harmful_pickles(refused, monkeypatch, container):
    # As many are soon followed, but not where every call tests the types of its arguments.
    monkeypatch.setattr(inert_pickle, "MOST_INSTRUCTIONS", 20_000)
    start = time.monotonic()
    for _, pickled in harmful_files.harmful_pickles():
        refused(read_tensors, container(pickled))
    assert time.monotonic() - start < 60


def test_harmful_archives(refused):
    for _, contents in harmful_files.harmful_archives():
        tracemalloc.start()
        refused(read_tensors, contents)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert most < MEMORY


def test_harmful_headers(refused):
    for _, contents in damaged_models.harmful_headers():
        refused(read_tensors, contents)
        refused(read_metadata, contents)


def test_harmful_hdf5(tmp_path, refused):
    # Half of them: every one takes a process.
    for name, contents in itertools.islice(harmful_files.harmful_hdf5(tmp_path), 0, None, 2):
        assert refused(read_tensors, contents), name


@pytest.mark.parametrize("write", [as_keras, as_old_keras])
def test_altered_hdf5_gives_arrays_or_one_sentence(tmp_path, write):
    write(tmp_path / "whole.h5")
    whole, rng = (tmp_path / "whole.h5").read_bytes(), np.random.default_rng(0)
    for _ in range(4):
        (tmp_path / "x.h5").write_bytes(damaged_models.mutated(whole, rng))
        try:
            read = read_tensors(tmp_path / "x.h5")
        except InputError as error:
            check_sentence(str(error), tmp_path / "x.h5")
        else:
            assert all(array.dtype.kind in "biuf" for array in read.values())


@pytest.mark.parametrize(
    "program",
    ["import os; os.abort()", "while True: pass", "import time; time.sleep(99)"],
    ids=["crash", "loop", "sleep"],
)
def test_a_reader_that_crashes_or_hangs_is_one_sentence(tmp_path, monkeypatch, refused, program):
    as_keras(tmp_path / "x.h5")
    monkeypatch.setattr(keras_files, "_PROGRAM", program)
    monkeypatch.setattr(keras_files, "_SECONDS", 1)
    monkeypatch.setattr(keras_files, "_PATIENCE", 1)
    said = refused(read_tensors, (tmp_path / "x.h5").read_bytes())
    assert said.startswith("is damaged: HDF5 crashed while reading it, or did not end in 1 seconds; copy it")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux limits the address space")
def test_a_reader_that_needs_too_much_memory_is_one_sentence(tmp_path, monkeypatch, refused):
    as_keras(tmp_path / "x.h5")
    grow = (
        "import sys; from cellmotion_jax.weights import keras_reader as reader; "
        "reader._read = lambda path: {'a': bytearray(2**33)}; reader.main(*sys.argv[2:])"
    )
    monkeypatch.setattr(keras_files, "_PROGRAM", grow)
    assert "MiB to be read" in refused(read_tensors, (tmp_path / "x.h5").read_bytes())


def test_a_reader_that_does_not_start_is_no_fault_of_the_file(tmp_path, monkeypatch):
    as_keras(tmp_path / "x.h5")
    monkeypatch.setattr(keras_files, "_PROGRAM", "raise ImportError('no h5py')")
    with pytest.raises(RuntimeError, match=r"did not start: [\s\S]*no h5py"):
        keras_files.read_keras(tmp_path / "x.h5")


def test_interrupting_ends_the_reader(tmp_path, monkeypatch):
    as_keras(tmp_path / "x.h5")
    started = []

    class Interrupted(keras_files.subprocess.Popen):
        def wait(self, timeout=None):
            if not started:
                started.append(self)
                raise KeyboardInterrupt
            return super().wait(timeout)

    monkeypatch.setattr(keras_files.subprocess, "Popen", Interrupted)
    monkeypatch.setattr(keras_files, "_PROGRAM", "import os, time; os.close(1); time.sleep(60)")
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        read_tensors(tmp_path / "x.h5")
    assert started[0].poll() is not None
    assert time.monotonic() - start < 30


def test_descriptions_of_no_meaning(saved, refused):
    load, key, whole = saved
    edits = list(damaged_models.redescribed(whole, key))
    for place in np.random.default_rng(0).permutation(len(edits))[:40]:
        name, contents = edits[place]
        # Of these some are right: a stride of 0 is none, but an offset of 0 is one.
        if not name.endswith((" = null", " = true", " = 0", " = 0.5", ' = "x"', " = -1", " = []")):
            refused(load, contents)


def test_tensors_of_another_type_shape_or_value(saved, refused):
    load, _, whole = saved
    said = {name: refused(load, contents) for name, contents in damaged_models.retyped(whole)}
    for name in ("type I32", "type BOOL", "type F16", "type BF16", "type F64"):
        assert said[name].startswith("holds '")
        assert "are written as float32 (F32), and nothing else is taken" in said[name]
    for name in ("value nan", "value inf", "value -inf"):
        assert "with values that are NaN or infinite" in said[name]


def test_mutated_models_load_or_are_refused(saved, tmp_path):
    load, _, whole = saved
    rng = np.random.default_rng(1)
    for _ in range(20):
        (tmp_path / "x").write_bytes(damaged_models.mutated(whole, rng))
        try:
            model = load(tmp_path / "x")
        except InputError as error:
            check_sentence(str(error), tmp_path / "x")
        else:
            assert model.variables["params"]


@pytest.mark.parametrize(
    ("method", "changes"),
    [
        ("deep-distance", {"depth": 40}),
        ("deep-distance", {"depth": 10**9}),
        ("deep-distance", {"base_width": 2**62}),
        ("convlstm", {"base_filters": 2**40}),
        ("deepcell", {"layers": [{}] * 24}),
        ("deepcell", {"layers": [{"kernel": 10**5, "width": 2}]}),
        ("deepcell", {"layers": [{"kernel": 64, "width": 2}, {}] * 12}),
        ("deepcell", {"layers": [{"kernel": 3, "width": 2}] * 3000}),
        ("recognet", {"widths": [2] * 20_000}),
        ("recognet", {"nuclei": 10**6}),
        ("embedding", {"base_width": 2**33}),
    ],
)
def test_absurd_networks_are_refused_before_they_are_built(tmp_path, refused, method, changes):
    files, make = METHODS[method]
    files.save_model(tmp_path / "model.safetensors", make())
    header, data = damaged_models.safetensors_parts((tmp_path / "model.safetensors").read_bytes())
    described = json.loads(header["__metadata__"][files.MODEL_FORMAT.key])
    described["network"] |= changes
    header["__metadata__"] = {files.MODEL_FORMAT.key: json.dumps(described)}
    start = time.monotonic()
    said = refused(files.load_model, damaged_models.safetensors_of(header, data))
    assert said.startswith(("describes", "does not fit the network it describes"))
    assert time.monotonic() - start < 30


def test_imported_weights_are_finite_and_know_their_scaling(tmp_path, refused):
    whole = imported(tmp_path / "weights.safetensors", "deepcell-ecoli-31x31").read_bytes()
    header, data = damaged_models.safetensors_parts(whole)
    for _, contents in damaged_models.retyped(whole):
        refused(load_weights, contents)
    for scaling in (
        *("", "[", '"x"', "1", "NaN", '{"mean":[1,2,3],"std":[1,2],"channels":"RGB"}'),
        '{"mean":[1,2,3],"std":[1,2,0],"channels":"RGB"}',
        '{"mean":[1,2,3],"std":[1,2,3],"channels":"XYZ"}',
        '{"mean":[1,2,"x"],"std":[1,2,3],"channels":"RGB"}',
        '{"mean":[1,2,Infinity],"std":[1,2,3],"channels":"RGB"}',
    ):
        changed = header | {"__metadata__": header["__metadata__"] | {"scaling": scaling}}
        assert "scaling of the input" in refused(load_weights, damaged_models.safetensors_of(changed, data))


@pytest.mark.parametrize("name", METHODS)
def test_our_own_models_need_no_import(tmp_path, name):
    method, make = METHODS[name]
    method.save_model(tmp_path / "model.safetensors", make())
    for read in (
        lambda path: import_weights(path, model="resnet50-keras", out=tmp_path / "out"),
        load_weights,
    ):
        with pytest.raises(
            InputError, match=r"model\.safetensors holds a .*, which `cellmotion .* takes as --"
        ):
            read(tmp_path / "model.safetensors")


@pytest.mark.skipif(os.name != "posix", reason="umasks are of POSIX")
def test_files_are_written_with_the_umask_of_the_user(tmp_path):
    before = os.umask(0o022)
    try:
        write_safetensors(tmp_path / "x.safetensors", {"a": np.ones(3, np.float32).T}, metadata={"k": "v"})
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "x.safetensors").stat().st_mode) == 0o644
    assert read_metadata(tmp_path / "x.safetensors") == {"k": "v"}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes are of POSIX")
def test_pipes_devices_and_links_to_nothing_are_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("nothing")
    (tmp_path / "loop").symlink_to("loop")
    for path, words in (
        (tmp_path / "pipe", "is a pipe"),
        (tmp_path / "link", "is a link to nothing"),
        (tmp_path / "loop", "leads back to itself"),
        ("/dev/zero", "is a device"),
    ):
        for read in (read_tensors, load_weights, deep_distance.load_model):
            with pytest.raises(InputError, match=words):
                read(path)
