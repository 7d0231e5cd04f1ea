import os
import re
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from cellmotion_jax.data.ctc import open_dataset
from cellmotion_jax.errors import InputError
from cellmotion_jax.methods.direction import records as directions
from cellmotion_jax.methods.direction.crops import direction_crops, direction_targets
from cellmotion_jax.methods.direction.records import CropSettings, direction_source

OPTIONS = {"threshold_um": 4.0, "pixel_size_um": 0.5, "crop_um": 4.5, "image_size": 6}


@pytest.fixture
def source_of(dataset, tmp_path):
    def prepare(**changes):
        return direction_source(
            open_dataset(dataset), CropSettings(**{**OPTIONS, **changes}), data_dir=tmp_path / "records"
        )

    return prepare


@pytest.fixture
def builds(monkeypatch):
    """Sizes of the images of every preparation that took place."""
    made = []

    def crops(sequence, targets, *, image_size):
        made.append(image_size)
        return real(sequence, targets, image_size=image_size)

    real = directions.direction_crops
    monkeypatch.setattr(directions, "direction_crops", crops)
    return made


def test_what_is_stored_is_what_the_samples_are(dataset, source_of):
    (sequence,) = open_dataset(dataset)
    lengths = {name: length for name, length in OPTIONS.items() if name != "image_size"}
    targets = direction_targets(sequence, **lengths)
    images = [*direction_crops(sequence, targets, image_size=OPTIONS["image_size"])]
    source = source_of()
    assert len(source) == len(images) == 5
    for name in ("angle", "displacement_um", "threshold_um", "track", "frame", "frames_ahead"):
        np.testing.assert_array_equal(source.columns[name], getattr(targets, name))
    assert source.columns["sequence"].tolist() == ["Set/01"] * 5
    for index in (3, 0, 4):
        sample = source[index]
        assert (sample["image"].shape, sample["image"].dtype) == ((6, 6, 1), np.float32)
        np.testing.assert_array_equal(sample["image"][..., 0], images[index])
        assert {name: value.item() for name, value in sample.items() if name != "image"} == {
            name: column[index].item() for name, column in source.columns.items()
        }
    with pytest.raises(IndexError):
        source[5]


def test_all_sequences_in_turn(dataset, source_of):
    alone = source_of()
    for part in ("", "_GT"):
        (dataset / f"02{part}").symlink_to(dataset / f"01{part}")
    both = source_of()
    assert both.columns["sequence"].tolist() == ["Set/01"] * 5 + ["Set/02"] * 5
    np.testing.assert_array_equal(both.columns["angle"], np.tile(alone.columns["angle"], 2))


def test_samples_are_prepared_once(source_of, builds):
    first, second = source_of(), source_of()
    assert builds == [6]
    np.testing.assert_array_equal(first[2]["image"], second[2]["image"])


@pytest.mark.parametrize(
    "changes", [{"threshold_um": 2.0}, {"pixel_size_um": 0.4}, {"crop_um": 3.5}, {"image_size": 7}]
)
def test_a_changed_option_prepares_anew(source_of, builds, changes):
    source_of()
    source_of(**changes)
    assert len(builds) == 2


@pytest.mark.parametrize("file", ["01/t002.tif", "01_GT/TRA/man_track003.tif", "01_GT/TRA/man_track.txt"])
def test_changed_data_are_prepared_anew(dataset, source_of, builds, file):
    source_of()
    os.utime(dataset / file, ns=(1, 1))
    source_of()
    assert builds == [6, 6]


def test_nothing_is_printed(source_of, capsys, caplog):
    source_of()
    assert capsys.readouterr() == ("", "")
    assert not caplog.records


def test_no_tensorflow(source_of):
    source_of()
    assert "tensorflow" not in sys.modules


def test_an_error_in_the_data_comes_through_and_leaves_nothing(source_of, tmp_path):
    with pytest.raises(InputError, match=r"^No cell of .* moves more than threshold_um = 99 um; the largest"):
        source_of(threshold_um=99.0)
    assert [path for path in (tmp_path / "records").rglob("*") if path.is_file()] == []


def test_an_unknown_pixel_size(dataset, source_of):
    sentence = re.escape(f"{dataset / '01'} does not say how large its pixels are; give pixel_size_um")
    with pytest.raises(InputError, match="^" + sentence):
        source_of(pixel_size_um=None)


def test_sequences_of_the_same_name(dataset, tmp_path):
    twice = open_dataset(dataset) * 2
    with pytest.raises(InputError, match=r"^Set/01 is given more than once; every sequence needs a name"):
        direction_source(twice, CropSettings(**OPTIONS), data_dir=tmp_path / "records")


def test_a_killed_preparation_is_not_taken_for_a_complete_one(dataset, source_of, tmp_path):
    script = f"""
        import itertools, os, signal
        from cellmotion_jax.methods.direction import records as directions
        from cellmotion_jax.data.ctc import open_dataset

        def die_after_two(*arguments, **options):
            yield from itertools.islice(real(*arguments, **options), 2)
            os.kill(os.getpid(), signal.SIGKILL)

        real, directions.direction_crops = directions.direction_crops, die_after_two
        sequences = open_dataset({str(dataset)!r})
        directions.direction_source(
            sequences, directions.CropSettings(**{OPTIONS!r}), data_dir={str(tmp_path / "records")!r}
        )
    """
    killed = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=False, timeout=120)
    assert killed.returncode == -signal.SIGKILL
    assert any((tmp_path / "records").rglob("*"))
    assert len(source_of()) == 5


def test_the_slower_of_two_preparations_uses_the_other(source_of, monkeypatch):
    def overtaken(sequence, targets, *, image_size):
        monkeypatch.setattr(directions, "direction_crops", real)
        source_of()
        yield from real(sequence, targets, image_size=image_size)

    real = directions.direction_crops
    monkeypatch.setattr(directions, "direction_crops", overtaken)
    source = source_of()
    assert len(source) == 5
    assert source[4]["image"].shape == (6, 6, 1)


@pytest.mark.real_data
def test_u373_knows_its_pixel_size(real_data, tmp_path):
    settings = CropSettings(threshold_um=18.0, crop_um=110.5, image_size=16)
    source = direction_source(open_dataset(real_data / "PhC-C2DH-U373"), settings, data_dir=tmp_path)
    assert len(source) == 507
    assert set(source.columns["track"].tolist()) == {1, 2, 3, 4, 5, 6, 8}
