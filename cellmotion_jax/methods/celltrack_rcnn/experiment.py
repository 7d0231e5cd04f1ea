"""The CellTrack R-CNN experiments: data, network, training, evaluation and report, in this order."""

from __future__ import annotations

import dataclasses
import enum
import pathlib
from typing import Annotated, Any

from cellmotion_jax.methods.celltrack_rcnn.augmentation import WindowAugmentation
from cellmotion_jax.methods.celltrack_rcnn.calibration import fit_links
from cellmotion_jax.methods.celltrack_rcnn.data import RCNNData, RCNNSamples, load_windows
from cellmotion_jax.methods.celltrack_rcnn.detection import RCNNSettings
from cellmotion_jax.methods.celltrack_rcnn.evaluation import evaluate_model
from cellmotion_jax.methods.celltrack_rcnn.model_file import RCNNModel, save_model
from cellmotion_jax.methods.celltrack_rcnn.objective import RCNNObjective
from cellmotion_jax.methods.celltrack_rcnn.pair_features import NO_DIVISIONS, NO_LINKS
from cellmotion_jax.methods.celltrack_rcnn.pretrained import pretrained_variables
from cellmotion_jax.methods.celltrack_rcnn.results import TestedModel, draw_results, write_results
from cellmotion_jax.methods.celltrack_rcnn.score_choice import choose_score
from cellmotion_jax.methods.celltrack_rcnn.tracker import LinkRule, RCNNLinkSettings
from cellmotion_jax.methods.celltrack_rcnn.training_pass import Sampling, TrainingPass
from cellmotion_jax.methods.celltrack_rcnn.validation import make_evaluation
from cellmotion_jax.models.backbones.fpn import FPN
from cellmotion_jax.models.backbones.mobilenet_v2 import MobileNetV2
from cellmotion_jax.models.backbones.resnet import ResNet50, ResNetVariant
from cellmotion_jax.models.celltrack_rcnn import CellTrackRCNN
from cellmotion_jax.models.mask_rcnn import MULTIPLE, MaskRCNN
from cellmotion_jax.settings import Positive, Range, Settings, Width
from cellmotion_jax.training.config import SGD, AdamW, Optimizer, Phase, Run
from cellmotion_jax.training.experiment import (
    Entry,
    Experiment,
    train_network,
    training_data,
    variables_of,
)
from cellmotion_jax.weights.catalogue import FROM_MINUS_ONE_TO_ONE, STANDARDIZED


class Backbone(enum.Enum):
    """Backbone of the feature pyramid."""

    MOBILENET_V2 = "mobilenet-v2"
    """Light: trains on two cores."""
    RESNET50 = "resnet50"
    """That of the paper."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class RCNNNetwork(Settings):
    """The network; see `models.mask_rcnn.MaskRCNN` and `models.celltrack_rcnn.CellTrackRCNN`."""

    backbone: Backbone = Backbone.MOBILENET_V2
    """Backbone of the feature pyramid."""
    alpha: Annotated[float, Range(0.05, 4)] = 0.35
    """Width of a MobileNetV2."""
    channels: Width = 64
    """Channels of the feature pyramid and of the mask head; 256 in Mask R-CNN."""
    box_width: Width = 256
    """Units of the dense layers of the box head; 1,024 in Mask R-CNN."""
    anchor_sizes: tuple[Positive, Positive, Positive, Positive, Positive] = (16.0, 32.0, 64.0, 128.0, 256.0)
    """Square root of the area of the anchors of each level, in pixels of the network."""
    aligned: bool = True
    """Whether boxes lie over pixels as they should; off with weights of torchvision's Mask R-CNN."""
    neighbours: Annotated[int, Range(1, 64)] = 4
    """Neighbours of a cell that the spatial head sees."""
    place_unit: tuple[Positive, Positive] = (128.0, 128.0)
    """Pixels along y and x that offsets to neighbours are divided by; the size of the image in the paper."""
    embedding_width: Width = 256
    """Components of an embedding."""

    def module(self, *, spatial: bool, dtype: Any) -> CellTrackRCNN:
        """The network as a module, with the spatial head or without it."""
        if self.backbone is Backbone.MOBILENET_V2:
            backbone: MobileNetV2 | ResNet50 = MobileNetV2(alpha=self.alpha, levels=5, dtype=dtype)
            scaling = FROM_MINUS_ONE_TO_ONE
        else:
            # Without its epsilon, as the weights that were trained on COCO need it.
            backbone = ResNet50(variant=ResNetVariant.TORCHVISION, epsilon=0.0, dtype=dtype)
            scaling = STANDARDIZED
        detector = MaskRCNN(
            fpn=FPN(backbone=backbone, channels=self.channels, dtype=dtype),
            anchor_sizes=self.anchor_sizes,
            box_width=self.box_width,
            mask_width=self.channels,
            aligned=self.aligned,
            dtype=dtype,
        )
        return CellTrackRCNN(
            detector=detector,
            scaling=scaling,
            neighbours=self.neighbours,
            place_unit=self.place_unit,
            spatial=spatial,
            embedding_width=self.embedding_width,
            dtype=dtype,
        )


