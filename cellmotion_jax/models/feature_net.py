"""DeepCell's feature nets: small networks that classify a pixel from the patch around it.

``FeatureNet(FEATURE_NET_31)`` is the network that CellTrack reads its features from,
``FeatureNet(FEATURE_NET_61)`` its larger sibling, for which nuclear weights are published. Both are called in
two ways with the same variables::

    net.apply(variables, patches, train=False, method=net.patches)  # [patch class], one answer per patch
    net.apply(variables, images, train=False)  # FeatureMaps of whole images
    net.apply(variables, images, train=False, layers=4).features  # four maps, nothing deeper is computed

Images are what :func:`cellmotion_jax.ops.intensity.local_contrast` makes of intensities.
"""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.typing import Dtype
from jaxtyping import Array, Float

from cellmotion_jax.models.layers import max_pool_2x2
from cellmotion_jax.models.network import Network
from cellmotion_jax.settings import Range, Settings, Width

BOUNDARY, INTERIOR, BACKGROUND = range(3)
"""The classes, in the order of the published weights."""

# Keras 1 in 2016. The least variance in the published weights is 0.1, so that it hardly matters.
EPSILON = 1e-5


@dataclasses.dataclass(frozen=True)
class Conv(Settings):
    """A convolution without padding, and the ReLU after it."""

    kernel: Annotated[int, Range(1, 64)]
    """Side of the kernel in pixels."""
    width: Width
    """Output channels."""


@dataclasses.dataclass(frozen=True)
class Pool:
    """The maximum of every 2 x 2 pixels, in steps of 2."""


Layer = Conv | Pool

FEATURE_NET_31 = (Conv(4, 32), Pool(), Conv(3, 64), Conv(3, 64), Pool(), Conv(3, 128), Conv(3, 200))
"""Layers of the network with a receptive field of 31 x 31 pixels."""

FEATURE_NET_61 = (
    Conv(3, 64),
    Conv(4, 64),
    Pool(),
    Conv(3, 64),
    Conv(3, 64),
    Pool(),
    Conv(3, 64),
    Conv(3, 64),
    Pool(),
    Conv(4, 200),
)
"""Layers of the network with a receptive field of 61 x 61 pixels."""


class FeatureMaps(NamedTuple):
    """Output for images; all maps ``[batch y x channel]`` have the same height and width."""

    logits: Float[Array, "batch y x class"] | None
    """Boundary, interior, background, before the softmax; None if only features are computed."""
    features: tuple[Float[Array, "batch y x channel"], ...]
    """One map per convolution, after its ReLU, the shallowest first."""


