"""Is a place recognised across sensors?"""

from itertools import permutations

from lightning.pytorch import LightningModule, Trainer
from torch import Tensor

from xstars_lightning.callbacks.base import TokenCallback, report
from xstars_lightning.evaluation import recall_at_1

__all__ = ["CrossSensorRetrieval"]


class CrossSensorRetrieval(TokenCallback):
    """Recall@1 between every two sensors on held-out ground, in the space of the encoder.

    No head takes part, for a head can be aligned while the encoder is not. Logged are, for each
    ordered pair of sensors, ``val_patch_<a>_<b>`` (the gallery is the places of all windows that
    both saw) and ``val_window_<a>_<b>`` (by the mean of those places in a window), and
    ``val_retrieval``, the mean over pairs of the former. Sensors with token grids of different
    sizes are compared on the coarsest of them.

    Args:
        max_patches: Take no more places than this, evenly spread over the windows; the gallery
            then has this size, which the number depends on.
        side: Places along a side of a window, to compare models whose token grids differ; by default
            those of the coarsest sensor.
    """

    def __init__(self, max_patches: int = 8192, side: int | None = None) -> None:
        self.max_patches = max_patches
        self.side = side

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Compare all sensors."""
        super().on_validation_epoch_end(trainer, pl_module)
        tokens, valid = self.places(self.side)
        metrics = {}
        for a, b in permutations(tokens, 2):
            common = valid[a] & valid[b]
            if common.any():
                metrics[f"val_patch_{a}_{b}"] = self._by_place(tokens[a], tokens[b], common)
                metrics[f"val_window_{a}_{b}"] = _by_window(tokens[a], tokens[b], common)
        recalls = [value for name, value in metrics.items() if name.startswith("val_patch_")]
        if len(tokens) > 1 and not recalls:
            raise ValueError(
                "No place of the validation windows is valid in two sensors, so nothing can be retrieved. "
                "Raise min_sensors or min_valid, or check the nodata values of the sensors."
            )
        if recalls:
            metrics["val_retrieval"] = sum(recalls) / len(recalls)
        report(trainer, pl_module, metrics)

    def _by_place(self, a: Tensor, b: Tensor, common: Tensor) -> float:
        step = -(-int(common.sum()) // self.max_patches)
        return float(recall_at_1(a[common][::step], b[common][::step]))


def _by_window(a: Tensor, b: Tensor, common: Tensor) -> float:
    some = common.any(dim=1)
    weight = common[some, :, None].float()
    means = [(x[some] * weight).sum(dim=1) / weight.sum(dim=1) for x in (a, b)]
    return float(recall_at_1(*means))
