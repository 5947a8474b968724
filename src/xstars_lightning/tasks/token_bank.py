"""Some tokens of the images that a probe is fitted on, at every resolution, embedded or from the cache."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from lightning.pytorch import Trainer
from torch import Generator, Tensor

from xstars_lightning.evaluation.dense_protocol import DenseSplit
from xstars_lightning.evaluation.segmentation import token_shares
from xstars_lightning.models.features import FeatureExtractor
from xstars_lightning.tasks.dense_features import dense_features, draw_tokens
from xstars_lightning.tasks.embedding import embed_split
from xstars_lightning.tasks.feature_store import FeatureStore, Parts
from xstars_lightning.tasks.limited_tokens import LimitedTokens, first_tokens, tokens_per_tile

__all__ = ["TokenBank"]

_CHECKED = 8  # images of the cache that are embedded again, if a batch may hold so many


@dataclass(frozen=True)
class TokenBank:
    """Draws tokens of every tile of a split, the same at every resolution.

    Args:
        model: The network.
        classes: Number C of classes.
        image_size: As for :func:`dense_features`.
        shares: Of the resolution at which tiles are read.
        count: Tokens per tile, at most.
        seed: Of the draw.
        cache_dir: Folder in which tokens are kept; None keeps none.
        limit: Tokens of a split; fewer of every tile are kept where there are more, but at least one.

    Attributes:
        used: Tokens per tile, at most, that were kept of every split, after :meth:`collect`.
    """

    model: FeatureExtractor
    classes: int
    image_size: int | None
    shares: Sequence[float]
    count: int
    seed: int
    cache_dir: str | None = None
    limit: int = 1_000_000
    used: dict[str, int] = field(default_factory=dict, init=False)

    def collect(self, trainer: Trainer, split: str) -> dict[float, DenseSplit]:
        """Tokens of ``train`` or ``val`` by share of the resolution.

        Args:
            trainer: It is testing; its datamodule has set up the split.
            split: Name of the split.
        """
        datamodule: Any = trainer.datamodule  # type: ignore[attr-defined]
        options = {"image_size": self.image_size, "resolutions": list(self.shares)}
        options |= {"tokens_per_tile": self.count, "max_tokens": self.limit, "seed": self.seed}
        # No more than a batch: images of several sizes cannot make one.
        store = FeatureStore(self.cache_dir, trainer, options, min(_CHECKED, datamodule.batch_size))
        key = store.key(split, self.model)
        parts = store.load(split, key, self.embedder(), cut=self._as_few)
        if parts is None:
            drawn, embed = LimitedTokens(self.count, self.limit), self.embedder()
            embed_split(trainer, split, lambda batch: drawn.add(embed(batch)))
            parts = drawn.joined()
            store.save(key, parts)
        self.used[split] = tokens_per_tile(len(parts[-1]), self.count, self.limit)
        return self._split(parts, getattr(datamodule, f"{split}_dataset").names)

    def embedder(self) -> Callable[[Mapping[str, Tensor]], Parts]:
        """For one pass over a split: every pass draws the same tokens.

        Returns:
            Takes a batch and returns, on the CPU, tokens (N, R, D) at the R shares of the resolution, shares
            (N, C) of the classes on their ground, the images (N,) that they come from and their ranks (N,)
            among those drawn of their tile; then for every tile its image (T,) and its pixels of each class
            (T, C).
        """
        generator = Generator().manual_seed(self.seed)

        def embed(batch: Mapping[str, Tensor]) -> Parts:
            image, mask, index = batch["image"], batch["mask"], batch["index"]
            found = [dense_features(self.model, image, self.image_size, share) for share in self.shares]
            tokens = torch.stack(found, dim=3)
            ground = token_shares(mask, (tokens.shape[1], tokens.shape[2]), self.classes)
            pixels = [(mask == number).flatten(1).sum(dim=1) for number in range(self.classes)]
            drawn = draw_tokens(tokens, ground, index, self.count, generator)
            counts = (ground.sum(dim=-1) > 0).flatten(1).sum(dim=1).clamp(max=self.count)
            ranks = torch.cat([torch.arange(drawn_of_tile) for drawn_of_tile in counts.tolist()])
            return *drawn, ranks, index.cpu(), torch.stack(pixels, dim=1).cpu()

        return embed

    def _as_few(self, parts: Parts, known: Parts) -> Parts:
        return first_tokens(parts, tokens_per_tile(len(known[-1]), self.count, self.limit))

    def _split(self, parts: Parts, names: Sequence[str]) -> dict[float, DenseSplit]:
        tokens, shares, images, _, tiles, pixels = parts
        held = pixels.new_zeros(len(names), self.classes).index_add_(0, tiles, pixels) > 0
        return {
            share: DenseSplit(tokens[:, place], shares, images, held, names)
            for place, share in enumerate(self.shares)
        }
