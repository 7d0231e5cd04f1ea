"""Stored samples are checked when they are opened, and written again if they are damaged."""

import pathlib
import tempfile

import numpy as np
import pytest
import tensorflow_datasets as tfds

from cellmotion_jax.data.records import RecordBuilder, prepared, read_records


class Squares(RecordBuilder, skip_registration=True):
    SPLIT = "squares"

    def features(self):
        return {"square": tfds.features.Scalar(np.int64)}

    def samples(self):
        for number in range(20):
            yield {"square": number**2}


def squares(folder):
    builder = prepared(Squares, tfds.core.BuilderConfig(name="all"), folder)
    return [int(record["square"]) for record in read_records(builder)]


@pytest.fixture
def stored(tmp_path):
    assert squares(tmp_path) == [number**2 for number in range(20)]
    return {path.relative_to(tmp_path): path for path in sorted(tmp_path.rglob("*")) if path.is_file()}


def cut(file: pathlib.Path):
    file.write_bytes(file.read_bytes()[:-7])


def change(file: pathlib.Path):
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 255
    file.write_bytes(data)


def test_nothing_is_left_among_temporary_files(tmp_path, monkeypatch):
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    squares(tmp_path / "data")
    assert not list((tmp_path / "tmp").iterdir())


@pytest.mark.parametrize("damage", [cut, change, pathlib.Path.unlink])
@pytest.mark.parametrize("pattern", ["*array_record*", "features.json", "dataset_info.json", "1.0.0.json"])
def test_whatever_is_damaged_is_written_again(tmp_path, stored, caplog, damage, pattern):
    (file,) = tmp_path.rglob(pattern)
    damage(file)
    assert squares(tmp_path) == [number**2 for number in range(20)]
    if damage is not pathlib.Path.unlink or pattern != "1.0.0.json":
        assert "are damaged" in caplog.text
    assert {path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()} == set(stored)


def test_what_is_sound_is_not_touched(tmp_path, stored):
    before = {path: path.stat().st_mtime_ns for path in stored.values()}
    squares(tmp_path)
    assert {path: path.stat().st_mtime_ns for path in stored.values()} == before
