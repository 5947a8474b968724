"""What is compared."""

from dataclasses import dataclass, field, replace
from typing import Any

from fidelity.budget import Budget
from fidelity.released import HalfBatchXStars, ReleasedXStars
from xstars_lightning.tasks import ContinualXStars, XStars

__all__ = [
    "CONTINUAL",
    "METHODS",
    "NATIVE",
    "NATIVE_AT_ONE_SIZE",
    "OPTIONS",
    "SOURCE",
    "UNTRAINED",
    "Row",
    "methods",
]


@dataclass(frozen=True)
class Row:
    """One way to pretrain.

    Args:
        title: What the tables say.
        options: What differs from the options that all rows share.
        task: The LightningModule.
        sensors: Sensors that the model is given; all by default.
        trained: Whether it trains at all.
    """

    title: str
    options: dict[str, Any] = field(default_factory=dict)
    task: type[XStars] = XStars
    sensors: tuple[str, ...] = ("fine", "sentinel2", "landsat")
    trained: bool = True


UNTRAINED = Row("untrained", trained=False)
#: The main question.
METHODS = (
    UNTRAINED,
    Row("DINO alone", {"alpha": 0.0}),
    # Their weight is 0.1, but of the sum over the three pairs, where ours is of the mean.
    Row("released formula, gradient restored", {"alpha": 0.3}, ReleasedXStars),
    Row("ours"),
)
#: Sizes come from the budget.
NATIVE = Row("ours, native grids")
#: The same weights, used with images of one size for all sensors.
NATIVE_AT_ONE_SIZE = Row("ours, native grids, used with one grid")
#: What each option of ours changes.
OPTIONS = (
    Row("alpha 1 instead of 0.3", {"alpha": 1.0}),
    Row("no negatives within the image", {"image_negatives": False}),
    Row("class token not aligned", {"align_class_token": False}),
    Row("teacher as target of the alignment", {"align_target": "teacher"}),
    Row("cross-sensor DINO too", {"cross_sensor_dino": True}),
    Row("alpha rises over 30 % of the steps", {"alpha_warmup": 0.3}),
    Row("local crops aligned too", {"align_locals": True}),
    Row("negatives of two processes not gathered", {}, HalfBatchXStars),
)
#: Trained on one sensor; what the rows of CONTINUAL start from.
SOURCE = Row("source: DINO alone on Sentinel-2", {"alpha": 0.0}, sensors=("sentinel2",))
_PAIR = ("fine", "sentinel2")
CONTINUAL = (
    Row("DINO alone on the new sensor", {"alpha": 0.0}, sensors=("fine",)),
    Row("continual, ours", {"anchors": ["sentinel2"]}, ContinualXStars, _PAIR),
    Row(
        "continual, whole trunk at full rate",
        {"anchors": ["sentinel2"], "layer_decay": 1.0, "freeze_trunk": 0.0},
        ContinualXStars,
        _PAIR,
    ),
)


def methods(budget: Budget) -> tuple[Row, ...]:
    """The main question, with native grids last."""
    sizes = dict(budget.native_size)
    local = {name: size // 2 // 16 * 16 for name, size in sizes.items()}  # whole patches
    native = {"image_size": sizes, "local_size": local}
    return (*METHODS, replace(NATIVE, options=native))
