"""The DeepDistance experiments: data, network, training, evaluation and report, in this order."""

from __future__ import annotations

import dataclasses
import functools
import pathlib
from typing import Annotated, Any

from cellmotion_jax.data.downsampling import downsampling_for
from cellmotion_jax.data.simulate import Look, Simulation
from cellmotion_jax.inference.tiling import PAPER_TILING, Tiling
from cellmotion_jax.methods.deep_distance.augmentation import TileAugmentation
from cellmotion_jax.methods.deep_distance.data import DeepDistanceData, DeepDistanceSamples, load_tiles
from cellmotion_jax.methods.deep_distance.detection import DetectionSettings
from cellmotion_jax.methods.deep_distance.evaluation import choose_parameter, evaluate_part
from cellmotion_jax.methods.deep_distance.model_file import DeepDistanceModel, save_model
from cellmotion_jax.methods.deep_distance.objective import DeepDistanceObjective
from cellmotion_jax.methods.deep_distance.results import ModelResult, write_model_results, write_results
from cellmotion_jax.models.deep_distance import DeepDistance, Table2
from cellmotion_jax.settings import Range, Settings, ShareBelowOne, Width, named
from cellmotion_jax.training.config import AdaDelta, AdamW, Optimizer, Phase, Run
from cellmotion_jax.training.experiment import (
    Entry,
    Experiment,
    train_network,
    training_data,
    variables_of,
)
from cellmotion_jax.training.validation import make_validation


