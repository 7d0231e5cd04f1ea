"""One encoder and a decoder per task: distance maps of cell images (Koyuncu et al. 2020, DeepDistance)."""

from __future__ import annotations

import enum
from typing import Annotated, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.typing import Dtype
from jaxtyping import Array, Float

from cellmotion_jax.models.layers import UpConv, max_pool_2x2
from cellmotion_jax.models.network import Network
from cellmotion_jax.ops.host_arguments import check_axes
from cellmotion_jax.settings import Range, ShareBelowOne, Width


class Task(enum.Enum):
    """Task of a decoder; the values are the field names of `DistanceMaps` and of the decoders' parameters."""

    inner = "inner"
    """Inner distance, Eq. (1): how near a pixel is to a cell's centre."""
    outer = "outer"
    """Normalised outer distance, Eq. (2): how deep inside its cell a pixel lies."""
    classification = "classification"
    """Cell pixels without widened boundaries (Section 3.2)."""
    boundary = "boundary"
    """The widened boundaries (Section 4.4, the model after Chen et al. 2017)."""

    @property
    def is_distance(self) -> bool:
        """Whether the map is a distance under a ReLU; the others are probabilities under a sigmoid."""
        return self in (Task.inner, Task.outer)


class Configuration(NamedTuple):
    """Settings in which the models of Table 2 differ."""

    tasks: tuple[Task, ...]
    cascaded: bool = False


class Table2(enum.Enum):
    """The seven models of Table 2, all of the same encoder and decoders.

    Their weights in the loss and their detection rules are the same but for the map that is searched:
    `methods.deep_distance.objective.DeepDistanceObjective`, `methods.deep_distance.detection`.
    """

    deep_distance = Configuration((Task.inner, Task.outer))
    deep_distance_extended = Configuration((Task.inner, Task.outer, Task.classification))
    single_inner = Configuration((Task.inner,))
    single_outer = Configuration((Task.outer,))
    single_classification = Configuration((Task.classification,))
    cascaded_classification_inner = Configuration((Task.classification, Task.inner), cascaded=True)
    multi_classification_boundary = Configuration((Task.classification, Task.boundary))


class DistanceMaps(NamedTuple):
    """One map per task; None where the network does not have the task."""

    inner: Float[Array, "batch y x"] | None = None
    outer: Float[Array, "batch y x"] | None = None
    classification: Float[Array, "batch y x"] | None = None
    boundary: Float[Array, "batch y x"] | None = None


class DistanceOutputs(NamedTuple):
    """Output of the network, always float32."""

    maps: DistanceMaps
    """Maps after the output activation: ReLU for distances, sigmoid for probabilities."""
    raw: DistanceMaps
    """Before it."""


class DeepDistance(Network):
    """A U-Net with one shared encoder and one decoder for each task (Section 3.1.1, Fig. 3).

    Encoder levels of ``base_width * 2**level`` channels are two 3 x 3 convolutions with ReLU, dropout
    between them, and 2 x 2 max-pooling; decoders mirror them with 2 x 2 transposed convolutions and
    concatenation with the encoder's maps, and end in a 1 x 1 convolution. ``base_width=64, depth=4,
    batch_norm=False`` is the U-Net of Ronneberger et al. (2015), whose numbers the paper takes; only padding
    keeps the size here (SAME), as the maps of a 512 x 512 tile are 512 x 512.

    References:
        Koyuncu et al., DeepDistance: A Multi-task Deep Regression Model for Cell Detection in Inverted
        Microscopy Images, 2020, Fig. 3 and Section 4.4.
    """

    tasks: tuple[Task, ...] = (Task.inner, Task.outer, Task.classification)
    """The decoders. The paper's DeepDistance has the first two, its extended version all three."""
    base_width: Width = 64
    """Channels of the first level."""
    depth: Annotated[int, Range(1, 8)] = 4
    """Number of poolings."""
    dropout: ShareBelowOne = 0.2
    """Share of activations dropped between the two convolutions of a block in training."""
    batch_norm: bool = True
    """Normalise between convolution and ReLU. Not in the paper, whose batch is one tile."""
    compress: bool = True
    """Apply arcsinh to standardised images. Not in the paper, whose images have a uniform brightness: mitotic
    nuclei in fluorescence are tens of standard deviations brighter than others, far outside of the usual
    range of inputs, and the dark line between two bright nuclei is a small part of their range."""
    cascaded: bool = False
    """The map of the first task is the only input of a second network with its own encoder;
    that network has the remaining tasks (`CascadedClassificationInner`, after Ram et al. 2018)."""
    dtype: Dtype | None = None
    """Compute type, for example bfloat16; parameters stay float32."""

    @property
    def multiple(self) -> int:
        """Sides of the input must be multiples of this."""
        return 2**self.depth

    @nn.compact
    def __call__(self, images: Float[Array, "batch y x channel"], *, train: bool) -> DistanceOutputs:
        """Estimates the maps.

        Args:
            images: Grey or RGB tiles of standardised images.
            train: Whether activations are dropped, and normalised by the batch.

        Returns:
            One map per task, of the size of the images.

        Raises:
            ValueError: Images without these axes, sides that are no multiples of ``2**depth``, no task, the
                same task twice, or a cascade of fewer than two tasks.
        """
        check_axes("images", images.shape, "batch y x channel")
        if any(side % self.multiple for side in images.shape[1:3]):
            raise ValueError(
                f"images of shape {images.shape} have sides that are no multiples of {self.multiple}, "
                f"which {self.depth} poolings need"
            )
        if not self.tasks or len(set(self.tasks)) < len(self.tasks) or self.cascaded > (len(self.tasks) > 1):
            names = [task.value for task in self.tasks]
            raise ValueError(f"tasks must be different, one at least, two in a cascade; got {names}")
        images = jnp.arcsinh(images) if self.compress else images
        if not self.cascaded:
            raw = self._network(images, self.tasks, "", train=train)
        else:
            first, *rest = self.tasks
            raw = self._network(images, (first,), "first_", train=train)
            seen = _activated(first, raw[first])[..., None]
            raw |= self._network(seen, tuple(rest), "second_", train=train)
        return DistanceOutputs(
            maps=DistanceMaps(**{task.value: _activated(task, value) for task, value in raw.items()}),
            raw=DistanceMaps(**{task.value: value for task, value in raw.items()}),
        )

    def _network(
        self, images: Array, tasks: tuple[Task, ...], prefix: str, *, train: bool
    ) -> dict[Task, Float[Array, "batch y x"]]:
        """One encoder and the decoders of its tasks, before the output activation."""
        settings = {"dropout": self.dropout, "batch_norm": self.batch_norm, "dtype": self.dtype}
        widths = [self.base_width * 2**level for level in range(self.depth + 1)]
        features = Encoder(widths, **settings, name=f"{prefix}encoder")(images, train=train)
        return {
            task: Decoder(widths[:-1], **settings, name=f"{prefix}{task.value}")(features, train=train)
            for task in tasks
        }


