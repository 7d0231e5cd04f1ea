"""``cellmotion analyze`` and ``cellmotion models``: from a movie to answers, with what the package brings."""

import json

import numpy as np
import pytest
import tifffile

from cellmotion_jax.cli import main
from cellmotion_jax.data.simulate import Look, Simulation, simulate, write_simulation
from cellmotion_jax.weights.kinds import held_model
from cellmotion_jax.weights.shipped import SHIPPED


@pytest.fixture(scope="module")
def nuclei(tmp_path_factory):
    """A movie of nuclei; what comes with the package was trained on movies of other seeds."""
    folder = tmp_path_factory.mktemp("simulated") / "movie"
    asked = Simulation(look=Look.NUCLEI, frames=3, height=128, width=160, cells=9, seed=77)
    write_simulation(simulate(asked), folder)
    return folder


def run(*arguments):
    main([str(argument) for argument in arguments])


def refused(capsys, *arguments):
    with pytest.raises(SystemExit) as exit_:
        run(*arguments)
    assert exit_.value.code == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("cellmotion: ")
    return error


def test_without_any_option_a_movie_of_nuclei_is_tracked_and_measured(nuclei, tmp_path, capsys):
    out = tmp_path / "out"
    run("analyze", nuclei / "01", "--out", out, "--steps", "MEASURE")
    said = capsys.readouterr().out
    assert "looks like nuclei in fluorescence; --modality says otherwise." in said
    assert "pixels across; --cell-diameter says otherwise." in said
    described = json.loads((out / "run.json").read_text())
    assert described["model"] == "nuclei"
    assert described["movie"]["pixel_size_um"] == pytest.approx(0.645)
    assert 15 < described["cell_diameter_px"] < 35
    run("evaluate", out / "tracks", nuclei / "01", "--out", tmp_path / "scores.json")
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert scores["DET"] > 0.9
    assert scores["SEG_gold"] > 0.7
    # Once more, the same command says so and writes nothing.
    before = {file: file.stat().st_mtime_ns for file in out.rglob("*")}
    capsys.readouterr()
    run("analyze", nuclei / "01", "--out", out, "--steps", "MEASURE")
    assert "it is complete" in capsys.readouterr().out
    assert {file: file.stat().st_mtime_ns for file in out.rglob("*")} == before


def test_other_commands_take_a_model_by_its_name(nuclei, tmp_path):
    run("segment", nuclei / "01", "--model", "nuclei", "--out", tmp_path / "cells")
    assert len(list((tmp_path / "cells").glob("mask*.tif"))) == 3
    run("track", nuclei / "01", "--by", "linking", "--segmentation", "nuclei", "--out", tmp_path / "tracks")
    assert (tmp_path / "tracks" / "res_track.txt").exists()


def test_another_movie_is_not_taken_for_the_one_in_the_folder(nuclei, tmp_path, capsys):
    fixed = ("--modality", "NUCLEI", "--cell-diameter", "23", "--steps", "MEASURE")
    run("analyze", nuclei / "01", "--out", tmp_path / "out", *fixed)
    (tmp_path / "02").mkdir()
    for file in (nuclei / "01").iterdir():
        (tmp_path / "02" / file.name).write_bytes(file.read_bytes())
    message = refused(capsys, "analyze", tmp_path / "02", "--out", tmp_path / "out", *fixed)
    assert "holds another analysis: movie (was" in message


def test_models_are_listed_with_what_they_are_good_for(capsys):
    run("models")
    lines = capsys.readouterr().out.strip().splitlines()
    assert len(lines) == len(SHIPPED)
    for line, model in zip(lines, SHIPPED.values()):
        assert line.startswith(model.name)
        assert model.good_for in line


@pytest.mark.parametrize("name", SHIPPED)
def test_every_model_that_comes_with_the_package_outlines_cells_and_has_a_card(name):
    model = SHIPPED[name]
    assert held_model(model.path).key == "cellmotion_jax.cell_model"
    card = model.card.read_text(encoding="utf-8")
    for part in ("train.py", "Trained on", "seed", "SEG", "DET", "sha256"):
        assert part in card, part


def test_all_models_together_are_small():
    assert sum(model.path.stat().st_size for model in SHIPPED.values()) < 10e6


def test_what_cannot_be_analysed_is_refused_and_leaves_nothing(nuclei, tmp_path, capsys):
    out = tmp_path / "out"
    assert (
        "no such" in refused(capsys, "analyze", tmp_path / "none", "--out", out).lower() or not out.exists()
    )
    assert "brightfield" in refused(
        capsys, "analyze", nuclei / "01", "--out", out, "--modality", "brightfield"
    )
    assert "none.safetensors" in refused(
        capsys, "analyze", nuclei / "01", "--out", out, "--model", "none.safetensors"
    )
    assert "cell-diameter" in refused(capsys, "analyze", nuclei / "01", "--out", out, "--cell-diameter", "0")
    assert not out.exists()
    out.write_text("a file")
    assert str(out) in refused(capsys, "analyze", nuclei / "01", "--out", out)


def test_a_movie_without_cells_is_refused_in_one_sentence(tmp_path, capsys):
    tifffile.imwrite(tmp_path / "blank.tif", np.full((5, 64, 64), 7, np.uint8), photometric="minisblack")
    message = refused(
        capsys, "analyze", tmp_path / "blank.tif", "--out", tmp_path / "out", "--modality", "NUCLEI"
    )
    assert "no cell was found at any scale" in message
    assert not (tmp_path / "out").exists()
