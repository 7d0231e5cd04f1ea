"""Correlation filters for many cells at once, learned and applied in the Fourier domain.

A filter is learned from one window of features and answers every later window with a map over shifts, high
where the cell is. Learning has a closed form, so that it costs two transforms, and the gradient flows through
it to the features. Two forms share one interface: `LinearFilter` (Jackson-Smith 2016, after Ma et al. 2015
and Bolme et al. 2010) and `KernelFilter` (Henriques et al. 2015). Both are configurations; what is learned
is a state that they return, one entry per cell, and all of their methods are pure.

Windows are ``[cell, y, x, channel]`` with the believed place of the cell near entry ``size // 2``; spectra
are ``[cell, channel, y, frequency]``. Entry ``[0, 0]`` of a response is the zero shift.

References:
    Bolme, Beveridge, Draper, Lui. Visual Object Tracking using Adaptive Correlation Filters. CVPR 2010.
    Danelljan, Shahbaz Khan, Felsberg, van de Weijer. Adaptive Color Attributes for Real-Time Visual Tracking.
        CVPR 2014.
    Henriques, Caseiro, Martins, Batista. High-Speed Tracking with Kernelized Correlation Filters. PAMI 2015.
    Jackson-Smith. Cell Tracking using Convolutional Neural Networks. 2016.
    Ma, Huang, Yang, Yang. Hierarchical Convolutional Features for Visual Tracking. ICCV 2015.
"""

from __future__ import annotations

import dataclasses
from typing import Protocol, TypeVar

import flax.struct
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from cellmotion_jax.ops.fourier import gaussian_target, hann_window

State = TypeVar("State")


class CorrelationFilter(Protocol[State]):
    """What the tracker asks of a filter."""

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

    def update(
        self,
        state: State,
        windows: Float[Array, "cell y x channel"],
        offsets: Float[Array, "cell 2"],
        rates: Float[Array, " cell"],
    ) -> State:
        """Blends what new windows teach into the filters."""
        ...


