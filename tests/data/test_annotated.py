import dataclasses
import math
import re

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from skimage import measure

from cellmotion_jax.data.annotated import median_cell_diameter, open_annotated
from cellmotion_jax.data.downsampling import downsample_image, downsample_labels
from cellmotion_jax.data.simulate import Simulation, simulate, write_simulation
from cellmotion_jax.errors import InputError
from tests.label_images import discs, label_images
from tests.methods.celltrack_embedding.pairs import LABELS, write_pairs


def refusal(sentence):
    return pytest.raises(InputError, match="^" + re.escape(sentence))


def names(images):
    return [image.name for image in images]


@pytest.fixture
def pairs(tmp_path):
    return write_pairs(tmp_path / "Pairs")


@pytest.fixture
def silver(dataset, masks):
    """The data set with a silver mask for each of its frames."""
    folder = dataset / "01_ST" / "SEG"
    folder.mkdir(parents=True)
    for frame, mask in enumerate(masks):
        tifffile.imwrite(folder / f"man_seg{frame:03d}.tif", mask)
    return dataset


def test_pairs_are_split_by_their_names_only(pairs, tmp_path):
    split = open_annotated(pairs)
    assert [len(part) for part in split] == [3, 1, 1]
    assert {name for part in split for name in names(part)} == {f"Pairs/field{n}.tif" for n in range(5)}
    for image in (image for part in split for image in part):
        n = int(image.name[-5])
        np.testing.assert_array_equal(image.image(), np.full((12, 16, 1), n, np.uint16))
        np.testing.assert_array_equal(image.labels(), LABELS)
        assert image.annotation().known.all()
    other = open_annotated(write_pairs(tmp_path / "moved" / "Pairs"))
    assert [names(part) for part in other] == [names(part) for part in split]


def test_colour_and_png(tmp_path):
    (image, *_) = open_annotated(write_pairs(tmp_path / "Grey", image_suffix=".png")).train
    assert image.image().dtype == np.uint8
    assert image.image().shape == (12, 16, 1)
    for suffix in (".png", ".tif"):
        root = write_pairs(
            tmp_path / f"Colour{suffix[1:]}", image_suffix=suffix, mask_suffix=".png", channels=3
        )
        (image, *_) = open_annotated(root).train
        n = int(image.image_file.stem[-1])
        assert image.channels == 3
        np.testing.assert_array_equal(image.image(), np.broadcast_to([n, 50, 90], (12, 16, 3)))
        np.testing.assert_array_equal(image.labels(), LABELS)


def test_stray_pieces_of_a_label_are_not_annotated(pairs):
    stray = LABELS.copy()
    stray[11, 15] = 1
    for file in (pairs / "masks").iterdir():
        tifffile.imwrite(file, stray)
    image = open_annotated(pairs).test[0]
    np.testing.assert_array_equal(image.labels(), LABELS)
    assert np.argwhere(~image.annotation().known).tolist() == [[11, 15]]


@given(labels=label_images())
def test_a_label_keeps_its_largest_piece(tmp_path_factory, labels):
    root = tmp_path_factory.mktemp("pieces") / "Pairs"
    image = open_annotated(write_pairs(root)).train[0]
    tifffile.imwrite(image.labels_file, labels)
    kept = image.labels()
    for label in np.unique(labels[labels > 0]):
        pieces = [region.area for region in measure.regionprops(measure.label(labels == label))]
        assert (kept == label).sum() == max(pieces)
        assert measure.label(kept == label).max() == 1
    np.testing.assert_array_equal(image.annotation().known, kept == labels)
    assert np.all((kept == labels) | (kept == 0))


def test_silver_is_preferred_to_gold_and_split_by_time(silver):
    split = open_annotated(silver)
    # Of 6 frames 3 train and 1 tests; the 2 between leave no room for a gap on both sides.
    assert names(split.train) == [f"Set/01 t00{frame}.tif" for frame in range(3)]
    assert names(split.validation) == ["Set/01 t003.tif", "Set/01 t004.tif"]
    assert names(split.test) == ["Set/01 t005.tif"]
    assert split.train[0].labels_file.parent.parent.name == "01_ST"
    assert split.train[0].annotation().known.all()


