import re
import shutil

import numpy as np
import pytest
import tifffile

from cellmotion_jax.data.ctc import PIXEL_SIZE_UM, TrackTable, open_dataset, write_ctc
from cellmotion_jax.errors import InputError


def test_a_dataset_holds_its_sequences(dataset, frames, masks, tracks):
    for part in ("", "_GT"):
        shutil.copytree(dataset / f"01{part}", dataset / f"02{part}")
    first, second = open_dataset(dataset)
    assert (first.name, second.name) == ("01", "02")
    assert second.full_name == "Set/02"
    assert second.pixel_size_um is None
    np.testing.assert_array_equal(np.stack([*second.movie]), frames)
    np.testing.assert_array_equal(second.tracking_mask(4), masks[4])
    assert second.tracks.text() == tracks.text()


def test_one_sequence_of_a_dataset(dataset, monkeypatch):
    (sequence,) = open_dataset(dataset / "01")
    assert (sequence.root, sequence.name) == (dataset, "01")
    monkeypatch.chdir(dataset / "01")
    (sequence,) = open_dataset(".")
    assert (sequence.root, sequence.name) == (dataset, "01")


def test_centroids_are_where_the_cells_were_put(dataset):
    (sequence,) = open_dataset(dataset)
    table = sequence.centroids()
    assert len(table.frame) == 6 + 3 + 3 + 3
    cell = table.label == 1
    assert table.frame[cell].tolist() == [0, 1, 2, 3, 4, 5]
    assert table.y[cell].tolist() == [30.0] * 6
    assert table.x[cell].tolist() == [12.0, 18.0, 24.0, 30.0, 36.0, 42.0]
    assert set(table.area.tolist()) == {15}
    assert sequence.centroids() is table


def test_segmentation_is_optional(dataset, masks):
    folder = dataset / "01_GT" / "SEG"
    folder.mkdir()
    tifffile.imwrite(folder / "man_seg002.tif", masks[2])
    (sequence,) = open_dataset(dataset)
    assert sequence.segmentation_mask(0) is None
    assert sequence.silver_mask(2) is None
    np.testing.assert_array_equal(sequence.segmentation_mask(2), masks[2])
    tifffile.imwrite(folder / "man_seg003.tif", masks[:2], photometric="minisblack")
    with pytest.raises(
        InputError, match=r"man_seg003\.tif holds 2 planes; it should be the mask of one frame"
    ):
        sequence.segmentation_mask(3)
    tifffile.imwrite(folder / "man_seg003.tif", masks[3, :10])
    with pytest.raises(
        InputError, match=r"man_seg003\.tif has the size \(10, 64\); its frame has \(48, 64\)\.$"
    ):
        sequence.segmentation_mask(3)


def test_four_digits(dataset):
    for folder in (dataset / "01", dataset / "01_GT" / "TRA"):
        for file in folder.glob("*.tif"):
            file.rename(file.with_name(re.sub(r"(\d+)", r"0\1", file.name)))
    (sequence,) = open_dataset(dataset)
    assert sequence.movie.frame_names[5] == "t0005.tif"
    assert len(sequence.centroids().frame) == 15


def remove_frames(dataset):
    shutil.rmtree(dataset / "01")
    (dataset / "01").mkdir()


def cut_frame(dataset):
    file = dataset / "01" / "t003.tif"
    file.write_bytes(file.read_bytes()[:-99])


def deepen_frame(dataset):
    tifffile.imwrite(dataset / "01" / "t003.tif", np.zeros((5, 48, 64), np.uint8))


def downsample_masks(dataset):
    for file in (dataset / "01_GT" / "TRA").glob("*.tif"):
        tifffile.imwrite(file, tifffile.imread(file)[:20])


def blur_masks(dataset):
    for file in (dataset / "01_GT" / "TRA").glob("*.tif"):
        tifffile.imwrite(file, tifffile.imread(file).astype(np.float32) / 2)


def in_table(text):
    return lambda dataset: (dataset / "01_GT" / "TRA" / "man_track.txt").write_text(text)


def unlink(*parts):
    return lambda dataset: dataset.joinpath(*parts).unlink()


@pytest.mark.parametrize(
    ("spoil", "path", "sentence"),
    [
        (remove_frames, "01", "holds no frames; a movie is a folder of TIFF files"),
        (
            lambda dataset: shutil.rmtree(dataset / "01"),
            ".",
            "holds no frames; a CTC dataset has folders 01, 02",
        ),
        (unlink("01", "t002.tif"), "01", "lacks frame 2: t003.tif follows t001.tif"),
        (unlink("01", "t000.tif"), "01/t001.tif", "is frame 0 but not named so; CTC frames are t000.tif"),
        (unlink("01", "t005.tif"), "01_GT/TRA/man_track005.tif", "belongs to no frame; "),
        (cut_frame, "01/t003.tif", "is truncated"),
        (deepen_frame, "01/t003.tif", "holds 5 planes, as a 3-D stack does"),
        (
            unlink("01_GT", "TRA", "man_track004.tif"),
            "01_GT/TRA/man_track004.tif",
            "is missing; every frame of ",
        ),
        (
            lambda dataset: shutil.rmtree(dataset / "01_GT"),
            "01_GT/TRA",
            "is absent; it should hold man_track.txt",
        ),
        (
            unlink("01_GT", "TRA", "man_track.txt"),
            "01_GT/TRA/man_track.txt",
            "does not exist; it should be a table of tracks",
        ),
        (
            in_table("1 0 2 2\n2 3 5 1\n"),
            "01_GT/TRA/man_track.txt",
            "line 1 closes a cycle of parents (1 -> 2 -> 1)",
        ),
        (
            in_table("1 0 6 0\n"),
            "01_GT/TRA/man_track.txt",
            "lets track 1 end in frame 6, but the movie's last frame",
        ),
        (downsample_masks, "01_GT/TRA", "holds 6 label images of 20 x 64 pixels, but "),
        (
            blur_masks,
            "01_GT/TRA, man_track000.tif",
            "holds 0.5 (float32); labels are whole numbers (uint16).",
        ),
    ],
)
def test_what_is_wrong_is_said_when_the_dataset_is_opened(dataset, spoil, path, sentence):
    spoil(dataset)
    with pytest.raises(InputError, match="^" + re.escape(f"{dataset / path} {sentence}")):
        open_dataset(dataset)


