"""The experiments by name. Each says which table it reproduces, the command, and the number reached."""

from __future__ import annotations

from typing import NamedTuple

from cellmotion_jax.inference.tiling import PAPER_TILING
from cellmotion_jax.methods.celltrack_embedding.experiment import EmbeddingExperiment
from cellmotion_jax.methods.convlstm.augmentation import PatchSampling
from cellmotion_jax.methods.convlstm.data import ConvLSTMData
from cellmotion_jax.methods.convlstm.experiment import ConvLSTMExperiment, ConvLSTMNetwork
from cellmotion_jax.methods.deep_distance.augmentation import TileAugmentation
from cellmotion_jax.methods.deep_distance.data import DeepDistanceData
from cellmotion_jax.methods.deep_distance.experiment import DeepDistanceExperiment, DeepDistanceNetwork
from cellmotion_jax.methods.deepcell.experiment import DeepCellExperiment, Field
from cellmotion_jax.methods.direction.data import DirectionData
from cellmotion_jax.methods.direction.experiment import DirectionExperiment
from cellmotion_jax.methods.direction.objective import (
    AngleLoss,
    AngleObjective,
    CircleActivation,
    CircleLoss,
    CircleObjective,
    DirectionObjective,
    VonMisesObjective,
)
from cellmotion_jax.methods.recognet.experiment import RecogNetExperiment
from cellmotion_jax.models.convlstm_unet import Table1
from cellmotion_jax.models.deep_distance import Table2
from cellmotion_jax.models.direction import FineTunedCNN
from cellmotion_jax.training.config import AdaDelta, Phase, Run
from cellmotion_jax.weights.catalogue import CATALOGUE


class Entry(NamedTuple):
    """An experiment with what ``train.py --list`` says of it."""

    reproduces: str
    experiment: (
        DirectionExperiment
        | DeepDistanceExperiment
        | EmbeddingExperiment
        | RecogNetExperiment
        | DeepCellExperiment
        | ConvLSTMExperiment
    )


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

# Section 3.1.2 names none.
NO_AUGMENTATION = TileAugmentation(
    turns=False, rotation=0.0, scale=0.0, contrast=0.0, brightness=0.0, noise=0.0
)

# Table 1's batches, Section 3.2's patches, rates and epochs.
CONVLSTM_BATCHES = {"B1": 1, "B2": 1, "B3": 2, "B4": 1, "B5": 2}
TWO_STEPS = (
    Phase(epochs=2000, learning_rate=5e-3, frozen=("encoder",)),
    Phase(epochs=2000, learning_rate=1e-4, fixed_statistics=("encoder",)),
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
        "siecmd Table 3, all nine configurations x 4 folds, trained side by side at 64 x 64 pixels",
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
            f"siecmd Table 4, {name} fine-tuned: 10 epochs of all weights, 50 of the head of Table 2; "
            f"--weights from `cellmotion import-weights ... --model {name}`",
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
            f"siecmd Table 3, one configuration: {objective.label}, probing CNN",
            DirectionExperiment(objectives=(objective,)),
        )
        for objective in NINE_CONFIGURATIONS
    },
    "deep-distance": Entry(
        "DeepDistance Table 2, the extended model (others with --models), narrow enough for two cores, "
        "AdamW, batch normalisation",
        DeepDistanceExperiment(),
    ),
    "deep-distance-paper": Entry(
        "DeepDistance Sections 3.1 to 3.3, the paper's network and training: 64 to 1,024 channels, AdaDelta, "
        "tiles of 512 one by one, early stopping, predictions averaged with a stride of 64; for an "
        "accelerator",
        DeepDistanceExperiment(
            network=DeepDistanceNetwork(
                base_width=64, depth=4, dropout=0.2, batch_norm=False, compress=False
            ),
            data=DeepDistanceData(tile=512, stride=256, downsample=1),
            augmentation=NO_AUGMENTATION,
            optimizer=AdaDelta(),
            phases=(Phase(epochs=100, learning_rate=1.0),),
            tiling=PAPER_TILING,
            run=Run(batch_size=1, evaluate_every=200, patience=10),
        ),
    ),
    "deep-distance-table-2": Entry(
        "DeepDistance Table 2: all seven models with the same budget",
        DeepDistanceExperiment(models=tuple(Table2)),
    ),
    "recognet": Entry(
        "CellTrack Section 6, RecogNet: which of 256 nuclei is in a window of 40 x 40 pixels",
        RecogNetExperiment(),
    ),
    "deepcell": Entry(
        "DeepCell's 31 x 31 feature net (CellTrack's first component): boundary, interior and background of "
        "nuclei, trained densely; --replicates 5 for the ensemble, --data.sampling balanced for patches",
        DeepCellExperiment(),
    ),
    "deepcell-61": Entry(
        "DeepCell's 61 x 61 feature net, likewise",
        DeepCellExperiment(field=Field.px61),
    ),
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
    "celltrack-embedding": Entry(
        "No paper: features for CellTrack's correlation filters, trained through the filter (as CFNet, 2017)",
        EmbeddingExperiment(),
    ),
}
