"""Work shared out among processes."""

from collections.abc import Sequence

import numpy as np

__all__ = ["share_out"]


def share_out(costs: Sequence[int], shares: int) -> list[list[int]]:
    """Give each piece of work to one process, so that all have about as much to do.

    The costliest piece that is left goes to the process that has least: no process then has more than
    4/3 of the best possible [0]. The result depends on nothing but the arguments.

    Args:
        costs: Of each piece.
        shares: Number of processes.

    Returns:
        For each process, the numbers of its pieces in ascending order; none where there are too few.

    References:
        [0] Graham, Bounds on multiprocessing timing anomalies, 1969
    """
    loads = np.zeros(shares, dtype=np.int64)
    taken: list[list[int]] = [[] for _ in range(shares)]
    for piece in np.argsort(-np.asarray(costs, dtype=np.int64), kind="stable").tolist():
        least = int(loads.argmin())
        loads[least] += costs[piece]
        taken[least].append(piece)
    return [sorted(pieces) for pieces in taken]
