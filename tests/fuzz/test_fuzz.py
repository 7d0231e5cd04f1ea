"""A selection of the inputs of `benchmarks/fuzz.py`, and the harness itself on ends of every kind."""

import sys

import pytest

from tests.fuzz import campaign
from tests.fuzz.base_files import BaseFiles
from tests.fuzz.case import Case, Expected, Outcome
from tests.fuzz.outcome import classify, state_of
from tests.fuzz.runner import running

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the harness reads /proc")
SENTENCE = "cellmotion: window is 0; it is at least 1.\n"
TRACEBACK = "Traceback (most recent call last):\n  ...\nKeyError: 5\n"


@pytest.fixture(scope="module")
def runner():
    with running(seconds=60) as started:
        yield started


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return BaseFiles(tmp_path_factory.mktemp("base"))


def test_a_selection_of_all_inputs_ends_as_it_should(runner, base):
    chosen = campaign.selection(campaign.systematic_cases(base), each=2)
    results = [runner.run(case) for case in chosen]
    bad = [f"{it.outcome.value}: {it.case.name}: {it.detail[-200:]}" for it in results if not it.outcome.good]
    assert len(results) > 80
    assert not bad, "\n".join([f"{len(bad)} of {len(results)} inputs:", *bad])


def end(
    tmp_path,
    said,
    *,
    code=2,
    expected=Expected.REFUSED,
    stopped=None,
    processes=0,
    after=None,
    command="track",
):
    """Outcome of a command that ended so; ``after`` maps paths to the text that it leaves there."""
    for name in ("work", "home", "tmp"):
        (tmp_path / name).mkdir()
    (tmp_path / "work" / "in.txt").write_text("mine")
    before = state_of(tmp_path / "work")
    (tmp_path / "stderr").write_text(said)
    for name, text in (after or {}).items():
        (tmp_path / "work" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "work" / name).write_text(text)
    report = {"code": code, "stopped": stopped, "left_processes": processes, "peak_bytes": 1, "seconds": 1.0}
    case = Case(name="a", family="f", arguments=(command,), expected=expected, words=("window",))
    return classify(case, report, folder=tmp_path, before=before).outcome


@pytest.mark.parametrize(
    ("said", "more", "outcome"),
    [
        (SENTENCE, {}, Outcome.SENTENCE),
        (f" 50%|####   | 1/2 [00:01<00:01]\n{SENTENCE}", {}, Outcome.SENTENCE),
        (SENTENCE, {"expected": Expected.FINE}, Outcome.REFUSED),
        (SENTENCE.replace("window", "windows"), {}, Outcome.VAGUE),
        (SENTENCE + SENTENCE, {}, Outcome.BOX),
        ("╭─ Parsing error ─╮\n", {}, Outcome.BOX),
        ("", {}, Outcome.BOX),
        (TRACEBACK, {"code": 1}, Outcome.TRACEBACK),
        (SENTENCE, {"code": 1}, Outcome.WRONG_CODE),
        (SENTENCE, {"code": 1, "command": "train"}, Outcome.SENTENCE),
        ("", {"code": -11}, Outcome.CRASH),
        ("", {"code": -9, "stopped": "hang"}, Outcome.HANG),
        ("", {"code": -9, "stopped": "memory"}, Outcome.MEMORY),
        (SENTENCE, {"processes": 1}, Outcome.LEFT_BEHIND),
        (SENTENCE, {"after": {"out/a.csv": "1\n"}}, Outcome.LEFT_BEHIND),
        (SENTENCE, {"after": {"in.txt": "changed"}}, Outcome.LEFT_BEHIND),
        ("", {"code": 0}, Outcome.TAKEN),
        ("", {"code": 0, "expected": Expected.EITHER, "after": {"out/a.csv": "y,x\n1,2\n"}}, Outcome.FINE),
        (
            "",
            {"code": 0, "expected": Expected.EITHER, "after": {"out/a.csv": "y\nnan\n"}},
            Outcome.BAD_OUTPUT,
        ),
        ("", {"code": 0, "expected": Expected.EITHER, "after": {"out/a.json": "[NaN]"}}, Outcome.BAD_OUTPUT),
        ("", {"code": 0, "expected": Expected.EITHER, "after": {"out/a.tif": "text"}}, Outcome.BAD_OUTPUT),
        ("", {"code": 0, "expected": Expected.FINE, "after": {"more.csv": "1\n"}}, Outcome.LEFT_BEHIND),
        ("", {"code": 0, "expected": Expected.FINE, "after": {"out/.a.7.partial": "1"}}, Outcome.LEFT_BEHIND),
    ],
)
def test_an_end_of_every_kind_is_told_from_the_others(tmp_path, said, more, outcome):
    assert end(tmp_path, said, **more) is outcome


def test_a_table_counts_every_kind(runner):
    case = Case(
        name="a", family="lines", arguments=("no-command",), expected=Expected.REFUSED, words=("command",)
    )
    fine = Case(name="b", family="lines", arguments=("--version",), expected=Expected.FINE)
    results = [runner.run(case), runner.run(fine)]
    assert [result.outcome for result in results] == [Outcome.SENTENCE, Outcome.FINE]
    last = campaign.table(results).splitlines()[-1].split()
    assert last[:4] == ["all", "2", "1", "1"]
    assert set(last[4:]) == {"-"}
