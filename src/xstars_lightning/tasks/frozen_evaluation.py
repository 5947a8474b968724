"""How good the features of a frozen network are on a classification dataset."""

from collections.abc import Mapping
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any, get_args

import torch
from rich.progress import track
from torch import Tensor
from torchgeo.tasks import BaseTask

from xstars_lightning.evaluation import EmbeddedSplit
from xstars_lightning.evaluation.evaluate import Protocol, Scores, evaluate
from xstars_lightning.models.features import Pooling
from xstars_lightning.sensors import Sensor, resolve_sensors
from xstars_lightning.tasks.cleaning import clean_data
from xstars_lightning.tasks.data_report import describe_data, describe_run
from xstars_lightning.tasks.early_checks import check_labels
from xstars_lightning.tasks.embedding import Embedded, check_one_process, embed_split, image_names
from xstars_lightning.tasks.evaluation_report import describe_network, save_pictures, save_scores
from xstars_lightning.tasks.feature_store import FeatureStore
from xstars_lightning.tasks.split_features import SplitFeatures

__all__ = ["FrozenEvaluation"]


class FrozenEvaluation(BaseTask):
    """Embeds every image once, then classifies by nearest neighbours and by linear probes.

    For ``trainer.test`` with a datamodule whose batches hold ``image`` and ``label``; it needs no
    fit. The training split is the bank of the neighbours and the training data of the probes; the
    validation split, where there is one, chooses the penalty of the probes. The Trainer's
    ``limit_test_batches`` limits all splits. Where an image may have several labels (B, C), average
    precision over the whole test split takes the place of accuracy. Writes ``evaluation.json``,
    ``labels.json`` (which images were labelled) and ``confusion_matrix.png`` (of the last probe).

    Args:
        sensors: The one sensor of ``image``, by the name it shall have, as a catalogue name or in
            full. Taken from the datamodule's ``sensors`` where it is left out.
        weights: As :func:`open_features` takes them; without it the random initialisation is evaluated.
        backbone: Name of a timm vision transformer, for the random initialisation.
        image_size: Side in pixels to which images are resized, a multiple of the patch size.
        features: The class token, the mean of the patch tokens, or both side by side.
        k: Neighbours that vote.
        temperature: Of their votes.
        fractions: Shares of the training labels for the probes, in (0, 1].
        shots: Labels of every class for further probes.
        draws: Draws of each amount of labels but all.
        seed: Of the first draw, and of the random initialisation.
        resolutions: Shares of the resolution at which images are read: averaged over areas, then
            resized to ``image_size``; those of training, validation and test alike.
        test_sensor: Train on one of two sensors, test on this one. Batches hold ``image_<sensor>`` then.
        skip_broken: Leave images out that cannot be read, and training images that are in the test data
            too, instead of an error; they are counted and named.
        cache_dir: Folder in which features are kept for later runs.
        pictures: Show so many test images with their tokens, attention and nearest training images.
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
        features: Pooling = "cls",
        k: int = 20,
        temperature: float = 0.07,
        fractions: tuple[float, ...] = (0.01, 0.1, 1.0),
        draws: int = 5,
        seed: int = 0,
        output_dir: str | None = None,
        shots: tuple[int, ...] = (),
        resolutions: tuple[float, ...] = (1.0,),
        test_sensor: str | None = None,
        skip_broken: bool = False,
        cache_dir: str | None = None,
        pictures: int = 0,
    ) -> None:
        for name, shares in (("fractions", fractions), ("resolutions", resolutions)):
            if not shares or not all(0 < share <= 1 for share in shares) or draws < 1:
                raise ValueError(f"{name} must lie in (0, 1] and draws be positive; got {shares}, {draws}.")
        if features not in get_args(Pooling):
            raise ValueError(f"features must be one of {get_args(Pooling)}, got {features!r}.")
        self.sensors, self.weights = sensors, weights
        self._embedded: dict[str, Embedded] = {}
        self._test: list[Embedded] = []
        super().__init__()

    @property
    def model(self) -> Any:
        """The network itself, as far as the training images are concerned."""
        return self.network.fitted.network

    def configure_models(self) -> None:
        """Open the weights if the sensor is known; else :meth:`setup` does so."""
        if self.sensors:
            self._open(self.sensors)

    def setup(self, stage: str) -> None:
        """Take the sensor from the datamodule, unless it was given; look for images to leave out."""
        if not self.sensors:
            self.sensors = getattr(self._datamodule(), "sensors", None)
            if not self.sensors:
                raise ValueError(
                    f"{type(self._datamodule()).__name__} does not tell the sensor of its images; "
                    "give it: sensors={name: ...}."
                )
            self._open(self.sensors)
        # Before the loaders are made, which hold on to their datasets.
        self._datamodule().setup("fit")
        self._cleaned = clean_data(self._datamodule(), self.hparams["skip_broken"])

    def _open(self, sensors: Mapping[str, Sensor | str]) -> None:
        p, given = self.hparams, (self.hparams["test_sensor"], self.weights)
        named = (p["backbone"], p["seed"], p["image_size"], p["features"], p["resolutions"])
        self.network = SplitFeatures(resolve_sensors(sensors), *given, *named)

    def _datamodule(self) -> Any:
        if (datamodule := getattr(self.trainer, "datamodule", None)) is None:
            raise ValueError("FrozenEvaluation needs training data too: trainer.test(task, datamodule=...).")
        return datamodule

    def forward(self, image: Tensor) -> Tensor:
        """Images (B, C, H, W) with values in about [0, 1] -> features (B, F), float32."""
        features: Tensor = self.network(image)
        return features

    def on_test_start(self) -> None:
        """Embed the training and the validation split; ValueError if there are several processes."""
        check_one_process(self.trainer)
        self._protocol = Protocol(**{field.name: self.hparams[field.name] for field in fields(Protocol)})
        check_labels(self.trainer, self._protocol)
        options = {key: self.hparams[key] for key in ("image_size", "features", "resolutions")}
        self._store = FeatureStore(self.hparams["cache_dir"], self.trainer, options)
        self._embedded, self._test, self._keys = {}, [], {}
        for split in ("train", "val", "test"):
            if getattr(self._datamodule(), f"{split}_dataset") is None:
                continue
            embed = partial(self.network.embed, split=split)
            key = self._keys[split] = self._store.key(split, self.network.extractor(split))
            if (found := self._store.load(split, key, embed)) is not None:
                self._embedded[split] = found[0], found[1]
            elif split != "test":
                self._keep(split, embed_split(self.trainer, split, embed))

    def _keep(self, split: str, batches: list[Embedded]) -> None:
        features, labels = (torch.cat(parts) for parts in zip(*batches, strict=True))
        self._embedded[split] = features, labels
        self._store.save(self._keys[split], (features, labels))

    def test_step(self, batch: Mapping[str, Tensor], batch_idx: int) -> None:
        """Embed a batch of the test split, unless its features are known."""
        if batch_idx == 0:
            self._first = self.network.image(batch, "test")[: self.hparams["pictures"]]
        if "test" not in self._embedded:
            self._test.append(self.network.embed(batch, "test"))

    def on_test_epoch_end(self) -> None:
        """Score, log, print and save."""
        if self._test:
            self._keep("test", self._test)
        p, splits = self.hparams, {share: self._splits(share) for share in self.hparams["resolutions"]}
        show = partial(track, description="Fitting probes", disable=not self.trainer.progress_bar_callback)
        scores = evaluate(splits, self._protocol, lambda steps, count: show(steps, total=count))
        self._log(next(iter(scores.values())))
        shown = next(iter(splits.values()))
        about = describe_network(self.network, self.weights)
        about |= describe_data(self._datamodule(), {split: part.names for split, part in shown.items()})
        about |= {"seed": p["seed"], **self._cleaned, **describe_run(self.trainer)}
        folder = Path(p["output_dir"] or self.trainer.log_dir or self.trainer.default_root_dir)
        save_scores(folder, about, scores, self._protocol, shown["train"])
        if p["pictures"]:
            save_pictures(folder, self.network, self._first, shown, self._datamodule().train_dataset)

    def _log(self, scores: Scores) -> None:
        self.log("test_knn", scores.knn.main)
        for probe in scores.probes:
            amount = f"{probe.fraction:g}" if probe.shots is None else f"{probe.shots}_shots"
            self.log(f"test_linear_{amount}", probe.mean)

    def _splits(self, share: float) -> dict[str, EmbeddedSplit]:
        """What was embedded at a share of the resolution, with names."""
        place, splits = self.hparams["resolutions"].index(share), {}
        for split, (features, labels) in self._embedded.items():
            dataset = getattr(self._datamodule(), f"{split}_dataset")
            classes = getattr(self._datamodule(), "class_names", None) or dataset.classes
            names = image_names(dataset, len(labels))
            splits[split] = EmbeddedSplit(features[:, place], labels, names, classes)
        return splits
