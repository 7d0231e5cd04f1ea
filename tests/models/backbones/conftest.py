"""Originals that need not be installed."""

import pytest

from tests.models.backbones import torch_originals as originals


@pytest.fixture(scope="session")
def torch_originals():
    if not originals.is_installed():
        pytest.skip("torch and torchvision are not installed")
    return originals
