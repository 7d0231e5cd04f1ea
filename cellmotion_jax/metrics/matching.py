"""One-to-one matching of predictions and targets with the most pairs and then the smallest cost."""

import numpy as np
import scipy.sparse
from jaxtyping import Float, Int
from scipy.sparse.csgraph import min_weight_full_bipartite_matching


def cheapest_largest_matching(
    first: Int[np.ndarray, " candidate"],
    second: Int[np.ndarray, " candidate"],
    cost: Float[np.ndarray, " candidate"],
) -> Int[np.ndarray, " pair"]:
    """Selects candidate pairs such that no prediction and no target is used twice.

    As many pairs as possible, and among all such choices the smallest sum of costs. Time and memory grow
    with the number of candidates, not with the number of possible pairs.

    Every prediction and target also gets a dummy partner with a cost above all others; this makes it a full
    assignment, for which scipy has a sparse solver.

    Args:
        first: Index of each candidate's prediction, from 0. No pair occurs twice.
        second: Index of its target, from 0.
        cost: Finite and not negative.

    Returns:
        Positions in ``first`` and ``second`` of the pairs, ascending.
    """
    if not cost.size:
        return np.zeros(0, np.intp)
    _, row = np.unique(first, return_inverse=True)
    _, column = np.unique(second, return_inverse=True)
    rows, columns = row.max() + 1, column.max() + 1
    # scipy takes an entry of 0 for no edge. Every assignment has rows + columns edges, so that adding the
    # same to all of them changes none of the differences.
    edge = 1.0
    beyond = 1 + cost.max() * min(rows, columns)
    weights = np.concatenate([cost + edge, np.full(rows + columns, beyond + edge), np.full(cost.size, edge)])
    starts = np.concatenate([row, np.arange(rows), rows + np.arange(columns), rows + column])
    ends = np.concatenate([column, columns + np.arange(rows), np.arange(columns), columns + row])
    # The solver of scipy before 1.15 takes 32-bit indices only, and sparse arrays keep those they are given.
    positions = starts.astype(np.int32), ends.astype(np.int32)
    graph = scipy.sparse.csr_array((weights, positions), shape=(rows + columns, rows + columns))
    partner = min_weight_full_bipartite_matching(graph)[1]
    return np.flatnonzero(partner[row] == column)
