import pathlib

import pytest

from cellmotion_jax import memory
from cellmotion_jax.errors import InputError
from cellmotion_jax.memory import UNKNOWN, available_memory, require_memory


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """What the system says of its memory, in files that a test may write."""
    monkeypatch.setattr(memory, "_MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "_CONTAINERS", ((tmp_path / "limit", tmp_path / "used"),))
    return tmp_path


def test_the_least_of_machine_and_container_counts(machine):
    assert available_memory() == UNKNOWN
    (machine / "meminfo").write_text("MemTotal:  9000 kB\nMemFree: 10 kB\nMemAvailable:   5000 kB\n")
    assert available_memory() == 5000 * 1024
    (machine / "limit").write_text("max\n")
    (machine / "used").write_text("1000\n")
    assert available_memory() == 5000 * 1024
    (machine / "limit").write_text("3000\n")
    assert available_memory() == 2000
    (machine / "used").write_text("4000\n")
    assert available_memory() == 0


def test_work_that_does_not_fit_is_refused_with_both_numbers(machine):
    (machine / "meminfo").write_text("MemAvailable: 2000000 kB\n")
    require_memory(10**9, what="It", instead="do less")
    with pytest.raises(
        InputError, match=r"^It would take about 71\.0 GB of memory, but 2\.0 GB are free; do less\.$"
    ):
        require_memory(71 * 10**9, what="It", instead="do less")


@pytest.mark.skipif(not pathlib.Path("/proc/meminfo").exists(), reason="no Linux")
def test_this_machine_has_memory():
    assert 2**27 < available_memory() < 2**50
