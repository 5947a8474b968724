"""FLAIR-HUB -> batches for pretraining."""

from typing import Literal

from xstars_lightning.datamodules.chips import ChipDataModule
from xstars_lightning.datasets.chips.flair_hub import FLAIR_HUB_SENSORS, FLAIRHubPairs
from xstars_lightning.sensors import Sensor

__all__ = ["FLAIRHubPairsDataModule"]


class FLAIRHubPairsDataModule(ChipDataModule):
    """Aerial images, SPOT and one date of Sentinel-2 over 102.4 m, without labels, with an official split.

    See `FLAIRHubPairs` for the files and `WindowsDataModule` for the batches.

    Args:
        root: Folder that holds the domains (``D004-2021_AERIAL_RGBI``, ...), or ``FLAIR-HUB_TOY``.
        sensors: Sensor, or its name in the catalogue, for ``aerial``, ``spot`` and ``sentinel2``.
        window: Side of a crop in metres, rounded up to a multiple of 51.2; None: whole patches.
        revisit: Which date of Sentinel-2 in training: ``clearest`` or ``random``.
        split_column: Official split; None: the first, or that of the toy dataset.
        toy: Whether it is the toy dataset.
        batch_size: Patches per batch and process.
        num_workers: Processes that read, per training process.
        windows_per_epoch: Patches of a training epoch, over all processes.
        seed: Of the order, the crops and the random dates.

    Raises:
        ValueError: If numbers do not fit.
    """

    def __init__(
        self,
        root: str = "data/flair_hub",
        sensors: dict[str, Sensor | str] = FLAIR_HUB_SENSORS,
        window: float | None = None,
        revisit: Literal["clearest", "random"] = "clearest",
        split_column: str | None = None,
        toy: bool = False,
        batch_size: int = 32,
        num_workers: int = 0,
        windows_per_epoch: int = 1024,
        seed: int = 0,
    ) -> None:
        super().__init__(
            FLAIRHubPairs,
            sensors,
            window,
            *(batch_size, num_workers, windows_per_epoch),
            seed=seed,
            root=root,
            revisit=revisit,
            split_column=split_column,
            toy=toy,
        )
