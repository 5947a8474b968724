"""How often the nearest feature of the other sensor is the one of the same place."""

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["patch_recall_at_1", "recall_at_1"]

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


def patch_recall_at_1(
    tokens_a: Tensor,
    tokens_b: Tensor,
    valid: Tensor | None = None,
    gallery: Literal["all", "window"] = "all",
) -> Tensor:
    """Share of patches of sensor a whose nearest patch of sensor b is the one at the same place.

    Args:
        tokens_a: Patch tokens (W, N, D) of W windows, those that ask.
        tokens_b: Patch tokens (W, N, D) of the other sensor at the same places.
        valid: Patches that count (W, N), bool; all where it is left out. A patch that does not
            count neither asks nor answers.
        gallery: Where to search: among all patches of all windows, the harder and the usual
            question (chance 1 / (W N)), or among those of the same window (chance 1 / N).

    Returns:
        Scalar float32 in [0, 1].

    Raises:
        ValueError: If shapes differ or no patch is valid.
    """
    _check(tokens_a, tokens_b)
    if valid is None:
        valid = torch.ones(tokens_a.shape[:2], dtype=torch.bool, device=tokens_a.device)
    if valid.shape != tokens_a.shape[:2]:
        raise ValueError(f"valid has shape {tuple(valid.shape)}, the tokens have {tuple(tokens_a.shape)}.")
    if not valid.any():
        raise ValueError("No patch is valid, so there is nothing to retrieve; see the validity masks.")
    if gallery == "all":
        return recall_at_1(tokens_a[valid], tokens_b[valid])
    queries, answers = (functional.normalize(tokens.float(), dim=-1) for tokens in (tokens_a, tokens_b))
    with torch.autocast(queries.device.type, enabled=False):
        similarity = queries @ answers.transpose(1, 2)
    nearest = similarity.masked_fill(~valid[:, None, :], -torch.inf).argmax(dim=-1)
    correct = nearest == torch.arange(nearest.shape[1], device=nearest.device)
    return correct[valid].float().mean()


def _check(a: Tensor, b: Tensor) -> None:
    if a.shape != b.shape:
        raise ValueError(
            f"The features of the two sensors have shapes {tuple(a.shape)} and {tuple(b.shape)}; "
            "bring both to the same places first."
        )
    if not a.numel():
        raise ValueError(f"There is nothing to retrieve in features of shape {tuple(a.shape)}.")
