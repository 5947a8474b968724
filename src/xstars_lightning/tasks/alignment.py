"""Which tokens are aligned with which: pairs of sensors, common places, the shared head."""

from collections.abc import Mapping
from functools import cache
from itertools import combinations, product

import torch
from torch import Tensor, nn

from xstars_lightning.losses import MSADLoss, pool_tokens
from xstars_lightning.tasks.token_views import TokenViews

__all__ = ["Alignment"]

Pair = tuple[str, str]


class Alignment(nn.Module):
    """Aligns the tokens of every pair of sensors at the places that both see.

    A view shows all sensors the same square of ground. Where their token grids differ, the finer
    one is pooled to the coarser by overlap area and validity; then one head serves all sensors.

    Args:
        head: Maps tokens (..., D) to embeddings (..., P).
        loss: Compares embeddings (B, places, P) of two sensors.
        class_token: Align class tokens too, as one more place.
        min_valid: Share of a place that both sensors must see, in (0, 1].
    """

    def __init__(
        self, head: nn.Module, loss: MSADLoss, class_token: bool = True, min_valid: float = 0.5
    ) -> None:
        super().__init__()
        self.head = head
        self.loss = loss
        self.class_token = class_token
        self.min_valid = min_valid

    def forward(
        self, student: Mapping[str, TokenViews], fixed: Mapping[str, TokenViews], mutual: bool = True
    ) -> dict[Pair, Tensor]:
        """Loss of every pair.

        Args:
            student: Tokens with gradient, by sensor.
            fixed: Tokens without gradient that are targets only, by sensor; may be empty.
            mutual: Align the student's tokens with each other too.

        Returns:
            Scalar by pair of sensors, the student's first.
        """
        sets = {"student": student, "fixed": fixed}

        @cache  # a sensor takes part in several pairs
        def places(kind: str, sensor: str, side: int) -> tuple[Tensor, Tensor]:
            return self._places(sets[kind][sensor], side)

        pairs = [(a, b, "student") for a, b in combinations(student, 2) if mutual]
        pairs += [(a, b, "fixed") for a, b in product(student, fixed) if a != b]
        losses = {}
        for a, b, kind in pairs:
            x, y = student[a], sets[kind][b]
            side = min(_side(x), _side(y))
            (first, seen), (second, also_seen) = places("student", a, side), places(kind, b, side)
            views = len(x.tokens) // len(x.present)
            losses[a, b] = self.loss(first, second, seen & also_seen, views)
        return losses

    def _places(self, x: TokenViews, side: int) -> tuple[Tensor, Tensor]:
        """Embeddings (B, V n, P) at the places of all views, and where they are valid (B, V n)."""
        tokens, share = pool_tokens(x.tokens[:, 1:], x.valid, side)
        valid = share >= self.min_valid
        windows = len(x.present)
        if self.class_token:
            tokens = torch.cat([x.tokens[:, :1], tokens], dim=1)
            present = x.present.repeat(len(tokens) // windows) & (x.valid.mean(dim=1) >= self.min_valid)
            valid = torch.cat([present[:, None], valid], dim=1)
        return _side_by_side(self.head(tokens), windows), _side_by_side(valid, windows)


def _side_by_side(x: Tensor, windows: int) -> Tensor:
    """(V B, n, ...) -> (B, V n, ...): the place n of one view is not that of another."""
    return x.unflatten(0, (-1, windows)).transpose(0, 1).flatten(1, 2)


def _side(x: TokenViews) -> int:
    """Patches along a side of a view."""
    return round(x.valid.shape[1] ** 0.5)
