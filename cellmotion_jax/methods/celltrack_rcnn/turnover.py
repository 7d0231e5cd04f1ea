"""How often cells appear and vanish in the movie at hand, which says what a birth and an end cost."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from cellmotion_jax.methods.celltrack_rcnn.fusion import FrameLinks
from cellmotion_jax.methods.celltrack_rcnn.pair_features import Measured, diameters


class Turnover(NamedTuple):
    """What has been seen so far, first away from the border of the frame, then at it."""

    changes: Float[np.ndarray, "2"]
    """Mean of the numbers of cells that appeared and of those that vanished."""
    cells: Float[np.ndarray, "2"]
    """Mean of the numbers of cells that could have."""

    def cost(
        self, at_border: Bool[np.ndarray, " cell"], *, expected: float, weight: float
    ) -> Float[np.ndarray, " cell"]:
        """Negative logarithm of the share of cells that appear or vanish, where each cell is.

        Args:
            at_border: Whether a cell is at the border of the frame.
            expected: The cost before anything is seen.
            weight: Number of cells that this counts for.
        """
        share = (self.changes + weight * np.exp(-expected)) / (self.cells + weight)
        return -np.log(share)[at_border.astype(int)]

    def after(
        self,
        links: FrameLinks,
        earlier: Bool[np.ndarray, " earlier"],
        later: Bool[np.ndarray, " later"],
    ) -> Turnover:
        """With the links between two more frames.

        Args:
            links: Of every later cell.
            earlier: Whether each earlier cell is at the border.
            later: Whether each later cell is.
        """
        ended = np.ones(len(earlier), bool)
        ended[links.source[(links.source >= 0) & (links.steps == 1)]] = False
        places = np.concatenate([earlier, later]).astype(int)
        changed = np.concatenate([ended, links.source < 0])
        cells = self.cells + np.bincount(places, minlength=2) / 2
        changes = self.changes + np.bincount(places[changed], minlength=2) / 2
        return Turnover(changes, cells)


NOTHING_SEEN = Turnover(np.zeros(2), np.zeros(2))


def at_border(cells: Measured, size: tuple[int, int]) -> Bool[np.ndarray, " cell"]:
    """Which cells are so near to the border of a frame of this size that they may come or go across it.

    These are those whose centre is within one diameter of it.
    """
    last = np.array(size) - 1
    distance = np.minimum(cells.centre, last - cells.centre).min(axis=-1)
    return distance < diameters(cells)
