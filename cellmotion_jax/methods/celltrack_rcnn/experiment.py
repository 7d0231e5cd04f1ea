"""The CellTrack R-CNN experiments: data, network, training, evaluation and report, in this order."""

from __future__ import annotations

import dataclasses
import pathlib
from typing import Annotated, Any

from cellmotion_jax.methods.celltrack_rcnn.augmentation import WindowAugmentation
from cellmotion_jax.methods.celltrack_rcnn.calibration import fit_links
from cellmotion_jax.methods.celltrack_rcnn.data import RCNNData, RCNNSamples, load_windows
from cellmotion_jax.methods.celltrack_rcnn.model_file import RCNNModel, save_model
from cellmotion_jax.methods.celltrack_rcnn.objective import RCNNObjective
from cellmotion_jax.methods.celltrack_rcnn.pair_features import (
    DIVISION_FEATURES,
    LINK_FEATURES,
    LogisticModel,
)
from cellmotion_jax.methods.celltrack_rcnn.training_pass import Sampling, TrainingPass
from cellmotion_jax.methods.celltrack_rcnn.validation import make_evaluation
from cellmotion_jax.models.backbones.fpn import FPN
from cellmotion_jax.models.backbones.inputs import InputScaling
from cellmotion_jax.models.backbones.mobilenet_v2 import MobileNetV2
from cellmotion_jax.models.celltrack_rcnn import CellTrackRCNN
from cellmotion_jax.models.mask_rcnn import MULTIPLE, MaskRCNN
from cellmotion_jax.settings import Positive, Range, Settings, Width
from cellmotion_jax.training.config import AdamW, Optimizer, Phase, Run
from cellmotion_jax.training.experiment import (
    Experiment,
    train_network,
    training_data,
    variables_of,
)

FROM_MINUS_ONE_TO_ONE = InputScaling(mean=(127.5, 127.5, 127.5), std=(127.5, 127.5, 127.5))


@dataclasses.dataclass(frozen=True, kw_only=True)
class RCNNNetwork(Settings):
    """The network; see `models.mask_rcnn.MaskRCNN` and `models.celltrack_rcnn.CellTrackRCNN`."""

    alpha: Annotated[float, Range(0.05, 4)] = 0.35
    """Width of the MobileNetV2."""
    channels: Width = 64
    """Channels of the feature pyramid and of the mask head; 256 in Mask R-CNN."""
    box_width: Width = 256
    """Units of the dense layers of the box head; 1,024 in Mask R-CNN."""
    anchor_sizes: tuple[Positive, Positive, Positive, Positive, Positive] = (16.0, 32.0, 64.0, 128.0, 256.0)
    """Square root of the area of the anchors of each level, in pixels of the network."""
    spatial: bool = True
    """Whether there is a spatial tracking head."""
    neighbours: Annotated[int, Range(1, 64)] = 4
    """Neighbours of a cell that the spatial head sees."""
    embedding_width: Width = 256
    """Components of an embedding."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class RCNNExperiment(Experiment):
    """Trains a network that finds, outlines and tracks cells, and tests it on later frames or other movies."""

    METHOD = "celltrack-rcnn"

    network: RCNNNetwork = RCNNNetwork()
    """The network."""
    data: RCNNData = RCNNData()
    """Sources of the movies."""
    augmentation: WindowAugmentation = WindowAugmentation()
    """Random changes of the training windows."""
    sampling: Sampling = Sampling()
    """Numbers of boxes that the losses are computed for."""
    objective: RCNNObjective = RCNNObjective()
    """Weight of the tracking loss."""
    optimizer: Optimizer = AdamW(weight_decay=1e-4)
    phases: tuple[Phase, ...] = (
        Phase(
            steps=1500, learning_rate=1e-3, warmup_steps=50, final_fraction=0.01, statistics_momentum=0.95
        ),
    )
    run: Run = Run(batch_size=2, evaluate_every=250, checkpoint_every=250)

    def check_together(self) -> None:
        """Refuses settings that contradict each other."""
        super().check_together()
        if self.augmentation.crop % MULTIPLE:
            self.refuse("augmentation.crop", f"it must be a multiple of {MULTIPLE}")
        if self.augmentation.crop > self.data.window:
            self.refuse("augmentation.crop", f"it must be at most data.window, which is {self.data.window}")

    def train_in(self, folder: pathlib.Path) -> None:
        """See `Experiment`."""
        samples = load_windows(self.data, cache=folder / "data", seed=self.run.seed)
        network = TrainingPass(network=self._network(), sampling=self.sampling)
        best = train_network(
            self,
            folder=folder,
            network=network,
            objective=self.objective,
            augment=self.augmentation,
            data=training_data(samples.train, self.run),
            members=["celltrack rcnn"],
            evaluate=make_evaluation(
                network,
                self.objective,
                samples.validation,
                self.augmentation,
                batch_size=self.run.batch_size,
            ),
        )
        model = self._trained(variables_of(best), samples)
        fitted = fit_links(model, samples.validation_pairs + samples.train_pairs)
        model = dataclasses.replace(model, link=fitted.link, division=fitted.division)
        save_model(folder / "model.safetensors", model)

    def _network(self) -> CellTrackRCNN:
        wanted, dtype = self.network, self.precision.value
        backbone = MobileNetV2(alpha=wanted.alpha, levels=5, dtype=dtype)
        detector = MaskRCNN(
            fpn=FPN(backbone=backbone, channels=wanted.channels, dtype=dtype),
            anchor_sizes=wanted.anchor_sizes,
            box_width=wanted.box_width,
            mask_width=wanted.channels,
            dtype=dtype,
        )
        return CellTrackRCNN(
            detector=detector,
            scaling=FROM_MINUS_ONE_TO_ONE,
            neighbours=wanted.neighbours,
            spatial=wanted.spatial,
            embedding_width=wanted.embedding_width,
            dtype=dtype,
        )

    def _trained(self, variables: dict[str, Any], samples: RCNNSamples) -> RCNNModel:
        """Contents of the model file; the probabilities of links are fitted later."""
        return RCNNModel(
            network=self._network(),
            variables={kind: tree["network"] for kind, tree in variables.items()},
            scale=samples.scale,
            cell_diameter=samples.diameter * samples.scale,
            link=LogisticModel(weights=(0.0,) * len(LINK_FEATURES)),
            division=LogisticModel(weights=(0.0,) * len(DIVISION_FEATURES)),
        )
