"""Nearest neighbours as a classifier of frozen features."""

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["knn_classify"]

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
    if not 1 <= k <= len(train_features):
        raise ValueError(
            f"k={k} neighbours were asked for, the bank holds {len(train_features)} features; "
            "choose k between 1 and the size of the bank."
        )
    if temperature <= 0:
        raise ValueError(f"temperature must be positive, got {temperature}; 0.07 is usual.")
    if int(train_labels.min()) < 0 or int(train_labels.max()) >= num_classes:
        raise ValueError(
            f"train_labels range from {int(train_labels.min())} to {int(train_labels.max())}; "
            f"with num_classes={num_classes} they must lie in [0, {num_classes - 1}]."
        )
    bank = functional.normalize(train_features.float(), dim=1)
    chunks = functional.normalize(features.float(), dim=1).split(_CHUNK)
    with torch.autocast(bank.device.type, enabled=False):
        votes = [_vote(chunk, bank, train_labels, k, temperature, num_classes) for chunk in chunks]
    return torch.cat(votes)


def _vote(
    queries: Tensor, bank: Tensor, labels: Tensor, k: int, temperature: float, num_classes: int
) -> Tensor:
    """Unit queries (Q, D) and bank (M, D) -> classes (Q,)."""
    similarity, neighbours = (queries @ bank.T).topk(k, dim=1)
    # Subtracting the best leaves the winner as it is and keeps exp() finite at small temperatures.
    weights = ((similarity - similarity[:, :1]) / temperature).exp()
    votes = weights.new_zeros(len(queries), num_classes)
    return votes.scatter_add_(1, labels[neighbours], weights).argmax(dim=1)