@pytest.mark.parametrize(
    ("frames", "parts"),
    [(4, (2, 1, 1)), (7, (4, 1, 2)), (31, (18, 2, 9)), (92, (55, 6, 27)), (100, (60, 6, 30))],
)
def test_parts_of_a_movie_are_apart(tmp_path, write_frames, write_masks, frames, parts):
    movie = np.ones((frames, 6, 6), np.uint8)
    write_frames(tmp_path / "Set/01", movie)
    write_masks(tmp_path / "Set", "GT/TRA/man_track", movie)
    write_masks(tmp_path / "Set", "GT/SEG/man_seg", movie)
    (tmp_path / "Set/01_GT/TRA/man_track.txt").write_text(f"1 0 {frames - 1} 0\n")
    split = open_annotated(tmp_path / "Set")
    assert tuple(len(part) for part in split) == parts
    numbers = [[int(image.name[-7:-4]) for image in part] for part in split]
    gaps = numbers[1][0] - numbers[0][-1] - 1, numbers[2][0] - numbers[1][-1] - 1
    assert gaps[0] == gaps[1] <= 2
    assert numbers[0][0] == 0
    assert numbers[2][-1] == frames - 1


@pytest.fixture
def write_masks():
    def write(root, name, masks):
        folder = (root / f"01_{name}").parent
        folder.mkdir(parents=True)
        for frame, mask in enumerate(masks):
            tifffile.imwrite(root / f"01_{name}{frame:03d}.tif", mask)

    return write


def test_gold_that_shows_few_of_the_cells_is_left_out(dataset, masks):
    folder = dataset / "01_GT" / "SEG"
    folder.mkdir()
    for frame, mask in enumerate(masks):
        shown = np.where(mask == 1, mask, 0) if frame == 5 else mask
        tifffile.imwrite(folder / f"man_seg{frame:03d}.tif", shown)
    split = open_annotated(dataset / "01")
    assert [len(part) for part in split] == [3, 1, 1]
    assert names(split.test) == ["Set/01 t004.tif"]


def test_a_cell_without_outline_is_not_annotated(silver, masks):
    tifffile.imwrite(silver / "01_ST/SEG/man_seg000.tif", np.where(masks[0] == 2, 0, masks[0]))
    image = open_annotated(silver).train[0]
    np.testing.assert_array_equal(image.annotation().known, masks[0] != 2)


def test_the_margin_is_not_annotated_but_for_its_cells(silver):
    image = dataclasses.replace(open_annotated(silver).train[0], margin=15)
    inside = np.zeros((48, 64), bool)
    inside[15:33, 15:49] = True
    np.testing.assert_array_equal(image.annotation().known, inside | (image.labels() > 0))
    nothing_inside = dataclasses.replace(image, margin=40)
    np.testing.assert_array_equal(nothing_inside.annotation().known, image.labels() > 0)


def test_simulated_movies_are_annotated(tmp_path):
    movie = simulate(Simulation(frames=4, height=96, width=128, cells=3, cell_area_um2=500.0, seed=1))
    split = open_annotated(write_simulation(movie, tmp_path / "simulated"))
    assert [len(part) for part in split] == [2, 1, 1]
    np.testing.assert_array_equal(split.test[0].image()[..., 0], movie.frames[3])
    labels = split.test[0].labels()
    np.testing.assert_array_equal(split.test[0].annotation().known, labels == movie.masks[3])
    assert set(np.unique(labels)) == set(np.unique(movie.masks[3]))


