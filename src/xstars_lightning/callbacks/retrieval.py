"""Is a place recognised across sensors?"""

from itertools import permutations

from lightning.pytorch import LightningModule, Trainer

from xstars_lightning.callbacks.base import TokenCallback, report
from xstars_lightning.evaluation import recall_at_1

__all__ = ["CrossSensorRetrieval"]


class CrossSensorRetrieval(TokenCallback):
    """Recall@1 between every two sensors on held-out ground, in the space of the encoder.

    No head takes part, for a head can be aligned while the encoder is not. Logged are, for each
    ordered pair of sensors, ``val_patch_<a>_<b>`` (the gallery is the patches of all windows) and
    ``val_window_<a>_<b>`` (by the mean of a window's valid patches), and ``val_retrieval``, the mean
    over pairs of the former.

    Args:
        max_patches: Take no more patches than this, evenly spread over the windows; the gallery
            then has this size, which the number depends on.
    """

    def __init__(self, max_patches: int = 8192) -> None:
        self.max_patches = max_patches

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Compare all sensors."""
        super().on_validation_epoch_end(trainer, pl_module)
        valid = self.valid.flatten()
        step = -(-int(valid.sum()) // self.max_patches) or 1
        patches = {name: x[:, 1:].flatten(0, 1)[valid][::step] for name, x in self.tokens.items()}
        if not len(valid) or not valid.any():
            raise ValueError(
                "No patch of the validation windows is valid in all sensors, so nothing can be retrieved. "
                "Raise min_valid, or check the nodata values of the sensors."
            )
        weight = self.valid[self.valid.any(1), :, None].float()
        windows = {
            name: (x[self.valid.any(1), 1:] * weight).sum(1) / weight.sum(1)
            for name, x in self.tokens.items()
        }
        metrics = {}
        for a, b in permutations(self.tokens, 2):
            metrics[f"val_patch_{a}_{b}"] = float(recall_at_1(patches[a], patches[b]))
            metrics[f"val_window_{a}_{b}"] = float(recall_at_1(windows[a], windows[b]))
        recalls = [value for name, value in metrics.items() if name.startswith("val_patch_")]
        if recalls:
            metrics["val_retrieval"] = sum(recalls) / len(recalls)
        report(trainer, pl_module, metrics)