@dataclasses.dataclass(frozen=True, kw_only=True)
class DeepDistanceNetwork(Settings):
    """The size of the encoder and of every decoder; see `models.deep_distance.DeepDistance`."""

    base_width: Width = 16
    """Channels of the first level; 64 in the paper. 16 train in minutes on two cores."""
    depth: Annotated[int, Range(1, 8)] = 3
    """Number of poolings; 4 in the paper, whose cells are larger than the downsampled cells here."""
    dropout: ShareBelowOne = 0.0
    """Dropout rate; 0.2 in the paper, whose network is wide and has no batch normalisation. With dropout, the
    batch-normalisation statistics of training differ from those in evaluation."""
    batch_norm: bool = True
    """Batch normalisation after every convolution; not in the paper."""
    compress: bool = True
    """Apply arcsinh to the standardised image, which reduces the contrast of very bright cells; not in the
    paper."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class DeepDistanceExperiment(Experiment):
    """Trains one or several models of Table 2 and tests how many cells of unseen images they find."""

    METHOD = "deep-distance"

    models: tuple[Table2, ...] = (Table2.deep_distance_extended,)
    """Models of Table 2, trained one after another with the same number of updates."""
    network: DeepDistanceNetwork = DeepDistanceNetwork()
    """Size of the network."""
    data: DeepDistanceData = DeepDistanceData()
    """Sources of the images."""
    objective: DeepDistanceObjective = DeepDistanceObjective()
    """Weights of the tasks."""
    augmentation: TileAugmentation = TileAugmentation()
    """Random changes of the training tiles."""
    optimizer: Optimizer = AdamW(weight_decay=1e-4)
    phases: tuple[Phase, ...] = (Phase(steps=2000, learning_rate=2e-3, warmup_steps=50, final_fraction=0.01),)
    tiling: Tiling = Tiling()
    """Tiling of whole images for the test."""
    run: Run = Run(batch_size=4, evaluate_every=200, checkpoint_every=200)

    def check_together(self) -> None:
        """Refuses settings that leave nothing to do or contradict each other."""
        super().check_together()
        if not self.models:
            self.refuse("models", "name at least one")
        multiple = self._network(self.models[0]).multiple
        if self.data.tile % multiple:
            self.refuse(
                "data.tile", f"with network.depth {self.network.depth} it must be a multiple of {multiple}"
            )
        with named("tiling"):
            self.tiling.stride_for(multiple)

    def train_in(self, folder: pathlib.Path) -> None:
        """See `Experiment`."""
        samples = load_tiles(self.data, cache=folder / "data", seed=self.run.seed)
        results = []
        for model in self.models:
            inner = folder / model.name.replace("_", "-") if len(self.models) > 1 else folder
            results.append(self._train_one(model, samples, inner))
        write_results(folder, results)

    def _train_one(self, model: Table2, samples: DeepDistanceSamples, folder: pathlib.Path) -> ModelResult:
        """Trains and tests one model of Table 2 and writes its file, log and pictures."""
        network = self._network(model)
        best = train_network(
            self,
            folder=folder,
            network=network,
            objective=self.objective,
            augment=functools.partial(self.augmentation, squared=self.data.squared),
            data=training_data(samples.train, self.run),
            members=[model.name.replace("_", " ")],
            evaluate=make_validation(
                network, self.objective, samples.validation, batch_size=self.run.batch_size
            ),
        )
        trained = self._trained(network, variables_of(best), samples)
        radius = samples.radius
        parameter, trained = choose_parameter(
            trained, samples.images.validation, radius=radius, tiling=self.tiling
        )
        save_model(folder / "model.safetensors", trained)

        parts = [
            evaluate_part(trained, name, images, radius=radius, tiling=self.tiling)
            for name, images in (("validation", samples.images.validation), ("test", samples.images.test))
        ]
        for other in samples.independent:
            fitted = dataclasses.replace(
                trained, downsample=downsampling_for(other.diameter, trained.cell_diameter)
            )
            parts.append(
                evaluate_part(fitted, other.name, other.images, radius=other.radius, tiling=self.tiling)
            )
        result = ModelResult(model, trained, parameter, tuple(parts))
        write_model_results(folder, result, tiling=self.tiling)
        return result

    def _network(self, model: Table2) -> DeepDistance:
        return DeepDistance(
            **model.value._asdict(),
            **dataclasses.asdict(self.network),
            dtype=self.precision.value,
        )

    def _trained(
        self, network: DeepDistance, variables: dict[str, Any], samples: DeepDistanceSamples
    ) -> DeepDistanceModel:
        """Contents of the model file; the parameter of the detection is chosen later."""
        return DeepDistanceModel(
            network=network.clone(dtype=None),
            variables=variables,
            channels=samples.images.train[0].channels,
            downsample=samples.downsample,
            cell_diameter=samples.diameter / samples.downsample,
            boundary_width=self.data.boundary_width,
            detection=DetectionSettings(),
            area_threshold=1,
        )


# Section 3.1.2 names none.
NO_AUGMENTATION = TileAugmentation(
    turns=False, rotation=0.0, scale=0.0, contrast=0.0, brightness=0.0, noise=0.0
)

def _shipped(**look: Any) -> DeepDistanceExperiment:
    """Training of a network that comes with the package, on movies of a look in all its variety."""
    simulation = Simulation(
        frames=4,
        height=384,
        width=384,
        frame_interval_s=7200.0,  # Cells have moved on: few frames show many of them.
        division_rate_per_h=0.08,
        variety=1.0,
        **look,
    )
    return DeepDistanceExperiment(
        data=DeepDistanceData(simulation=simulation, movies=50, downsample=1),
        phases=(dataclasses.replace(DeepDistanceExperiment().phases[0], steps=2500),),
        run=Run(batch_size=4, evaluate_every=500, checkpoint_every=500),
    )


EXPERIMENTS: dict[str, Entry] = {
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
    "deep-distance-nuclei": Entry(
        "the model `nuclei` of `cellmotion models`: simulated nuclei of varied appearance",
        _shipped(look=Look.NUCLEI, pixel_size_um=0.5, cells=30),
    ),
    "deep-distance-phase-contrast": Entry(
        "the model `phase-contrast` of `cellmotion models`: simulated cells of varied appearance",
        _shipped(look=Look.PHASE_CONTRAST, pixel_size_um=1.4, cells=40, protrusions=0.7),
    ),
    "deep-distance-table-2": Entry(
        "DeepDistance Table 2: all seven models with the same budget",
        DeepDistanceExperiment(models=tuple(Table2)),
    ),
}
