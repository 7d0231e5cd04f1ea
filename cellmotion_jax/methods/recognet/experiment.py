"""The RecogNet experiment: windows, network, training, evaluation and report, in this order."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Mapping
from typing import Annotated

from jaxtyping import Array

from cellmotion_jax.methods.recognet.data import RecogNetData, load_windows
from cellmotion_jax.methods.recognet.model_file import RecogNetModel, save_model
from cellmotion_jax.methods.recognet.objective import RecogNetObjective
from cellmotion_jax.methods.recognet.results import write_results
from cellmotion_jax.models.recognet import RecogNet
from cellmotion_jax.settings import Range, Settings, ShareBelowOne, Width
from cellmotion_jax.training.config import Phase, Run
from cellmotion_jax.training.experiment import (
    Entry,
    Experiment,
    train_network,
    training_data,
    variables_of,
)
from cellmotion_jax.training.validation import make_validation


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecogNetNetwork(Settings):
    """The size of RecogNet; the paper states only the number of layers and of dense neurons."""

    widths: tuple[Width, ...] = (32, 32, 64, 64, 128, 128)
    """Channels of the convolutions, two per pooling."""
    dense_width: Annotated[int, Range(1, 2**16)] = 1024
    """Neurons of the dense layer."""
    dropout: ShareBelowOne = 0.25
    """Dropout rate after each pooling."""
    dense_dropout: ShareBelowOne = 0.5
    """Dropout rate of the dense layer."""

    def check_together(self) -> None:
        """Refuses a convolution without its partner before a pooling."""
        if not self.widths or len(self.widths) % 2:
            self.refuse("widths", "give pairs of numbers, two convolutions per pooling")


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecogNetExperiment(Experiment):
    """Trains a network to classify which nucleus of a movie a window shows, to get features for tracking.

    Reproduces Jackson-Smith, CellTrack, Section 6. The accuracy on validation windows there is 0.83 at a loss
    of 0.76, on movies that are not public. ``train.py recognet --data.root Fluo-N2DL-HeLa --phases.0.epochs
    10`` gives 0.859 at a loss of 0.571 on 700 random validation windows of 256 nuclei (6,304 to train on;
    0.958 on these), by the paper's protocol: neighbouring frames of a nucleus are in both parts. At the end
    of the tracks, which was not used for training, it is 0.585 at 2.50: the network recognises a nucleus
    largely by its appearance within the hours of the training frames.
    """

    METHOD = "recognet"

    network: RecogNetNetwork = RecogNetNetwork()
    """Size of the network."""
    data: RecogNetData = RecogNetData()
    """Sources of the nuclei."""
    phases: tuple[Phase, ...] = (Phase(epochs=20, warmup_steps=50, final_fraction=0.02),)
    run: Run = Run(batch_size=32)

    def check_together(self) -> None:
        """Refuses windows that are too small for the network."""
        super().check_together()
        convolutions = len(self.network.widths)
        smallest = 2 ** (convolutions // 2)
        if self.data.window < smallest:
            self.refuse("data.window", f"the pools of {convolutions} convolutions need at least {smallest}")

    def train_in(self, folder: pathlib.Path) -> None:
        """See `Experiment`."""
        samples = load_windows(self.data, cache=folder / "data", seed=self.run.seed)
        network = RecogNet(
            nuclei=self.data.identities, **dataclasses.asdict(self.network), dtype=self.precision.value
        )
        objective = RecogNetObjective()
        validations = {
            name: make_validation(network, objective, part, batch_size=self.run.batch_size, mask="counts")
            for name, part in samples.parts.items()
        }
        best = train_network(
            self,
            folder=folder,
            network=network,
            objective=objective,
            augment=_unchanged,
            data=training_data(samples.parts["train"], self.run),
            members=["recognet"],
            evaluate=validations["validation"],
        )
        model = RecogNetModel(
            network=network.clone(dtype=None),
            variables=variables_of(best),
            mean=samples.mean,
            scale=samples.scale,
            window=self.data.window,
            downsample=samples.windows.downsample,
            names=samples.windows.names,
        )
        save_model(folder / "model.safetensors", model)
        reached = {name: validate(best) for name, validate in validations.items()}
        write_results(folder, model, samples, reached)


def _unchanged(key: Array, batch: Mapping[str, Array]) -> dict[str, Array]:
    """No augmentation: the paper has none, and a rotated nucleus may look like another one."""
    return dict(batch)


EXPERIMENTS: dict[str, Entry] = {
    "recognet": Entry(
        "CellTrack Section 6, RecogNet: which of 256 nuclei is in a window of 40 x 40 pixels",
        RecogNetExperiment(),
    ),
}
