"""What fine-tuning has in common, whatever is predicted: encoder, optimizer, checkpoints."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, cast

from lightly.utils.scheduler import cosine_warmup_schedule
from torch import Tensor, nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR
from torchgeo.tasks import BaseTask

from xstars_lightning.models import CrossSensorEncoder, LoadReport
from xstars_lightning.models.weights import DESCRIPTION, describe_encoder
from xstars_lightning.sensors import Sensor, resolve_sensors
from xstars_lightning.tasks.parameter_groups import parameter_groups
from xstars_lightning.tasks.tuned_encoder import build_encoder
from xstars_lightning.tasks.tuned_report import training_record
from xstars_lightning.tasks.tuning_data import check_images, find_test_sensor, prepare_data, restandardize

__all__ = ["FineTuning"]

_RECORD = "fine_tuning"  # in checkpoints


class FineTuning(BaseTask):
    """Trains an encoder on labels, from its lower layers to its upper ones at rising rates.

    A mix-in before a task of TorchGeo. The subclass sets ``sensors`` and ``class_names`` (None: those of
    the datamodule) and ``weights`` before ``super().__init__``, implements :meth:`build`, and has the
    hyperparameters ``backbone``, ``band_rule``, ``drop_path_rate``, ``freeze_backbone``, ``layer_decay``,
    ``lr``, ``weight_decay``, ``warmup``, ``skip_broken``, and ``fraction`` and ``seed`` if it draws labels.

    Attributes:
        loaded: What the encoder took from weights, if any.
        cleaned: As :func:`~xstars_lightning.tasks.cleaning.clean_data` gives it.
        test_sensor: Sensor of the test images; None if it is that of the training images.
        trained: Where its training started, and on what; None before that.
    """

    ignore = ("weights", "sensors")
    #: Options of TorchGeo's task that are not open to the user; from the command line it sets none of them.
    fixed: ClassVar[Mapping[str, Any]] = {"task": "multiclass", "num_labels": None, "pos_weight": None}
    sensors: Mapping[str, Any] | None
    class_names: Sequence[str] | None
    weights: Any
    loaded: LoadReport | None
    cleaned: Mapping[str, Any]
    test_sensor: Sensor | None = None
    trained: Mapping[str, Any] | None = None

    @property
    def encoder(self) -> CrossSensorEncoder:
        """The encoder that trains."""
        encoder: CrossSensorEncoder = self.model.encoder
        return encoder

    def build(self, encoder: CrossSensorEncoder, sensor: str, classes: int) -> nn.Module:
        """The network to train.

        Args:
            encoder: To be put into it.
            sensor: Name of the sensor of the images.
            classes: Number of classes.
        """
        raise NotImplementedError

    def configure_models(self) -> None:
        """Build the network if sensor and classes are known; else :meth:`setup` does so."""
        if self.sensors is None or self.class_names is None:
            return
        p, sensors = self.hparams, resolve_sensors(self.sensors)
        if len(sensors) != 1:
            raise ValueError(f"Images are of one sensor; got {', '.join(sensors)}.")
        ((name, sensor),) = sensors.items()
        p.update(
            self.fixed,
            sensors={name: sensor.to_dict()},
            class_names=list(self.class_names),
            num_classes=len(self.class_names),
            labels=list(self.class_names),
        )
        encoder, self.loaded = build_encoder(
            self.weights, name, sensor, p["backbone"], p["band_rule"], p["drop_path_rate"]
        )
        encoder.requires_grad_(not p["freeze_backbone"])
        self.model = self.build(encoder, name, len(self.class_names))

    def configure_losses(self) -> None:
        """As TorchGeo does, once the classes are known."""
        if self.class_names is not None:
            super().configure_losses()

    def configure_metrics(self) -> None:
        """As TorchGeo does, once the classes are known."""
        if self.class_names is not None:
            super().configure_metrics()

    def forward(self, x: Tensor) -> Tensor:
        """Images (B, C, H, W) in about [0, 1] -> logits; ValueError if they are smaller than a patch."""
        check_images(x, self.encoder.patch_size)
        logits: Tensor = self.model(x)
        return logits

    def predict_test(self, image: Tensor) -> Tensor:
        """As :meth:`forward`, with the statistics of the sensor of the test images."""
        (sensor,) = self.encoder.sensors.values()
        return cast(Tensor, self(restandardize(image, self.test_sensor or sensor, sensor)))

    def setup(self, stage: str) -> None:
        """Take sensor and classes from the datamodule, unless they were given; look for images to leave out.

        Raises:
            ValueError: If the datamodule does not tell them, its test images have other bands, or one of
                them stands in the training data.
        """
        datamodule, p = getattr(self.trainer, "datamodule", None), self.hparams
        if not hasattr(self, "model"):
            self._learn(datamodule)
        (sensor,) = self.encoder.sensors.values()
        self.test_sensor = find_test_sensor(datamodule, sensor)
        # Before the loaders are made, which hold on to their datasets.
        amount = p.get("fraction", 1.0), p.get("seed", 0), self.class_names or ()
        self.cleaned = prepare_data(datamodule, stage, p["skip_broken"], *amount)

    def _learn(self, datamodule: Any) -> None:
        self.sensors = self.sensors or getattr(datamodule, "sensors", None)
        self.class_names = self.class_names or getattr(datamodule, "class_names", None)
        if not self.sensors or not self.class_names:
            raise ValueError(
                f"{type(datamodule).__name__} does not tell the sensor of its images or its classes; give "
                "them: sensors={name: ...}, class_names=[...]."
            )
        self.configure_models()
        self.configure_losses()
        self.configure_metrics()

    def configure_optimizers(self) -> Any:
        """AdamW with a rate per layer; linear warm-up, then cosine to 0, step by step."""
        p, steps = self.hparams, int(self.trainer.estimated_stepping_batches)
        known = self.loaded.known if self.loaded else ()
        decay = 1.0 if p["freeze_backbone"] else p["layer_decay"]
        groups = [
            {
                "params": group["params"],
                "lr": p["lr"] * group["lr_scale"],
                "weight_decay": p["weight_decay"] if group["decays"] else 0.0,
            }
            for group in parameter_groups(self, self.encoder, nn.Module(), decay, known)
        ]
        optimizer = AdamW(groups, lr=p["lr"])
        warmup = round(steps * p["warmup"])

        def factor(step: int) -> float:
            return cosine_warmup_schedule(min(step, steps), steps, 1.0, 0.0, warmup, 0.0)

        schedule = {"scheduler": LambdaLR(optimizer, factor), "interval": "step"}
        return {"optimizer": optimizer, "lr_scheduler": schedule}

    def on_fit_start(self) -> None:
        """Take down what the checkpoints shall tell of the training."""
        self.trained = training_record(self)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Read what the checkpoint tells of its training, and of the statistics that it brings."""
        self.trained = checkpoint.get(_RECORD)
        known, described = self.encoder.sensors, checkpoint.get(DESCRIPTION, {}).get("sensors", {})
        known.update({name: Sensor(**values) for name, values in described.items() if name in known})

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Leave word of the training, and of what encoder the checkpoint holds, for ``load_encoder``."""
        checkpoint[_RECORD] = self.trained
        encoder = self.encoder
        name = next(name for name, module in self.named_modules() if module is encoder)
        checkpoint[DESCRIPTION] = describe_encoder(encoder, f"{name}.")