class Encoder(nn.Module):
    """The contracting path: blocks of two convolutions with pooling between them."""

    widths: list[int] | tuple[int, ...]
    """Channels of every level, the finest first."""
    dropout: float
    """Share of activations dropped."""
    batch_norm: bool
    """Normalise after every convolution."""
    dtype: Dtype | None = None
    """Compute type."""

    @nn.compact
    def __call__(self, images: Float[Array, "batch y x channel"], *, train: bool) -> tuple[Array, ...]:
        """Feature maps of every level, the finest first."""
        features: list[Array] = []
        for level, width in enumerate(self.widths):
            x = max_pool_2x2(features[-1]) if features else images
            block = Block(width, self.dropout, self.batch_norm, dtype=self.dtype, name=f"level{level}")
            features.append(block(x, train=train))
        return tuple(features)


class Decoder(nn.Module):
    """An expanding path with the encoder's maps concatenated at every level, down to one map."""

    widths: list[int] | tuple[int, ...]
    """Channels of every level, the finest first, without the encoder's coarsest."""
    dropout: float
    """Share of activations dropped."""
    batch_norm: bool
    """Normalise after every convolution."""
    dtype: Dtype | None = None
    """Compute type."""

    @nn.compact
    def __call__(self, features: tuple[Array, ...], *, train: bool) -> Float[Array, "batch y x"]:
        """The map before its activation, float32."""
        *skips, x = features
        for level, (width, skip) in reversed([*enumerate(zip(self.widths, skips))]):
            x = UpConv(width, dtype=self.dtype, name=f"up{level}")(x)
            x = jnp.concatenate([x, skip], axis=-1)
            block = Block(width, self.dropout, self.batch_norm, dtype=self.dtype, name=f"level{level}")
            x = block(x, train=train)
        # In float32: a map of a distance is read to the third decimal.
        output = nn.Conv(1, (1, 1), dtype=jnp.float32, name="output")(x)
        return output[..., 0]


class Block(nn.Module):
    """Two 3 x 3 convolutions with ReLU, dropout between them."""

    width: int
    """Output channels."""
    dropout: float
    """Share of activations dropped."""
    batch_norm: bool
    """Normalise after every convolution."""
    dtype: Dtype | None = None
    """Compute type."""

    @nn.compact
    def __call__(self, x: Float[Array, "batch y x channel"], *, train: bool) -> Array:
        """Filters the maps."""
        for number in (1, 2):
            x = nn.Conv(
                self.width,
                (3, 3),
                use_bias=not self.batch_norm,
                kernel_init=nn.initializers.he_normal(),
                dtype=self.dtype,
                name=f"conv{number}",
            )(x)
            if self.batch_norm:
                x = nn.BatchNorm(
                    use_running_average=not train, momentum=0.9, dtype=self.dtype, name=f"norm{number}"
                )(x)
            x = nn.relu(x)
            if number == 1:
                x = nn.Dropout(self.dropout, deterministic=not train)(x)
        return x


def _activated(task: Task, raw: Float[Array, "batch y x"]) -> Float[Array, "batch y x"]:
    return nn.relu(raw) if task.is_distance else jax.nn.sigmoid(raw)
