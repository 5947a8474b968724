"""How good the features of a frozen encoder are on a classification dataset."""

from collections.abc import Mapping
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal, get_args

import rich
import torch
import torch.nn.functional as F
from lightning.pytorch.utilities import rank_zero_warn
from rich.progress import track
from torch import Tensor
from torchgeo.tasks import BaseTask

from xstars_lightning.evaluation import (
    EmbeddedSplit,
    plot_confusion,
    save_report,
    score_knn,
    score_probes,
    score_table,
    split_hash,
)
from xstars_lightning.models import CrossSensorEncoder, load_encoder
from xstars_lightning.sensors import Sensor, resolve_sensors
from xstars_lightning.tasks.embedding import Embedded, check_scaled, embed_split, image_names

__all__ = ["FrozenEvaluation"]

_Features = Literal["cls", "mean", "cls+mean"]


class FrozenEvaluation(BaseTask):
    """Embeds every image once, then classifies by nearest neighbours and by linear probes.

    For ``trainer.test`` with a datamodule whose batches hold ``image`` and ``label``; it needs no
    fit. The training split is the bank of the neighbours and the training data of the probes; the
    validation split, where there is one, chooses the penalty of the probes. The Trainer's
    ``limit_test_batches`` limits all splits. Writes ``evaluation.json`` and
    ``confusion_matrix.png`` (of the probe of the last fraction).

    Args:
        sensors: The one sensor of ``image``, by the name it shall have, as a catalogue name or in
            full. Taken from the datamodule's ``sensors`` where it is left out. An encoder that
            does not know the name uses the patch embedding of a sensor with the same bands.
        weights: Checkpoint or exported file; without it the random initialisation is evaluated.
        backbone: Name of a timm vision transformer, for the random initialisation.
        image_size: Side in pixels to which images are resized, a multiple of the patch size.
        features: The class token, the mean of the patch tokens, or both side by side.
        k: Neighbours that vote.
        temperature: Of their votes.
        fractions: Shares of the training labels for the probes, in (0, 1].
        draws: Draws of each share below 1.
        seed: Of the first draw, and of the random initialisation.
        output_dir: Folder for the files; that of the logger where it is left out.

    Raises:
        FileNotFoundError: If there are no such weights.
        ValueError: If an option is out of its domain or the weights do not fit the sensor.
    """

    # Sensors are no plain values, which loggers could write; they are in the weights.
    ignore = ("weights", "sensors")

    def __init__(
        self,
        sensors: dict[str, Sensor | str] | None = None,
        weights: str | None = None,
        backbone: str = "vit_tiny_patch16_224",
        image_size: int = 112,
        features: _Features = "cls",
        k: int = 20,
        temperature: float = 0.07,
        fractions: tuple[float, ...] = (0.01, 0.1, 1.0),
        draws: int = 5,
        seed: int = 0,
        output_dir: str | None = None,
    ) -> None:
        if not fractions or not all(0 < fraction <= 1 for fraction in fractions) or draws < 1:
            raise ValueError(f"fractions must lie in (0, 1] and draws be positive; got {fractions}, {draws}.")
        if features not in get_args(_Features):
            raise ValueError(f"features must be one of {get_args(_Features)}, got {features!r}.")
        self.sensors = sensors
        self.weights = weights
        self._bank: dict[str, EmbeddedSplit] = {}
        self._test: list[Embedded] = []
        super().__init__()

    def configure_models(self) -> None:
        """Build the encoder if the sensor is known; else :meth:`setup` does so."""
        if self.sensors:
            self._build(resolve_sensors(self.sensors))

    def setup(self, stage: str) -> None:
        """Take the sensor from the datamodule, unless it was given; ValueError if it has none."""
        if self.sensors:
            return
        self.sensors = getattr(self._datamodule(), "sensors", None)
        if not self.sensors:
            raise ValueError(
                f"{type(self._datamodule()).__name__} does not tell the sensor of its images; "
                "give it: sensors={name: ...}."
            )
        self._build(resolve_sensors(self.sensors))

    def _build(self, sensors: Mapping[str, Sensor]) -> None:
        if len(sensors) != 1:
            raise ValueError(f"One sensor is evaluated at a time, got {', '.join(sensors)}; choose one.")
        (self.sensor,) = sensors
        if self.weights is None:
            rank_zero_warn("No weights given: the RANDOM INITIALISATION is evaluated.")
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(self.hparams["seed"])
                self.model = CrossSensorEncoder(sensors, self.hparams["backbone"])
        else:
            self.model = load_encoder(self.weights)
            if self.sensor not in self.model.sensors:
                self.model.add_sensor(self.sensor, sensors[self.sensor])
        size, patch = self.hparams["image_size"], self.model.patch_size
        if size < patch or size % patch:
            raise ValueError(f"image_size must be a multiple of the patch size {patch}, got {size}.")

    def _datamodule(self) -> Any:
        if (datamodule := getattr(self.trainer, "datamodule", None)) is None:
            raise ValueError("FrozenEvaluation needs training data too: trainer.test(task, datamodule=...).")
        return datamodule

    def forward(self, image: Tensor) -> Tensor:
        """Images (B, C, H, W) with values in about [0, 1] -> features (B, F), float32."""
        size = self.hparams["image_size"]
        image = F.interpolate(image, (size, size), mode="bilinear", antialias=True)
        tokens: Tensor = self.model(image, self.sensor).float()
        parts = {"cls": tokens[:, 0], "mean": tokens[:, 1:].mean(dim=1)}
        return torch.cat([parts[part] for part in self.hparams["features"].split("+")], dim=1)

    def _embed(self, batch: Mapping[str, Tensor]) -> Embedded:
        check_scaled(batch["image"])
        return self(batch["image"]).cpu(), batch["label"].cpu()

    def _collect(self, split: str, embedded: list[Embedded]) -> EmbeddedSplit:
        features, labels = (torch.cat(parts) for parts in zip(*embedded, strict=True))
        dataset = getattr(self._datamodule(), f"{split}_dataset")
        classes = getattr(self._datamodule(), "class_names", None) or dataset.classes
        return EmbeddedSplit(features, labels, image_names(dataset, len(labels)), classes)

    def on_test_start(self) -> None:
        """Embed the training and the validation split; ValueError if there are several processes."""
        if self.trainer.world_size > 1:
            raise ValueError(
                f"{self.trainer.world_size} processes would do the same; use --trainer.devices 1."
            )
        self._datamodule().setup("fit")
        self._bank, self._test = {}, []
        for split in ("train", "val"):
            if getattr(self._datamodule(), f"{split}_dataset") is not None:
                self._bank[split] = self._collect(split, embed_split(self.trainer, split, self._embed))

    def test_step(self, batch: Mapping[str, Tensor], batch_idx: int) -> None:
        """Embed a batch of the test split."""
        self._test.append(self._embed(batch))

    def on_test_epoch_end(self) -> None:
        """Score, log, print and save."""
        p, splits = self.hparams, {**self._bank, "test": self._collect("test", self._test)}
        knn = score_knn(splits["train"], splits["test"], p["k"], p["temperature"])
        scores = score_probes(splits, p["fractions"], p["draws"], p["seed"])
        quiet = self.trainer.progress_bar_callback is None
        probes = list(track(scores, "Fitting probes", len(p["fractions"]), disable=quiet))
        self.log("test_knn", knn.accuracy)
        self.log_dict({f"test_linear_{probe.fraction:g}": probe.mean for probe in probes})
        title = f"{self.weights or 'RANDOM INITIALISATION'}, {p['features']} of {self.sensor}"
        rich.print(score_table(title, (f"kNN,\nk={p['k']}, T={p['temperature']}", knn), probes))
        report = self._circumstances(splits) | {
            "knn": {"k": p["k"], "temperature": p["temperature"], **asdict(knn)},
            "linear_probe": [asdict(probe) for probe in probes],
        }
        figure = plot_confusion(
            probes[-1].draws[0], f"Linear probe, {100 * probes[-1].fraction:g} % of the labels"
        )
        folder = Path(p["output_dir"] or self.trainer.log_dir or self.trainer.default_root_dir)
        save_report(folder, report, figure)
        rich.print(f"Written: {folder / 'evaluation.json'}, {folder / 'confusion_matrix.png'}")

    def _circumstances(self, splits: Mapping[str, EmbeddedSplit]) -> dict[str, Any]:
        """What must be known to repeat or to compare the numbers."""
        weights = Path(self.weights) if self.weights else None
        return {
            "weights": str(weights) if weights else None,
            "weights_sha256": sha256(weights.read_bytes()).hexdigest() if weights else None,
            "random_initialisation": weights is None,
            "backbone": self.model.backbone,
            "sensor": self.model.sensors[self.sensor].to_dict(),
            **{key: self.hparams[key] for key in ("image_size", "features", "seed")},
            "images": {split: len(embedded.labels) for split, embedded in splits.items()},
            "split_hashes": {split: split_hash(embedded.names) for split, embedded in splits.items()},
        }
