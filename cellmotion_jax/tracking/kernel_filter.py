"""Correlation filters with a Gaussian kernel (KCF), of the form of `correlation_filter.LinearFilter`.

References:
    Danelljan, Shahbaz Khan, Felsberg, van de Weijer. Adaptive Color Attributes for Real-Time Visual Tracking.
        CVPR 2014.
    Henriques, Caseiro, Martins, Batista. High-Speed Tracking with Kernelized Correlation Filters. PAMI 2015.
"""

from __future__ import annotations

import dataclasses

import flax.struct
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from cellmotion_jax.ops.fourier import gaussian_target_spectrum, half_spectrum_weights
from cellmotion_jax.settings import Positive, Settings, Share
from cellmotion_jax.tracking.correlation_filter import blend, coefficient, spectral_power, window_spectra


@flax.struct.dataclass
class KernelState:
    r"""Learned state of a kernel filter.

    Attributes:
        numerator: Moving average of :math:`Y \odot K`.
        denominator: Moving average of :math:`K \odot (K + \lambda)`, real.
        template: Moving average of the spectra of the windows.
        power: Moving average of the squared norm of the tapered windows.
    """

    numerator: Complex[Array, "cell y frequency"]
    denominator: Float[Array, "cell y frequency"]
    template: Complex[Array, "cell channel y frequency"]
    power: Float[Array, " cell"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class KernelFilter(Settings):
    r"""Kernel ridge regression with a Gaussian kernel over all circular shifts of a window.

    .. math:: k^{xz} = \exp \Big( -\frac{1}{\sigma_k^2 P} \big( \|x\|^2 + \|z\|^2 - 2 \mathcal F^{-1}
        \big( \sum_d \bar X^d \odot Z^d \big) \big)_+ \Big), \quad
        f = \mathcal F^{-1} \Big( K^{xz} \odot \frac{Y \odot K^{xx}}{K^{xx} \odot (K^{xx} + \lambda)} \Big)

    with P the number of pixels and channels of a window (Henriques et al. 2015, Eq. (17), (22), (30)).
    Numerator and denominator are averaged separately (Danelljan et al. 2014, Section 4.1).
    """

    bandwidth: Positive = 0.5
    """Standard deviation of the kernel, sigma_k, in units of a normalised window's feature."""
    regularization: Positive = 1e-4
    """Lambda."""
    learning_rate: Share = 0.01
    """Eta, weight of the newest window in the moving averages."""
    sigma: Positive = 2.0
    """Standard deviation of the Gaussian target in samples of the window."""
    normalize: bool = True
    """Whether windows are scaled to unit power; without it, the bandwidth is in the unit of the features."""

    def init(self, windows: Float[Array, "cell y x channel"], offsets: Float[Array, "cell 2"]) -> KernelState:
        """Learns a filter from one window of each cell; arguments as in `LinearFilter.init`."""
        return self.learn(window_spectra(windows, normalize=self.normalize), offsets, width=windows.shape[2])

    def learn(
        self,
        spectra: Complex[Array, "cell channel y frequency"],
        offsets: Float[Array, "cell 2"],
        *,
        width: int,
    ) -> KernelState:
        """`init` for windows whose spectra are known; arguments as in `LinearFilter.learn`."""
        power = _squared_norm(spectra, width)
        kernel = jnp.fft.rfft2(self._kernel(spectra, power, spectra, power, width))
        # The kernel of a window with itself is even and positive definite, so that its spectrum is real and
        # not negative. What float32 adds to that is taken off: at high frequencies there is nothing else.
        kernel = jnp.maximum(kernel.real, 0.0)
        target = gaussian_target_spectrum(offsets, shape=(spectra.shape[2], width), sigma=self.sigma)
        return KernelState(target * kernel, kernel * (kernel + self.regularization), spectra, power)

    def respond(
        self, state: KernelState, windows: Float[Array, "cell y x channel"]
    ) -> Complex[Array, "cell y frequency"]:
        """Spectra of the responses to new windows; as `LinearFilter.respond`."""
        return self.match(state, window_spectra(windows, normalize=self.normalize), width=windows.shape[2])

    def match(
        self, state: KernelState, spectra: Complex[Array, "cell channel y frequency"], *, width: int
    ) -> Complex[Array, "cell y frequency"]:
        """`respond` for windows whose spectra are known; arguments as in `LinearFilter.learn`."""
        power = _squared_norm(spectra, width)
        kernel = self._kernel(state.template, state.power, spectra, power, width)
        known = state.denominator > 0
        weights = jnp.where(known, state.numerator / jnp.where(known, state.denominator, 1.0), 0.0)
        return jnp.fft.rfft2(kernel) * weights

    def similarity(
        self, state: KernelState, windows: Float[Array, "cell y x channel"]
    ) -> Float[Array, " cell"]:
        """Correlation coefficient of new windows with the template; see `LinearFilter.similarity`."""
        _, height, width, _ = windows.shape
        spectra = window_spectra(windows, normalize=self.normalize)
        matched = jnp.sum(jnp.conj(state.template) * spectra, axis=1)
        norms = [_squared_norm(known, width) * height * width for known in (state.template, spectra)]
        return coefficient(jnp.fft.irfft2(matched, s=(height, width)), *norms)

    def update(
        self,
        state: KernelState,
        windows: Float[Array, "cell y x channel"],
        offsets: Float[Array, "cell 2"],
        rates: Float[Array, " cell"],
    ) -> KernelState:
        """Updates the moving averages with new windows; as `LinearFilter.update`."""
        return blend(state, self.init(windows, offsets), rates)

    def _kernel(
        self, template: Array, template_power: Array, spectra: Array, power: Array, width: int
    ) -> Float[Array, "cell y x"]:
        """Kernel between the template and every circular shift of the windows."""
        _, channels, height, _ = spectra.shape
        cross = jnp.fft.irfft2(jnp.sum(jnp.conj(template) * spectra, axis=1), s=(height, width))
        distance = (template_power + power)[:, None, None] - 2 * cross
        pixels = height * width * channels
        return jnp.exp(-jnp.maximum(distance, 0.0) / (self.bandwidth**2 * pixels))


def _squared_norm(spectra: Complex[Array, "cell channel y frequency"], width: int) -> Float[Array, " cell"]:
    """Squared norms of the windows of given half spectra, by Parseval's theorem."""
    power = spectral_power(spectra) * half_spectrum_weights(width)[None, None]
    return jnp.sum(power, axis=(1, 2)) / (spectra.shape[2] * width)