def test_median_diameter_without_cut_cells(tmp_path):
    root = write_pairs(tmp_path / "Pairs", labels=discs((80, 80), (20, 20, 5), (50, 50, 9), (0, 79, 30)))
    images = open_annotated(root).train
    areas = [(images[0].labels() == label).sum() for label in (1, 2)]
    assert median_cell_diameter(images) == pytest.approx(math.sqrt(4 / math.pi * np.mean(areas)))
    cut = open_annotated(write_pairs(tmp_path / "Cut", labels=discs((8, 8), (0, 0, 2)))).train
    assert median_cell_diameter(cut) == pytest.approx(math.sqrt(4 / math.pi * 6))
    with refusal("None of the 0 images has a cell"):
        median_cell_diameter([])


@given(
    image=hnp.arrays(np.uint16, hnp.array_shapes(min_dims=3, max_dims=3, max_side=7)),
    downsample=st.integers(1, 4),
)
def test_downsampled_pixels_are_means_and_labels_those_of_the_centre(image, downsample):
    y, x, channels = image.shape
    if downsample > min(y, x):
        for downsampled in (
            lambda: downsample_image(image, downsample),
            lambda: downsample_labels(image[..., 0], downsample),
        ):
            with refusal(
                f"downsample is {downsample}; blocks of an image of {y} x {x} have sides of 1 to {min(y, x)}."
            ):
                downsampled()
        return
    small, labels = downsample_image(image, downsample), downsample_labels(image[..., 0], downsample)
    assert small.dtype == np.float32
    assert small.shape == (y // downsample, x // downsample, channels)
    assert labels.shape == small.shape[:2]
    for row, column in np.ndindex(labels.shape):
        block = image[
            row * downsample : (row + 1) * downsample, column * downsample : (column + 1) * downsample
        ]
        np.testing.assert_allclose(small[row, column], block.mean(axis=(0, 1)), rtol=1e-5)
        assert labels[row, column] == block[downsample // 2, downsample // 2, 0]


def test_missing_folders(tmp_path, pairs):
    with refusal(f"{tmp_path / 'none'} does not exist; it should be a CTC dataset"):
        open_annotated(tmp_path / "none")
    (pairs / "masks").rename(pairs / "labels")
    with refusal(f"{pairs / 'masks'} does not exist; it should be a folder of TIFF or PNG files"):
        open_annotated(pairs)


@pytest.mark.parametrize(
    ("gone", "left", "other"), [("images", "masks", "images"), ("masks", "images", "masks")]
)
def test_an_image_without_mask_and_a_mask_without_image(pairs, gone, left, other):
    (pairs / gone / "field2.tif").unlink()
    with refusal(f"{pairs / left / 'field2.tif'} has no partner in {pairs / other}"):
        open_annotated(pairs)


def test_two_files_of_one_name(pairs):
    (pairs / "images" / "field2.png").write_bytes(b"")
    with refusal(f"{pairs / 'images'} holds field2.png and field2.tif; keep one of them."):
        open_annotated(pairs)


def test_too_few_to_split(tmp_path, dataset, masks):
    root = write_pairs(tmp_path / "Few", images=2)
    with refusal(f"{root / 'images'} holds 2 images (TIFF or PNG); at least 3 are needed"):
        open_annotated(root)
    (dataset / "01_GT" / "SEG").mkdir()
    for frame in range(3):
        tifffile.imwrite(dataset / "01_GT" / "SEG" / f"man_seg{frame:03d}.tif", masks[frame])
    with refusal(f"{dataset / '01'} has masks for 3 of its frames; at least 4 are needed"):
        open_annotated(dataset)


def test_a_dataset_without_masks(dataset):
    with refusal(f"{dataset} has no segmentation; expected masks such as 01_ST/SEG/man_seg000.tif"):
        open_annotated(dataset)


def test_a_mask_of_another_size(pairs, silver):
    file = pairs / "masks" / "field1.tif"
    tifffile.imwrite(file, LABELS[:, 1:])
    with refusal(f"{file} has 12 x 15 pixels, but its image {pairs / 'images' / 'field1.tif'} has 12 x 16."):
        open_annotated(pairs)
    tifffile.imwrite(silver / "01_ST/SEG/man_seg004.tif", LABELS)
    with refusal(f"{silver / '01_ST/SEG/man_seg004.tif'} has 12 x 16 pixels, but its image"):
        open_annotated(silver)
    gold = silver / "01_GT/SEG/man_seg004.tif"
    gold.parent.mkdir(exist_ok=True)
    (silver / "01_ST/SEG/man_seg004.tif").rename(gold)
    with refusal(f"{gold} has 12 x 16 pixels, but its image"):
        open_annotated(silver)


def test_a_mask_that_is_none(pairs):
    file = pairs / "masks" / "field1.tif"
    tifffile.imwrite(file, np.stack([LABELS] * 3, -1), photometric="rgb")
    with refusal(f"{file} has 3 channels of uint16; a mask has one, of whole numbers"):
        open_annotated(pairs)


def test_labels_that_are_stored_as_floats(pairs):
    file = pairs / "masks" / "field1.tif"
    labels = tifffile.imread(file)
    tifffile.imwrite(file, labels.astype(np.float32), photometric="minisblack")
    (image,) = (image for part in open_annotated(pairs) for image in part if image.labels_file == file)
    assert image.annotation().labels.max() == labels.max()
    tifffile.imwrite(file, labels / np.float32(2), photometric="minisblack")
    with refusal(f"{file} holds 0.5 (float32); labels are whole numbers"):
        image.annotation()


def test_a_negative_label(pairs):
    image = open_annotated(pairs).train[0]
    tifffile.imwrite(image.labels_file, LABELS.astype(np.int16) - 1)
    with refusal(f"{image.labels_file} holds label -1; 0 is background"):
        image.labels()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_pixels_that_are_not_finite(pairs, value):
    image = open_annotated(pairs).train[0]
    pixels = np.zeros((12, 16), np.float32)
    pixels[3, 4] = value
    tifffile.imwrite(image.image_file, pixels)
    with refusal(f"{image.image_file} holds pixels that are NaN or infinite"):
        image.image()


def test_images_without_cells(tmp_path, pairs):
    tifffile.imwrite(open_annotated(pairs).train[0].labels_file, np.zeros_like(LABELS))
    assert not open_annotated(pairs).train[0].labels().any()
    root = write_pairs(tmp_path / "Empty", labels=np.zeros_like(LABELS))
    with refusal(
        f"No cell is labelled in the 3 training images of {root} (e.g. in {root / 'masks' / 'field'}"
    ):
        open_annotated(root)


def test_grey_and_colour_mixed(pairs):
    file = open_annotated(pairs).train[1].image_file
    tifffile.imwrite(file, np.zeros((12, 16, 3), np.uint8), photometric="rgb")
    with refusal(f"{file} has 3 channels, but"):
        open_annotated(pairs)


@pytest.mark.real_data
def test_t98g_has_a_published_split(real_data):
    split = open_annotated(real_data / "T98G-phase")
    assert [len(part) for part in split] == [20, 4, 5]
    numbers = [[image.name.removeprefix("T98G-phase/train_set")[:2] for image in part] for part in split]
    assert numbers[2] == ["07", "18", "23", "06", "15"]
    assert numbers[1] == ["03", "25", "11", "14"]
    image = split.test[0]
    # Four cells of field 7 have stray fragments of 1 to 6 pixels.
    assert 4 <= (~image.annotation().known).sum() <= 50
    assert median_cell_diameter(split.train) == pytest.approx(63, abs=8)


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "counts", "margin"), [("Fluo-N2DL-HeLa", [55, 6, 27], 25), ("PhC-C2DH-U373", [69, 8, 34], 50)]
)
def test_every_annotated_cell_reaches_into_the_field_of_interest(real_data, name, counts, margin):
    split = open_annotated(real_data / name)
    assert [len(part) for part in split] == counts
    for image in split.train[::9]:
        labels = image.labels()
        inside = labels[margin:-margin, margin:-margin]
        assert set(np.unique(inside)) >= set(np.unique(labels)) - {0}
        assert image.annotation().known[margin:-margin, margin:-margin].mean() > 0.999
        assert not image.annotation().known[:margin].all()