BACKBONE_PATH = "network/detector/fpn/backbone"
"""Path of the backbone in the training pass, for phases that freeze it or its statistics."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class RCNNExperiment(Experiment):
    """Trains a network that finds, outlines and tracks cells, and tests it on later frames."""

    METHOD = "celltrack-rcnn"

    network: RCNNNetwork = RCNNNetwork()
    """The network."""
    spatial: tuple[bool, ...] = (True,)
    """Whether there is a spatial tracking head; True and False train both, one after another, for the
    ablation of Table 1."""
    weights: pathlib.Path | None = None
    """File of `cellmotion import-weights` with pretrained weights: mobilenet-v2-0.35 for the light network;
    mask-rcnn-resnet50-fpn, resnet50-fpn or resnet50-torchvision for ResNet-50. None for random
    initialisation; then no phase fixes the statistics of the backbone."""
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
        Phase(steps=1500, learning_rate=1e-3, warmup_steps=50, final_fraction=0.01, statistics_momentum=0.95),
    )
    cells: RCNNSettings = RCNNSettings()
    """How cells are found in the test."""
    run: Run = Run(batch_size=2, evaluate_every=250, checkpoint_every=250)

    def check_together(self) -> None:
        """Refuses settings that leave nothing to do or contradict each other."""
        super().check_together()
        if not self.spatial or len(set(self.spatial)) < len(self.spatial):
            self.refuse("spatial", "name True, False, or both")
        if self.augmentation.crop % MULTIPLE:
            self.refuse("augmentation.crop", f"it must be a multiple of {MULTIPLE}")
        if self.augmentation.crop > self.data.window:
            self.refuse("augmentation.crop", f"it must be at most data.window, which is {self.data.window}")

    def train_in(self, folder: pathlib.Path) -> None:
        """See `Experiment`."""
        pretrained = [self._pretrained(spatial) for spatial in self.spatial]
        samples = load_windows(self.data, cache=folder / "data", seed=self.run.seed)
        tested = []
        for spatial, weights in zip(self.spatial, pretrained):
            inner = folder if len(self.spatial) == 1 else folder / ("spatial" if spatial else "no-spatial")
            tested.append(self._train_one(spatial, samples, inner, weights))
        write_results(folder, tested)

    def _train_one(
        self, spatial: bool, samples: RCNNSamples, folder: pathlib.Path, pretrained: dict[str, Any]
    ) -> TestedModel:
        """Trains and tests one network and writes its file, log and pictures."""
        name = "celltrack rcnn" if spatial else "without spatial head"
        module = self.network.module(spatial=spatial, dtype=self.precision.value)
        network = TrainingPass(network=module, sampling=self.sampling)
        best = train_network(
            dataclasses.replace(self, phases=self._phases()),
            folder=folder,
            network=network,
            objective=self.objective,
            augment=self.augmentation,
            data=training_data(samples.train, self.run),
            members=[name],
            evaluate=make_evaluation(
                network,
                self.objective,
                samples.validation,
                self.augmentation,
                batch_size=self.run.batch_size,
            ),
            pretrained={kind: {"network": tree} for kind, tree in pretrained.items()},
        )
        model = RCNNModel(
            network=self.network.module(spatial=spatial, dtype=None),
            variables={kind: tree["network"] for kind, tree in variables_of(best).items()},
            scale=samples.scale,
            cell_diameter=samples.diameter * samples.scale,
            link=NO_LINKS,
            division=NO_DIVISIONS,
        )
        score = choose_score(model, samples.images.validation, settings=self.cells)
        model = dataclasses.replace(model, score=score)
        fitted = fit_links(model, samples.validation_pairs + samples.train_pairs, settings=self.cells)
        model = dataclasses.replace(model, link=fitted.link, division=fitted.division)
        save_model(folder / "model.safetensors", model)
        found, given = (
            evaluate_model(model, samples.images.test, WAYS, settings=self.cells, given_masks=given_masks)
            for given_masks in (False, True)
        )
        result = TestedModel(name, model, found, given)
        draw_results(folder, result)
        return result

    def _phases(self) -> tuple[Phase, ...]:
        """The phases, of which none fixes or freezes a random backbone."""
        if self.weights is not None:
            return self.phases

        def without(paths: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(path for path in paths if not path.startswith(BACKBONE_PATH))

        return tuple(
            dataclasses.replace(
                phase, frozen=without(phase.frozen), fixed_statistics=without(phase.fixed_statistics)
            )
            for phase in self.phases
        )

    def _pretrained(self, spatial: bool) -> dict[str, Any]:
        if self.weights is None:
            return {}
        return pretrained_variables(self.weights, self.network.module(spatial=spatial, dtype=None))


WAYS = {
    "assignment": RCNNLinkSettings(rule=LinkRule.ASSIGNMENT),
    "fusion": RCNNLinkSettings(rule=LinkRule.FUSION),
}
"""Ways of linking that are tested."""
PAPER = RCNNExperiment(
    network=RCNNNetwork(
        backbone=Backbone.RESNET50,
        channels=256,
        box_width=1024,
        anchor_sizes=(32.0, 64.0, 128.0, 256.0, 512.0),
        aligned=False,
        place_unit=(800.0, 950.0),
    ),
    # A frame of 540 x 540 pixels, as those of RAW264.7, at 800 x 950 pixels; cells of 30 pixels become 50.
    data=RCNNData(diameter=50.0, window=960, stride=960),
    augmentation=WindowAugmentation(
        crop=960,
        turns=False,
        rotation=0.0,
        scale=0.0,
        contrast=0.0,
        brightness=0.0,
        bleaching=0.0,
        noise=0.0,
        missed=0.0,
    ),
    sampling=Sampling(per_level=2000, proposals=2000, rois=512, positives=128, graded=False),
    optimizer=SGD(momentum=0.9),
    phases=(Phase(epochs=40, learning_rate=0.0025, fixed_statistics=(BACKBONE_PATH,)),),
    run=Run(batch_size=1, evaluate_every=200, checkpoint_every=200),
)

EXPERIMENTS: dict[str, Entry] = {
    "celltrack-rcnn": Entry(
        'CellTrack R-CNN Table 1, "Our method", on a light MobileNetV2 that trains on two cores, AdamW',
        RCNNExperiment(),
    ),
    "celltrack-rcnn-no-spatial": Entry(
        'CellTrack R-CNN Table 1, "Ours w/o STH": the same without the spatial tracking head',
        RCNNExperiment(spatial=(False,)),
    ),
    "celltrack-rcnn-table-1": Entry(
        "CellTrack R-CNN Table 1: with the spatial tracking head and without it, with the same budget",
        RCNNExperiment(spatial=(True, False)),
    ),
    "celltrack-rcnn-paper": Entry(
        "CellTrack R-CNN Section 3.2, the paper's network and training: ResNet-50-FPN, SGD 0.9 at 0.0025, 40 "
        "epochs, whole frames; --weights from `cellmotion import-weights --model mask-rcnn-resnet50-fpn`; "
        "for an accelerator",
        PAPER,
    ),
}
