"""Token grids of different sizes over the same square of ground."""

import math
from functools import lru_cache

import torch
from torch import Tensor

__all__ = ["overlap", "pool_tokens"]


@lru_cache
def overlap(source: int, target: int, device: torch.device | None = None) -> Tensor:
    """Share of each target cell's side that each source cell covers.

    Both grids divide the same side of ground into cells of equal length. Computed once per
    geometry and shared between callers, who leave it as it is.

    Args:
        source: Cells along a side of the source grid.
        target: Cells along a side of the target grid.
        device: Where the matrix is to be.

    Returns:
        Float32 (target, source) in [0, 1]; rows sum to 1.

    Raises:
        ValueError: If a grid has no cell.
    """
    if source < 1 or target < 1:
        raise ValueError(f"A grid has at least one cell along its side, got {source} and {target}.")
    # A tensor born in inference mode, as in validation, could not be used in training afterwards.
    with torch.inference_mode(False):
        # In units of 1 / (source * target) of the side, all edges are whole numbers.
        starts = torch.arange(source, device=device) * target
        new_starts = torch.arange(target, device=device)[:, None] * source
        ends, new_ends = starts + target, new_starts + source
        shared = torch.minimum(ends, new_ends) - torch.maximum(starts, new_starts)
        return shared.clamp(min=0) / source


def pool_tokens(tokens: Tensor, valid: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """Bring the tokens of a square grid to a grid of another size over the same ground.

    A token at its new place is the mean of the tokens that overlap it, weighted by the valid area
    that they share. Computed in float32 under any autocast. A grid that has the asked size is
    returned as it is.

    Args:
        tokens: Tokens of a square grid, row by row, (B, N, D); any value where not valid.
        valid: Share of valid pixels of each token, (B, N) in [0, 1].
        side: Tokens along a side of the new grid.

    Returns:
        Tokens (B, side^2, D) in the type of ``tokens``, 0 where nothing is valid; and the share of
        each place's area that is valid, (B, side^2) in [0, 1].

    Raises:
        ValueError: If the grid is not square, ``valid`` is of another shape, or ``side`` is not positive.
    """
    own = math.isqrt(tokens.shape[1])
    if own**2 != tokens.shape[1]:
        raise ValueError(
            f"Tokens must form a square grid, got {tokens.shape[1]} of them; leave out class tokens."
        )
    if valid.shape != tokens.shape[:2]:
        raise ValueError(
            f"Expected valid {tuple(tokens.shape[:2])}, one share per token, got {tuple(valid.shape)}."
        )
    if side == own:
        return tokens, valid
    with torch.autocast(tokens.device.type, enabled=False):
        weights = overlap(own, side, tokens.device)
        shares = valid.float().unflatten(1, (own, own))
        # Selected before weighted: 0 times NaN would be NaN.
        kept = torch.where(valid[..., None] > 0, tokens.float(), 0).unflatten(1, (own, own))
        total = torch.einsum("ti,bijd,uj->btud", weights, kept * shares[..., None], weights)
        area = torch.einsum("ti,bij,uj->btu", weights, shares, weights)
        mean = total / torch.where(area > 0, area, 1)[..., None]
    return mean.flatten(1, 2).to(tokens.dtype), area.flatten(1)
