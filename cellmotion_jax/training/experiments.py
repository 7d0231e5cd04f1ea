"""The experiments by name. Each says which table it reproduces, the command, and the number reached."""

from __future__ import annotations

from typing import NamedTuple

from cellmotion_jax.training.config import Phase
from cellmotion_jax.training.direction import DirectionExperiment
from cellmotion_jax.training.objectives import (
    AngleLoss,
    AngleObjective,
    CircleActivation,
    CircleLoss,
    CircleObjective,
    DirectionObjective,
    VonMisesObjective,
)


class Entry(NamedTuple):
    """An experiment with what ``train.py --list`` says of it."""

    reproduces: str
    experiment: DirectionExperiment


# Table 3 in the paper's order.
NINE_CONFIGURATIONS: tuple[DirectionObjective, ...] = (
    *(AngleObjective(loss=loss) for loss in AngleLoss),
    *(
        CircleObjective(activation=activation, loss=loss)
        for activation in CircleActivation
        for loss in CircleLoss
    ),
)

DEFAULT = "direction"

EXPERIMENTS: dict[str, Entry] = {
    DEFAULT: Entry(
        "siecmd Table 3, the chosen configuration (two neurons, sigmoid, dist squared), probing CNN",
        DirectionExperiment(),
    ),
    "direction-von-mises": Entry(
        "siecmd Eq. (9) with a predicted concentration, probing CNN: calibrated confidence",
        DirectionExperiment(objectives=(VonMisesObjective(),)),
    ),
    "direction-grid": Entry(
        "siecmd Table 3, all nine configurations x 4 folds, trained side by side",
        DirectionExperiment(objectives=NINE_CONFIGURATIONS, folds=4, phases=(Phase(steps=400),)),
    ),
    **{
        f"direction-{objective.label.lower().replace(' ', '-').replace('_', '-')}": Entry(
            f"siecmd Table 3, one configuration: {objective.label}, probing CNN",
            DirectionExperiment(objectives=(objective,)),
        )
        for objective in NINE_CONFIGURATIONS
    },
}
