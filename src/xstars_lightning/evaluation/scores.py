"""What is evaluated, and what comes out of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from torch import Tensor

__all__ = [
    "EmbeddedSplit",
    "FewLabelScore",
    "Interval",
    "ProbeScore",
    "RankedProbeScore",
    "RankedScore",
    "Score",
]

#: Bounds of a 95 % interval.
Interval = tuple[float, float]


@dataclass(frozen=True)
class EmbeddedSplit:
    """Features of the images of one split.

    Args:
        features: Features (N, D), float32.
        labels: Classes (N,), or, where an image may have several, which ones it has (N, C), 0 or 1.
        names: Name of every image, for hashes.
        class_names: Names of all classes.

    Raises:
        ValueError: If a feature is not finite or a label is not a position in ``class_names``.
    """

    features: Tensor
    labels: Tensor
    names: Sequence[str]
    class_names: Sequence[str]

    def __post_init__(self) -> None:
        if not len(self.labels):
            raise ValueError("The split holds no image.")
        low, high = int(self.labels.min()), int(self.labels.max())
        if self.several:
            if self.labels.shape[1] != len(self.class_names) or low < 0 or high > 1:
                raise ValueError(
                    f"Several labels per image must be (N, {len(self.class_names)}) of 0 and 1, a column for "
                    f"each class; got {tuple(self.labels.shape)} from {low} to {high}."
                )
        elif low < 0 or high >= len(self.class_names):
            raise ValueError(
                f"Labels range from {low} to {high}, but there are {len(self.class_names)} classes "
                f"({', '.join(self.class_names)}); labels must be positions among them."
            )
        if not bool(self.features.isfinite().all()):
            raise ValueError(
                "The encoder gives features that are not finite; its weights come from a run that diverged, "
                "or the images hold NaN."
            )

    @property
    def several(self) -> bool:
        """Whether an image may have several labels."""
        return self.labels.ndim == 2


@dataclass(frozen=True)
class Score:
    """Accuracy in [0, 1], over all and per class (None where there is no image), and what lies behind.

    ``confusion[i][j]`` counts the images of class i that were taken for class j. ``interval`` is that
    of the accuracy, by bootstrap over the test images.
    """

    accuracy: float
    per_class: Mapping[str, float | None]
    confusion: Sequence[Sequence[int]]
    interval: Interval | None = field(default=None, kw_only=True)

    @property
    def main(self) -> float:
        """The number for tables."""
        return self.accuracy


@dataclass(frozen=True)
class RankedScore:
    """Average precision in [0, 1] over all test images, where an image may have several labels.

    ``macro`` is the mean over classes that occur, ``micro`` ranks all pairs of image and class
    together; ``interval`` is that of ``macro``.
    """

    macro: float
    micro: float
    per_class: Mapping[str, float | None]
    interval: Interval | None = field(default=None, kw_only=True)

    @property
    def main(self) -> float:
        """The number for tables."""
        return self.macro


@dataclass(frozen=True)
class ProbeScore(Score):
    """Score of a linear probe fitted on the ``labels`` images of one draw."""

    seed: int
    labels: int
    labels_hash: str
    strength: float


@dataclass(frozen=True)
class RankedProbeScore(RankedScore):
    """Ranked score of one-vs-rest linear probes fitted on the ``labels`` images of one draw."""

    seed: int
    labels: int
    labels_hash: str
    strength: float


@dataclass(frozen=True)
class FewLabelScore:
    """Mean and sample standard deviation (None of a single draw) over draws of the labels.

    ``fraction`` is the share of the training labels, or None where ``shots`` labels of every class
    were drawn. ``interval`` is that of the mean, by bootstrap over the test images.
    """

    fraction: float | None
    mean: float
    spread: float | None
    draws: Sequence[ProbeScore | RankedProbeScore]
    shots: int | None = None
    interval: Interval | None = None

    @property
    def heading(self) -> str:
        """Which labels, in words."""
        if self.fraction is None:
            return f"{self.shots} labels per class"
        return f"{100 * self.fraction:g} % of labels"
