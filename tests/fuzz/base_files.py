"""Sound movies, label images, results, data sets and models, made once; cases read them or change copies."""

from __future__ import annotations

import pathlib

import numpy as np
import PIL.Image
import tifffile
from safetensors.numpy import save_file

from cellmotion_jax.data.ctc import TrackTable, write_ctc
from cellmotion_jax.methods.celltrack_embedding.model_file import save_model as save_embedding
from cellmotion_jax.methods.celltrack_rcnn.model_file import save_model as save_rcnn
from cellmotion_jax.methods.convlstm.model_file import save_model as save_video_model
from cellmotion_jax.methods.deep_distance.detection import DetectionSettings
from cellmotion_jax.methods.deep_distance.model_file import save_model as save_cell_model
from cellmotion_jax.methods.deepcell.model_file import save_model as save_nuclei_network
from cellmotion_jax.methods.recognet.model_file import save_model as save_recognet
from tests.cell_models import tiny_cell_model
from tests.fuzz.weight_sources import sound
from tests.imported_weights import imported
from tests.label_images import discs
from tests.nuclei_networks import tiny_nuclei_network
from tests.rcnn_models import MOBILE, tiny_model
from tests.recognet_models import tiny_recognet
from tests.tracking_embeddings import tiny_embedding
from tests.video_models import tiny_video_model

SHAPE = (64, 64)
FRAMES = 3
TABLE = "1 0 2 0\n2 0 2 0\n"
MODELS = ("cell", "video", "nuclei", "recognet", "embedding", "rcnn", "ecoli")
"""Names of the model files, without suffix."""


def labels(frame: int) -> np.ndarray:
    """A disc that moves right by 2 pixels a frame, and one that rests."""
    return discs(SHAPE, (20, 18 + 2 * frame, 8), (44, 46, 7)).astype(np.uint16)


def images() -> np.ndarray:
    """Frames of the discs on noise."""
    noise = np.random.default_rng(0).normal(0, 20, (FRAMES, *SHAPE))
    bright = np.stack([labels(frame) > 0 for frame in range(FRAMES)])
    return (1000 + 3000 * bright + noise).astype(np.uint16)


class BaseFiles:
    """Folder with the sound files.

    ``movie`` (frames), ``stack.tif``, ``labels`` (frames), ``labels.tif``, ``result`` (masks and table),
    ``Set`` (a CTC data set with the sequences 01 and 02), ``pairs`` (images and masks), ``starts.csv``,
    ``MODEL.safetensors`` and ``weights.npz`` of a network that can be imported.
    """

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        _write_movie(folder)
        _write_sets(folder)
        _write_models(folder)

    def __getitem__(self, name: str) -> str:
        """The absolute path of a file by its name."""
        path = self.folder / name
        assert path.exists(), path
        return str(path)


def _write_movie(folder: pathlib.Path) -> None:
    for name in ("movie", "labels", "result"):
        (folder / name).mkdir()
    frames = images()
    for frame in range(FRAMES):
        pixel = {"resolution": (2, 2), "metadata": {"unit": "um"}}
        tifffile.imwrite(folder / "movie" / f"t00{frame}.tif", frames[frame], imagej=True, **pixel)
        tifffile.imwrite(folder / "labels" / f"m00{frame}.tif", labels(frame))
        tifffile.imwrite(folder / "result" / f"mask00{frame}.tif", labels(frame))
    tifffile.imwrite(folder / "stack.tif", frames, photometric="minisblack", metadata={"axes": "TYX"})
    masks = np.stack([labels(frame) for frame in range(FRAMES)])
    tifffile.imwrite(folder / "labels.tif", masks, photometric="minisblack", metadata={"axes": "TYX"})
    (folder / "result" / "res_track.txt").write_text(TABLE)
    (folder / "starts.csv").write_text("id,y,x,frame\n1,20,18,0\n2,44,46,0\n")


def _write_sets(folder: pathlib.Path) -> None:
    masks = np.stack([labels(frame) for frame in range(FRAMES)])
    tracks = TrackTable(*np.array([row.split() for row in TABLE.splitlines()], int).T)
    for sequence in ("01", "02"):
        (folder / "Set" / sequence).mkdir(parents=True)
        outlines = folder / "Set" / f"{sequence}_GT" / "SEG"
        outlines.mkdir(parents=True)
        write_ctc(folder / "Set" / f"{sequence}_GT" / "TRA", masks, tracks)
        for frame, image in enumerate(images()):
            tifffile.imwrite(folder / "Set" / sequence / f"t00{frame}.tif", image)
            tifffile.imwrite(outlines / f"man_seg00{frame}.tif", masks[frame])
    for name in ("images", "masks"):
        (folder / "pairs" / name).mkdir(parents=True)
    for number in range(4):
        image = (images()[number % FRAMES] >> 4).astype(np.uint8)
        PIL.Image.fromarray(image).save(folder / "pairs" / "images" / f"p{number}.png")
        PIL.Image.fromarray(labels(number).astype(np.uint8)).save(
            folder / "pairs" / "masks" / f"p{number}.png"
        )


def _write_models(folder: pathlib.Path) -> None:
    finds_some = DetectionSettings(h=0.02, floor=0.0)
    save_cell_model(folder / "cell.safetensors", tiny_cell_model(detection=finds_some))
    save_video_model(folder / "video.safetensors", tiny_video_model())
    save_nuclei_network(folder / "nuclei.safetensors", tiny_nuclei_network())
    save_recognet(folder / "recognet.safetensors", tiny_recognet())
    save_embedding(folder / "embedding.safetensors", tiny_embedding())
    save_rcnn(folder / "rcnn.safetensors", tiny_model(MOBILE))
    imported(folder / "ecoli.safetensors", "deepcell-ecoli-31x31")
    rng = np.random.default_rng(0)
    save_file({"a": rng.normal(size=(3, 4)).astype(np.float32)}, folder / "other.safetensors")
    np.savez(folder / "weights.npz", a=rng.normal(size=(3, 4)))
    (folder / "folder-of-weights").mkdir()
    (folder / "folder-of-weights" / "w.npz").write_bytes(sound(".npz"))
    # Two images are too few to be split.
    for name in ("images", "masks"):
        (folder / "nothing-to-learn" / name).mkdir(parents=True)
        for number in range(2):
            source = folder / "pairs" / name / f"p{number}.png"
            (folder / "nothing-to-learn" / name / source.name).write_bytes(source.read_bytes())
