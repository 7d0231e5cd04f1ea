"""The log of a run keeps its sound rows, whatever has happened to the file."""

import csv

import numpy as np
import pytest

from cellmotion_jax.training.logging import HEADER, MetricsLog

SOUND = "2,train,m,loss,0.5\n"


def rows_after_resuming(folder):
    with MetricsLog(folder, members=["m"], start=4, total=8) as log:
        log.write(4, "validation", {"loss": np.array([0.25])})
    with (folder / "metrics.csv").open(newline="") as stream:
        header, *rows = csv.reader(stream)
    assert tuple(header) == HEADER
    assert rows.pop() == ["4", "validation", "m", "loss", "0.25"]
    return rows


@pytest.mark.parametrize(
    "damage",
    [
        b"\x00\xff\xfe\n",
        b"2,train\n",
        b"x,train,m,loss,1\n",
        b"3,train,m,loss,one\n",
        b"3,test,m,loss,1\n",
        b"3,train,\xff,loss,1\n",
        b'3,"train,m,loss,1\n',
        b"9" * 30 + b",train,m,loss,1\n",
    ],
)
def test_damaged_lines_are_left_out_and_counted(tmp_path, caplog, damage):
    header = ",".join(HEADER).encode() + b"\n"
    (tmp_path / "metrics.csv").write_bytes(header + damage + SOUND.encode() + b"3,train,m,loss,0.1")
    assert rows_after_resuming(tmp_path) == [["2", "train", "m", "loss", "0.5"]]
    assert "1 lines of" in caplog.text


def test_a_missing_log_begins_anew(tmp_path, caplog):
    assert rows_after_resuming(tmp_path) == []
    assert "metrics.csv is missing" in caplog.text


def test_a_name_with_a_comma_comes_back(tmp_path):
    with MetricsLog(tmp_path, members=["m"], start=0, total=8) as log:
        log.write(2, "train", {'a, "b"': np.array([1.0])})
    assert rows_after_resuming(tmp_path) == [["2", "train", "m", 'a, "b"', "1"]]
