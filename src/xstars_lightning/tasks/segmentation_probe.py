"""How good the patch tokens of a frozen network are on segmentation and change detection."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor
from torchgeo.tasks import BaseTask

from xstars_lightning.evaluation.dense_protocol import fit_probes
from xstars_lightning.models.features import FeatureExtractor, open_features
from xstars_lightning.sensors import Sensor, resolve_sensors
from xstars_lightning.tasks.cleaning import clean_data
from xstars_lightning.tasks.data_report import describe_data, describe_run
from xstars_lightning.tasks.dense_features import dense_features
from xstars_lightning.tasks.embedding import check_one_process
from xstars_lightning.tasks.probe_report import describe_extractors, save_probes
from xstars_lightning.tasks.probed_pixels import ProbedPixels
from xstars_lightning.tasks.token_bank import TokenBank

__all__ = ["SegmentationProbe"]

_PROTOCOL = ("tokens_per_tile", "max_tokens", "fractions", "shots", "draws", "seed", "resolutions")


class SegmentationProbe(BaseTask):
    """Classifies the patch tokens of a frozen network by logistic regression, and scores pixels.

    For ``trainer.test`` with a datamodule whose batches hold ``image`` and ``mask``, such as
    :class:`~xstars_lightning.datamodules.SegmentationDataModule`; it needs no fit. The target of a token
    are the shares of the classes on its ground. Logits are resized to the mask, and confusions summed over
    the dataset. Of images (B, 2, C, H, W) of two dates, what is classified is the absolute difference of
    their tokens. Writes ``evaluation.json``, ``labels.json`` (the images behind every probe) and
    ``segmentation.png`` (of the last amount of labels).

    Args:
        sensors: The one sensor of ``image``; the datamodule's where it is left out. Where the datamodule's
            ``test_sensors`` is another one, the probe is fitted on one sensor and tested on the other.
        weights: As :func:`~xstars_lightning.models.features.open_features` takes them.
        backbone: Name of a timm vision transformer, for the random initialisation.
        image_size: Side in pixels to which tiles are resized; None keeps them, but for the nearest multiple
            of the patch size. Masks are never resized.
        tokens_per_tile: Tokens per tile, drawn at random, on which probes are fitted.
        fractions: Shares of the training images of every class for the probes, in (0, 1]. An image is of
            every class of which it has a pixel.
        draws: Draws of each amount of images but all.
        pictures: Test images in ``segmentation.png``, predicted by the last probe.
        seed: Of the draws, and of random weights.
        output_dir: Folder for the files; that of the logger where it is left out.
        shots: Images of every class for further probes.
        resolutions: Shares of the resolution at which tiles are read: averaged over areas, then brought to
            the size that the network gets; those of training, validation and test alike.
        skip_broken: Leave images out that cannot be read, and training images that are in the test data
            too, instead of an error; they are counted and named.
        cache_dir: Folder in which the drawn tokens of training and validation are kept for later runs.
            Those of the test are never kept: pixels need all of them, gigabytes of a common data set.
        max_tokens: Tokens of a whole split; of splits with more, fewer of every tile are drawn, but at
            least one. It bounds the memory: a million tokens of 192 values take 0.8 GB, per resolution.

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
        shots: tuple[int, ...] = (),
        resolutions: tuple[float, ...] = (1.0,),
        skip_broken: bool = False,
        cache_dir: str | None = None,
        max_tokens: int = 1_000_000,
    ) -> None:
        for name, values in (("fractions", fractions), ("resolutions", resolutions)):
            if not values or not all(0 < share <= 1 for share in values) or draws < 1:
                raise ValueError(f"{name} must lie in (0, 1] and draws be positive; got {values}, {draws}.")
        if min(tokens_per_tile, max_tokens, pictures, *shots) < 1:
            raise ValueError(
                f"Must be positive: tokens_per_tile {tokens_per_tile}, max_tokens {max_tokens}, "
                f"pictures {pictures}, shots {shots}."
            )
        self.sensors, self.weights = sensors, weights
        self._probed: dict[float, ProbedPixels] = {}
        super().__init__()

    def configure_models(self) -> None:
        """Nothing: the networks follow from the data, see :meth:`setup`."""

    def setup(self, stage: str) -> None:
        """Open the network for the sensors of the data; look for images to leave out.

        Raises:
            ValueError: If there is no sensor or there are several, or a test image is in the training data.
        """
        datamodule: Any = getattr(self.trainer, "datamodule", None)
        if datamodule is None:
            raise ValueError("SegmentationProbe needs training data too: trainer.test(task, datamodule=...).")
        sensors = self.sensors or getattr(datamodule, "sensors", None)
        if not sensors:
            raise ValueError(
                f"{type(datamodule).__name__} does not tell the sensor of its images; "
                "give it: sensors={name: ...}."
            )
        # Before the loaders are made, which hold on to their datasets.
        datamodule.setup("fit")
        self._cleaned = clean_data(datamodule, self.hparams["skip_broken"])
        self.datamodule = datamodule
        self.train_model = self._open(resolve_sensors(sensors))
        tested = resolve_sensors(getattr(datamodule, "test_sensors", None) or sensors)
        self.model = self.train_model if tested == resolve_sensors(sensors) else self._open(tested)

    def _open(self, sensors: Mapping[str, Sensor]) -> FeatureExtractor:
        if len(sensors) != 1:
            raise ValueError(f"One sensor is evaluated at a time, got {', '.join(sensors)}; choose one.")
        ((name, sensor),) = sensors.items()
        return open_features(self.weights, name, sensor, self.hparams["backbone"], self.hparams["seed"])

    def forward(self, image: Tensor, share: float = 1.0) -> Tensor:
        """Test images (B, C, H, W), or (B, 2, C, H, W), in about [0, 1] -> tokens (B, h, w, D)."""
        return dense_features(self.model, image, self.hparams["image_size"], share)

    def on_test_start(self) -> None:
        """Embed the training and the validation split, and fit the probes."""
        check_one_process(self.trainer)
        p, names = self.hparams, self.datamodule.class_names
        bank = TokenBank(
            self.train_model,
            len(names),
            p["image_size"],
            p["resolutions"],
            p["tokens_per_tile"],
            p["seed"],
            p["cache_dir"],
            p["max_tokens"],
        )
        found = [s for s in ("train", "val") if getattr(self.datamodule, f"{s}_dataset") is not None]
        splits = {split: bank.collect(self.trainer, split) for split in found}
        self._tokens_used = bank.used
        self._used = {split: next(iter(parts.values())).used for split, parts in splits.items()}
        about = names, self.datamodule.test_dataset.names, self.model.sensor.rgb_indices, p["pictures"]
        for share in p["resolutions"]:
            parts = {split: by_share[share] for split, by_share in splits.items()}
            probes = fit_probes(parts, names, p["fractions"], p["draws"], p["seed"], p["shots"])
            self._probed[share] = ProbedPixels(list(probes), *about)
        next(iter(self._probed.values())).warn()

    def test_step(self, batch: Mapping[str, Tensor], batch_idx: int) -> None:
        """Predict the pixels of a batch with every probe, and count."""
        for share, probed in self._probed.items():
            probed.add(self(batch["image"], share), batch)

    def on_test_epoch_end(self) -> None:
        """Score, log, print and save."""
        p, shown = self.hparams, next(iter(self._probed.values()))
        rows = {share: probed.score(p["seed"]) for share, probed in self._probed.items()}
        for row in next(iter(rows.values())):
            amount = f"{row.fraction:g}" if row.shots is None else f"{row.shots}_shots"
            self.log(f"test_miou_{amount}", row.mean)
        last = shown.tallies[-1]
        about = {
            **describe_extractors(self.train_model, self.model, self.weights),
            **describe_data(self.datamodule, self._used | {"test": last.images}),
            "protocol": {key: p[key] for key in _PROTOCOL} | {"tokens_per_tile_used": self._tokens_used},
            "image_size": p["image_size"],
            "seed": p["seed"],
            **self._cleaned,
            **describe_run(self.trainer),
        }
        folder = Path(p["output_dir"] or self.trainer.log_dir or self.trainer.default_root_dir)
        save_probes(folder, about, rows, shown.probes, last.overlays)
