"""Which of the training images are labelled, where an image may have one label or several."""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from xstars_lightning.evaluation.splits import label_subset, labels_per_class

__all__ = ["draw_labels"]


def draw_labels(
    labels: Tensor,
    seed: int,
    class_names: Sequence[str],
    fraction: float | None = None,
    shots: int | None = None,
) -> Tensor:
    """Draw a fraction of the images of every class, at least one, or a number of them.

    Where images may have several labels, classes take their turn from the rarest to the most frequent,
    and each takes only what those before have not given it already.

    Args:
        labels: Classes (N,), or which classes an image has (N, C), 0 or 1.
        seed: Of the draw.
        class_names: Names of all classes.
        fraction: In (0, 1].
        shots: In place of a fraction: images of every class.

    Returns:
        Indices in ascending order.

    Raises:
        ValueError: If a class has too few images, it is named, or the amount is out of its domain.
    """
    if labels.ndim == 1:
        if shots is not None:
            return labels_per_class(labels, shots, seed, class_names)
        return label_subset(labels, fraction or 0.0, seed, class_names)
    counts = labels.sum(dim=0).tolist()
    if shots is None and not 0 < (fraction or 0) <= 1:
        raise ValueError(f"A label fraction must lie in (0, 1], got {fraction}.")
    if shots is not None and shots < 1:
        raise ValueError(f"The number of labels per class must be at least 1, got {shots}.")
    for name, count in zip(class_names, counts, strict=True):
        if count < (shots or 1):
            raise ValueError(
                f"Class {name!r} has {count} samples, at least {shots or 1} are needed; "
                "add samples or leave the class out."
            )
    if fraction == 1:
        return torch.arange(len(labels))
    wanted = [shots or max(1, round((fraction or 0) * count)) for count in counts]
    return _by_rarity(labels.bool(), counts, wanted, Generator().manual_seed(seed))


def _by_rarity(labels: Tensor, counts: list[int], wanted: list[int], generator: Generator) -> Tensor:
    order = torch.randperm(len(labels), generator=generator)
    taken = torch.zeros(len(labels), dtype=torch.bool)
    for number in sorted(range(len(counts)), key=counts.__getitem__):
        left = wanted[number] - int((labels[:, number] & taken).sum())
        members = order[(labels[:, number] & ~taken)[order]]
        taken[members[: max(left, 0)]] = True
    return taken.nonzero()[:, 0]
