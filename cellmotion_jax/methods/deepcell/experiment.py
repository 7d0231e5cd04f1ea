"""The DeepCell experiments: data, replicates of a feature net, training, evaluation, in this order."""

from __future__ import annotations

import dataclasses
import enum
import pathlib
from typing import Annotated, Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from cellmotion_jax.methods.deepcell.augmentation import PixelAugmentation
from cellmotion_jax.methods.deepcell.data import DeepCellData, DeepCellSamples, Sampling, load_crops
from cellmotion_jax.methods.deepcell.evaluation import (
    choose_settings,
    draw_results,
    evaluate_part,
    write_results,
)
from cellmotion_jax.methods.deepcell.model_file import DeepCellModel, save_model
from cellmotion_jax.methods.deepcell.nuclei import DeepCellEnsemble, NucleiSettings
from cellmotion_jax.methods.deepcell.objective import DeepCellObjective
from cellmotion_jax.models.feature_net import FEATURE_NET_31, FEATURE_NET_61, FeatureMaps, FeatureNet
from cellmotion_jax.settings import OneOf, Range
from cellmotion_jax.training.config import AdamW, Optimizer, Phase, Run
from cellmotion_jax.training.experiment import (
    Entry,
    Experiment,
    train_network,
    training_data,
    variables_of,
)
from cellmotion_jax.training.validation import make_validation


class Field(enum.Enum):
    """Receptive field of a network."""

    px31 = FEATURE_NET_31
    """31 x 31 pixels; CellTrack uses features of this network."""
    px61 = FEATURE_NET_61
    """61 x 61 pixels; the weights of this network for nuclei are published."""


class StridedFeatureNet(FeatureNet):
    """A feature net in training, with outputs at every ``stride``-th pixel."""

    stride: Annotated[int, OneOf((1, 2, 4, 8))] = 1
    """1, 2, 4, ... up to ``coarsest``."""

    def __call__(  # type: ignore[override]  # The stride is a field here.
        self, images: Float[Array, "batch y x channel"], *, train: bool
    ) -> FeatureMaps:
        """See `FeatureNet`; the variables are the same."""
        return super().__call__(images, train=train, stride=self.stride)


@dataclasses.dataclass(frozen=True, kw_only=True)
class DeepCellExperiment(Experiment):
    """Trains one feature net, or an ensemble, to classify boundary and interior of nuclei and background.

    Reproduces Van Valen et al. 2016, whose networks CellTrack uses for segmentation and as features.
    ``train.py deepcell --data.root Fluo-N2DL-HeLa --phases.0.steps 400``, one network of 31 x 31 pixels,
    trained in some minutes on two cores, finds the nuclei of the 27 test frames with an F-score of 0.951 by
    their centres and 0.950 (AP 0.905) by outlines at an IoU of 0.5; the F-scores of pixels are 0.673 for the
    boundary, which is predicted too wide (recall 0.956), 0.960 for the interior and 0.988 for the background.
    """

    METHOD = "deepcell"

    field: Field = Field.px31
    """Receptive field of the network."""
    replicates: Annotated[int, Range(1, 1000)] = 1
    """Number of networks that differ in their random seed, trained one after another; five in the paper."""
    batch_norm: bool = True
    """Batch normalisation between each layer and its ReLU."""
    data: DeepCellData = DeepCellData()
    """Sources of the images."""
    augmentation: PixelAugmentation = PixelAugmentation()
    """Random changes of the crops."""
    optimizer: Optimizer = AdamW(weight_decay=1e-4)
    phases: tuple[Phase, ...] = (Phase(steps=1000, learning_rate=1e-3, warmup_steps=20, final_fraction=0.01),)
    run: Run = Run(batch_size=8, evaluate_every=100, checkpoint_every=100)

    def check_together(self) -> None:
        """Refuses settings that leave nothing to do or contradict each other."""
        super().check_together()
        coarsest = FeatureNet(self.field.value).coarsest
        if self.data.stride > coarsest:
            self.refuse("data.stride", f"it is at most {coarsest} for this field")

    def train_in(self, folder: pathlib.Path) -> None:
        """See `Experiment`."""
        network = FeatureNet(self.field.value, batch_norm=self.batch_norm, dtype=self.precision.value)
        samples = load_crops(
            self.data, field=network.receptive_field, cache=folder / "data", seed=self.run.seed
        )
        several = self.replicates > 1
        folders = [folder / f"replicate{i}" if several else folder for i in range(self.replicates)]
        trained = [self._train_one(network, samples, inner, number) for number, inner in enumerate(folders)]
        network = network.clone(dtype=None)
        settings = NucleiSettings(downsample=samples.downsample, stride=self.data.stride)
        together = _ensemble(network, trained)
        settings = choose_settings(together, settings, samples.images.validation)
        for inner, variables in zip(folders, trained):
            model = DeepCellModel(network=network, variables=variables, settings=settings)
            save_model(inner / "model.safetensors", model)

        ensembles = {f"replicate {i}": _ensemble(network, [it]) for i, it in enumerate(trained)}
        if several:
            ensembles[f"ensemble of {self.replicates}"] = together
        results = {
            name: [
                evaluate_part(
                    ensemble,
                    settings,
                    part,
                    images,
                    width=self.data.boundary_width,
                    radius=samples.radius,
                )
                for part, images in (("validation", samples.images.validation), ("test", samples.images.test))
            ]
            for name, ensemble in ensembles.items()
        }
        write_results(folder, results)
        draw_results(folder, together, settings, [*results.values()][-1])

    def _train_one(
        self, network: FeatureNet, samples: DeepCellSamples, folder: pathlib.Path, number: int
    ) -> dict[str, Any]:
        """Trains one replicate and returns its variables."""
        dense = self.data.sampling is Sampling.dense
        weights = samples.weights if dense else (1.0,) * len(samples.weights)
        learned, judged = (
            DeepCellObjective(margin=network.receptive_field // 2, stride=stride, weights=of_class)
            for stride, of_class in (
                (self.data.stride if dense else network.coarsest, weights),
                (self.data.stride, samples.weights),
            )
        )
        run = dataclasses.replace(self.run, seed=self.run.seed + number)
        best = train_network(
            dataclasses.replace(self, run=run),
            folder=folder,
            network=_strided(network, learned.stride),
            objective=learned,
            augment=self.augmentation,
            data=training_data(samples.train, run),
            members=[f"replicate {number}"],
            evaluate=make_validation(
                _strided(network, judged.stride), judged, samples.validation, batch_size=run.batch_size
            ),
        )
        return variables_of(best)


def _strided(network: FeatureNet, stride: int) -> StridedFeatureNet:
    return StridedFeatureNet(
        network.layers, batch_norm=network.batch_norm, dtype=network.dtype, stride=stride
    )


def _ensemble(network: FeatureNet, members: list[dict[str, Any]]) -> DeepCellEnsemble:
    variables = jax.tree.map(lambda *leaves: jnp.stack(leaves), *members)
    return DeepCellEnsemble(network=network, variables=variables)


EXPERIMENTS: dict[str, Entry] = {
    "deepcell": Entry(
        "DeepCell's 31 x 31 feature net (CellTrack's first component): boundary, interior and background of "
        "nuclei, trained densely; --replicates 5 for the ensemble, --data.sampling balanced for patches",
        DeepCellExperiment(),
    ),
    "deepcell-61": Entry(
        "DeepCell's 61 x 61 feature net, likewise",
        DeepCellExperiment(field=Field.px61),
    ),
}
