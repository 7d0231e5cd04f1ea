"""Room for every cell: first places that do not overlap, and the push between cells that touch."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from scipy.spatial import KDTree

from cellmotion_jax.data.simulate.conditions import Conditions


def scatter(
    conditions: Conditions, size: Float[np.ndarray, " 2"], rng: np.random.Generator
) -> Float[np.ndarray, "cell 2"]:
    """First places: the wanted number inside the field, as dense a crowd in the margin around it."""
    field = np.array(conditions.field, float)
    cells = conditions.simulation.cells
    # Around one cell there are, at the density of the field, as many as its neighbours there suggest.
    outside = int(max(cells - 1, 0) * (size.prod() / field.prod() - 1))
    places = np.zeros((0, 2))
    for index in range(cells + outside):
        candidates = rng.uniform(0, field, (24, 2))
        if index >= cells:
            candidates = _outside(candidates, field, size, rng)
        gaps = candidates[:, None] - places
        gaps -= size * np.round(gaps / size)
        nearest = (gaps**2).sum(-1).min(1, initial=np.inf)
        # Cells are scattered at random except where they would lie upon one another.
        roomy = np.flatnonzero(nearest > (2.2 * conditions.radius) ** 2)
        best = roomy[0] if len(roomy) else nearest.argmax()
        places = np.concatenate([places, candidates[best : best + 1]])
    return places


def _outside(
    inside: Float[np.ndarray, "candidate 2"],
    field: Float[np.ndarray, " 2"],
    size: Float[np.ndarray, " 2"],
    rng: np.random.Generator,
) -> Float[np.ndarray, "candidate 2"]:
    """Points uniform on the torus without the field: below it in a strip of full width, or beside it."""
    below = rng.random(len(inside)) < (size[0] - field[0]) * size[1] / (size.prod() - field.prod())
    places = rng.uniform((field[0], 0), size, inside.shape)
    beside = np.stack([inside[:, 0], rng.uniform(field[1], size[1], len(inside))], -1)
    return np.where(below[:, None], places, beside)


def repulsion(
    place: Float[np.ndarray, "cell 2"], radius: Float[np.ndarray, " cell"], size: Float[np.ndarray, " 2"]
) -> Float[np.ndarray, "cell 2"]:
    """The shift that takes half of every overlap between discs on the torus away from each of the two."""
    wrapped = np.mod(place, size)
    tree = KDTree(np.where(wrapped < size, wrapped, 0.0), boxsize=size)
    first, second = tree.query_pairs(2 * radius.max(initial=0.0), output_type="ndarray").T
    gap = place[first] - place[second]
    gap -= size * np.round(gap / size)
    distance = np.hypot(gap[:, 0], gap[:, 1])
    overlap = np.clip(radius[first] + radius[second] - distance, 0, None)
    push = (0.4 * overlap / np.maximum(distance, 1e-6))[:, None] * gap
    shift = np.zeros_like(place)
    np.add.at(shift, first, push)
    np.add.at(shift, second, -push)
    return shift
