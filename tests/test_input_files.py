"""The gate for files of a user: kinds of files, text and JSON."""

import json
import os
import pathlib
import socket

import pytest

from cellmotion_jax.errors import InputError
from cellmotion_jax.input_files import parse_json, read_json, read_text, require_folder, require_regular_file


def test_an_ordinary_file_is_accepted_also_by_a_link(tmp_path):
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to("file")
    assert require_regular_file(str(tmp_path / "link"), what="a file") == tmp_path / "link"
    assert require_folder(tmp_path, what="a folder") == tmp_path


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("absent", "absent does not exist; it should be a TIFF file."),
        ("folder", "folder is a folder; it should be a TIFF file."),
        ("pipe", "pipe is a pipe; it should be a TIFF file."),
        ("socket", "socket is a socket;"),
        ("dangling", "dangling is a link to nowhere, which does not exist."),
        ("loop", "loop is a link that leads back to itself;"),
        ("file/inner", "inner lies in a file, which is no folder;"),
        ("n" * 300, "is too long for the name of a file;"),
        ("a\0b", "is no name that a file can have;"),
        ("/dev/null", "/dev/null is a device;"),
    ],
)
def test_what_is_no_ordinary_file_is_refused_in_one_sentence(tmp_path, monkeypatch, name, said):
    monkeypatch.chdir(tmp_path)
    pathlib.Path("file").write_text("x")
    pathlib.Path("folder").mkdir()
    os.mkfifo("pipe")
    pathlib.Path("dangling").symlink_to("nowhere")
    pathlib.Path("loop").symlink_to("loop")
    with socket.socket(socket.AF_UNIX) as place:
        place.bind("socket")
        with pytest.raises(InputError) as caught:
            require_regular_file(name, what="a TIFF file")
    assert said in str(caught.value)
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize("name", ["absent", "file", "loop", "a\0b"])
def test_a_folder_is_wanted(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    pathlib.Path("file").write_text("x")
    pathlib.Path("loop").symlink_to("loop")
    with pytest.raises(InputError, match=r"absent|file is no folder|loop|name"):
        require_folder(name, what="a folder of frames")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_named(tmp_path):
    (tmp_path / "closed").write_text("x")
    (tmp_path / "closed").chmod(0)
    with pytest.raises(InputError, match="may not be read"):
        require_regular_file(tmp_path / "closed", what="a file")


@pytest.mark.parametrize(
    ("contents", "said"),
    [
        (b"one\ntw\xff", "no text in UTF-8 \\(line 2\\)"),
        (b"one\ntwo\0", "line 2 holds the character NUL"),
        ("one".encode("utf-16"), "text in UTF-16; save it as UTF-8"),
        (b"x" * 11, "more than 10 bytes"),
    ],
)
def test_only_short_utf8_is_text(tmp_path, contents, said):
    (tmp_path / "table.txt").write_bytes(contents)
    with pytest.raises(InputError, match=said):
        read_text(tmp_path / "table.txt", what="a table", largest=10)


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path):
    (tmp_path / "table.txt").write_bytes("µm".encode("utf-8-sig"))
    assert read_text(tmp_path / "table.txt", what="a table") == "µm"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[" * 100_000, "nested more than 64 times"),
        ("[" * 65 + "]" * 65, "nested more than 64 times"),
        ('{"a":' * 70 + "1" + "}" * 70, "nested more than 64 times"),
        ("9" * 5000, "a number of 5000 digits"),
        ("1e400", "too large"),
        ('{"a": 1', "no JSON"),
        ("", "no JSON"),
    ],
)
def test_json_beyond_the_limits_is_refused(text, said):
    with pytest.raises(InputError, match=said):
        parse_json(text, source="file")


def test_json_is_read(tmp_path):
    value = {"a": [1, 2.5, None, {"b": "c"}], "n": 10**29, "deep": json.loads("[" * 60 + "]" * 60)}
    (tmp_path / "it.json").write_text(json.dumps(value))
    assert read_json(tmp_path / "it.json", what="settings") == value
