"""How good the patch tokens of a frozen network are on segmentation and change detection."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor
from torchgeo.tasks import BaseTask

from xstars_lightning.evaluation import split_hash
from xstars_lightning.evaluation.dense_protocol import DenseSplit, fit_probes, gather
from xstars_lightning.evaluation.segmentation import token_shares
from xstars_lightning.evaluation.segmentation_tally import SegmentationTally
from xstars_lightning.models.features import FeatureExtractor, open_features
from xstars_lightning.sensors import Sensor, resolve_sensors
from xstars_lightning.tasks.dense_features import dense_features, draw_tokens
from xstars_lightning.tasks.embedding import embed_split
from xstars_lightning.tasks.probe_report import describe_extractors, save_probes

__all__ = ["SegmentationProbe"]


class SegmentationProbe(BaseTask):
    """Classifies the patch tokens of a frozen network by logistic regression, and scores pixels.

    For ``trainer.test`` with a datamodule whose batches hold ``image`` and ``mask``, such as
    :class:`~xstars_lightning.datamodules.SegmentationDataModule`; it needs no fit. The target of a token
    are the shares of the classes on its ground. Logits are resized to the mask, and confusions summed over
    the dataset. Of images (B, 2, C, H, W) of two dates, what is classified is the absolute difference of
    their tokens. Writes ``evaluation.json``, ``labels.json`` (the images
    behind every probe) and ``segmentation.png``.

    Args:
        sensors: The one sensor of ``image``; the datamodule's where it is left out. Where the datamodule's
            ``test_sensors`` is another one, the probe is fitted on one sensor and tested on the other.
        weights: As :func:`~xstars_lightning.models.features.open_features` takes them.
        backbone: Name of a timm vision transformer, for the random initialisation.
        image_size: Side in pixels to which tiles are resized; None keeps them, up to the next multiple
            of the patch size. Masks are never resized.
        tokens_per_tile: Tokens per tile, drawn at random, on which probes are fitted.
        fractions: Shares of the training images for the probes, in (0, 1].
        draws: Draws of each share below 1.
        pictures: Test images in ``segmentation.png``, predicted by the last probe.
        seed: Of the draws, and of random weights.
        output_dir: Folder for the files; that of the logger where it is left out.

    Raises:
        FileNotFoundError: If there are no such weights.
        ValueError: If an option is out of its domain or the weights do not fit the sensor.
    """

    # Sensors are no plain values, which loggers could write.
    ignore = ("weights", "sensors")

    def __init__(
        self,
        sensors: dict[str, Sensor | str] | None = None,
        weights: str | None = None,
        backbone: str = "vit_tiny_patch16_224",
        image_size: int | None = None,
        tokens_per_tile: int = 256,
        fractions: tuple[float, ...] = (1.0,),
        draws: int = 5,
        pictures: int = 4,
        seed: int = 0,
        output_dir: str | None = None,
    ) -> None:
        if not fractions or not all(0 < fraction <= 1 for fraction in fractions) or draws < 1:
            raise ValueError(f"fractions must lie in (0, 1] and draws be positive; got {fractions}, {draws}.")
        if tokens_per_tile < 1 or pictures < 1:
            raise ValueError(f"Must be positive: tokens_per_tile {tokens_per_tile}, pictures {pictures}.")
        self.sensors, self.weights = sensors, weights
        super().__init__()

    def configure_models(self) -> None:
        """Nothing: the networks follow from the data, see :meth:`setup`."""

    def setup(self, stage: str) -> None:
        """Open the network for the sensors of the data; ValueError if there are none or several."""
        datamodule: Any = getattr(self.trainer, "datamodule", None)
        if datamodule is None:
            raise ValueError("SegmentationProbe needs training data too: trainer.test(task, datamodule=...).")
        sensors = self.sensors or getattr(datamodule, "sensors", None)
        if not sensors:
            raise ValueError(
                f"{type(datamodule).__name__} does not tell the sensor of its images; "
                "give it: sensors={name: ...}."
            )
        self.datamodule = datamodule
        self.train_model = self._open(resolve_sensors(sensors))
        tested = resolve_sensors(getattr(datamodule, "test_sensors", None) or sensors)
        self.model = self.train_model if tested == resolve_sensors(sensors) else self._open(tested)

    def _open(self, sensors: Mapping[str, Sensor]) -> FeatureExtractor:
        if len(sensors) != 1:
            raise ValueError(f"One sensor is evaluated at a time, got {', '.join(sensors)}; choose one.")
        ((name, sensor),) = sensors.items()
        return open_features(self.weights, name, sensor, self.hparams["backbone"], self.hparams["seed"])

    def forward(self, image: Tensor) -> Tensor:
        """Test images (B, C, H, W), or (B, 2, C, H, W), in about [0, 1] -> tokens (B, h, w, D)."""
        return dense_features(self.model, image, self.hparams["image_size"])

    def _collect(self, split: str) -> DenseSplit:
        """Some tokens of every tile of ``train`` or ``val``."""
        generator = torch.Generator().manual_seed(self.hparams["seed"])
        classes, count = len(self.datamodule.class_names), self.hparams["tokens_per_tile"]

        def embed(batch: Mapping[str, Tensor]) -> Any:
            tokens = dense_features(self.train_model, batch["image"], self.hparams["image_size"])
            shares = token_shares(batch["mask"], (tokens.shape[1], tokens.shape[2]), classes)
            return draw_tokens(tokens, shares, batch["index"], count, generator)

        parts = zip(*embed_split(self.trainer, split, embed), strict=True)
        tokens, shares, images = (torch.cat(part) for part in parts)
        return DenseSplit(tokens, shares, images, getattr(self.datamodule, f"{split}_dataset").names)

    def on_test_start(self) -> None:
        """Embed the training and the validation split, and fit the probes."""
        if self.trainer.world_size > 1:
            raise ValueError(
                f"{self.trainer.world_size} processes would do the same; use --trainer.devices 1."
            )
        p, names = self.hparams, self.datamodule.class_names
        self.datamodule.setup("fit")
        found = [s for s in ("train", "val") if getattr(self.datamodule, f"{s}_dataset") is not None]
        self._bank = {split: self._collect(split) for split in found}
        self._probes = list(fit_probes(self._bank, names, p["fractions"], p["draws"], p["seed"]))
        for each in self._probes:
            if each.missing:
                rank_zero_warn(
                    f"{100 * each.fraction:g} % of the images, draw {each.seed}: no pixel of "
                    f"{', '.join(each.missing)}, which cannot be predicted."
                )
        test, shown = self.datamodule.test_dataset.names, self.model.sensor.rgb_indices
        self._tallies = [SegmentationTally(names, test, shown, p["pictures"]) for _ in self._probes]

    def test_step(self, batch: Mapping[str, Tensor], batch_idx: int) -> None:
        """Predict the pixels of a batch with every probe, and count."""
        tokens, mask = self(batch["image"]), batch["mask"]
        for tally, each in zip(self._tallies, self._probes, strict=True):
            logits = each.probe(tokens).permute(0, 3, 1, 2)
            prediction = F.interpolate(logits, mask.shape[-2:], mode="bilinear").argmax(dim=1)
            tally.add(prediction, mask, batch["index"], batch["image"])

    def on_test_epoch_end(self) -> None:
        """Score, log, print and save."""
        p, tallies = self.hparams, self._tallies
        rows = gather(self._probes, [tally.score(p["seed"]) for tally in tallies])
        self.log_dict({f"test_miou_{row.fraction:g}": row.mean for row in rows})
        names = {split: bank.used for split, bank in self._bank.items()} | {"test": tallies[-1].images}
        about = {
            **describe_extractors(self.train_model, self.model, self.weights),
            "data": getattr(self.datamodule, "dataset_name", type(self.datamodule).__name__),
            "classes": self.datamodule.class_names,
            "protocol": {key: p[key] for key in ("tokens_per_tile", "fractions", "draws", "seed")},
            "image_size": p["image_size"],
            "images": {split: len(images) for split, images in names.items()},
            "split_hashes": {split: split_hash(images) for split, images in names.items()},
        }
        folder = Path(p["output_dir"] or self.trainer.log_dir or self.trainer.default_root_dir)
        save_probes(folder, about, rows, self._probes, tallies[-1].overlays)
