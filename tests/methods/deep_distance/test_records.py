import dataclasses
import os
import re
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import tifffile

from cellmotion_jax.data.annotated import open_annotated
from cellmotion_jax.data.downsampling import downsample_image, downsample_labels
from cellmotion_jax.data.pipeline import gather
from cellmotion_jax.errors import InputError
from cellmotion_jax.methods.deep_distance import records as tiles
from cellmotion_jax.methods.deep_distance.records import TileSettings, tile_source
from cellmotion_jax.morphology.distance_targets import distance_targets
from tests.label_images import discs
from tests.methods.celltrack_embedding.pairs import LABELS, write_pairs, write_picture

CELLS = discs((40, 52), (10, 10, 6), (22, 12, 6), (30, 40, 8), (39, 20, 4))
OPTIONS = {"tile": 16, "stride": 8, "downsample": 1, "alpha": 0.1, "squared": False, "boundary_width": 2.0}
HALF = {"rtol": 1e-3, "atol": 1e-3}


@pytest.fixture
def images(tmp_path):
    root = write_pairs(tmp_path / "Pairs", labels=CELLS)
    rng = np.random.default_rng(0)
    for file in (root / "images").iterdir():
        write_picture(file, rng.normal(30_000, 500, CELLS.shape).astype(np.uint16))
    return open_annotated(root).train[:2]


@pytest.fixture
def source_of(images, tmp_path):
    def prepare(images=images, **changes):
        return tile_source(images, TileSettings(**{**OPTIONS, **changes}), data_dir=tmp_path / "records")

    return prepare


@pytest.fixture
def builds(monkeypatch):
    """Names of the images of every preparation that took place."""
    made = []

    def maps(annotated, config):
        made.append(annotated.name)
        return real(annotated, config)

    real = tiles._maps
    monkeypatch.setattr(tiles, "_maps", maps)
    return made


@pytest.mark.parametrize("downsample", [1, 2])
@pytest.mark.parametrize("squared", [False, True])
def test_tiles_are_windows_of_image_and_targets(images, source_of, downsample, squared):
    source = source_of(downsample=downsample, squared=squared, boundary_width=1.0, alpha=0.2)
    starts = {1: ([0, 8, 16, 24], [0, 8, 16, 24, 32, 36]), 2: ([0, 4], [0, 8, 10])}[downsample]
    assert len(source) == 2 * len(starts[0]) * len(starts[1])
    number = 0
    for annotated in images:
        image = downsample_image(annotated.image(), downsample).astype(np.float64)
        image = (image - image.mean()) / image.std()
        targets = distance_targets(
            downsample_labels(annotated.labels(), downsample), alpha=0.2, squared=squared, boundary_width=1.0
        )
        for top in starts[0]:
            for left in starts[1]:
                window = np.s_[top : top + 16, left : left + 16]
                sample = source[number]
                np.testing.assert_allclose(sample["image"], image[window], **HALF)
                for name, whole in targets._asdict().items():
                    assert sample[name].dtype == np.float32
                    np.testing.assert_allclose(sample[name], whole[window], **HALF)
                assert sample["annotated"].dtype == np.bool_
                assert sample["annotated"].all()
                number += 1
    with pytest.raises(IndexError):
        source[number]


def test_tiles_make_batches(source_of):
    batch = gather(source_of(), np.array([[0, 5], [7, 5]]))
    shapes = {name: array.shape for name, array in batch.items()}
    maps = dict.fromkeys(("inner", "outer", "classification", "boundary", "annotated"), (2, 2, 16, 16))
    assert shapes == {"image": (2, 2, 16, 16, 1), **maps}


def test_a_small_image_is_mirrored_and_the_mirror_not_annotated(tmp_path, source_of):
    root = write_pairs(tmp_path / "Small", channels=3)
    file = open_annotated(root).train[0].image_file
    image = np.random.default_rng(0).integers(0, 255, (12, 16, 3)).astype(np.uint8)
    write_picture(file, image)
    (sample,) = source_of(open_annotated(root).train[:1], tile=20, stride=20, boundary_width=1.0)
    assert sample["image"].shape == (20, 20, 3)
    standardised = (image - image.mean()) / image.std()
    np.testing.assert_allclose(
        sample["image"], np.pad(standardised, [(0, 8), (0, 4), (0, 0)], mode="symmetric"), **HALF
    )
    known = np.zeros((20, 20), bool)
    known[:12, :16] = True
    np.testing.assert_array_equal(sample["annotated"], known)
    assert sample["classification"].sum() == sample["classification"][:12, :16].sum() > 0
    np.testing.assert_allclose(sample["inner"][:12, :16], distance_targets(LABELS).inner, **HALF)


