"""Folders appear whole or not at all, also after a kill; the folder of a run is used by one process."""

import errno
import json
import os

import pytest

from cellmotion_jax.errors import AlreadyComplete, InputError, OutputFailed
from cellmotion_jax.files import NotEmpty, output_folder, run_folder, write_text
from cellmotion_jax.files.folders import remove_leftovers
from cellmotion_jax.files.locks import command_runs, this_process
from cellmotion_jax.files.places import lock_beside, partial_beside
from tests.files.failing_storage import failures_at_every_call, tree

RESULT = {"one": "1", "sub/two": "2"}


def write(path, *, fails=False):
    with output_folder(path) as folder:
        assert list(folder.iterdir()) == []
        (folder / "one").write_text("1")
        (folder / "sub").mkdir()
        write_text(folder / "sub" / "two", "2")
        if fails:
            raise RuntimeError


def in_place(tmp_path):
    """A folder that exists, as an empty volume does."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out").chmod(0o2775)
    return tmp_path / "out"


def absent(tmp_path):
    return tmp_path / "out"


@pytest.mark.parametrize("place", [in_place, absent])
def test_a_folder_appears_whole_or_not_at_all(tmp_path, place):
    out = place(tmp_path)
    before = tree(tmp_path)
    with pytest.raises(RuntimeError):
        write(out, fails=True)
    assert tree(tmp_path) == before
    write(out)
    assert tree(out) == RESULT
    assert [entry.name for entry in tmp_path.iterdir()] == ["out"]
    with pytest.raises(NotEmpty, match=r"out exists and is not empty"):
        write(out)
    assert tree(out) == RESULT


def test_a_folder_that_exists_stays_the_same_one(tmp_path):
    out = in_place(tmp_path)
    (out / "lost+found").mkdir()  # Every new volume of ext4 has one.
    before = out.stat()
    write(out)
    after = out.stat()
    assert (after.st_ino, after.st_mode) == (before.st_ino, before.st_mode)
    assert (out / "sub" / "two").stat().st_gid == before.st_gid


def test_a_link_to_a_folder_is_followed(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "out").symlink_to("real")
    write(tmp_path / "out")
    assert (tmp_path / "out").is_symlink()
    assert tree(tmp_path / "real") == RESULT


@pytest.mark.parametrize("place", [in_place, absent])
def test_a_disk_that_is_full_at_any_moment_leaves_nothing(tmp_path, monkeypatch, place):
    out = place(tmp_path)
    before = tree(tmp_path)
    said = []
    for error in failures_at_every_call(monkeypatch, errno.EDQUOT, lambda: write(out)):
        said.append(str(error))
        assert tree(tmp_path) == before
    assert len(said) >= 5
    assert all(text.startswith(f"{out} cannot be written: Disk quota exceeded; free") for text in said)
    assert tree(out) == RESULT


def test_too_little_space_is_refused_before_any_work(tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda path: (2**30, 2**30, 1000))
    with pytest.raises(OutputFailed, match=r"out cannot be written: 0\.0 MB are free there"):
        write(tmp_path / "out")
    assert tree(tmp_path) == {}


def killed(out, inside, *, notes, result=None, moved=()):
    """What a killed process has left of a result."""
    beside = out / "result" if inside else out
    lock_beside(beside).write_text(json.dumps(this_process() | notes))
    staged = partial_beside(beside) / out.name
    for name, text in (result or {}).items():
        path = (out if name in moved else staged) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.mark.parametrize("place", [in_place, absent])
def test_what_a_killed_process_has_left_is_removed(tmp_path, place):
    out = place(tmp_path)
    killed(out, out.exists(), notes={}, result={"half": ""})
    write(out)
    assert tree(tmp_path) == {f"out/{name}": text for name, text in RESULT.items()}


@pytest.mark.parametrize("moved", [(), ("one",), ("one", "sub/two")])
def test_a_result_that_a_killed_process_had_completed_is_moved_to_its_place(tmp_path, moved):
    out = in_place(tmp_path)
    with command_runs(["segment", "movie"]):
        killed(out, True, notes={"complete": True}, result=RESULT, moved=moved)
        with pytest.raises(AlreadyComplete, match="out is complete"):
            write(out)
    assert tree(tmp_path) == {f"out/{name}": text for name, text in RESULT.items()}


def test_another_command_does_not_take_it_for_its_own(tmp_path):
    out = absent(tmp_path)
    with command_runs(["segment", "movie"]):
        killed(out, False, notes={"complete": True}, result=RESULT)
    with command_runs(["segment", "another"]), pytest.raises(NotEmpty):
        write(out)
    assert tree(tmp_path) == {f"out/{name}": text for name, text in RESULT.items()}


def test_the_lock_lasts_until_the_command_has_said_that_it_is_done(tmp_path):
    out = absent(tmp_path)
    with command_runs(["segment", "movie"]):
        write(out)
        assert json.loads(lock_beside(out).read_text())["complete"]
    assert not lock_beside(out).exists()


def test_a_second_process_is_refused(tmp_path):
    with (
        output_folder(tmp_path / "out") as folder,
        pytest.raises(InputError, match=f"out is being written by process {os.getpid()} on "),
    ):
        (folder / "one").write_text("1")
        write(tmp_path / "out")
    with run_folder(tmp_path / "run", worth_keeping=bool) as folder:
        with (
            pytest.raises(InputError, match="run is being written by"),
            run_folder(folder, worth_keeping=bool),
        ):
            pass
        write_text(folder / "a", "1")
    assert tree(tmp_path) == {"out/one": "1", "run/a": "1"}


@pytest.mark.parametrize("kept", [True, False])
def test_a_run_that_is_refused_leaves_nothing_unless_it_is_worth_keeping(tmp_path, kept):
    with (
        pytest.raises(InputError, match="no movie"),
        run_folder(tmp_path / "runs" / "run", worth_keeping=lambda folder: kept) as folder,
    ):
        write_text(folder / "config.json", "{}")
        raise InputError("no movie")
    assert tree(tmp_path) == ({"runs/run/config.json": "{}"} if kept else {})


def test_a_run_that_is_refused_leaves_what_was_there(tmp_path):
    write_text(tmp_path / "run" / "note.txt", "mine")
    with (
        pytest.raises(InputError, match="no movie"),
        run_folder(tmp_path / "run", worth_keeping=lambda folder: False) as folder,
    ):
        write_text(folder / "config.json", "{}")
        raise InputError("no movie")
    assert tree(tmp_path) == {"run/note.txt": "mine"}


def test_a_full_disk_is_no_refusal(tmp_path):
    with (
        pytest.raises(OutputFailed, match=r"run cannot be written: No space left"),
        run_folder(tmp_path / "run", worth_keeping=lambda folder: False) as folder,
    ):
        write_text(folder / "samples", "many")
        raise ValueError("RESOURCE_EXHAUSTED: file 11: No space left on device [os_error_code='28']")
    assert tree(tmp_path) == {"run/samples": "many"}


def test_only_our_own_leftovers_are_removed(tmp_path):
    partial_beside(tmp_path / "a.csv").touch()
    (tmp_path / "inner").mkdir()
    partial_beside(tmp_path / "inner" / "b").mkdir()
    (tmp_path / "inner" / "x.orbax-checkpoint-tmp").mkdir()
    for other in (".hidden", "notes.partial", ".git"):
        (tmp_path / other).touch()
    remove_leftovers(tmp_path, "*.orbax-checkpoint-tmp*")
    assert sorted(tree(tmp_path)) == [".git", ".hidden", "inner", "notes.partial"]
