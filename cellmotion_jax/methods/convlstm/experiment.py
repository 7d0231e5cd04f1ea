"""The ConvLSTM U-Net experiments: data, network, training, evaluation and report, in this order."""

from __future__ import annotations

import dataclasses
import logging
import pathlib
from typing import Annotated, Any

import flax.traverse_util

from cellmotion_jax.errors import InputError
from cellmotion_jax.inference.tiling import Tiling
from cellmotion_jax.methods.convlstm.augmentation import PatchSampling
from cellmotion_jax.methods.convlstm.data import ConvLSTMData, ConvLSTMSamples, load_windows
from cellmotion_jax.methods.convlstm.evaluation import PartResult, evaluate_part, make_evaluation
from cellmotion_jax.methods.convlstm.foreground import VIDEO_TILING, Memory
from cellmotion_jax.methods.convlstm.instances import InstanceSettings, fit_instances
from cellmotion_jax.methods.convlstm.model_file import ConvLSTMModel, save_model
from cellmotion_jax.methods.convlstm.objective import ConvLSTMObjective
from cellmotion_jax.methods.convlstm.results import write_results
from cellmotion_jax.models.backbones.mobilenet_v2 import SMALLEST_IMAGE
from cellmotion_jax.models.convlstm_unet import ConvLSTMUNet, Table1
from cellmotion_jax.settings import Range, Settings, ShareBelowOne, Width, named
from cellmotion_jax.training.config import Phase, Run
from cellmotion_jax.training.experiment import (
    Entry,
    Experiment,
    train_network,
    training_data,
    variables_of,
)
from cellmotion_jax.weights.convert import load_weights
from cellmotion_jax.weights.fitting import variable_shapes