def test_a_label_missing_from_a_mask_is_said_when_the_masks_are_read(dataset):
    file = dataset / "01_GT" / "TRA" / "man_track001.tif"
    mask = tifffile.imread(file)
    tifffile.imwrite(file, np.where(mask == 2, 0, mask).astype(np.uint16))
    (sequence,) = open_dataset(dataset)
    with pytest.raises(
        InputError, match=rf"^{re.escape(str(file))} \(frame 1\) lacks label 2, which the track"
    ):
        sequence.centroids()


@pytest.mark.parametrize("path", ["nowhere", "01/t000.tif"])
def test_a_root_that_is_no_folder(dataset, path):
    with pytest.raises(
        InputError, match=r"(does not exist|is no folder); it should be a CTC dataset, which holds 01/t000"
    ):
        open_dataset(dataset / path)


def test_written_masks_follow_the_format(tmp_path, masks, tracks):
    folder = tmp_path / "new" / "01_GT" / "TRA"
    write_ctc(folder, masks, tracks)
    names = sorted(file.name for file in folder.iterdir())
    assert names == ["man_track.txt", *(f"man_track{frame:03d}.tif" for frame in range(6))]
    assert (folder / "man_track.txt").read_bytes() == b"1 0 5 0\n2 0 2 0\n3 3 5 2\n4 3 5 2\n"
    with tifffile.TiffFile(folder / "man_track004.tif") as file:
        page = file.pages.first
        assert (page.dtype, page.compression) == (np.uint16, tifffile.COMPRESSION.ADOBE_DEFLATE)
        np.testing.assert_array_equal(page.asarray(), masks[4])
    assert [*folder.parent.iterdir()] == [folder]


def test_more_than_a_thousand_frames_have_four_digits(tmp_path):
    one = np.array([1])
    write_ctc(tmp_path / "TRA", np.ones((1001, 1, 1), np.uint8), TrackTable(one, one - 1, one + 999, one - 1))
    assert (tmp_path / "TRA" / "man_track0000.tif").exists()
    assert (tmp_path / "TRA" / "man_track1000.tif").exists()


def test_a_label_that_other_tools_misread_is_not_written(tmp_path):
    one = np.array([1])
    with pytest.raises(InputError, match=r"tracks hold label 32768; labels up to 32767 can be written\.$"):
        write_ctc(
            tmp_path / "TRA", np.full((1, 2, 2), 32768), TrackTable(one + 32767, one - 1, one - 1, one - 1)
        )


def test_nothing_is_left_of_masks_that_contradict_the_table(tmp_path, masks, tracks):
    masks[5][masks[5] == 3] = 0
    with pytest.raises(InputError, match=r"^masks\[5\] \(frame 5\) lacks label 3"):
        write_ctc(tmp_path / "01_GT" / "TRA", masks, tracks)
    assert not (tmp_path / "01_GT").exists()


def test_nothing_is_overwritten(dataset, masks, tracks):
    with pytest.raises(InputError, match="exists and is not empty; give a folder that can be made"):
        write_ctc(dataset / "01_GT" / "TRA", masks, tracks)


@pytest.mark.real_data
def test_u373_agrees_with_its_table(real_data):
    (sequence,) = open_dataset(real_data / "PhC-C2DH-U373")
    assert (sequence.full_name, sequence.pixel_size_um) == ("PhC-C2DH-U373/01", 0.65)
    assert (len(sequence.movie), sequence.movie.shape) == (115, (520, 696))
    table = sequence.centroids()
    assert len(table.frame) == np.sum(sequence.tracks.end - sequence.tracks.begin + 1) == 765
    gold = [sequence.segmentation_mask(frame) is not None for frame in range(115)]
    assert (sum(gold), sequence.silver_mask(0) is not None) == (15, True)


@pytest.mark.real_data
@pytest.mark.parametrize("name", PIXEL_SIZE_UM)
def test_every_dataset_opens(real_data, name):
    (sequence,) = open_dataset(real_data / name / "01")
    assert len(sequence.movie) == len(sequence.tracking_masks) == sequence.tracks.end.max() + 1
    assert sequence.pixel_size_um == PIXEL_SIZE_UM[name]
