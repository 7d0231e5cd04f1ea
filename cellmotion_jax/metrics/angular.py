"""Angular errors of predicted directions, and baselines of a quadrant classifier and of a random guess.

Angles are in radians, errors in degrees. The sections and equations are those of Bruns et
al., *Single Image Estimation of Cell Migration Direction by Deep Circular Regression*, 2024.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from cellmotion_jax.errors import InputError
from cellmotion_jax.ops.angles import absolute_difference
from cellmotion_jax.ops.arguments import Number, to_floats
from cellmotion_jax.ops.host_arguments import one_number
from cellmotion_jax.ops.numerics import check_same_shape

UNIFORM_GUESS_DEG = 90.0
"""Expected error of a uniformly random direction: the mean of a uniform error in [0, 180] degrees."""


def mean_angular_error_deg(
    predictions: Number[ArrayLike, "..."] | Sequence, targets: Number[ArrayLike, "..."] | Sequence
) -> Float[Array, ""]:
    r"""The paper's :math:`E_{deg}`: mean length of the shorter arc (Section 3.2, Eq. 13), in degrees.

    .. math:: \frac{180}{\pi n} \sum_i \min(|\alpha_i - \beta_i|, 2\pi - |\alpha_i - \beta_i|)

    Deviation: periodic in angles of any size. A NaN among the angles makes the result NaN.

    Args:
        predictions: Radians, any finite values, at least one.
        targets: Radians, of the shape of ``predictions``.

    Returns:
        Degrees in [0, 180]; 90 is the value of a random guess.

    Raises:
        ValueError: If the shapes differ, or if there is nothing to average.

    >>> f"{mean_angular_error_deg(jnp.array([0.1, 6.2]), jnp.array([6.2, 6.2])):.2f}"
    '5.25'
    """
    predictions, targets = to_floats("predictions", predictions), to_floats("targets", targets)
    check_same_shape(predictions=predictions, targets=targets)
    errors = absolute_difference(predictions, targets)
    if not errors.size:
        raise ValueError(f"predictions and targets hold no angle to average: shape {errors.shape}")
    return jnp.degrees(jnp.mean(errors))


class QuadrantBaseline(NamedTuple):
    """Errors, in degrees, of a quadrant classifier whose prediction is the middle of the quadrant."""

    mean: float
    """Expected error."""
    maximal: float
    """Expected value of the largest possible error, given the chosen quadrant."""
    maximal_as_printed: float
    """``maximal`` as printed in the paper, where one of the two neighbouring quadrants is left out."""


def quadrant_baseline_deg(
    accuracy: Number[ArrayLike, ""], *, each_wrong: Number[ArrayLike, ""] | None = None
) -> QuadrantBaseline:
    r"""Angular errors of a four-quadrant classifier of known accuracy (Section 3.3).

    With the share :math:`a` of right answers, the share :math:`w` of each of the three wrong quadrants
    and directions uniform within the true quadrant,

    .. math::
       \text{mean} = a\,\tfrac{\pi}{8} + w (\tfrac{\pi}{2} + \tfrac{\pi}{2} + \tfrac{7\pi}{8}), \qquad
       \text{maximal} = a\,\tfrac{\pi}{4} + w (\tfrac{3\pi}{4} + \tfrac{3\pi}{4} + \pi).

    Three slips in the paper's numbers: the accuracy of U373 is 81.76 % in the text and 81.86 % in the
    sums; :math:`w` is rounded to 4.04 and 6.05 % before it is used; and the printed maxima of 52.28
    and 55.89 degrees follow from :math:`w (\tfrac{3\pi}{4} + \pi)`, that is, from one neighbouring
    quadrant instead of the two in the formula beside them, which gives 57.73 and 64.06. All printed
    figures come out with ``accuracy=0.8789, each_wrong=0.0404`` and ``accuracy=0.8186,
    each_wrong=0.0605``.

    Args:
        accuracy: Share of right quadrants, in [0, 1].
        each_wrong: Share of each wrong quadrant, in [0, 1]; a third of the remainder if absent.

    Returns:
        Mean and maximal error in degrees, the latter also as printed.

    Raises:
        InputError: If a share is not in [0, 1], such as an accuracy in percent.

    >>> [f"{value:.2f}" for value in quadrant_baseline_deg(0.8789, each_wrong=0.0404)]
    ['33.41', '57.73', '52.28']
    """
    accuracy = one_number("accuracy", accuracy)
    wrong = (1 - accuracy) / 3 if each_wrong is None else one_number("each_wrong", each_wrong)
    for name, share in {"accuracy": accuracy, "each_wrong": wrong}.items():
        if not 0 <= share <= 1:
            raise InputError(f"{name} must be a share between 0 and 1, got {share:g}")
    return QuadrantBaseline(
        mean=accuracy * 22.5 + wrong * (90 + 90 + 157.5),
        maximal=accuracy * 45 + wrong * (135 + 135 + 180),
        maximal_as_printed=accuracy * 45 + wrong * (135 + 180),
    )


def maximum_error_estimate_deg(mean: Number[ArrayLike, ""], std: Number[ArrayLike, ""]) -> float:
    """The paper's estimate of the largest error, mean plus three standard deviations (Section 3.2).

    Both are taken over the folds, so the estimate bounds the mean error of a fold and not, as its name
    suggests, the error of a cell.

    Args:
        mean: Mean of E_deg over the folds, in degrees.
        std: Standard deviation of E_deg over the folds, in degrees.

    Returns:
        Degrees.

    >>> f"{maximum_error_estimate_deg(17.27, 2.26):.2f}"  # NIH3T3, as printed
    '24.05'
    """
    return one_number("mean", mean) + 3 * one_number("std", std)
