"""The direction experiments: data, members, training, evaluation and report, in this order."""

from __future__ import annotations

import dataclasses
import logging
import pathlib
from typing import Annotated, Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import tyro

from cellmotion_jax.errors import InputError
from cellmotion_jax.methods.direction.augmentation import DirectionAugmentation
from cellmotion_jax.methods.direction.data import (
    DirectionData,
    DirectionSamples,
    Member,
    Protocol,
    load_samples,
    make_members,
    members_data,
)
from cellmotion_jax.methods.direction.evaluation import Evaluator, MemberPredictions
from cellmotion_jax.methods.direction.objective import (
    AngleLoss,
    AngleObjective,
    CircleActivation,
    CircleLoss,
    CircleObjective,
    DirectionObjective,
    ObjectivePerMember,
    VonMisesObjective,
)
from cellmotion_jax.methods.direction.results import write_results
from cellmotion_jax.models.direction import FineTunedCNN, ProbingCNN
from cellmotion_jax.settings import Count, Range
from cellmotion_jax.training.config import AdamW, Optimizer, Phase, Run
from cellmotion_jax.training.experiment import (
    Entry,
    Experiment,
    train_network,
)
from cellmotion_jax.weights.catalogue import CATALOGUE
from cellmotion_jax.weights.convert import load_weights


@dataclasses.dataclass(frozen=True, kw_only=True)
class DirectionExperiment(Experiment):
    """Trains a direction network for every objective, protocol and fold, and tests it on unseen cells."""

    METHOD = "direction"

    model: tyro.conf.Suppress[ProbingCNN | FineTunedCNN] = ProbingCNN()
    """The network; the number of its output neurons is given by the objective."""
    weights: pathlib.Path | None = None
    """File with pretrained weights of the backbone, from `cellmotion import-weights`; None for random
    initialisation."""
    objectives: tuple[DirectionObjective, ...] = (CircleObjective(),)
    """Encoding, output activation and loss; several objectives are trained together."""
    data: DirectionData = DirectionData()
    """Sources of the cells."""
    protocols: tuple[Protocol, ...] | None = None
    """Protocols of the split; None: by movie for simulated data, by image and by track for real data."""
    folds: Count | None = None
    """Number of random splits per protocol; None: 1 for simulated data, 4 (as in the paper) for real data."""
    augmentation: DirectionAugmentation = DirectionAugmentation(shift=0.05)
    """Random similarity transforms of the training images. Crops are centred on their cells; shifts as large
    as the 0.2 of the paper mainly show more of the neighbours."""
    optimizer: Optimizer = AdamW(weight_decay=1e-4)
    phases: tuple[Phase, ...] = (Phase(steps=600, warmup_steps=50, final_fraction=0.02),)
    test_time_rotations: Annotated[int, Range(1, 3600)] = 14
    """Number of rotated versions of a test image, including the original, for test-time augmentation (Table
    5); 1 for none."""

    def check_together(self) -> None:
        """Refuses settings that leave nothing to do."""
        super().check_together()
        if not self.objectives:
            self.refuse("objectives", "name at least one")

    def train_in(self, folder: pathlib.Path) -> None:
        """See `Experiment`."""
        pretrained = self._pretrained()
        samples = load_samples(self.data, cache=folder / "data", seed=self.run.seed)

        predictions: list[MemberPredictions] = []
        groups = self._groups()
        for name, objectives in groups.items():
            members = make_members(
                samples,
                protocols=self._protocols(),
                folds=self.folds or (1 if self.data.root is None else 4),
                objectives=[objective.label for objective in objectives],
                seed=self.run.seed,
            )
            inner = folder / name if len(groups) > 1 else folder
            predictions += self._train_group(samples, objectives, members, inner, pretrained)
        write_results(folder, samples, predictions, simulated=self.data.root is None)

    def _train_group(
        self,
        samples: DirectionSamples,
        objectives: tuple[DirectionObjective, ...],
        members: list[Member],
        folder: pathlib.Path,
        pretrained: dict[str, Any],
    ) -> list[MemberPredictions]:
        """Trains all members with one architecture together."""
        model = self._model(objectives[0])
        objective = ObjectivePerMember(objectives)
        evaluator = Evaluator(model, objective, samples, members, batch_size=self.run.batch_size)
        best = train_network(
            self,
            folder=folder,
            network=model,
            objective=objective,
            augment=self.augmentation,
            data=members_data(samples, members, self.run),
            members=[member.name for member in members],
            evaluate=evaluator.validate,
            best_metric="E_deg",
            pretrained=pretrained,
        )
        return evaluator.test(best, versions=self.test_time_rotations, seed=self.run.seed)

    def _model(self, objective: DirectionObjective) -> nn.Module:
        """The network with the outputs that an objective needs, in the chosen floating-point type."""
        dtype = self.precision.value
        model = self.model.clone(neurons=objective.neurons, kappa_head=objective.kappa_head, dtype=dtype)
        return (
            model.clone(backbone=model.backbone.clone(dtype=dtype))
            if isinstance(model, FineTunedCNN)
            else model
        )

    def _shapes(self) -> dict[str, Any]:
        """Shapes of all variables; computed first, so that an unsupported image size is found early."""
        size = self.data.image_size
        model = self._model(self.objectives[0])
        images = jax.ShapeDtypeStruct((1, size, size, 1), jnp.float32)
        try:
            return jax.eval_shape(lambda images: model.init(jax.random.key(0), images, train=False), images)
        except ValueError as error:
            raise InputError(f"data.image-size {size} does not suit the network: {error}.") from error

    def _pretrained(self) -> dict[str, Any]:
        """Pretrained variables of the backbone, at their paths in the network."""
        shapes = self._shapes()
        if self.weights is None:
            if isinstance(self.model, FineTunedCNN):
                logging.getLogger(__name__).warning("No --weights: the backbone starts from random values.")
            return {}
        if not isinstance(self.model, FineTunedCNN):
            name = type(self.model).__name__
            raise InputError(f"--weights {self.weights} has no use: the {name} has no backbone.")
        loaded = load_weights(self.weights)
        pretrained = {kind: {"backbone": tree} for kind, tree in loaded.variables.items()}
        expected = {
            kind: {"backbone": tree["backbone"]} for kind, tree in shapes.items() if "backbone" in tree
        }
        same = jax.tree.map(np.shape, pretrained) == jax.tree.map(np.shape, expected)
        if not same or loaded.scaling != self.model.scaling:
            raise InputError(
                f"{self.weights} holds {loaded.model}, which is not the backbone of this experiment, "
                f"{type(self.model.backbone).__name__}; choose the experiment direction-{loaded.model}."
            )
        return pretrained

    def _protocols(self) -> tuple[Protocol, ...]:
        if self.protocols:
            return self.protocols
        return (Protocol.by_movie,) if self.data.root is None else (Protocol.by_image, Protocol.by_track)

    def _groups(self) -> dict[str, tuple[DirectionObjective, ...]]:
        """Objectives by the name of their architecture; those of one architecture share a compiled step."""
        groups: dict[str, tuple[DirectionObjective, ...]] = {}
        for objective in self.objectives:
            name = f"neurons-{objective.neurons}" + ("-kappa" if objective.kappa_head else "")
            groups[name] = (*groups.get(name, ()), objective)
        return groups


