"""Files as `cellmotion import-weights` writes them, of zeros, for tests."""

import json

import numpy as np
from safetensors.numpy import save_file

from cellmotion_jax.weights.catalogue import CATALOGUE
from cellmotion_jax.weights.fitting import variable_shapes
from cellmotion_jax.weights.kinds import MODEL_KEY


def imported(path, name, scaling=None):
    """All tensors of a network of the catalogue."""
    entry = CATALOGUE[name]
    shapes = variable_shapes(entry.module, entry.image_shape)
    tensors = {key: np.zeros(shape, np.float32) for key, shape in shapes.items()}
    save_file(tensors, path, metadata={MODEL_KEY: name, "scaling": json.dumps(scaling)})
    return path
