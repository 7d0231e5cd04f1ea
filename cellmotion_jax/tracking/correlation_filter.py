"""Correlation filters for many cells at once, learned and applied in the Fourier domain.

A filter is learned from one window of features. Applied to a later window, it gives a response: a map over
shifts that is high where the cell is. Learning has a closed form: it needs two transforms, and is
differentiable with respect to the features. Two forms share one interface: `LinearFilter` (Jackson-Smith
2016, after Ma et al. 2015 and Bolme et al. 2010) and `kernel_filter.KernelFilter` (Henriques et al. 2015).
Both classes hold settings only; what is learned is a state that their methods return, with one entry per
cell. All methods are pure.

Windows are ``[cell, y, x, channel]`` with the estimated position of the cell near entry ``size // 2``;
spectra are ``[cell, channel, y, frequency]``. Entry ``[0, 0]`` of a response is the zero shift.

References:
    Bolme, Beveridge, Draper, Lui. Visual Object Tracking using Adaptive Correlation Filters. CVPR 2010.
    Jackson-Smith. Cell Tracking using Convolutional Neural Networks. 2016.
    Ma, Huang, Yang, Yang. Hierarchical Convolutional Features for Visual Tracking. ICCV 2015.
"""

from __future__ import annotations

import dataclasses
from typing import Protocol, TypeVar, runtime_checkable

import flax.struct
import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from cellmotion_jax.ops.fourier import gaussian_target_spectrum, half_spectrum_weights, hann_window
from cellmotion_jax.ops.numerics import map_sums
from cellmotion_jax.settings import Positive, Settings, Share

State = TypeVar("State")


@runtime_checkable
class CorrelationFilter(Protocol[State]):
    """Interface of a filter, as the tracker uses it."""

    @property
    def learning_rate(self) -> float:
        """Share of the newest window in the moving averages."""
        ...

    def init(self, windows: Float[Array, "cell y x channel"], offsets: Float[Array, "cell 2"]) -> State:
        """Learns a filter from one window of each cell."""
        ...

    def respond(
        self, state: State, windows: Float[Array, "cell y x channel"]
    ) -> Complex[Array, "cell y frequency"]:
        """Spectra of the responses to new windows."""
        ...

    def similarity(self, state: State, windows: Float[Array, "cell y x channel"]) -> Float[Array, " cell"]:
        """Similarity of new windows to the learned ones at the best shift; 1 if they are the same."""
        ...

    def update(
        self,
        state: State,
        windows: Float[Array, "cell y x channel"],
        offsets: Float[Array, "cell 2"],
        rates: Float[Array, " cell"],
    ) -> State:
        """Updates the filters with new windows."""
        ...


