"""Projection heads that are ours; DINO's comes from lightly."""

from torch import Tensor, nn

from xstars_lightning.models.recompute import linear_of_gelu

__all__ = ["AlignmentHead"]


class AlignmentHead(nn.Sequential):
    """Two-layer perceptron that maps tokens to the space in which sensors are aligned.

    One instance serves all sensors: with a head per sensor, the heads learn the alignment and
    the encoder does not.

    Args:
        dim: Width D of the encoder's tokens.
        hidden_dim: Width of the hidden layer.
        output_dim: Width P of the embedding.
    """

    def __init__(self, dim: int, hidden_dim: int = 1024, output_dim: int = 256) -> None:
        super().__init__(nn.Linear(dim, hidden_dim), nn.GELU(), nn.Linear(hidden_dim, output_dim))

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens (..., D) -> embeddings (..., P), not normalised."""
        enter, gelu, leave = self
        return linear_of_gelu(gelu, leave, enter(tokens))
