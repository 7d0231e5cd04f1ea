"""Files and folders are complete or absent."""

import pytest

from cellmotion_jax.files import write_text, written_beside


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


def test_a_folder_appears_whole_or_not_at_all(tmp_path):
    with pytest.raises(RuntimeError), written_beside(tmp_path / "f") as partial:
        partial.mkdir()
        (partial / "one").write_text("1")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
    with written_beside(tmp_path / "f") as partial:
        partial.mkdir()
        (partial / "one").write_text("1")
    assert (tmp_path / "f" / "one").read_text() == "1"