@flax.struct.dataclass
class LinearState:
    r"""What a linear filter has learned.

    Attributes:
        numerator: Moving average of :math:`Y \odot \bar X^d`.
        denominator: Moving average of :math:`\sum_d X^d \odot \bar X^d`, real.
    """

    numerator: Complex[Array, "cell channel y frequency"]
    denominator: Float[Array, "cell y frequency"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class LinearFilter:
    r"""Ridge regression from all circular shifts of a window to a Gaussian, one filter per channel.

    .. math:: W^d = \frac{Y \odot \bar X^d}{\sum_i X^i \odot \bar X^i + \lambda}, \qquad
        f = \mathcal F^{-1} \Big( \sum_d W^d \odot Z^d \Big)

    (Jackson-Smith 2016, Eq. (2) and (3).) Deviations: the paper prints :math:`\bar Z` in Eq. (3), which
    does not correlate; with :math:`Z` the response to a window shifted by s peaks exactly at s. Numerator
    and denominator have moving averages of their own (the paper says that the filters are averaged), as in
    Bolme et al. 2010.
    """

    regularization: float = 0.01
    """Lambda, as a share of the mean power of a normalised window over its frequencies."""
    learning_rate: float = 0.01
    """Share of the newest window in the moving averages, eta."""
    sigma: float = 2.0
    """Standard deviation of the Gaussian target in samples of the window."""
    normalize: bool = True
    """Whether windows are scaled to unit power; off, the filter hears the loudest feature most."""

    def init(self, windows: Float[Array, "cell y x channel"], offsets: Float[Array, "cell 2"]) -> LinearState:
        """Learns a filter from one window of each cell.

        Args:
            windows: Features around each cell.
            offsets: Place (y, x) of the cell relative to entry ``size // 2``, in samples.

        Returns:
            The state that this window alone teaches.
        """
        spectra = window_spectra(windows, normalize=self.normalize)
        target = _target_spectra(offsets, windows.shape[1:3], self.sigma)
        return LinearState(target[:, None] * jnp.conj(spectra), _power(spectra))

    def respond(
        self, state: LinearState, windows: Float[Array, "cell y x channel"]
    ) -> Complex[Array, "cell y frequency"]:
        """Spectra of the responses to new windows; `jnp.fft.irfft2` makes maps of them.

        Args:
            state: What has been learned.
            windows: Features around where each cell is looked for.

        Returns:
            One spectrum per cell; the response to the training window has a peak of about 1.
        """
        spectra = window_spectra(windows, normalize=self.normalize)
        matched = jnp.sum(state.numerator * spectra, axis=1)
        size = windows.shape[1] * windows.shape[2]
        return matched / (state.denominator + self.regularization * size)

    def update(
        self,
        state: LinearState,
        windows: Float[Array, "cell y x channel"],
        offsets: Float[Array, "cell 2"],
        rates: Float[Array, " cell"],
    ) -> LinearState:
        """Blends what new windows teach into both moving averages.

        Args:
            state: What has been learned before.
            windows: Features around each cell.
            offsets: Place of the cell relative to entry ``size // 2``, in samples.
            rates: Weight of the new window per cell: 0 keeps the filter, 1 replaces it.

        Returns:
            The new state.
        """
        new = self.init(windows, offsets)
        return LinearState(
            _blend(state.numerator, new.numerator, rates),
            _blend(state.denominator, new.denominator, rates),
        )


@flax.struct.dataclass
class KernelState:
    r"""What a kernel filter has learned.

    Attributes:
        numerator: Moving average of :math:`Y \odot K`.
        denominator: Moving average of :math:`K \odot (K + \lambda)`.
        template: Moving average of the spectra of the windows.
        power: Moving average of the squared norm of the tapered windows.
    """

    numerator: Complex[Array, "cell y frequency"]
    denominator: Complex[Array, "cell y frequency"]
    template: Complex[Array, "cell channel y frequency"]
    power: Float[Array, " cell"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class KernelFilter:
    r"""Kernel ridge regression with a Gaussian kernel over all circular shifts of a window.

    .. math:: k^{xz} = \exp \Big( -\frac{1}{\sigma_k^2 P} \big( \|x\|^2 + \|z\|^2 - 2 \mathcal F^{-1}
        \big( \sum_d \bar X^d \odot Z^d \big) \big)_+ \Big), \quad
        f = \mathcal F^{-1} \Big( K^{xz} \odot \frac{Y \odot K^{xx}}{K^{xx} \odot (K^{xx} + \lambda)} \Big)

    with P the number of pixels and channels of a window (Henriques et al. 2015, Eq. (17), (22), (30)).
    Numerator and denominator are averaged separately (Danelljan et al. 2014, Section 4.1).
    """

    bandwidth: float = 0.5
    """Standard deviation of the kernel, sigma_k, in units of a normalised window's feature."""
    regularization: float = 1e-4
    """Lambda."""
    learning_rate: float = 0.01
    """Share of the newest window in the moving averages, eta."""
    sigma: float = 2.0
    """Standard deviation of the Gaussian target in samples of the window."""
    normalize: bool = True
    """Whether windows are scaled to unit power; off, the bandwidth is in the features' own unit."""

    def init(self, windows: Float[Array, "cell y x channel"], offsets: Float[Array, "cell 2"]) -> KernelState:
        """Learns a filter from one window of each cell; arguments as in `LinearFilter.init`."""
        template = window_spectra(windows, normalize=self.normalize)
        power = _squared_norm(template, windows.shape[2])
        kernel = jnp.fft.rfft2(self._kernel(template, power, template, power, windows.shape[1:]))
        target = _target_spectra(offsets, windows.shape[1:3], self.sigma)
        return KernelState(target * kernel, kernel * (kernel + self.regularization), template, power)

    def respond(
        self, state: KernelState, windows: Float[Array, "cell y x channel"]
    ) -> Complex[Array, "cell y frequency"]:
        """Spectra of the responses to new windows; as `LinearFilter.respond`."""
        spectra = window_spectra(windows, normalize=self.normalize)
        power = _squared_norm(spectra, windows.shape[2])
        kernel = self._kernel(state.template, state.power, spectra, power, windows.shape[1:])
        known = jnp.abs(state.denominator) > 0
        weights = jnp.where(known, state.numerator / jnp.where(known, state.denominator, 1.0), 0.0)
        return jnp.fft.rfft2(kernel) * weights

    def update(
        self,
        state: KernelState,
        windows: Float[Array, "cell y x channel"],
        offsets: Float[Array, "cell 2"],
        rates: Float[Array, " cell"],
    ) -> KernelState:
        """Blends what new windows teach into the moving averages; as `LinearFilter.update`."""
        new = self.init(windows, offsets)
        return KernelState(
            _blend(state.numerator, new.numerator, rates),
            _blend(state.denominator, new.denominator, rates),
            _blend(state.template, new.template, rates),
            _blend(state.power, new.power, rates),
        )

    def _kernel(
        self, template: Array, template_power: Array, spectra: Array, power: Array, shape: tuple[int, ...]
    ) -> Float[Array, "cell y x"]:
        """Kernel between the template and every circular shift of the windows."""
        height, width, channels = shape
        cross = jnp.fft.irfft2(jnp.sum(jnp.conj(template) * spectra, axis=1), s=(height, width))
        distance = (template_power + power)[:, None, None] - 2 * cross
        pixels = height * width * channels
        return jnp.exp(-jnp.maximum(distance, 0.0) / (self.bandwidth**2 * pixels))


def window_spectra(
    windows: Float[Array, "cell y x channel"], *, normalize: bool
) -> Complex[Array, "cell channel y frequency"]:
    """Spectra of windows whose mean is taken off and whose borders are tapered by a Hann window.

    Args:
        windows: Features.
        normalize: Whether each tapered window is scaled so that its square, summed over channels, has mean 1.

    Returns:
        `jnp.fft.rfft2` of every channel. A constant window has a spectrum of 0, and its gradient is 0.
    """
    _, height, width, _ = windows.shape
    windows = windows - jnp.mean(windows, axis=(1, 2), keepdims=True)
    tapered = jnp.moveaxis(windows, -1, 1) * hann_window((height, width))
    if normalize:
        pixels = height * width
        power = jnp.sum(jnp.square(tapered), axis=(1, 2, 3), keepdims=True) / pixels
        # A window that varies less than float32 resolves holds no cell; it must not be blown up to noise.
        varies = power > 1e-10
        scale = jnp.where(varies, 1 / jnp.sqrt(jnp.where(varies, power, 1.0)), 0.0)
        return jnp.fft.rfft2(tapered * scale)
    return jnp.fft.rfft2(tapered)


def _target_spectra(
    offsets: Array, shape: tuple[int, ...], sigma: float
) -> Complex[Array, "cell y frequency"]:
    return jnp.fft.rfft2(gaussian_target(offsets, shape=(shape[0], shape[1]), sigma=sigma))


def _power(spectra: Array) -> Float[Array, "cell y frequency"]:
    """Squared magnitudes, summed over channels."""
    return jnp.sum(jnp.square(spectra.real) + jnp.square(spectra.imag), axis=1)


def _squared_norm(spectra: Array, width: int) -> Float[Array, " cell"]:
    """Squared norms of the windows of given half spectra, by Parseval's theorem."""
    frequencies = spectra.shape[-1]
    twice = jnp.full(frequencies, 2.0).at[0].set(1.0)
    if width % 2 == 0:
        twice = twice.at[-1].set(1.0)
    return jnp.sum(_power(spectra) * twice[None, None, :], axis=(1, 2)) / (spectra.shape[2] * width)


def _blend(old: Array, new: Array, rates: Float[Array, " cell"]) -> Array:
    """Moving averages, one rate per cell; a rate of 0 leaves no trace of the new value, were it NaN."""
    rates = rates.reshape(-1, *[1] * (old.ndim - 1))
    return jnp.where(rates > 0, (1 - rates) * old + rates * new, old)
