"""Where the class token of a vision transformer looks."""

from typing import Any

import torch
from timm.models.vision_transformer import Attention
from torch import Tensor, nn

from xstars_lightning.models.peers.extractor import FeatureExtractor

__all__ = ["class_attention"]


@torch.inference_mode()
def class_attention(extractor: FeatureExtractor, image: Tensor) -> Tensor | None:
    """Attention of the class token to the patches, in the last block.

    Args:
        extractor: Opened by :func:`~xstars_lightning.models.features.open_features`.
        image: As the extractor takes it (B, C, H, W).

    Returns:
        Shares (B, heads, h, w), which sum to 1 with those of the tokens before the patches; None of a
        network without class token or without attention as timm writes it.
    """
    blocks: Any = getattr(getattr(extractor.network, "trunk", extractor.network), "blocks", None)
    attention = blocks[-1].attn if isinstance(blocks, nn.Sequential) else None
    if not isinstance(attention, Attention):
        return None
    seen: list[Tensor] = []
    handle = attention.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    try:
        features = extractor(image)
    finally:
        handle.remove()
    if features.cls is None:
        return None
    shares = _attend(attention, seen[0])
    patches = features.patches.shape[1] * features.patches.shape[2]
    return shares[..., -patches:].unflatten(-1, features.patches.shape[1:3]).float()


def _attend(attention: Any, tokens: Tensor) -> Tensor:
    """Tokens before the attention (B, N, D) -> shares (B, heads, N) that the first token gives."""
    qkv = attention.qkv(tokens).unflatten(-1, (3, attention.num_heads, -1))
    query, key = attention.q_norm(qkv[:, :1, 0]), attention.k_norm(qkv[:, :, 1])
    scores = torch.einsum("bqhd,bnhd->bhn", query * attention.scale, key)
    return scores.softmax(dim=-1)
