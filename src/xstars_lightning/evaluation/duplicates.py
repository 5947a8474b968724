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
    groups: list[tuple[Sequence[int], Sequence[int]]] = [(range(len(train)), range(len(test)))]
    for key in (_sizes, _first_hash, _hashes):  # the costliest only where all before it are the same
        groups = [
            (ours[same], theirs[same])
            for a, b in groups
            for ours, theirs in [(_positions(train, a, key), _positions(test, b, key))]
            for same in ours.keys() & theirs.keys()
        ]
    pairs = [(a, b) for ours, theirs in groups for a in ours for b in theirs]
    return sorted(pairs, key=lambda pair: (pair[1], pair[0]))


def _positions(
    images: Sequence[Files], positions: Sequence[int], key: Callable[[Files], Key]
) -> dict[Key, list[int]]:
    found: dict[Key, list[int]] = defaultdict(list)
    for position in positions:
        found[key(images[position])].append(position)
    return found


def _sizes(files: Files) -> Key:
    return tuple(path.stat().st_size for path in paths_of(files))


def _first_hash(files: Files) -> Key:
    return _hashes(paths_of(files)[:1])


def _hashes(files: Files) -> Key:
    digests = []
    for path in paths_of(files):
        with path.open("rb") as file:  # scenes may be larger than the memory
            digests.append(file_digest(file, "sha256").hexdigest())
    return tuple(digests)