class FeatureNet(Network):
    r"""A patch classifier that is also a dense network (Van Valen et al. 2016).

    Convolutions without padding and 2 x 2 max-pools reduce a patch of ``receptive_field`` pixels to one,
    which two dense layers classify. Each convolution and the first dense layer are followed by a batch
    normalisation, if there is one, and then by the ReLU: the order of the layers in the published files.

    On a whole image every pixel is the centre of a patch of its own. Neighbouring patches share almost all of
    their work: with every pool taken at stride 1, and what follows it dilated by 2, one pass over the image
    gives the answers of all patches, equal but for rounding. They are :math:`r - 1` fewer than the image has
    pixels along each axis, for a receptive field of :math:`r` pixels.

    All maps are cut to the size of the deepest, so that a pixel of any of them stands for the same pixel of
    the image: the one :math:`(r - 1) / 2` further down and to the right. Where a layer sees an even number of
    pixels its centre lies half a pixel before that; with a stride, less than that stride before.

    Submodules are named after the layers of the weights: ``conv1``, ``norm1``, ``conv2``, ..., ``dense1``,
    ``dense2``; the last ``norm`` is that of ``dense1``.

    References:
        Van Valen et al., Deep Learning Automates the Quantitative Analysis of Individual Cells in Live-Cell
        Imaging Experiments, PLoS Computational Biology 12(11), 2016.
    """

    layers: tuple[Layer, ...]
    """Convolutions and pools, such as ``FEATURE_NET_31``."""
    dense_width: Annotated[int, Range(1, 2**16)] = 200
    """Outputs of the first dense layer."""
    classes: Annotated[int, Range(2, 1000)] = 3
    """Outputs of the last one."""
    batch_norm: bool = True
    """Normalise between each layer and its ReLU."""
    dtype: Dtype | None = None
    """Compute type, for example bfloat16; parameters stay float32 and so do the logits."""

    @property
    def receptive_field(self) -> int:
        """Side of the patch of one pixel of the logits, in pixels."""
        return _receptive_field(self.layers)

    @property
    def coarsest(self) -> int:
        """Product of the steps of all pools: the largest stride."""
        return 2 ** sum(isinstance(layer, Pool) for layer in self.layers)

    @property
    def depth(self) -> int:
        """Number of convolutions."""
        return sum(isinstance(layer, Conv) for layer in self.layers)

    @nn.compact
    def __call__(
        self,
        images: Float[Array, "batch y x channel"],
        *,
        train: bool,
        layers: int | None = None,
        stride: int = 1,
    ) -> FeatureMaps:
        """Features and class logits of every pixel whose receptive field lies in the image.

        Args:
            images: Images, normalised.
            train: Whether to normalise by the statistics of the batch.
            layers: Number of convolutions to compute; without one, all and the dense layers. With fewer the
                receptive field is smaller (:meth:`field_of`) and the maps are larger.
            stride: Answer for every ``stride``-th pixel only, starting from the first. As many pools as
                possible are then taken at stride 2, which saves most of the work: 1, 2, 4, ... up to
                ``coarsest``.

        Returns:
            Maps of ``ceil((y - r + 1) / stride)`` rows, and columns alike, for a field of ``r`` pixels.

        Raises:
            ValueError: Images smaller than the receptive field, or a number of layers or a stride that there
                is not.
        """
        if stride not in [2**n for n in range(self.coarsest.bit_length())]:
            raise ValueError(f"stride must be a power of two up to {self.coarsest}, got {stride}")
        field = self.field_of(layers)
        if images.ndim != 4 or min(images.shape[1:3]) < field:
            raise ValueError(
                f"images of shape {images.shape} must be [batch, y, x, channel] with at least {field} pixels "
                "along y and x, what the network sees at once"
            )
        rows, columns = (-(-(side - field + 1) // stride) for side in images.shape[1:3])
        x, features, position = images, [], _Position(1, 1, 0)
        for layer in self._upto(layers):
            if isinstance(layer, Pool):
                # At stride 2 as long as the result may be so coarse, and at stride 1 from there on.
                step = 2 if position.step < stride else 1
                x = max_pool_2x2(x) if step == 2 else _dense_max_pool(x, position.dilation)
                position = position.after_pool(step)
                continue
            number = len(features) + 1
            x = nn.Conv(
                layer.width,
                (layer.kernel, layer.kernel),
                kernel_dilation=position.dilation,
                padding="VALID",
                dtype=self.dtype,
                name=f"conv{number}",
            )(x)
            x = self._normalized(x, number, train=train)
            position = position.after_conv(layer.kernel)
            features.append((x, position))
        logits = None
        if layers is None:
            x = nn.Dense(self.dense_width, dtype=self.dtype, name="dense1")(x)
            x = self._normalized(x, len(features) + 1, train=train)
            logits = nn.Dense(self.classes, dtype=jnp.float32, name="dense2")(x)
        cut = tuple(at.centred(x, field, rows, columns, stride) for x, at in features)
        return FeatureMaps(logits, cut)

    def patches(
        self, patches: Float[Array, "patch y x channel"], *, train: bool
    ) -> Float[Array, "patch class"]:
        """The class of the central pixel of each patch.

        Args:
            patches: Patches of ``receptive_field`` pixels along y and x.
            train: Whether to normalise by the statistics of the batch.

        Returns:
            Logits: boundary, interior, background.

        Raises:
            ValueError: Patches of another size.
        """
        side = self.receptive_field
        if patches.ndim != 4 or patches.shape[1:3] != (side, side):
            raise ValueError(f"patches of shape {patches.shape} must be [patch, {side}, {side}, channel]")
        maps = self(patches, train=train, stride=self.coarsest)
        return maps.logits[:, 0, 0]  # type: ignore[index]  # No layer was left out.

    def field_of(self, layers: int | None) -> int:
        """Receptive field of the first convolutions; ``None`` stands for the whole network."""
        return _receptive_field(self._upto(layers))

    def _upto(self, layers: int | None) -> tuple[Layer, ...]:
        if layers is None:
            return self.layers
        if not 1 <= layers <= self.depth:
            raise ValueError(f"layers must be between 1 and {self.depth}, got {layers}")
        ends = [i for i, layer in enumerate(self.layers, start=1) if isinstance(layer, Conv)]
        return self.layers[: ends[layers - 1]]

    def _normalized(self, x: Array, number: int, *, train: bool) -> Array:
        if self.batch_norm:
            settings = {"momentum": 0.9, "epsilon": EPSILON, "dtype": self.dtype, "name": f"norm{number}"}
            x = nn.BatchNorm(use_running_average=not train, **settings)(x)
        return nn.relu(x)


def ensemble_probabilities(
    net: FeatureNet, variables: dict[str, Any], images: Float[Array, "batch y x channel"], *, stride: int = 1
) -> Float[Array, "batch y2 x2 class"]:
    """Mean of the softmax of several networks that differ in their variables only.

    The members run one after the other: mapped over by ``vmap``, convolutions are twice as slow on a CPU.

    Args:
        net: The network.
        variables: Its variables with a leading ``member`` axis in every array.
        images: Images, normalised.
        stride: As for the network.

    Returns:
        Probabilities of boundary, interior and background, float32.
    """

    def of_member(member: dict[str, Any]) -> Array:
        logits = net.apply(member, images, train=False, stride=stride).logits  # type: ignore[union-attr]
        return jax.nn.softmax(logits)

    return jnp.mean(jax.lax.map(of_member, variables), axis=0)


class _Position(NamedTuple):
    """Geometry of the pixels of a map in the image."""

    step: int
    """Pixels of the image from one pixel of the map to the next."""
    dilation: int
    """Distance, in pixels of the map, between the inputs of one kernel of the next layer."""
    reach: int
    """Size of the receptive field of a pixel of the map, minus 1."""

    def after_conv(self, kernel: int) -> _Position:
        return self._replace(reach=self.reach + (kernel - 1) * self.step * self.dilation)

    def after_pool(self, step: int) -> _Position:
        reach = self.reach + self.step * self.dilation
        return _Position(self.step * step, self.dilation * (2 // step), reach)

    def centred(self, x: Array, field: int, rows: int, columns: int, stride: int) -> Array:
        """The pixels of a map that stand for those of the result, the field of whose first begins at 0."""
        first = (field - 1 - self.reach) // 2 // self.step
        every = stride // self.step
        return x[:, first : first + rows * every : every, first : first + columns * every : every]


def _dense_max_pool(x: Array, dilation: int) -> Array:
    """The larger of every two pixels `dilation` apart, along y and x."""
    for axis in (1, 2):
        end = x.shape[axis]
        x = jnp.maximum(
            jax.lax.slice_in_dim(x, 0, end - dilation, axis=axis),
            jax.lax.slice_in_dim(x, dilation, end, axis=axis),
        )
    return x


def _receptive_field(layers: tuple[Layer, ...]) -> int:
    position = _Position(1, 1, 0)
    for layer in layers:
        position = position.after_pool(1) if isinstance(layer, Pool) else position.after_conv(layer.kernel)
    return 1 + position.reach
