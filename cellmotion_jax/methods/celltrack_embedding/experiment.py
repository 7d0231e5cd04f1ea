"""The experiment of the tracking embedding: data, network, training, evaluation and report, in this order."""

from __future__ import annotations

import dataclasses
import pathlib

import numpy as np

from cellmotion_jax.files import write_csv
from cellmotion_jax.methods.celltrack_embedding.augmentation import PairAugmentation
from cellmotion_jax.methods.celltrack_embedding.data import (
    EmbeddingData,
    EmbeddingSamples,
    load_pairs,
)
from cellmotion_jax.methods.celltrack_embedding.evaluation import (
    PairErrors,
    held_out_pairs,
    localisation_errors,
)
from cellmotion_jax.methods.celltrack_embedding.model_file import EmbeddingModel, save_model
from cellmotion_jax.methods.celltrack_embedding.objective import EmbeddingObjective
from cellmotion_jax.models.embedding import LEARNED_NUMBERS, PairEmbedding, TrackingEmbedding
from cellmotion_jax.report.summary import write_summary
from cellmotion_jax.report.tracking_pairs import plot_pairs
from cellmotion_jax.settings import Settings, Width
from cellmotion_jax.training.config import AdamW, Optimizer, Phase, Run
from cellmotion_jax.training.experiment import (
    Entry,
    Experiment,
    train_network,
    training_data,
    variables_of,
)
from cellmotion_jax.training.validation import make_validation

HEADER = ("source", "pairs", "within_2px", "within_4px", "median_px")
PICTURES = 12
"""Number of held-out pairs that are drawn."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class EmbeddingNetwork(Settings):
    """The size of the network; see `models.embedding.TrackingEmbedding`."""

    features: Width = 8
    """Number of feature channels for the filters."""
    base_width: Width = 16
    """Channels of the first level; the two others have twice as many."""
    centre: bool = True
    """Whether the network also predicts the centres of all cells; off for the ablation."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class EmbeddingExperiment(Experiment):
    """Trains features through the correlation filter, and tests whether unseen cells are found again."""

    METHOD = "celltrack-embedding"

    network: EmbeddingNetwork = EmbeddingNetwork()
    """Size of the network."""
    data: EmbeddingData = EmbeddingData()
    """Sources of the pairs."""
    objective: EmbeddingObjective = EmbeddingObjective()
    """The filter and the loss."""
    augmentation: PairAugmentation = PairAugmentation()
    """Random changes of the training pairs."""
    optimizer: Optimizer = AdamW(weight_decay=1e-4)
    phases: tuple[Phase, ...] = (Phase(steps=400, learning_rate=2e-3, warmup_steps=50, final_fraction=0.01),)
    run: Run = Run(batch_size=24, evaluate_every=100, checkpoint_every=100)

    def train_in(self, folder: pathlib.Path) -> None:
        """See `Experiment`."""
        samples = load_pairs(self.data, cache=folder / "data", seed=self.run.seed)
        held_out = held_out_pairs(samples)
        embedding = TrackingEmbedding(**dataclasses.asdict(self.network), dtype=self.precision.value)
        network = PairEmbedding(embedding)
        batch_size = self.run.batch_size
        best = train_network(
            self,
            folder=folder,
            network=network,
            objective=self.objective,
            augment=self.augmentation,
            data=training_data(samples.source, self.run, indices=samples.train),
            members=["embedding"],
            evaluate=make_validation(network, self.objective, held_out, batch_size=batch_size, mask="counts"),
        )
        params = variables_of(best)["params"]
        save_model(folder / "model.safetensors", self._trained(embedding, params))
        errors, pairs = localisation_errors(
            network, params, self.objective, samples, held_out, batch_size=batch_size, pictures=PICTURES
        )
        share = np.mean(errors.error <= 2)
        plot_pairs(
            pairs,
            folder / "pairs.png",
            title=f"Cells found again by filters on learned features: {share:.1%} within 2 grid pixels",
        )
        write_results(folder, errors, samples)

    def _trained(self, embedding: TrackingEmbedding, params) -> EmbeddingModel:
        """Contents of the model file."""
        return EmbeddingModel(
            network=embedding.clone(dtype=None),
            variables={"params": params["embedding"]},
            diameter=self.data.pairs.diameter,
            window=self.objective.window,
            filter_sigma=self.objective.filter_sigma,
            **{name: float(np.exp(params[name])) for name in LEARNED_NUMBERS},
        )


def write_results(folder: pathlib.Path, errors: PairErrors, samples: EmbeddingSamples) -> None:
    """Writes the share of located held-out cells of every source to ``results.csv`` and prints it.

    Args:
        folder: Folder of the experiment.
        errors: Errors of all held-out pairs.
        samples: The pairs.
    """
    rows = []
    lines = [f"{'source':<28}{'pairs':>7}{'within 2 px':>13}{'within 4 px':>13}{'median px':>11}"]
    for number, name in enumerate((*samples.names, "all")):
        chosen = errors.error if name == "all" else errors.error[errors.origin == number]
        near, far, median = np.mean(chosen <= 2), np.mean(chosen <= 4), np.median(chosen)
        rows.append((name, len(chosen), f"{near:.4f}", f"{far:.4f}", f"{median:.3f}"))
        lines.append(f"{name:<28}{len(chosen):>7}{near:>13.3f}{far:>13.3f}{median:>11.2f}")
    write_csv(folder / "results.csv", HEADER, rows)
    write_summary(folder, lines)
    print(f"Tables and pictures: {folder}")  # noqa: T201


EXPERIMENTS: dict[str, Entry] = {
    "celltrack-embedding": Entry(
        "No paper: features for CellTrack's correlation filters, trained through the filter (as CFNet, 2017)",
        EmbeddingExperiment(),
    ),
}
