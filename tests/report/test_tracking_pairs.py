"""The picture of pairs is written, with marks at the given positions."""

import numpy as np

from cellmotion_jax.report.tracking_pairs import PairPicture, plot_pairs


def test_pairs_of_any_number_are_drawn(tmp_path):
    rng = np.random.default_rng(0)
    pair = PairPicture(
        name="cells",
        first=rng.normal(size=(64, 64)),
        second=rng.normal(size=(64, 64)),
        response=rng.normal(size=(48, 48)),
        logits=rng.normal(size=(48, 48)),
        believed=np.zeros(2),
        true=np.array([3.0, -2.0]),
        found=np.array([3.2, -2.1]),
    )
    sizes = []
    for count in (1, 3):
        plot_pairs([pair] * count, tmp_path / "pairs.png", title="Three pairs")
        sizes.append((tmp_path / "pairs.png").stat().st_size)
    assert 10_000 < sizes[0] < sizes[1]
