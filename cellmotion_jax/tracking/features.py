"""Features for the filters: maps of a frame, computed once, and windows of them for all cells."""

from __future__ import annotations

import abc
from typing import Any, NamedTuple, Protocol, runtime_checkable

import flax.struct
import jax.numpy as jnp
from jaxtyping import Array, Float

from cellmotion_jax.ops.intensity import standardize
from cellmotion_jax.ops.windows import gather_windows, sample_windows


class Windows(NamedTuple):
    """Features around each cell.

    Attributes:
        levels: From fine to coarse; side and stride of each multiply to the window's side in pixels.
        centre: Log evidence, up to a constant, that the centre of any cell lies at each position of the
            finest level; None if the features do not predict centres.
    """

    levels: tuple[Float[Array, "cell _y _x _channel"], ...]
    centre: Float[Array, "cell y x"] | None


@runtime_checkable
class Features(Protocol):
    """Features of a movie's frames; a pytree, so that a network's parameters are arguments of the program."""

    @property
    def compressed(self) -> bool:
        """Whether frames are given with compressed intensities (`methods.celltrack.grid`)."""
        ...

    @property
    def strides(self) -> tuple[int, ...]:
        """Pixels between the samples of each level, from fine to coarse."""
        ...

    def prepare(self, frame: Float[Array, "y x"]) -> Any:
        """Computes the maps of a frame, once per frame."""
        ...

    def windows(
        self,
        prepared: Any,
        centres: Float[Array, "cell 2"],
        scales: Float[Array, " cell"] | None,
        *,
        size: int,
    ) -> Windows:
        """Features around points, for all cells in one batch.

        Args:
            prepared: Result of `prepare`.
            centres: Whole pixels (y, x) as floats.
            scales: Enlargement of each window; 1, or None for all, leaves samples `strides` pixels apart.
            size: Side of the window in pixels at scale 1.
        """
        ...


@flax.struct.dataclass
class Maps:
    """Dense features of one frame.

    Attributes:
        levels: One map per level. Sample g of a level of stride s lies at pixel ``(g + 0.5) s - 0.5``.
        centre: Log evidence for cell centres on the grid of the finest level, or None.
    """

    levels: tuple[Float[Array, "_y _x _channel"], ...]
    centre: Float[Array, "y x"] | None = None


def windows_of_maps(
    maps: Maps,
    centres: Float[Array, "cell 2"],
    scales: Float[Array, " cell"] | None,
    *,
    strides: tuple[int, ...],
    size: int,
) -> Windows:
    """Windows of dense maps; beyond the border the nearest feature is repeated.

    Args:
        maps: Features of the frame.
        centres: Whole pixels (y, x) as floats.
        scales: Enlargement of each window, None for 1.
        strides: Pixels between the samples of each level.
        size: Side of the window in pixels, a multiple of every stride.

    Returns:
        Windows of ``size // stride`` samples.
    """

    def cut(level: Array, stride: int) -> Array:
        if scales is None and stride == 1:
            return gather_windows(level, centres.astype(jnp.int32), size=size)
        steps = jnp.ones(len(centres)) if scales is None else scales
        return sample_windows(level, (centres + 0.5) / stride - 0.5, steps, size=size // stride)

    levels = tuple(cut(level, stride) for level, stride in zip(maps.levels, strides))
    centre = None if maps.centre is None else cut(maps.centre[..., None], strides[0])[..., 0]
    return Windows(levels, centre)


class DenseFeatures(abc.ABC):
    """Base class of features whose `prepare` returns `Maps`; windows are cut from these maps."""

    @property
    @abc.abstractmethod
    def strides(self) -> tuple[int, ...]:
        """See `Features.strides`."""

    def windows(
        self,
        prepared: Maps,
        centres: Float[Array, "cell 2"],
        scales: Float[Array, " cell"] | None,
        *,
        size: int,
    ) -> Windows:
        """See `Features.windows`."""
        return windows_of_maps(prepared, centres, scales, strides=self.strides, size=size)


@flax.struct.dataclass
class Intensity(DenseFeatures):
    """Standardised intensities of the frame as the only feature."""

    @property
    def compressed(self) -> bool:
        """Frames are given compressed."""
        return True

    @property
    def strides(self) -> tuple[int, ...]:
        """One level of every pixel."""
        return (1,)

    def prepare(self, frame: Float[Array, "y x"]) -> Maps:
        """Intensities of mean 0 and variance 1."""
        return Maps((standardize(frame[..., None]),))


@flax.struct.dataclass
class IntensityAndGradient(DenseFeatures):
    """Standardised intensities and their two central differences, each scaled to variance 1."""

    @property
    def compressed(self) -> bool:
        """Frames are given compressed."""
        return True

    @property
    def strides(self) -> tuple[int, ...]:
        """One level of every pixel."""
        return (1,)

    def prepare(self, frame: Float[Array, "y x"]) -> Maps:
        """Intensity, and its differences along y and x."""
        down, right = jnp.gradient(frame)
        channels = [standardize(channel[..., None]) for channel in (frame, down, right)]
        return Maps((jnp.concatenate(channels, axis=-1),))
