"""Classification by an encoder that trains on labels."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, ClassVar

import rich
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchgeo.tasks import Classification

from xstars_lightning.evaluation import EmbeddedSplit, plot_confusion
from xstars_lightning.evaluation.protocol import score_predictions
from xstars_lightning.models import BandRule, CrossSensorEncoder
from xstars_lightning.sensors import Sensor
from xstars_lightning.tasks.embedding import check_one_process, image_names
from xstars_lightning.tasks.fine_tuning import FineTuning
from xstars_lightning.tasks.tuned_report import save_tuned
from xstars_lightning.tasks.tuning_data import check_images

__all__ = ["FineTuneClassification"]


class _ImageClassifier(nn.Module):
    """A linear layer on the class token, or on the mean of the patch tokens."""

    def __init__(self, encoder: CrossSensorEncoder, sensor: str, classes: int, pooling: str) -> None:
        super().__init__()
        self.encoder, self.sensor, self.pooling = encoder, sensor, pooling
        self.head = nn.Linear(encoder.embed_dim, classes)

    def forward(self, image: Tensor) -> Tensor:
        """Images in about [0, 1] -> logits (B, classes)."""
        tokens = self.encoder(image, self.sensor)
        logits: Tensor = self.head(tokens[:, 0] if self.pooling == "cls" else tokens[:, 1:].mean(dim=1))
        return logits


class FineTuneClassification(FineTuning, Classification):
    """TorchGeo's Classification on an encoder of ours.

    For batches of ``image`` (B, C, H, W) in about [0, 1] and ``label`` (B,). Training images are flipped
    at random. ``trainer.test`` writes ``evaluation.json`` and ``confusion_matrix.png``.

    Args:
        sensors: The one sensor of the images; the datamodule's where it is left out.
        class_names: Names of the classes; the datamodule's where they are left out.
        weights: Checkpoint, exported file, ``timm:NAME`` or name of TorchGeo to start from.
        backbone: Name of a timm vision transformer.
        band_rule: How the patch embedding of other bands is made: match, mean, repeat, new.
        image_size: Side in pixels to which images are resized, a multiple of the patch size.
        pooling: What is classified: the class token (``cls``) or the mean of the patches (``mean``).
        freeze_backbone: Train the linear layer only.
        layer_decay: Factor of the learning rate from each block to the one below, in (0, 1].
        drop_path_rate: Stochastic depth of the encoder, in [0, 1).
        lr: Peak learning rate, of the linear layer.
        weight_decay: Of AdamW.
        warmup: Share of the steps in which the rate rises.
        skip_broken: Leave images out that cannot be read, and training images that are in the test data
            too, instead of an error; they are counted and named.
        fraction: Share of the training images of every class, in (0, 1]; at least one is drawn.
        seed: Of that draw.

    Raises:
        FileNotFoundError: If there are no such weights.
        ValueError: If the weights do not fit the backbone, or an option is unknown.
    """

    monitor = "val_OverallAccuracy"
    mode = "max"
    fixed: ClassVar[Mapping[str, Any]] = {
        **FineTuning.fixed,
        "ignore_index": None,
        "loss": "ce",
        "class_weights": None,
    }

    def __init__(
        self,
        sensors: dict[str, Sensor | str] | None = None,
        class_names: list[str] | None = None,
        weights: str | None = None,
        backbone: str = "vit_tiny_patch16_224",
        band_rule: BandRule = "match",
        image_size: int = 112,
        pooling: str = "cls",
        freeze_backbone: bool = False,
        layer_decay: float = 0.75,
        drop_path_rate: float = 0.0,
        lr: float = 1e-3,
        weight_decay: float = 0.05,
        warmup: float = 0.1,
        skip_broken: bool = False,
        fraction: float = 1.0,
        seed: int = 0,
    ) -> None:
        if pooling not in ("cls", "mean"):
            raise ValueError(f"pooling must be cls or mean, got {pooling!r}.")
        self.sensors, self.class_names = sensors, class_names
        super().__init__(weights=weights)

    def build(self, encoder: CrossSensorEncoder, sensor: str, classes: int) -> nn.Module:
        """As :meth:`FineTuning.build`."""
        return _ImageClassifier(encoder, sensor, classes, self.hparams["pooling"])

    def forward(self, x: Tensor) -> Tensor:
        """Images (B, C, H, W) in about [0, 1] -> logits (B, classes)."""
        check_images(x, self.encoder.patch_size)
        size = (self.hparams["image_size"],) * 2
        resized = F.interpolate(x, size, mode="bilinear", antialias=True) if x.shape[-2:] != size else x
        logits: Tensor = self.model(resized)
        return logits

    def training_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> Tensor:
        """TorchGeo's, on images flipped at random."""
        image = _single(batch)["image"]
        for dim in (-2, -1):
            flipped = torch.rand(len(image), 1, 1, 1, device=image.device) < 0.5
            image = torch.where(flipped, image.flip(dim), image)
        return super().training_step({**batch, "image": image}, batch_idx, dataloader_idx)

    def validation_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
        """TorchGeo's, of images with one label each."""
        super().validation_step(_single(batch), batch_idx, dataloader_idx)

    def on_test_start(self) -> None:
        """Begin to collect; ValueError if there are several processes."""
        check_one_process(self.trainer)
        self._tested: list[tuple[Tensor, Tensor]] = []

    def test_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
        """TorchGeo's, and keep what was predicted."""
        logits, label = self.predict_test(batch["image"]), _single(batch)["label"]
        self.test_metrics(logits, label)
        self.log("test_loss", self.criterion(logits, label), batch_size=len(label))
        self._tested.append((logits.float().cpu(), label.cpu()))

    def on_test_epoch_end(self) -> None:
        """Log as TorchGeo does; score and save, if the datamodule tells which images they were."""
        super().on_test_epoch_end()
        dataset = getattr(getattr(self.trainer, "datamodule", None), "test_dataset", None)
        if dataset is None:
            return
        logits, labels = (torch.cat(part) for part in zip(*self._tested, strict=True))
        names = image_names(dataset, len(labels))
        test = EmbeddedSplit(logits, labels, names, list(self.class_names or ()))
        score = score_predictions(logits.argmax(dim=1), test)
        figure = plot_confusion(score, "Fine-tuned")
        folder = save_tuned(self, names, "", {"value": score.accuracy, **asdict(score)}, figure)
        rich.print(f"Written: {folder / 'evaluation.json'}, {folder / 'confusion_matrix.png'}")


def _single(batch: Any) -> Any:
    """The batch; ValueError if its images may have several labels."""
    if batch["label"].ndim != 1:
        raise ValueError(
            f"Batches hold labels of shape {tuple(batch['label'].shape)}; fine-tuning takes one label per "
            "image. Several are for FrozenEvaluation."
        )
    return batch