# Table 3 in the paper's order.
NINE_CONFIGURATIONS: tuple[DirectionObjective, ...] = (
    *(AngleObjective(loss=loss) for loss in AngleLoss),
    *(
        CircleObjective(activation=activation, loss=loss)
        for activation in CircleActivation
        for loss in CircleLoss
    ),
)

# Section 2.4: the whole network first, then the head alone.
FINE_TUNING = (
    Phase(epochs=10, warmup_steps=20, statistics_momentum=0.9),
    Phase(epochs=50, frozen=("backbone",), final_fraction=0.02),
)

EXPERIMENTS: dict[str, Entry] = {
    "direction": Entry(
        "Bruns et al. 2024, Table 3, the chosen configuration (two neurons, sigmoid, dist squared), "
        "probing CNN",
        DirectionExperiment(),
    ),
    "direction-von-mises": Entry(
        "Bruns et al. 2024, Eq. (9) with a predicted concentration, probing CNN: calibrated confidence",
        DirectionExperiment(objectives=(VonMisesObjective(),)),
    ),
    "direction-grid": Entry(
        "Bruns et al. 2024, Table 3, all nine configurations x 4 folds, trained side by side at 64 x 64 "
        "pixels",
        # 36 trainings: half the image size of Table 1 and no test-time rotations make them a job of minutes.
        DirectionExperiment(
            objectives=NINE_CONFIGURATIONS,
            data=DirectionData(image_size=64),
            folds=4,
            test_time_rotations=1,
            run=Run(checkpoint_every=500, evaluate_every=200),
        ),
    ),
    **{
        f"direction-{name}": Entry(
            f"Bruns et al. 2024, Table 4, {name} fine-tuned: 10 epochs of all weights, 50 of the head of "
            f"Table 2; --weights from `cellmotion import-weights ... --model {name}`",
            DirectionExperiment(
                model=FineTunedCNN(
                    backbone=CATALOGUE[name].module,
                    scaling=CATALOGUE[name].scaling,  # type: ignore[arg-type]  # These see colours.
                ),
                phases=FINE_TUNING,
            ),
        )
        for name in ("mobilenet-v2-0.35", "efficientnet-v2-b0", "resnet50-keras", "yolov8-n")
    },
    **{
        f"direction-{objective.label.lower().replace(' ', '-').replace('_', '-')}": Entry(
            f"Bruns et al. 2024, Table 3, one configuration: {objective.label}, probing CNN",
            DirectionExperiment(objectives=(objective,)),
        )
        for objective in NINE_CONFIGURATIONS
    },
}
