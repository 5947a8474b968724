"""How often the nearest feature of the other sensor is the one of the same place."""

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["recall_at_1"]

_CHUNK = 1024  # queries at once, which bounds the memory of the similarities


def recall_at_1(queries: Tensor, gallery: Tensor) -> Tensor:
    """Share of queries whose nearest gallery entry by the cosine has the same index.

    One direction only, queries to gallery; chance is 1 / N. Computed in float32.

    Args:
        queries: Features of one sensor (N, D).
        gallery: Features of the other sensor at the same places (N, D).

    Returns:
        Scalar float32 in [0, 1].

    Raises:
        ValueError: If the shapes differ or there is nothing to compare.
    """
    _check(queries, gallery)
    gallery = functional.normalize(gallery.float(), dim=1)
    chunks = functional.normalize(queries.float(), dim=1).split(_CHUNK)
    with torch.autocast(gallery.device.type, enabled=False):
        nearest = torch.cat([(chunk @ gallery.T).argmax(dim=1) for chunk in chunks])
    return (nearest == torch.arange(len(nearest), device=nearest.device)).float().mean()


def _check(a: Tensor, b: Tensor) -> None:
    if a.shape != b.shape:
        raise ValueError(
            f"The features of the two sensors have shapes {tuple(a.shape)} and {tuple(b.shape)}; "
            "bring both to the same places first."
        )
    if not a.numel():
        raise ValueError(f"There is nothing to retrieve in features of shape {tuple(a.shape)}.")
