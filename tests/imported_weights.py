"""Files as `cellmotion import-weights` writes them, of zeros, for tests."""

import functools
import json

import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np
from safetensors.numpy import save_file

from cellmotion_jax.models.backbones.yolov8 import YOLOv8Backbone
from cellmotion_jax.weights.catalogue import CATALOGUE
from cellmotion_jax.weights.fitting import variable_shapes
from cellmotion_jax.weights.kinds import MODEL_KEY
from cellmotion_jax.weights.layouts import Slot


def imported(path, name, scaling=None):
    """All tensors of a network of the catalogue."""
    entry = CATALOGUE[name]
    shapes = variable_shapes(entry.module, entry.image_shape)
    tensors = {key: np.zeros(shape, np.float32) for key, shape in shapes.items()}
    save_file(tensors, path, metadata={MODEL_KEY: name, "scaling": json.dumps(scaling)})
    return path


@functools.cache
def torch_tensors() -> dict[str, np.ndarray]:
    """The backbone of YOLOv8-n, all zeros, in the layout of torch."""
    layout = CATALOGUE["yolov8-n"].layout
    variables = jax.eval_shape(
        lambda: YOLOv8Backbone().init(jax.random.key(0), jnp.zeros((1, 32, 32, 3)), train=False)
    )
    tensors = {}
    for path, leaf in flax.traverse_util.flatten_dict(variables, sep="/").items():
        module, _, name = path.split("/", 1)[1].rpartition("/")
        slot = Slot(module, name, module.endswith("bn"), leaf.shape)
        shape = leaf.shape[::-1][:2] + leaf.shape[:2][: leaf.ndim - 2]
        tensors[layout.names(slot)[0]] = np.zeros(shape, np.float32)
    return tensors
