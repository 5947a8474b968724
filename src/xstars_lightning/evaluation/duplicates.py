"""Images that stand in two splits at once, whatever they are called."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path

__all__ = ["find_duplicates"]


def find_duplicates(train: Sequence[Path], test: Sequence[Path]) -> list[tuple[int, int]]:
    """Find test images that also stand in the training data, by the content of their files.

    Args:
        train: Files of the training images.
        test: Files of the test images.

    Returns:
        Positions in ``train`` and in ``test`` of each pair, by position in ``test``.
    """
    sizes = _by_size(train)
    hashes: dict[int, dict[str, list[int]]] = {}
    pairs = []
    for position, path in enumerate(test):
        size = path.stat().st_size
        if size not in sizes:
            continue
        if size not in hashes:
            hashes[size] = _by_hash(train, sizes[size])
        pairs += [(twin, position) for twin in hashes[size].get(_hash(path), [])]
    return pairs


def _by_size(paths: Sequence[Path]) -> Mapping[int, list[int]]:
    sizes: dict[int, list[int]] = defaultdict(list)
    for position, path in enumerate(paths):
        sizes[path.stat().st_size].append(position)
    return sizes


def _by_hash(paths: Sequence[Path], positions: Sequence[int]) -> dict[str, list[int]]:
    hashes: dict[str, list[int]] = defaultdict(list)
    for position in positions:
        hashes[_hash(paths[position])].append(position)
    return hashes


def _hash(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()
