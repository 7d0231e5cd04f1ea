import re

import numpy as np
import pytest
import tifffile

from cellmotion_jax.data.ctc import open_dataset
from cellmotion_jax.errors import InputError
from cellmotion_jax.inference.ctc_scores import open_result, score_columns, score_result
from tests.ctc_folders import TABLE, masks, write_dataset, write_result


@pytest.fixture(scope="module")
def sequence(tmp_path_factory):
    root = tmp_path_factory.mktemp("data") / "Set"
    write_dataset(root, gold=(1,), silver=(0, 1, 3))
    (sequence,) = open_dataset(root)
    return sequence


def scored(folder, sequence, images, table: str | None = TABLE, **options):
    return score_result(open_result(write_result(folder, images, table), sequence), sequence, **options)


def test_the_truth_is_perfect_by_both_segmentations(tmp_path, sequence):
    scores = scored(tmp_path / "01_RES", sequence, masks())
    assert scores.gold.segmentation == (1, 2, 1)
    assert scores.silver.segmentation == (1, 2 + 2 + 3, 3)
    for score in scores:
        assert (score.det, score.lnk, score.tra, score.aogm) == (1, 1, 1, 0)
    assert (scores.gold.nodes.reference, scores.gold.edges.reference) == (10, 1 + 2 + 2 + 3)


def test_errors_are_counted_in_all_frames_or_in_some(tmp_path, sequence):
    images = masks()
    images[3][images[3] == 2] = 0
    images[0, 7:11, 6:9] = 4  # as large again: IoU 1/2 in frame 0
    scores = scored(tmp_path / "01_RES", sequence, images, TABLE.replace("2 2 3 1", "2 2 2 1"))
    assert scores.gold.nodes[:3] == (0, 1, 0)
    assert scores.gold.edges[:3] == (0, 1, 0)
    assert scores.silver.seg == pytest.approx((1 + 0.5 + 2 + 2 + 0) / 7)
    result = open_result(tmp_path / "01_RES", sequence)
    held_out = score_result(result, sequence, frames=(1, 2))
    assert held_out.gold.tra == 1
    # Two daughters and the fourth track.
    assert held_out.gold.edges.reference == 3
    assert held_out.silver.segmentation == (1, 2, 1)
    with pytest.raises(InputError, match=r"frames are 2 to 4, but those of .*01 are 0 to 3"):
        score_result(result, sequence, frames=(2, 4))


@pytest.mark.parametrize(("kept", "frames"), [((1, 2), (1, 2)), ((0, 1, 2), (0, 1)), ((2, 3), (3, 3))])
def test_masks_outside_of_the_frames_to_score_may_be_missing(tmp_path, sequence, kept, frames):
    images = masks()
    images[1, 1:3, 1:3] = 9
    table = TABLE + "9 1 1 0\n"
    whole = scored(tmp_path / "all", sequence, images, table, frames=frames)
    folder = write_result(tmp_path / "01_RES", images, table)
    for frame in range(4):
        if frame not in kept:
            (folder / f"mask{frame:03d}.tif").unlink()
    part = score_result(open_result(folder, sequence, frames=frames), sequence, frames=frames)
    assert part.gold.nodes == whole.gold.nodes
    assert part.gold.edges == whole.gold.edges
    with pytest.raises(InputError, match=r"mask\d+\.tif is missing"):
        open_result(folder, sequence)


def test_a_mask_within_the_frames_to_score_may_not_be_missing(tmp_path, sequence):
    folder = write_result(tmp_path / "01_RES", masks())
    (folder / "mask001.tif").unlink()
    for frames in ((0, 1), (1, 1), (0, 2)):
        with pytest.raises(InputError, match=r"mask001\.tif is missing"):
            open_result(folder, sequence, frames=frames)


def test_cells_in_the_margin_do_not_count(tmp_path, sequence):
    images = masks()
    images[:, 1:4, 11:14] = 9
    scores = scored(tmp_path / "01_RES", sequence, images, TABLE + "9 0 3 0\n")
    assert (scores.gold.nodes.spurious, scores.gold.tra < 1) == (4, True)
    result = open_result(tmp_path / "01_RES", sequence)
    inner = score_result(result, sequence, margin=4).gold
    assert (inner.nodes.reference, inner.nodes.spurious, inner.tra) == (4, 0, 1)


