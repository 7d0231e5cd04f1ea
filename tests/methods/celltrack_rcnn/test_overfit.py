"""Four frames are learned by heart, as a check of targets, losses, detection and tracking together."""

import numpy as np
import pytest

from cellmotion_jax.data.annotated import ImageSplit, median_cell_diameter, open_annotated
from cellmotion_jax.data.simulate import Look, Simulation, simulate, write_simulation
from cellmotion_jax.methods.celltrack_rcnn.augmentation import WindowAugmentation, unchanged
from cellmotion_jax.methods.celltrack_rcnn.data import RCNNSamples
from cellmotion_jax.methods.celltrack_rcnn.experiment import RCNNExperiment
from cellmotion_jax.methods.celltrack_rcnn.pairs import adjacent_pairs
from cellmotion_jax.methods.celltrack_rcnn.records import WindowSettings, window_source
from cellmotion_jax.training.config import Phase, Run

SIDE, SCALE = 128, 2.5


@pytest.mark.slow
def test_four_frames_are_learned_by_heart(tmp_path):
    simulation = Simulation(
        look=Look.NUCLEI, frames=4, cells=7, height=SIDE, width=SIDE, division_rate_per_h=0.3, seed=3
    )
    write_simulation(simulate(simulation), tmp_path / "movie")
    frames = tuple(image for part in open_annotated(tmp_path / "movie") for image in part)
    pairs, whole = adjacent_pairs(frames), int(SCALE * SIDE)
    settings = WindowSettings(scale=SCALE, window=whole, stride=whole, cells=64)
    windows = window_source(pairs, settings, data_dir=tmp_path / "windows")
    samples = RCNNSamples(
        images=ImageSplit(frames, frames, frames),
        diameter=median_cell_diameter(frames),
        scale=SCALE,
        train=windows,
        validation=windows,
        validation_pairs=pairs,
        train_pairs=pairs,
    )
    experiment = RCNNExperiment(
        augmentation=unchanged(WindowAugmentation(crop=whole)),
        phases=(
            Phase(
                steps=400,
                learning_rate=1e-3,
                warmup_steps=30,
                final_fraction=0.02,
                statistics_momentum=0.9,
            ),
        ),
        run=Run(batch_size=1, evaluate_every=400, checkpoint_every=400),
    )
    tested = experiment._train_one(True, samples, tmp_path / "run", {})
    scores = tested.found.scores["assignment"]
    assert scores.seg > 0.9
    assert scores.tra > 0.97
    assert np.isfinite(scores.lnk)