@flax.struct.dataclass
class LinearState:
    r"""Learned state of a linear filter.

    Attributes:
        numerator: Moving average of :math:`Y \odot \bar X^d`.
        denominator: Moving average of :math:`\sum_d X^d \odot \bar X^d`, real.
    """

    numerator: Complex[Array, "cell channel y frequency"]
    denominator: Float[Array, "cell y frequency"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class LinearFilter(Settings):
    r"""Ridge regression from all circular shifts of a window to a Gaussian, one filter per channel.

    .. math:: W^d = \frac{Y \odot \bar X^d}{\sum_i X^i \odot \bar X^i + \lambda}, \qquad
        f = \mathcal F^{-1} \Big( \sum_d W^d \odot Z^d \Big)

    (Jackson-Smith 2016, Eq. (2) and (3).) Deviations: the paper prints :math:`\bar Z` in Eq. (3), which
    does not correlate; with :math:`Z` the response to a window shifted by s peaks exactly at s. Numerator
    and denominator have moving averages of their own (the paper says that the filters are averaged), as in
    Bolme et al. 2010.
    """

    regularization: Positive = 0.01
    """Lambda, relative to the mean power of a normalised window over its frequencies."""
    learning_rate: Share = 0.01
    """Eta, weight of the newest window in the moving averages."""
    sigma: Positive = 2.0
    """Standard deviation of the Gaussian target in samples of the window."""
    normalize: bool = True
    """Whether windows are scaled to unit power; without it, the features of largest amplitude dominate."""

    def init(self, windows: Float[Array, "cell y x channel"], offsets: Float[Array, "cell 2"]) -> LinearState:
        """Learns a filter from one window of each cell.

        Args:
            windows: Features around each cell.
            offsets: Position (y, x) of the cell relative to entry ``size // 2``, in samples.

        Returns:
            The state learned from this window only.
        """
        return self.learn(window_spectra(windows, normalize=self.normalize), offsets, width=windows.shape[2])

    def learn(
        self,
        spectra: Complex[Array, "cell channel y frequency"],
        offsets: Float[Array, "cell 2"],
        *,
        width: int,
    ) -> LinearState:
        """`init` for windows whose spectra are known.

        Args:
            spectra: `jnp.fft.rfft2` of every channel of a window of each cell.
            offsets: Position (y, x) of the cell relative to entry ``size // 2``, in samples.
            width: Size of the windows along x, which cannot be read from a half spectrum.

        Returns:
            The state learned from these windows only.
        """
        target = gaussian_target_spectrum(offsets, shape=(spectra.shape[2], width), sigma=self.sigma)
        return LinearState(target[:, None] * jnp.conj(spectra), spectral_power(spectra))

    def respond(
        self, state: LinearState, windows: Float[Array, "cell y x channel"]
    ) -> Complex[Array, "cell y frequency"]:
        """Spectra of the responses to new windows; `jnp.fft.irfft2` makes maps of them.

        Args:
            state: The learned state.
            windows: Features around the predicted position of each cell.

        Returns:
            One spectrum per cell; the response to the training window has a peak of about 1.
        """
        return self.match(state, window_spectra(windows, normalize=self.normalize), width=windows.shape[2])

    def match(
        self, state: LinearState, spectra: Complex[Array, "cell channel y frequency"], *, width: int
    ) -> Complex[Array, "cell y frequency"]:
        """`respond` for windows whose spectra are known; arguments as in `learn`."""
        matched = jnp.sum(state.numerator * spectra, axis=1)
        size = spectra.shape[2] * width
        # A real factor for both parts: XLA would divide by a complex number.
        factor = 1 / (state.denominator + self.regularization * size)
        return jax.lax.complex(matched.real * factor, matched.imag * factor)

    def similarity(
        self, state: LinearState, windows: Float[Array, "cell y x channel"]
    ) -> Float[Array, " cell"]:
        r"""Correlation coefficient of new windows with the learned ones at the best shift, to choose a scale.

        .. math:: \rho = \max_s \frac{\sum_{d, \omega} Y \bar X^d Z^d e^{i \omega s}}
            {\sqrt{\sum Y |X|^2 \sum Y |Z|^2}}

        with sums over channels and frequencies, weighted by the target Y. The response itself cannot be used
        to compare scales: the filter divides by the learned spectrum, so that a cell that has shrunk or is
        sharper gives a higher response than the learned one.

        Args:
            state: The learned state.
            windows: Features around the predicted position of each cell.

        Returns:
            Values of at most 1, except for effects of the moving averages; 0 for a constant window.
        """
        _, height, width, _ = windows.shape
        spectra = window_spectra(windows, normalize=self.normalize)
        centred = jnp.zeros((1, 2))
        target = jnp.abs(gaussian_target_spectrum(centred, shape=(height, width), sigma=self.sigma))
        weights = target * half_spectrum_weights(width)[None, None]
        matched = jnp.fft.irfft2(jnp.sum(state.numerator * spectra, axis=1), s=(height, width))
        learned = jnp.sum(weights * state.denominator, axis=(1, 2))
        return coefficient(matched, learned, jnp.sum(weights * spectral_power(spectra), axis=(1, 2)))

    def update(
        self,
        state: LinearState,
        windows: Float[Array, "cell y x channel"],
        offsets: Float[Array, "cell 2"],
        rates: Float[Array, " cell"],
    ) -> LinearState:
        """Updates both moving averages with new windows.

        Args:
            state: The learned state before.
            windows: Features around each cell.
            offsets: Position of the cell relative to entry ``size // 2``, in samples.
            rates: Weight of the new window per cell: 0 keeps the filter, 1 replaces it.

        Returns:
            The new state.
        """
        return blend(state, self.init(windows, offsets), rates)


def window_spectra(
    windows: Float[Array, "cell y x channel"], *, normalize: bool
) -> Complex[Array, "cell channel y frequency"]:
    """Spectra of windows after subtraction of the mean and tapering with a Hann window.

    Args:
        windows: Features.
        normalize: Whether each tapered window is scaled so that its square, summed over channels, has mean 1.

    Returns:
        `jnp.fft.rfft2` of every channel. A constant window has a spectrum of 0, and its gradient is 0.
    """
    _, height, width, _ = windows.shape
    maps = jnp.moveaxis(windows, -1, 1)
    mean = map_sums(maps) / (height * width)
    tapered = (maps - mean[..., None, None]) * hann_window((height, width))[None, None]
    if normalize:
        power = jnp.sum(map_sums(jnp.square(tapered)), axis=1) / (height * width)
        # A window that varies less than float32 resolves holds no cell; its noise must not be blown up.
        varies = power > 1e-10 * jnp.sum(jnp.square(mean), axis=1)
        scale = jnp.where(varies, 1 / jnp.sqrt(jnp.where(varies, power, 1.0)), 0.0)
        tapered = tapered * scale[:, None, None, None]
    return jnp.fft.rfft2(tapered)


def spectral_power(
    spectra: Complex[Array, "cell channel y frequency"],
) -> Float[Array, "cell y frequency"]:
    """Squared magnitudes, summed over channels.

    Args:
        spectra: Spectra of the channels.

    Returns:
        Real values of at least 0.
    """
    return jnp.sum(jnp.square(spectra.real) + jnp.square(spectra.imag), axis=1)


def coefficient(
    correlations: Float[Array, "cell y x"], first: Float[Array, " cell"], second: Float[Array, " cell"]
) -> Float[Array, " cell"]:
    """The highest correlation of two maps over all shifts, divided by the product of their norms.

    Args:
        correlations: Correlation at every shift.
        first: Squared norms of the spectra of the first maps, summed over all frequencies.
        second: The same of the second maps.

    Returns:
        At most 1; 0 where either norm is 0.
    """
    _, height, width = correlations.shape
    norms = first * second
    known = norms > 0
    highest = jnp.max(correlations, axis=(1, 2)) * height * width
    return jnp.where(known, highest / jnp.sqrt(jnp.where(known, norms, 1.0)), 0.0)


def blend(old: State, new: State, rates: Float[Array, " cell"]) -> State:
    """Updates moving averages with one rate per cell.

    Args:
        old: State before.
        new: State learned from the new windows only.
        rates: 0 keeps the old value, also if the new one is NaN; 1 replaces it.

    Returns:
        Weighted sums of both states.
    """

    def blended(before: Array, after: Array) -> Array:
        share = rates.reshape(-1, *[1] * (before.ndim - 1))
        return jnp.where(share > 0, (1 - share) * before + share * after, before)

    return jax.tree.map(blended, old, new)
