"""Opening of the model file of any method as a segmenter."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence

from cellmotion_jax.errors import InputError
from cellmotion_jax.inference.segmenter import Segmenter
from cellmotion_jax.methods.celltrack_rcnn.model_file import MODEL_FORMAT as CELLTRACK_RCNN
from cellmotion_jax.methods.celltrack_rcnn.segmenter import open_segmenter as open_celltrack_rcnn
from cellmotion_jax.methods.convlstm.model_file import MODEL_FORMAT as CONVLSTM
from cellmotion_jax.methods.convlstm.segmenter import open_segmenter as open_convlstm
from cellmotion_jax.methods.deep_distance.model_file import MODEL_FORMAT as DEEP_DISTANCE
from cellmotion_jax.methods.deep_distance.segmenter import open_segmenter as open_deep_distance
from cellmotion_jax.methods.deepcell.model_file import MODEL_FORMAT as DEEPCELL
from cellmotion_jax.methods.deepcell.segmenter import open_segmenter as open_deepcell
from cellmotion_jax.models.feature_net import FeatureNet
from cellmotion_jax.weights.catalogue import CATALOGUE
from cellmotion_jax.weights.convert import imported_model
from cellmotion_jax.weights.kinds import HELD, held_model
from cellmotion_jax.weights.shipped import model_file


def open_segmenter(paths: Sequence[pathlib.Path], *, cell_diameter: float | None = None) -> Segmenter:
    """Opens the file of a trained model that finds cells.

    Args:
        paths: The model.safetensors of a training, or the name of a model of `weights.shipped`; of DeepCell
            also several replicates, which are used as an ensemble, and files that ``cellmotion
            import-weights`` wrote.
        cell_diameter: Diameter of a typical cell of the movie in pixels, for models that store the cell size
            of their training.

    Returns:
        The segmenter, with the settings of its training.

    Raises:
        InputError: If there is no file; a file is absent, damaged or of a model that does not find cells;
            files are of different kinds; there are several files of a model that has one file; or a diameter
            is given and the model does not store its cell size.
    """
    if not paths:
        raise InputError("model names no file; give the model.safetensors that training writes.")
    paths = [model_file(path) for path in paths]
    keys = [_key(path) for path in paths]
    for path, key in zip(paths, keys):
        if key != keys[0]:
            raise InputError(f"{path} holds {_what(path)}, but {paths[0]} {_what(paths[0])}; give one model.")
    for key, opened in _OF_ONE_FILE.items():
        if keys[0] == key:
            if len(paths) > 1:
                raise InputError(
                    f"{paths[1]} is a second file of {HELD[key]}; only the networks of DeepCell are used as "
                    "an ensemble."
                )
            return opened(paths[0], cell_diameter=cell_diameter)
    if cell_diameter is not None:
        raise InputError(
            f"cell-diameter is {cell_diameter}, but {paths[0]} does not say how large the cells were that "
            "its network was trained on; leave cell-diameter out and give downsample, the factor by which "
            "frames are made smaller."
        )
    return open_deepcell(paths, published=keys[0] != DEEPCELL.key)


_OF_ONE_FILE = {
    DEEP_DISTANCE.key: open_deep_distance,
    CONVLSTM.key: open_convlstm,
    CELLTRACK_RCNN.key: open_celltrack_rcnn,
}


def _key(path: pathlib.Path) -> str:
    """Name of the model in a file, or of the imported weights of a feature net.

    Raises:
        InputError: If it cannot find cells; the sentence names the command that takes the file.
    """
    found = held_model(path)
    if found.key in (*_OF_ONE_FILE, DEEPCELL.key):
        return found.key
    name = imported_model(path)
    if name is not None and isinstance(CATALOGUE[name].module, FeatureNet):
        return name
    raise InputError(
        f"{path} holds {found.what}, which {found.use}; to find cells, give the model.safetensors of "
        "deep-distance, convlstm, celltrack-rcnn or deepcell that `cellmotion train` wrote, or a DeepCell "
        "network of `cellmotion import-weights`."
    )


def _what(path: pathlib.Path) -> str:
    return held_model(path).what
