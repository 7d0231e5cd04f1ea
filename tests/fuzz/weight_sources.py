"""Sound files of published weights, in each of the formats."""

from __future__ import annotations

import collections
import functools
import io

import numpy as np
from safetensors.numpy import save

from cellmotion_jax.models.feature_net import FEATURE_NET_31, FeatureNet
from tests.imported_weights import torch_tensors
from tests.weights.test_feature_net_weights import write_keras1
from tests.weights.torch_zip import TorchFile

NETWORKS = {".h5": "deepcell-ecoli-31x31"}
"""Network of a file by its suffix; yolov8-n of the others."""


@functools.cache
def sound(suffix: str) -> bytes:
    """A sound file of a network."""
    file = io.BytesIO()
    match suffix:
        case ".npz":
            np.savez(file, **torch_tensors())
        case ".safetensors":
            return save(torch_tensors())
        case ".pth":
            return torch_file()
        case ".h5":
            write_keras1(file, FeatureNet(FEATURE_NET_31))
    return file.getvalue()


def torch_file(**change: object) -> bytes:
    """A state dict of torch, whose first tensor is changed."""
    file, torch = io.BytesIO(), TorchFile()
    state = collections.OrderedDict((name, torch.tensor(t)) for name, t in torch_tensors().items())
    first = next(iter(state))
    state[first] = state[first]._replace(**change)
    torch.write(file, state)  # type: ignore[arg-type]
    return file.getvalue()


SUFFIXES = (".npz", ".safetensors", ".pth", ".h5")
