"""Images that stand in two splits at once, whatever they are called."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from hashlib import file_digest

from xstars_lightning.evaluation.files import Files, paths_of

__all__ = ["find_duplicates"]

Key = tuple[int | str, ...]  # of every file of an image


def find_duplicates(train: Sequence[Files], test: Sequence[Files]) -> list[tuple[int, int]]:
    """Find test images that also stand in the training data, by the content of their files.

    Args:
        train: Files of the training images; where an image has several, all of them must be the same.
        test: Files of the test images.

    Returns:
        Positions in ``train`` and in ``test`` of each pair, by position in ``test``.
    """
    sizes = _positions(train, range(len(train)), _sizes)
    hashes: dict[Key, dict[Key, list[int]]] = {}
    pairs = []
    for position, files in enumerate(test):
        size = _sizes(files)
        if size not in sizes:
            continue
        if size not in hashes:
            hashes[size] = _positions(train, sizes[size], _hashes)
        pairs += [(twin, position) for twin in hashes[size].get(_hashes(files), [])]
    return pairs


def _positions(
    images: Sequence[Files], positions: Sequence[int], key: Callable[[Files], Key]
) -> dict[Key, list[int]]:
    found: dict[Key, list[int]] = defaultdict(list)
    for position in positions:
        found[key(images[position])].append(position)
    return found


def _sizes(files: Files) -> Key:
    return tuple(path.stat().st_size for path in paths_of(files))


def _hashes(files: Files) -> Key:
    digests = []
    for path in paths_of(files):
        with path.open("rb") as file:  # scenes may be larger than the memory
            digests.append(file_digest(file, "sha256").hexdigest())
    return tuple(digests)
