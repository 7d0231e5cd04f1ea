"""Base class of the networks."""

from __future__ import annotations

import flax.linen as nn

from cellmotion_jax.settings import check_own


class Network(nn.Module):
    """A Linen module whose settings are checked when it is made; see `cellmotion_jax.settings`."""

    def __post_init__(self) -> None:
        """Raises SettingError for a setting that is not allowed."""
        check_own(self)
        super().__post_init__()
