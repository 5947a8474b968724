"""Does the encoder still tell things apart?"""

import logging

from lightning.pytorch import LightningModule, Trainer

from xstars_lightning.callbacks.base import TokenCallback, report
from xstars_lightning.evaluation import effective_rank, feature_std

__all__ = ["CollapseWatch", "diagnose"]

logger = logging.getLogger(__name__)


class CollapseWatch(TokenCallback):
    """Logs spread and effective rank of class tokens per sensor, and warns of collapse.

    ``val_std_<sensor>`` is about 1 when features point in all directions and 0 when they are all
    the same; ``val_rank_<sensor>`` is the number of directions that they use. The warning names
    the likely cause.

    Args:
        patience: Validations with the same finding before the warning; early in training the
            loss is near its uniform value by right.
    """

    def __init__(self, patience: int = 3) -> None:
        self.patience = patience
        self._kind: str | None = None
        self._count = 0

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Measure, compare with the last findings, warn once per finding."""
        super().on_validation_epoch_end(trainer, pl_module)
        seen = {name: share.mean(dim=1) >= 0.5 for name, share in self.valid.items()}
        tokens = {name: x[seen[name], 0] for name, x in self.tokens.items() if seen[name].sum() > 1}
        spread = {name: float(feature_std(x)) for name, x in tokens.items()}
        rank = {name: float(effective_rank(x)) for name, x in tokens.items()}
        metrics = {f"val_std_{name}": value for name, value in spread.items()}
        report(trainer, pl_module, metrics | {f"val_rank_{name}": value for name, value in rank.items()})
        if trainer.sanity_checking:
            return
        ratio = trainer.callback_metrics.get("train_dino_ratio")
        kind, finding = diagnose(None if ratio is None else float(ratio), spread)
        self._count = self._count + 1 if kind == self._kind else 1
        self._kind = kind
        if kind and self._count == self.patience:
            logger.warning("Step %d: %s", trainer.global_step, finding)


def diagnose(dino_ratio: float | None, spread: dict[str, float]) -> tuple[str | None, str]:
    """Name the kind of collapse and its likely cause, if there is one.

    Args:
        dino_ratio: DINO loss over log K, K being the number of prototypes; None if not known.
        spread: :func:`~xstars_lightning.evaluation.feature_std` per sensor.

    Returns:
        ``flat``, ``uniform``, ``single`` or None, and the message.
    """
    if flat := [name for name, value in spread.items() if value < 0.05]:
        return "flat", (
            f"The features of {', '.join(flat)} are nearly the same for all windows. Lower the learning "
            "rate, and check that the declared mean and std of the sensor fit its data."
        )
    if dino_ratio is not None and dino_ratio > 0.99:
        return "uniform", (
            f"The DINO loss is {dino_ratio:.1%} of log K: the teacher spreads over all prototypes alike and "
            "teaches nothing. Use fewer prototypes, a lower teacher temperature or a lower momentum."
        )
    if dino_ratio is not None and dino_ratio < 0.01:
        return "single", (
            f"The DINO loss is {dino_ratio:.1%} of log K: one prototype takes all windows. Raise the "
            "teacher temperature or lower the learning rate."
        )
    return None, ""
