"""Files are complete or as before, and nothing but a file is replaced."""

import errno
import os
import socket
import subprocess
import sys

import pytest

from cellmotion_jax.errors import InputError
from cellmotion_jax.files import output_folder, write_csv, write_text, written_beside
from cellmotion_jax.files.places import partial_beside
from tests.files.failing_storage import failures_at_every_call, tree


def test_a_file_is_replaced_only_when_the_block_ends_well(tmp_path):
    path = tmp_path / "new" / "a.txt"
    write_text(path, "old")
    with pytest.raises(RuntimeError), written_beside(path) as partial:
        partial.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    write_text(path, "new")
    assert path.read_text() == "new"
    assert [entry.name for entry in path.parent.iterdir()] == ["a.txt"]


def test_parents_that_were_made_in_vain_are_removed(tmp_path):
    with pytest.raises(RuntimeError), written_beside(tmp_path / "a" / "b" / "c.txt"):
        raise RuntimeError
    assert tree(tmp_path) == {}


def test_permissions_are_those_of_the_old_file_or_of_every_new_one(tmp_path):
    before = os.umask(0o027)
    try:
        with written_beside(tmp_path / "new") as partial:
            partial.write_text("private, as safetensors writes it")
            partial.chmod(0o600)
        assert (tmp_path / "new").stat().st_mode & 0o7777 == 0o640
    finally:
        os.umask(before)
    (tmp_path / "new").chmod(0o664)
    write_text(tmp_path / "new", "again")
    assert (tmp_path / "new").stat().st_mode & 0o7777 == 0o664


def test_a_link_to_a_file_is_followed(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "real.txt").write_text("old")
    (tmp_path / "link.txt").symlink_to(tmp_path / "there" / "real.txt")
    write_text(tmp_path / "link.txt", "new")
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "there" / "real.txt").read_text() == "new"


def test_a_link_keeps_the_format_that_was_asked_for(tmp_path):
    (tmp_path / "scores").touch()
    (tmp_path / "scores.json").symlink_to("scores")
    with written_beside(tmp_path / "scores.json") as partial:
        assert partial.suffix == ".json"
        partial.write_text("new")
    assert (tmp_path / "scores").read_text() == "new"


@pytest.mark.skipif(sys.platform != "linux", reason="/dev/stdout is a link to an open file")
def test_an_open_file_is_not_replaced(tmp_path):
    saying = "from cellmotion_jax.files import write_text; write_text('/dev/stdout', 'new')"
    with (tmp_path / "out").open("w") as file:
        done = subprocess.run([sys.executable, "-c", saying], stdout=file, stderr=subprocess.PIPE, text=True)
    assert "/dev/stdout is in /dev, which keeps no files" in done.stderr
    assert (tmp_path / "out").read_text() == ""


def pipe(path):
    os.mkfifo(path)


def bound_socket(path):
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(path))


def dangling(path):
    path.symlink_to("nowhere")


def loop(path):
    path.symlink_to(path.name)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (os.mkdir, "is a folder"),
        (pipe, "is a pipe"),
        (bound_socket, "is a socket"),
        (dangling, "is a link to nowhere, which does not exist"),
        (loop, "cannot be written"),
    ],
)
def test_what_is_no_file_is_refused_and_stays(tmp_path, monkeypatch, make, said):
    monkeypatch.chdir(tmp_path)  # The names of sockets are short.
    path = tmp_path / "out.csv"
    make(os.path.relpath(path) if make is bound_socket else path)
    before = os.lstat(path)
    with pytest.raises(InputError, match=said):
        write_csv(path, ("a",), [(1,)])
    after = os.lstat(path)
    assert (after.st_ino, after.st_mode) == (before.st_ino, before.st_mode)
    assert len(list(tmp_path.iterdir())) == 1


def test_a_device_is_refused():
    with pytest.raises(InputError, match="/dev/null is a device, and a file is written there"):
        write_text(os.devnull, "")


@pytest.mark.parametrize("name", ["", ".", "..", "a/..", "/", "a\0", "n" * 250, "file/below"])
@pytest.mark.parametrize("write", [written_beside, output_folder])
def test_names_that_none_can_have_are_refused(tmp_path, monkeypatch, name, write):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"name|NUL"), write(name):
        pass
    assert [*tree(tmp_path)] == ["file"]


def test_what_a_killed_process_has_left_is_overwritten(tmp_path):
    partial_beside(tmp_path / "a.csv").write_text("left")
    write_csv(tmp_path / "a.csv", ("x",), [(1,), (2,)])
    assert tree(tmp_path) == {"a.csv": "x\r\n1\r\n2\r\n"}


def test_a_disk_that_is_full_at_any_moment_leaves_the_file_as_before(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    write_text(path, "old")
    said = []
    for error in failures_at_every_call(monkeypatch, errno.ENOSPC, lambda: write_text(path, "new")):
        said.append(str(error))
        assert tree(tmp_path) == {"a.txt": "old"}
    assert len(said) >= 3
    assert all(text.startswith(f"{path} cannot be written: No space left on device; free") for text in said)
    assert tree(tmp_path) == {"a.txt": "new"}
