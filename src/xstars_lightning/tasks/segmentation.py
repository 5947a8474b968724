"""Segmentation by a decoder on an encoder that trains, or that is frozen."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, ClassVar

import rich
import torch
from torch import nn
from torchgeo.tasks import SemanticSegmentation

from xstars_lightning.evaluation.segmentation import IGNORED
from xstars_lightning.evaluation.segmentation_report import plot_overlays
from xstars_lightning.evaluation.segmentation_tally import SegmentationTally
from xstars_lightning.models import BandRule, CrossSensorEncoder
from xstars_lightning.models.dense import PixelClassifier
from xstars_lightning.sensors import Sensor
from xstars_lightning.tasks.embedding import check_one_process
from xstars_lightning.tasks.fine_tuning import FineTuning
from xstars_lightning.tasks.tuned_report import save_tuned

__all__ = ["FineTuneSegmentation"]


class FineTuneSegmentation(FineTuning, SemanticSegmentation):
    """TorchGeo's SemanticSegmentation with a DPT decoder on an encoder of ours.

    For batches of ``image`` (B, C, H, W) in about [0, 1] and ``mask`` (B, H, W), classes from 0 and 255
    where nothing counts. Where the datamodule's ``test_sensors`` is another one with the same bands, test
    images are standardised by its statistics. ``trainer.test`` writes ``evaluation.json`` and
    ``segmentation.png``.

    Args:
        sensors: The one sensor of the images; the datamodule's where it is left out.
        class_names: Names of the classes; the datamodule's where they are left out.
        weights: Checkpoint, exported file, ``timm:NAME`` or name of TorchGeo to start from.
        backbone: Name of a timm vision transformer with patches of 8, 16 or 32 pixels.
        band_rule: How the patch embedding of other bands is made: match, mean, repeat, new.
        decoder_width: Channels of the decoder.
        freeze_backbone: Train the decoder only.
        layer_decay: Factor of the learning rate from each block to the one below, in (0, 1].
        drop_path_rate: Stochastic depth of the encoder, in [0, 1).
        loss: ``ce``, ``jaccard``, ``focal`` or ``dice``.
        class_weights: Weights of the classes in ``ce``.
        lr: Peak learning rate, of the decoder.
        weight_decay: Of AdamW.
        warmup: Share of the steps in which the rate rises.
        pictures: Test images in ``segmentation.png``.
        skip_broken: Leave images out that cannot be read, and training images that are in the test data
            too, instead of an error; they are counted and named.

    Raises:
        FileNotFoundError: If there are no such weights.
        ValueError: If the weights do not fit the backbone, or the patch size the decoder.
    """

    monitor = "val_AverageJaccardIndex"
    mode = "max"
    fixed: ClassVar[Mapping[str, Any]] = {**FineTuning.fixed, "ignore_index": IGNORED}

    def __init__(
        self,
        sensors: dict[str, Sensor | str] | None = None,
        class_names: list[str] | None = None,
        weights: str | None = None,
        backbone: str = "vit_tiny_patch16_224",
        band_rule: BandRule = "match",
        decoder_width: int = 256,
        freeze_backbone: bool = False,
        layer_decay: float = 0.75,
        drop_path_rate: float = 0.0,
        loss: str = "ce",
        class_weights: list[float] | None = None,
        lr: float = 5e-4,
        weight_decay: float = 0.05,
        warmup: float = 0.1,
        pictures: int = 4,
        skip_broken: bool = False,
    ) -> None:
        self.sensors, self.class_names = sensors, class_names
        super().__init__(weights=weights)

    def build(self, encoder: CrossSensorEncoder, sensor: str, classes: int) -> nn.Module:
        """As :meth:`FineTuning.build`."""
        return PixelClassifier(encoder, sensor, classes, self.hparams["decoder_width"])

    def on_test_start(self) -> None:
        """Begin to count; ValueError if there are several processes."""
        check_one_process(self.trainer)
        dataset: Any = self.trainer.datamodule.test_dataset  # type: ignore[attr-defined]
        (sensor,) = self.encoder.sensors.values()
        self._tally = SegmentationTally(
            self.class_names or (), dataset.names, sensor.rgb_indices, self.hparams["pictures"]
        )

    def test_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Predict a batch and count; the dataset is scored at the end, as the probe does."""
        logits = self.predict_test(batch["image"])
        self._tally.add(logits.argmax(dim=1), batch["mask"], batch["index"], batch["image"])

    def on_test_epoch_end(self) -> None:
        """Score, log, draw and save."""
        score = self._tally.score()
        classes = {f"test_iou_{name}": torch.tensor(v) for name, v in score.iou.items() if v is not None}
        self.log_dict({"test_miou": torch.tensor(score.mean_iou), **classes})
        scores = {"value": score.mean_iou, **asdict(score)}
        folder = save_tuned(self, self._tally.images, "mean IoU", scores)
        start = (self.trained or {}).get("weights", self.weights) or "random initialisation"
        plot_overlays(
            self._tally.overlays,
            self._tally.class_names,
            f"{start}, fine-tuned: mean IoU {100 * score.mean_iou:.1f} %",
        ).savefig(folder / "segmentation.png", dpi=120)
        rich.print(f"Written: {folder / 'evaluation.json'}, {folder / 'segmentation.png'}")
