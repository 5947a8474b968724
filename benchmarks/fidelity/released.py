"""The alignment of the authors' release, with its gradient restored, and other alignments to compare."""

from collections.abc import Mapping
from itertools import combinations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from xstars_lightning.losses import MSADLoss
from xstars_lightning.tasks import XStars
from xstars_lightning.tasks.alignment import Alignment
from xstars_lightning.tasks.token_views import TokenViews

__all__ = ["HalfBatchXStars", "ReleasedXStars"]


class _Projection(nn.Module):
    """Projection head of the release: residual perceptron, dropout, layer norm."""

    def __init__(self, dim: int, width: int = 1024) -> None:
        super().__init__()
        self.projection = nn.Linear(dim, width)
        self.fc = nn.Linear(width, width)
        self.dropout = nn.Dropout(0.2)
        self.layer_norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        projected = self.projection(x)
        normalized: Tensor = self.layer_norm(self.dropout(self.fc(F.gelu(projected))) + projected)
        return normalized


class _ReleasedAlignment(Alignment):
    """One shared head, then a head for the first and one for the second sensor of a pair."""

    def __init__(self, dim: int, width: int = 1024) -> None:
        super().__init__(_Projection(dim, width), MSADLoss.published())
        self.roles = nn.ModuleList([_Projection(width, width), _Projection(width, width)])

    def forward(
        self, student: Mapping[str, TokenViews], fixed: Mapping[str, TokenViews], mutual: bool = True
    ) -> dict[tuple[str, str], Tensor]:
        """Loss of every pair, all grids being of one size."""
        sides = {round(x.valid.shape[1] ** 0.5) for x in student.values()}
        places = {name: self._places(x, max(sides)) for name, x in student.items()}
        first, second = self.roles
        return {
            (a, b): self.loss(first(places[a][0]), second(places[b][0]), places[a][1] & places[b][1])
            for a, b in combinations(places, 2)
        }


class ReleasedXStars(XStars):
    """X-STARS with the formula and the heads of the release; give it their alpha, 0.1."""

    def configure_losses(self) -> None:
        """DINO as ours, the release's alignment."""
        super().configure_losses()
        self.alignment = _ReleasedAlignment(self.model.embed_dim)


class _HalfBatchMSAD(MSADLoss):
    """What two processes compute that do not gather: each half of the windows by itself."""

    def forward(self, a: Tensor, b: Tensor, valid: Tensor | None = None, views: int = 1) -> Tensor:
        """Mean of the two halves."""
        assert valid is not None
        halves = zip(a.chunk(2), b.chunk(2), valid.chunk(2), strict=True)
        return torch.stack([super(_HalfBatchMSAD, self).forward(*half, views) for half in halves]).mean()


class HalfBatchXStars(XStars):
    """X-STARS whose negatives are not gathered from two processes."""

    def configure_losses(self) -> None:
        """The same losses, the alignment by halves of the batch."""
        super().configure_losses()
        self.alignment.loss = _HalfBatchMSAD(image_negatives=True)
