"""Peer: the alignment as the X-STARS release computes it, a loop over tokens, its gradient restored."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from xstars_lightning.losses import MSADLoss

__all__ = ["ReleaseAlignment"]


class ReleaseAlignment(nn.Module):
    """Three projection heads and the soft-target loss of the release [0], for one pair of sensors.

    A shared head, then one for the first and one for the second sensor of the pair. With their
    outputs e of one token of B windows and temperature 1,

        logits  = e_2 e_1^T
        targets = softmax((e_1 e_1^T + e_2 e_2^T) / 2)
        loss    = (CE(logits, targets) + CE(logits^T, targets^T)) / 2

    with 0.3 of label smoothing, and the mean over the tokens, the class token among them. In the
    release no gradient leaves that mean, so the alignment trains nothing there.

    Args:
        dim: Width D of the encoder's tokens.
        width: Width of the heads.
        dropout: Dropout in the heads; 0.2 in the release, 0 to compare values.
        label_smoothing: Share of the targets that is spread over all windows.

    References:
        [0] https://github.com/VMarsocci/X-STARS
    """

    def __init__(
        self, dim: int, width: int = 1024, dropout: float = 0.0, label_smoothing: float = 0.3
    ) -> None:
        super().__init__()
        self.shared = _Projection(dim, width, dropout)
        self.first = _Projection(width, width, dropout)
        self.second = _Projection(width, width, dropout)
        self.label_smoothing = label_smoothing
        self.batched_loss = MSADLoss.published(label_smoothing=label_smoothing)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """The release's way: one token after the other.

        Args:
            first: Tokens of the first sensor, (B, N, D), class token first.
            second: Those of the second sensor at the same places, (B, N, D).

        Returns:
            Scalar.
        """
        losses = []
        for place in range(first.shape[1]):
            one = self.first(self.shared(first[:, place]))
            two = self.second(self.shared(second[:, place]))
            losses.append(self._loss(one, two))
        return torch.stack(losses).mean()

    def batched(self, first: Tensor, second: Tensor) -> Tensor:
        """The same function of the same arguments, with our loss: all tokens in one product."""
        loss: Tensor = self.batched_loss(self.first(self.shared(first)), self.second(self.shared(second)))
        return loss

    def _loss(self, first: Tensor, second: Tensor) -> Tensor:
        """Loss of one token of B windows, embeddings (B, P)."""
        logits = second @ first.T
        targets = ((first @ first.T + second @ second.T) / 2).softmax(dim=-1)
        rows = F.cross_entropy(logits, targets, label_smoothing=self.label_smoothing)
        columns = F.cross_entropy(logits.T, targets.T, label_smoothing=self.label_smoothing)
        return (rows + columns) / 2


class _Projection(nn.Module):
    """Head of the release: LayerNorm(dropout(W2 GELU(W1 x)) + W1 x)."""

    def __init__(self, dim: int, width: int, dropout: float) -> None:
        super().__init__()
        self.enter = nn.Linear(dim, width)
        self.deepen = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        """Tokens (..., D) -> embeddings (..., width), not of unit length."""
        entered = self.enter(x)
        normalized: Tensor = self.norm(self.dropout(self.deepen(F.gelu(entered))) + entered)
        return normalized