ENCODER = "mobilenet-v2-0.35"
"""Name of the encoder in `cellmotion import-weights`."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ConvLSTMNetwork(Settings):
    """The size of the network; see `models.convlstm_unet.ConvLSTMUNet`."""

    base_filters: Width = 16
    """Filters of the finest level and of the ConvLSTM; 16, 25 or 50 in the paper."""
    levels: Annotated[int, Range(1, 5)] = 4
    """Levels of the encoder, 3 to 5 in the paper."""
    recurrent: bool = True
    """Whether there is a ConvLSTM; without it every frame is segmented independently."""
    dropout: ShareBelowOne = 0.05
    """Dropout rate in the decoder."""


SHORT_TWO_STEPS = (
    Phase(steps=300, learning_rate=5e-3, frozen=("encoder",), statistics_momentum=0.95),
    Phase(
        steps=300,
        learning_rate=1e-3,
        final_fraction=0.02,
        fixed_statistics=("encoder",),
        statistics_momentum=0.95,
    ),
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ConvLSTMExperiment(Experiment):
    """Trains a network to segment the cells of a movie and tests it on later frames or other movies."""

    METHOD = "convlstm"

    network: ConvLSTMNetwork = ConvLSTMNetwork()
    """Size of the network."""
    weights: pathlib.Path | None = None
    """File with pretrained weights of the encoder, from `cellmotion import-weights --model
    mobilenet-v2-0.35`; None for random initialisation."""
    data: ConvLSTMData = ConvLSTMData()
    """Sources of the movies."""
    sampling: PatchSampling = PatchSampling()
    """Sampling and augmentation of the training patches."""
    objective: ConvLSTMObjective = ConvLSTMObjective()
    """Weights of the loss."""
    phases: tuple[Phase, ...] = SHORT_TWO_STEPS
    """Stretches of training, one after another: the decoder on the frozen, pretrained encoder, then
    everything with the encoder's statistics fixed. Without weights the encoder is neither frozen nor fixed
    in any phase. The paper's last rate is 0.0001, over many more updates."""
    instances: InstanceSettings | None = None
    """Settings of the conversion of probabilities to cells; None fits the smallest area, and the depth at
    which touching cells are split, to the training masks."""
    memory: tuple[Memory, ...] = tuple(Memory)
    """Kinds of memory of earlier frames in the test; each is tested."""
    tiling: Tiling = VIDEO_TILING
    """Tiling of whole frames for the test."""
    run: Run = Run(batch_size=2, evaluate_every=50, checkpoint_every=100)

    def check_together(self) -> None:
        """Refuses settings that leave nothing to do or contradict each other."""
        super().check_together()
        if not self.memory:
            self.refuse("memory", "name at least one")
        multiple = self._module().multiple
        if self.sampling.patch % multiple:
            self.refuse(
                "sampling.patch",
                f"with network.levels {self.network.levels} it must be a multiple of {multiple}",
            )
        with named("tiling"):
            self.tiling.stride_for(SMALLEST_IMAGE)

    def train_in(self, folder: pathlib.Path) -> None:
        """See `Experiment`."""
        pretrained = self._pretrained()
        # Without recurrence nothing but the last frame of a window is looked at.
        data = self.data if self.network.recurrent else dataclasses.replace(self.data, window=1)
        samples = load_windows(data, cache=folder / "data", seed=self.run.seed)
        instances = self.instances or fit_instances(samples.images.train, diameter=samples.diameter)
        network = self._module()
        best = train_network(
            dataclasses.replace(self, phases=self._phases()),
            folder=folder,
            network=network,
            objective=self.objective,
            augment=self.sampling,
            data=training_data(samples.train, self.run),
            members=["convlstm" if self.network.recurrent else "one frame"],
            evaluate=make_evaluation(
                network,
                self.objective,
                samples.validation,
                samples.images.validation,
                downsample=samples.downsample,
                instances=instances,
            ),
            best_metric="jaccard_distance",
            pretrained=pretrained,
        )
        model = self._trained(variables_of(best), samples, instances)
        save_model(folder / "model.safetensors", model)
        write_results(folder, model, self._tested(model, samples), tiling=self.tiling)

    def _tested(self, model: ConvLSTMModel, samples: ConvLSTMSamples) -> dict[Memory, tuple[PartResult, ...]]:
        """Test results of every part with every kind of memory that makes a difference for this network."""
        parts = {"validation": samples.images.validation, "test": samples.images.test}
        return {
            memory: tuple(
                evaluate_part(model, name, images, memory=memory, tiling=self.tiling)
                for name, images in parts.items()
            )
            for memory in (self.memory if self.network.recurrent else (Memory.window,))
        }

    def _phases(self) -> tuple[Phase, ...]:
        """The phases, of which none freezes a random encoder."""
        if self.weights is not None:
            return self.phases
        return tuple(
            dataclasses.replace(
                phase,
                frozen=_without_encoder(phase.frozen),
                fixed_statistics=_without_encoder(phase.fixed_statistics),
            )
            for phase in self.phases
        )

    def _module(self) -> ConvLSTMUNet:
        return ConvLSTMUNet(**dataclasses.asdict(self.network), dtype=self.precision.value)

    def _trained(
        self, variables: dict[str, Any], samples: ConvLSTMSamples, instances: InstanceSettings
    ) -> ConvLSTMModel:
        """Contents of the model file."""
        return ConvLSTMModel(
            network=self._module().clone(dtype=None),
            variables=variables,
            window=self.data.window,
            downsample=samples.downsample,
            cell_diameter=samples.diameter / samples.downsample,
            instances=instances,
        )

    def _pretrained(self) -> dict[str, Any]:
        """Pretrained variables of the encoder's levels, at their paths in the network."""
        if self.weights is None:
            logging.getLogger(__name__).warning(
                "No --weights: the encoder starts from random values and is trained in every phase."
            )
            return {}
        loaded = load_weights(self.weights)
        if loaded.model != ENCODER:
            raise InputError(
                f"{self.weights} holds {loaded.model}; the encoder is {ENCODER}, which `cellmotion "
                "import-weights` writes."
            )
        flat: dict[str, Any] = flax.traverse_util.flatten_dict(
            {kind: {"encoder": tree} for kind, tree in loaded.variables.items()}, sep="/"
        )
        # The layers beyond the last level that is used, and the classifier, are left behind.
        wanted = variable_shapes(self._module(), (1, 32, 32, 1))
        return flax.traverse_util.unflatten_dict(
            {name: leaf for name, leaf in flat.items() if name in wanted}, sep="/"
        )


def _without_encoder(paths: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(path for path in paths if path.split("/")[0] != "encoder")


# Table 1's batches, Section 3.2's patches, rates and epochs.
CONVLSTM_BATCHES = {"B1": 1, "B2": 1, "B3": 2, "B4": 1, "B5": 2}
TWO_STEPS = (
    Phase(epochs=2000, learning_rate=5e-3, frozen=("encoder",)),
    Phase(epochs=2000, learning_rate=1e-4, fixed_statistics=("encoder",)),
)

EXPERIMENTS: dict[str, Entry] = {
    "convlstm": Entry(
        "Gomez-de-Mariscal et al. 2021, Section 3.1: two-step training, narrow enough for two cores; "
        "--weights from `cellmotion import-weights ... --model mobilenet-v2-0.35`",
        ConvLSTMExperiment(),
    ),
    **{
        f"convlstm-{name.lower()}": Entry(
            f"Gomez-de-Mariscal et al. 2021, Table 1, {name}: 2,000 + 2,000 epochs of whole patches, for an "
            "accelerator",
            ConvLSTMExperiment(
                network=ConvLSTMNetwork(**Table1[name].value._asdict()),
                data=ConvLSTMData(downsample=1),
                sampling=PatchSampling(patch=512),
                phases=TWO_STEPS,
                run=Run(batch_size=batch, evaluate_every=500, checkpoint_every=500),
            ),
        )
        for name, batch in CONVLSTM_BATCHES.items()
    },
}
