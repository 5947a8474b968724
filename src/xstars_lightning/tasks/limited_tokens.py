"""Tokens of a whole split, fewer of every tile the more tiles there are."""

import torch

from xstars_lightning.tasks.feature_store import Parts

__all__ = ["LimitedTokens", "first_tokens", "tokens_per_tile"]

_OF_TOKENS = 4  # tensors with a row per token; the others have one per tile


class LimitedTokens:
    """Keeps so many tokens of every tile that all of them together stay within a limit.

    The first tokens that were drawn of a tile are a draw, too. Therefore tokens can be dropped while tiles
    come in, and what is left in the end is what a smaller draw would have given.

    Args:
        count: Tokens per tile, at most.
        limit: Tokens of all tiles together; one of each is kept where there are more tiles than that.
    """

    def __init__(self, count: int, limit: int) -> None:
        self.count, self.limit = count, limit
        self._batches: list[Parts] = []
        self._kept = self._tiles = 0

    def add(self, parts: Parts) -> int:
        """Add a batch.

        Args:
            parts: Tokens (N, ...), what belongs to each of them, (N, ...) twice, and its rank (N,) among
                those drawn of its tile, from 0; then what belongs to the tiles, (T, ...) each.

        Returns:
            Tokens that are kept of all batches so far.
        """
        self._tiles += len(parts[-1])
        count = tokens_per_tile(self._tiles, self.count, self.limit)
        self._batches.append(first_tokens(parts, count))
        self._kept += len(self._batches[-1][0])
        if self._kept > self.limit:
            self._batches = [first_tokens(batch, count) for batch in self._batches]
            self._kept = sum(len(batch[0]) for batch in self._batches)
        return self._kept

    def joined(self) -> Parts:
        """All batches, with the same number of tokens of every tile that has so many."""
        count = tokens_per_tile(self._tiles, self.count, self.limit)
        batches = [first_tokens(batch, count) for batch in self._batches]
        return tuple(torch.cat(part) for part in zip(*batches, strict=True))


def tokens_per_tile(tiles: int, count: int, limit: int) -> int:
    """Tokens of each of so many tiles: at most ``count``, at least 1, all together within ``limit``."""
    return min(count, max(1, limit // max(1, tiles)))


def first_tokens(parts: Parts, count: int) -> Parts:
    """A batch as in :meth:`LimitedTokens.add` with the first ``count`` tokens of every tile."""
    kept = parts[_OF_TOKENS - 1] < count
    if bool(kept.all()):
        return parts
    return *(part[kept] for part in parts[:_OF_TOKENS]), *parts[_OF_TOKENS:]