def test_masks_without_tracks_and_tracks_without_masks(tmp_path, sequence):
    numbers = np.where(masks() == 4, 1, 3 * masks())
    columns = score_columns(scored(tmp_path / "masks", sequence, numbers, None))
    assert (columns["SEG_gold"], columns["DET"], columns["OP_CSB_silver"]) == (1, 1, 1)
    absent = {name for name, value in columns.items() if value is None}
    assert absent == {"LNK", "TRA", "AOGM", "ED", "EA", "EC", "edges", "OP_CTB_gold", "OP_CTB_silver"}
    nothing = score_columns(scored(tmp_path / "nothing", sequence, 0 * masks(), "\n"))
    assert [nothing[name] for name in ("SEG_silver", "DET", "LNK", "TRA", "FN", "EA")] == [0, 0, 0, 0, 10, 8]


def remove_mask(folder):
    (folder / "mask003.tif").unlink()


def add_mask(folder):
    tifffile.imwrite(folder / "mask004.tif", masks()[0])


def downsample_masks(folder):
    for path in folder.glob("*.tif"):
        tifffile.imwrite(path, masks()[0, 1:])


def make_real(folder):
    for path in folder.glob("*.tif"):
        tifffile.imwrite(path, masks()[0].astype(np.float32) / 2)


def rename_masks(folder):
    for path in folder.glob("*.tif"):
        path.rename(path.with_name(path.name.replace("mask", "t")))


def long_digits(folder):
    for path in folder.glob("*.tif"):
        path.rename(path.with_name(path.name.replace("mask", "mask0")))


def forget_cell(folder):
    image = masks()[1]
    tifffile.imwrite(folder / "mask001.tif", np.where(image == 4, 0, image))


def early_cell(folder):
    image = masks()[1]
    image[11, 15] = 2
    tifffile.imwrite(folder / "mask001.tif", image)


def late_track(folder):
    (folder / "res_track.txt").write_text(TABLE.replace("4 0 3 0", "4 0 4 0"))


def early_child(folder):
    (folder / "res_track.txt").write_text(TABLE.replace("1 0 1 0", "1 0 2 0"))


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (remove_mask, r"mask003\.tif is missing; every frame of .*01 has a label image\.$"),
        (add_mask, r"mask004\.tif belongs to no frame; .*01 has 4 frames\.$"),
        (downsample_masks, r"holds 4 label images of 11 x 16 pixels, but .*01 4 frames of 12 x 16\.$"),
        (make_real, r"mask000.tif holds 0.5 \(float32\); labels are whole numbers"),
        (rename_masks, r"is no result; it should be a folder with mask000\.tif"),
        (long_digits, r"mask000\.tif is missing"),
        (forget_cell, r"mask001\.tif \(frame 1\) lacks label 4"),
        (early_cell, r"mask001\.tif \(frame 1\) holds label 2, which .* from frame 2 to 3 only\.$"),
        (late_track, r"res_track\.txt lets track 4 end in frame 4, but the movie's last frame is 3\.$"),
        (early_child, r"res_track\.txt line 2 begins track 2 in frame 2, but its parent 1 lasts until"),
    ],
)
def test_results_that_break_a_rule_are_refused(tmp_path, sequence, spoil, sentence):
    folder = write_result(tmp_path / "01_RES", masks())
    spoil(folder)
    with pytest.raises(InputError, match=sentence):
        score_result(open_result(folder, sequence), sequence)


def test_a_folder_that_is_not_there_is_refused(tmp_path, sequence):
    with pytest.raises(
        InputError, match=re.escape(f"{tmp_path / 'none'} does not exist; it should be a result")
    ):
        open_result(tmp_path / "none", sequence)


@pytest.mark.real_data
def test_hela_against_itself(real_data, tmp_path):
    (sequence,) = open_dataset(real_data / "Fluo-N2DL-HeLa" / "01")
    folder = tmp_path / "01_RES"
    folder.mkdir()
    for path in sequence.tracking_masks.path.iterdir():
        name = path.name.replace("man_track.txt", "res_track.txt").replace("man_track", "mask")
        (folder / name).symlink_to(path)
    scores = score_result(open_result(folder, sequence), sequence, frames=(12, 15), margin=25)
    for score in scores:
        assert (score.det, score.lnk, score.tra) == (1, 1, 1)
    assert scores.gold.segmentation.frames == scores.silver.segmentation.frames == 4
    # A marker is a small part of its cell.
    assert 0 < scores.silver.seg < 0.5
    # No cell of the reference lies wholly in the margin.
    assert scores.gold.nodes.reference == sum(len(sequence.tracks.alive(frame)) for frame in range(12, 16))