def test_what_is_not_annotated_has_no_class_and_tiles_without_annotation_are_left_out(images, source_of):
    (image,) = (dataclasses.replace(image, margin=14) for image in images[:1])
    every, source = (source_of([it], tile=8) for it in (images[0], image))
    assert 0 < len(source) < len(every)
    for sample in source:
        assert sample["annotated"].any()
        assert not (sample["classification"] + sample["boundary"])[~sample["annotated"]].any()
    shares = sum(sample["annotated"].mean() for sample in source) / len(source)
    assert 0 < shares < 1
    nowhere = [dataclasses.replace(image, labels_file=image.labels_file, margin=40)]
    tifffile.imwrite(image.labels_file, np.zeros_like(CELLS))
    with pytest.raises(InputError, match=r"^Nothing is annotated in the 1 images from Pairs/field.\.tif on;"):
        source_of(nowhere)


def test_a_constant_image(tmp_path, source_of):
    (image, *_) = open_annotated(write_pairs(tmp_path / "Constant", labels=CELLS)).train
    assert not source_of([image])[0]["image"].any()


def test_tiles_are_prepared_once(images, source_of, builds):
    first, second = source_of(), source_of()
    assert builds == [image.name for image in images]
    np.testing.assert_array_equal(first[3]["image"], second[3]["image"])


@pytest.mark.parametrize(
    "changes",
    [
        {"tile": 12},
        {"stride": 9},
        {"downsample": 2},
        {"alpha": 0.2},
        {"squared": True},
        {"boundary_width": 1.0},
    ],
)
def test_a_changed_option_prepares_anew(source_of, builds, changes):
    source_of()
    source_of(**changes)
    assert len(builds) == 4


def test_changed_images_are_prepared_anew(images, source_of, builds):
    source_of(images[:1])
    for file in images[0].files:
        os.utime(file, ns=(1, 1))
        source_of(images[:1])
    source_of([dataclasses.replace(images[0], margin=3)])
    assert len(builds) == 4


def test_nothing_is_printed_and_tensorflow_not_loaded(source_of, capsys, caplog):
    source_of()
    assert capsys.readouterr() == ("", "")
    assert not caplog.records
    assert "tensorflow" not in sys.modules


@pytest.mark.parametrize(("tile", "stride"), [(16, 0), (16, 17), (0, 0), (-1, 1)])
def test_lengths_out_of_range(source_of, tile, stride):
    with pytest.raises(InputError, match=r"^TileSettings\.(stride|tile) is (0|17|-1); "):
        source_of(tile=tile, stride=stride)


def test_no_images(source_of):
    with pytest.raises(InputError, match=r"^There are no images to cut tiles from; give at least one\.$"):
        source_of([])


def test_an_error_in_the_data_comes_through_and_leaves_nothing(images, source_of, tmp_path):
    write_picture(images[1].image_file, np.full(CELLS.shape, np.nan, np.float32))
    sentence = f"{images[1].image_file} holds pixels that are NaN or infinite"
    with pytest.raises(InputError, match="^" + re.escape(sentence)):
        source_of()
    assert [path for path in (tmp_path / "records").rglob("*") if path.is_file()] == []


def test_a_killed_preparation_is_not_taken_for_a_complete_one(images, source_of, tmp_path):
    script = f"""
        import os, signal
        from cellmotion_jax.data.annotated import open_annotated
        from cellmotion_jax.methods.deep_distance import records as tiles

        def die_at_the_second(annotated, config):
            if annotated.name == {images[1].name!r}:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(annotated, config)

        real, tiles._maps = tiles._maps, die_at_the_second
        images = open_annotated({str(tmp_path / "Pairs")!r}).train[:2]
        tiles.tile_source(images, tiles.TileSettings(**{OPTIONS!r}), data_dir={str(tmp_path / "records")!r})
    """
    killed = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=False, timeout=120)
    assert killed.returncode == -signal.SIGKILL
    assert any((tmp_path / "records").rglob("*"))
    assert len(source_of()) == 48


@pytest.mark.real_data
def test_tiles_of_real_nuclei(real_data, tmp_path):
    (image,) = open_annotated(real_data / "Fluo-N2DL-HeLa").train[:1]
    options = {**OPTIONS, "tile": 256, "stride": 128}
    source = tile_source([image], TileSettings(**options), data_dir=tmp_path)
    assert len(source) == 5 * 8
    middle = source[2 * 8 + 3]
    assert middle["annotated"].all()
    assert middle["outer"].max() == 1
    assert abs(middle["image"].mean()) < 1
