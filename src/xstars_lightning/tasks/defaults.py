"""Defaults of DINO that fit the amount of data."""

from dataclasses import dataclass

__all__ = ["DINODefaults", "dino_defaults"]

Pair = tuple[float, float]


@dataclass(frozen=True)
class DINODefaults:
    """What DINO's authors set for 1.3 million images, and fewer windows want otherwise.

    Args:
        prototypes: Outputs K of the head.
        teacher_temperature: Temperature of the teacher before and after its warm-up.
        momentum: Momentum of the teacher at start and end.
        warmup: Share of the steps in which the learning rate is warmed up.
        temperature_warmup: Share of the steps in which the teacher's temperature is.
    """

    prototypes: int
    teacher_temperature: Pair
    momentum: Pair
    warmup: float = 0.1
    temperature_warmup: float = 0.3


# Fewer windows than this -> these. The last row is DINO [0] for ImageNet; towards the first, prototypes,
# temperature and momentum fall as lightly-train [1] scales them.
_TABLE = (
    (20_000, DINODefaults(1024, (0.04, 0.04), (0.99, 1.0))),
    (50_000, DINODefaults(2048, (0.04, 0.04), (0.99, 1.0))),
    (100_000, DINODefaults(4096, (0.04, 0.05), (0.992, 1.0))),
    (200_000, DINODefaults(8192, (0.04, 0.06), (0.994, 1.0))),
    (500_000, DINODefaults(16384, (0.04, 0.07), (0.996, 1.0))),
)
_LARGE = DINODefaults(65536, (0.04, 0.07), (0.996, 1.0))


def dino_defaults(windows: int) -> DINODefaults:
    """Defaults for a number of windows per epoch.

    Args:
        windows: Windows of an epoch, over all processes; positive.

    Raises:
        ValueError: If it is not positive.

    References:
        [0]: DINO, 2021, https://arxiv.org/abs/2104.14294
        [1]: https://github.com/lightly-ai/lightly-train
    """
    if windows < 1:
        raise ValueError(f"windows must be positive, got {windows}.")
    return next((row for limit, row in _TABLE if windows < limit), _LARGE)
