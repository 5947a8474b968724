"""Do two models find the same things alike?"""

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["neighbour_overlap"]


def neighbour_overlap(a: Tensor, b: Tensor, k: int) -> Tensor:
    """Mean share of the k nearest neighbours by the cosine that two feature spaces have in common.

    Needs no labels and no common space [0]; what a kNN classifier answers in one space can differ
    from the other only where neighbours do.

    Args:
        a: Features of N samples in one space, (N, D).
        b: Features of the same samples in another, (N, E).
        k: Neighbours, without the sample itself; in [1, N - 1].

    Returns:
        Scalar float32 in [0, 1]; about k / (N - 1) by chance.

    Raises:
        ValueError: If the numbers of samples differ or k does not fit.

    References:
        [0]: mutual nearest-neighbour metric of Huh et al., 2024, https://arxiv.org/abs/2405.07987
    """
    if len(a) != len(b) or not 1 <= k < len(a):
        raise ValueError(f"Expected as many samples in both and 1 <= k < N, got {len(a)}, {len(b)}, k={k}.")
    near = [_neighbours(x, k) for x in (a, b)]
    return (near[0] & near[1]).sum(dim=1).float().mean() / k


def _neighbours(features: Tensor, k: int) -> Tensor:
    """Bool (N, N): the k nearest others of each sample."""
    unit = functional.normalize(features.float(), dim=1)
    similarity = (unit @ unit.T).fill_diagonal_(-torch.inf)
    chosen = torch.zeros_like(similarity, dtype=torch.bool)
    return chosen.scatter_(1, similarity.topk(k, dim=1).indices, True)
