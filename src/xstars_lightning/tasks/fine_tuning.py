"""What fine-tuning has in common, whatever is predicted: encoder, optimizer, checkpoints."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from lightly.utils.scheduler import cosine_warmup_schedule
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn
from torch import nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR
from torchgeo.tasks import BaseTask

from xstars_lightning.models import BandRule, CrossSensorEncoder, LoadReport, initialize, read_weights
from xstars_lightning.models.weights import DESCRIPTION, describe_encoder
from xstars_lightning.sensors import Sensor, resolve_sensors
from xstars_lightning.tasks.parameter_groups import parameter_groups
from xstars_lightning.tasks.tuned_report import training_record

__all__ = ["FineTuning", "build_encoder"]

_RECORD = "fine_tuning"  # in checkpoints


class FineTuning(BaseTask):
    """Trains an encoder on labels, from its lower layers to its upper ones at rising rates.

    A mix-in before a task of TorchGeo. The subclass sets ``sensors`` and ``class_names`` (None: those of
    the datamodule) and ``weights`` before ``super().__init__``, implements :meth:`build`, and has the
    hyperparameters ``backbone``, ``band_rule``, ``drop_path_rate``, ``freeze_backbone``, ``layer_decay``,
    ``lr``, ``weight_decay`` and ``warmup``.

    Attributes:
        loaded: What the encoder took from weights, if any.
        trained: Where its training started, and on what; None before that.
    """

    ignore = ("weights", "sensors")
    #: Options of TorchGeo's task that are not open to the user; from the command line it sets none of them.
    fixed: ClassVar[Mapping[str, Any]] = {"task": "multiclass", "num_labels": None, "pos_weight": None}
    sensors: Mapping[str, Any] | None
    class_names: Sequence[str] | None
    weights: Any
    loaded: LoadReport | None
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

    def setup(self, stage: str) -> None:
        """Take sensor and classes from the datamodule, unless they were given.

        Raises:
            ValueError: If the datamodule does not tell them.
        """
        if hasattr(self, "model"):
            return
        datamodule = getattr(self.trainer, "datamodule", None)
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
        """Read what the checkpoint tells of its training."""
        self.trained = checkpoint.get(_RECORD)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Leave word of the training, and of what encoder the checkpoint holds, for ``load_encoder``."""
        checkpoint[_RECORD] = self.trained
        encoder = self.encoder
        name = next(name for name, module in self.named_modules() if module is encoder)
        checkpoint[DESCRIPTION] = describe_encoder(encoder, f"{name}.")


def build_encoder(
    weights: str | None,
    name: str,
    sensor: Sensor,
    backbone: str,
    band_rule: BandRule = "match",
    drop_path_rate: float = 0.0,
) -> tuple[CrossSensorEncoder, LoadReport | None]:
    """Build an encoder of one sensor, from weights.

    Where the weights know the sensor, by name and bands, it keeps their statistics.

    Args:
        weights: As :func:`~xstars_lightning.models.pretrained.read_weights` takes them; None for a random
            initialisation, which is said.
        name: Name of the sensor.
        sensor: The sensor.
        backbone: Name of a timm vision transformer; that of the weights.
        band_rule: As :func:`~xstars_lightning.models.initialize.initialize` has it.
        drop_path_rate: Stochastic depth, in [0, 1).

    Returns:
        The encoder, and what it took from the weights.

    Raises:
        FileNotFoundError: If there are no such weights.
        ValueError: If they do not fit.
    """
    if weights is None:
        rank_zero_warn("No weights given: training starts from a RANDOM INITIALISATION.")
        return CrossSensorEncoder({name: sensor}, backbone, drop_path_rate), None
    pretrained = read_weights(weights)
    known = pretrained.sensors.get(name)
    if known is not None and known.bands == sensor.bands:
        sensor = known
    encoder = CrossSensorEncoder({name: sensor}, backbone, drop_path_rate)
    report = initialize(encoder, pretrained, band_rule)
    rank_zero_info(str(report))
    return encoder, report
