"""Fixtures: a small annotated movie with known motion, as a Cell Tracking Challenge folder; TIFF decoders."""

import pathlib
from collections.abc import Callable

import numpy as np
import pytest
import tifffile
import tifffile._imagecodecs

from cellmotion_jax.data.ctc import TrackTable, write_ctc

SHAPE = (48, 64)
FRAMES = 6
# Label 1 goes right, 2 goes up and divides after frame 2 into 3, which goes left, and 4, which stays.
PATHS = {
    1: {frame: (30, 12 + 6 * frame) for frame in range(6)},
    2: {frame: (20 - 3 * frame, 32) for frame in range(3)},
    3: {frame: (12, 32 - 5 * (frame - 2)) for frame in range(3, 6)},
    4: dict.fromkeys(range(3, 6), (14, 40)),
}
PARENTS = {3: 2, 4: 2}


@pytest.fixture
def tracks() -> TrackTable:
    rows = [(label, min(path), max(path), PARENTS.get(label, 0)) for label, path in PATHS.items()]
    return TrackTable(*np.array(rows).T)


@pytest.fixture
def masks() -> np.ndarray:
    masks = np.zeros((FRAMES, *SHAPE), np.uint16)
    for label, path in PATHS.items():
        for frame, (y, x) in path.items():
            masks[frame, y - 1 : y + 2, x - 2 : x + 3] = label
    return masks


@pytest.fixture
def frames(masks: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(0).integers(0, 50, masks.shape)
    return (noise + 100 * (masks > 0)).astype(np.uint8)


@pytest.fixture
def write_frames() -> Callable[[pathlib.Path, np.ndarray], None]:
    def write(folder: pathlib.Path, frames: np.ndarray) -> None:
        folder.mkdir(parents=True)
        for frame, image in enumerate(frames):
            tifffile.imwrite(folder / f"t{frame:03d}.tif", image)

    return write


@pytest.fixture
def dataset(tmp_path, frames, masks, tracks, write_frames) -> pathlib.Path:
    root = tmp_path / "Set"
    write_frames(root / "01", frames)
    write_ctc(root / "01_GT" / "TRA", masks, tracks)
    return root


@pytest.fixture
def without_imagecodecs(monkeypatch) -> None:
    """Lets tifffile decode by what it brings itself, as where imagecodecs is not installed."""
    monkeypatch.setattr(tifffile.tifffile, "imagecodecs", tifffile._imagecodecs)
    # The decoders that were found so far are kept there.
    decoders = tifffile.tifffile.CompressionCodec(encode=False)
    monkeypatch.setattr(tifffile.TIFF, "DECOMPRESSORS", decoders)


@pytest.fixture(params=["imagecodecs", "without imagecodecs"])
def every_decoder(request) -> None:
    if request.param == "imagecodecs":
        pytest.importorskip("imagecodecs")
    else:
        request.getfixturevalue("without_imagecodecs")
