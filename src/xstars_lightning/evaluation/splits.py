"""Which samples are for training, and which of them are labelled: seeded, stratified, hashed."""

import hashlib
from collections.abc import Sequence
from itertools import accumulate, pairwise

import torch
from torch import Generator, Tensor

__all__ = ["label_subset", "labels_per_class", "split_hash", "stratified_split"]


def label_subset(
    labels: Tensor, fraction: float, seed: int, class_names: Sequence[str] | None = None
) -> Tensor:
    """Draw a fraction of every class, at least one sample of each.

    With the same seed a smaller fraction is contained in a larger one.

    Args:
        labels: Classes (N,).
        fraction: In (0, 1].
        seed: Of the draw.
        class_names: Names of all classes. Without them the classes are those up to the largest
            label, named by their number.

    Returns:
        Indices in ascending order.

    Raises:
        ValueError: If the fraction is not in (0, 1] or a class has no sample; it is named.
    """
    if not 0 < fraction <= 1:
        raise ValueError(f"A label fraction must lie in (0, 1], got {fraction}.")
    chosen = [
        members[: max(1, round(fraction * len(members)))]
        for members in _shuffled_classes(labels, seed, class_names)
    ]
    return torch.cat(chosen).sort().values


def labels_per_class(
    labels: Tensor, count: int, seed: int, class_names: Sequence[str] | None = None
) -> Tensor:
    """Draw the same number of samples of every class.

    With the same seed a smaller number is contained in a larger one.

    Args:
        labels: Classes (N,).
        count: Samples of each class, at least 1.
        seed: Of the draw.
        class_names: As in :func:`label_subset`.

    Returns:
        Indices in ascending order.

    Raises:
        ValueError: If the number is not positive or a class has fewer samples; it is named.
    """
    if count < 1:
        raise ValueError(f"The number of labels per class must be at least 1, got {count}.")
    classes = _shuffled_classes(labels, seed, class_names, least=count)
    return torch.cat([members[:count] for members in classes]).sort().values


def stratified_split(
    labels: Tensor,
    fractions: Sequence[float] = (0.6, 0.2, 0.2),
    seed: int = 0,
    class_names: Sequence[str] | None = None,
) -> tuple[Tensor, ...]:
    """Divide samples so that every part has the same share of every class.

    Args:
        labels: Classes (N,).
        fractions: Shares of the parts; their sum is 1.
        seed: Of the draw.
        class_names: As in :func:`label_subset`.

    Returns:
        Indices of each part, in a shuffled order, so that the first few of a part resemble all.

    Raises:
        ValueError: If the fractions are no shares of 1, or a class has fewer samples than there
            are parts; it is named.
    """
    if min(fractions) <= 0 or abs(sum(fractions) - 1) > 1e-6:
        raise ValueError(f"Fractions must be positive and sum to 1, got {tuple(fractions)}.")
    classes = _shuffled_classes(labels, seed, class_names, least=len(fractions))
    pieces = zip(*(_cut(members, fractions) for members in classes), strict=True)
    generator = Generator().manual_seed(seed)
    return tuple(_shuffled(torch.cat(piece), generator) for piece in pieces)


def _cut(members: Tensor, fractions: Sequence[float]) -> list[Tensor]:
    """Cut (n,) indices by the fractions, none of the pieces empty."""
    count, parts = len(members), len(fractions)
    edges = [0]
    for part, total in enumerate(accumulate(fractions), start=1):
        edges.append(min(max(round(total * count), edges[-1] + 1), count - (parts - part)))
    return [members[start:stop] for start, stop in pairwise(edges)]


def _shuffled_classes(
    labels: Tensor, seed: int, class_names: Sequence[str] | None, least: int = 1
) -> list[Tensor]:
    """Indices of every class in a seeded order; every class has at least ``least``."""
    names = class_names or [str(number) for number in range(int(labels.max()) + 1)]
    generator = Generator().manual_seed(seed)
    classes = [_shuffled((labels == number).nonzero()[:, 0], generator) for number in range(len(names))]
    for name, members in zip(names, classes, strict=True):
        if len(members) < least:
            raise ValueError(
                f"Class {name!r} has {len(members)} samples, at least {least} are needed; "
                "add samples or leave the class out."
            )
    return classes


def _shuffled(indices: Tensor, generator: Generator) -> Tensor:
    return indices[torch.randperm(len(indices), generator=generator)]


def split_hash(names: Sequence[str]) -> str:
    """SHA-256 of the names in sorted order, one per line: it tells the set, not the order."""
    return hashlib.sha256("\n".join(sorted(names)).encode()).hexdigest()
