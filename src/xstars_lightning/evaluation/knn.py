"""Nearest neighbours as a classifier of frozen features."""

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["knn_classify", "knn_shares", "nearest"]

_CHUNK = 1024  # queries at once: 1024 x 100,000 similarities are 400 MB


def knn_classify(
    train_features: Tensor,
    train_labels: Tensor,
    features: Tensor,
    k: int = 20,
    temperature: float = 0.07,
    *,
    num_classes: int,
) -> Tensor:
    """Classify by the weighted vote of the k nearest training features.

    Nearest by the cosine; a neighbour of similarity s votes with weight exp(s / temperature), the
    protocol of InstDisc [0] and DINO [1]. Computed in float32 whatever the type of the features.

    Args:
        train_features: The bank (M, D).
        train_labels: Classes of the bank (M,), in [0, num_classes).
        features: What to classify (N, D), on the device of the bank.
        k: Neighbours that vote.
        temperature: Of the votes, positive; small values let the nearest decide.
        num_classes: Number of classes.

    Returns:
        Predicted classes (N,).

    Raises:
        ValueError: If k is not in [1, M], the temperature not positive, or a label not a class.

    References:
        [0] https://arxiv.org/abs/1805.01978
        [1] https://arxiv.org/abs/2104.14294
    """
    _check(train_features, k, temperature)
    if int(train_labels.min()) < 0 or int(train_labels.max()) >= num_classes:
        raise ValueError(
            f"train_labels range from {int(train_labels.min())} to {int(train_labels.max())}; "
            f"with num_classes={num_classes} they must lie in [0, {num_classes - 1}]."
        )
    similarity, neighbours = nearest(train_features, features, k)
    weights = _weigh(similarity, temperature)
    votes = weights.new_zeros(len(features), num_classes)
    return votes.scatter_add_(1, train_labels[neighbours], weights).argmax(dim=1)


def knn_shares(
    train_features: Tensor, train_labels: Tensor, features: Tensor, k: int = 20, temperature: float = 0.07
) -> Tensor:
    """Weighted share of the k nearest training features that have each of several labels.

    Args:
        train_features: The bank (M, D).
        train_labels: Which classes each has (M, C), 0 or 1.
        features: What to classify (N, D).
        k: As for :func:`knn_classify`, with its errors.
        temperature: Likewise.

    Returns:
        Shares in [0, 1] (N, C).
    """
    _check(train_features, k, temperature)
    similarity, neighbours = nearest(train_features, features, k)
    weights = _weigh(similarity, temperature)
    weights = weights / weights.sum(dim=1, keepdim=True)
    labels = train_labels.float()
    chunks = zip(weights.split(_CHUNK), neighbours.split(_CHUNK), strict=True)
    return torch.cat([torch.einsum("qk,qkc->qc", w, labels[near]) for w, near in chunks])


def nearest(bank: Tensor, queries: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Cosines of the k nearest and their positions in the bank (M, D), each (N, k), for queries (N, D)."""
    bank = functional.normalize(bank.float(), dim=1)
    chunks = functional.normalize(queries.float(), dim=1).split(_CHUNK)
    with torch.autocast(bank.device.type, enabled=False):
        found = [(chunk @ bank.T).topk(k, dim=1) for chunk in chunks]
    return torch.cat([part.values for part in found]), torch.cat([part.indices for part in found])


def _weigh(similarity: Tensor, temperature: float) -> Tensor:
    # Subtracting the best leaves the winner as it is and keeps exp() finite at small temperatures.
    return ((similarity - similarity[:, :1]) / temperature).exp()


def _check(bank: Tensor, k: int, temperature: float) -> None:
    if not 1 <= k <= len(bank):
        raise ValueError(
            f"k={k} neighbours were asked for, the bank holds {len(bank)} features; "
            "choose k between 1 and the size of the bank."
        )
    if temperature <= 0:
        raise ValueError(f"temperature must be positive, got {temperature}; 0.07 is usual.")
