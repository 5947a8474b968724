"""X-STARS: self-distillation on every sensor, dense alignment between sensors."""

import math
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any, Literal

import torch
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor

from xstars_lightning.losses import CrossSensorDINOLoss, MSADLoss
from xstars_lightning.models import AlignmentHead, BandRule, Pretrained, read_weights
from xstars_lightning.models.recompute import recompute_activations
from xstars_lightning.sensors import Sensor, resolve_sensors
from xstars_lightning.tasks.alignment import Alignment
from xstars_lightning.tasks.checks import check_batch, check_options, sizes_by_sensor
from xstars_lightning.tasks.defaults import DINODefaults, dino_defaults
from xstars_lightning.tasks.teacher_student import TeacherStudent
from xstars_lightning.tasks.token_views import TokenViews, encode_views
from xstars_lightning.transforms import MultiCrop, Views

__all__ = ["XStars"]

Pair = tuple[float, float]


class XStars(TeacherStudent):
    """Pretrains one encoder for all sensors of a cross-sensor datamodule.

    The loss of X-STARS [0] is the mean over sensors of DINO [1] between views of one sensor, plus ``alpha``
    times the mean over pairs of sensors of MSAD between their tokens at the same places. Class
    tokens go through DINO's head; all tokens through one alignment head for all sensors. A sensor
    that did not see a window takes no part in the losses of that window. The encoder to keep is
    the teacher.

    Args:
        sensors: Sensors by the names under which they stand in batches, as catalogue names or
            in full. The command line takes them from the data.
        windows: Windows of an epoch, over all processes, by which the options that are left at None
            are chosen: see :func:`~xstars_lightning.tasks.defaults.dino_defaults`. The command line
            takes it from the data; without it few are assumed.
        backbone: Name of a timm vision transformer.
        weights: What to start from: a file or a name that :func:`~xstars_lightning.models.read_weights`
            takes; by default the random initialisation.
        band_rule: How patch embeddings come from weights for other bands.
        image_size: Side of global crops, and of whole windows in validation, in pixels; one for
            all sensors or one for each, so that each may keep about its native resolution.
        local_size: Side of local crops in pixels, for all sensors or for each.
        local_crops: Number of local crops; 0 for none.
        global_scale: Share of the window's area that a global crop covers, smallest and largest.
        local_scale: The same for local crops.
        alpha: Weight of the alignment; 0 is DINO alone. More than 0.3 finds places a little better in the
            other sensor, and tells classes within one sensor worse (docs/fidelity.md).
        alpha_warmup: Share of the steps over which alpha rises from 0.
        temperature: Temperature of the alignment.
        label_smoothing: Label smoothing of the alignment.
        align_target: Align the student with itself (``student``) or with the teacher.
        align_class_token: Align class tokens too, as one more place, as the authors' release does.
        align_locals: Align local crops too: small parts of the window, in fine detail.
        image_negatives: Tell a place from the other places of its window too.
        gather_negatives: Tell it from the windows of all processes, not only from those of its own.
        cross_sensor_dino: Let the teacher see one sensor and the student another too.
        prototypes: Outputs K of DINO's head.
        head_dim: Hidden width of both heads.
        lr: Peak learning rate of AdamW, for the batch size in use.
        final_lr: Learning rate at the end of its cosine.
        warmup: Share of the steps in which the learning rate is warmed up.
        weight_decay: Weight decay at start and end; biases and norms have none.
        momentum: Momentum of the teacher at start and end. A run of hundreds of steps needs one that
            falls: high at first, lest student and teacher collapse together, and low enough at the
            end for the teacher to arrive.
        teacher_temperature: Temperature of the teacher before and after its warm-up.
        temperature_warmup: Share of the steps in which that is warmed up.
        freeze_last_layer: Share of the steps in which DINO's last layer stays as it is.
        freeze_trunk: Share of the steps in which the trunk, and stems that came with ``weights``, stay.
        layer_decay: Factor of the learning rate from each block of the trunk to the one below.
        drop_path_rate: Stochastic depth of the student.
        gradient_checkpointing: Keep of every block of the student only what enters it, and compute the
            rest again for the gradient: less memory for more time (docs/benchmarks.md).

    Raises:
        ValueError: If there is no sensor, an option is out of its domain, or alpha is 0 while an
            option of the alignment is set.

    References:
        [0]: X-STARS, 2024, https://arxiv.org/abs/2405.09922
        [1]: DINO, 2021, https://arxiv.org/abs/2104.14294
    """

    def __init__(
        self,
        sensors: dict[str, Sensor | str] | None = None,
        windows: int | None = None,
        backbone: str = "vit_small_patch16_224",
        weights: str | None = None,
        band_rule: BandRule = "match",
        image_size: int | dict[str, int] = 224,
        local_size: int | dict[str, int] = 96,
        local_crops: int = 6,
        global_scale: Pair = (0.4, 1.0),
        local_scale: Pair = (0.05, 0.4),
        alpha: float = 0.3,
        alpha_warmup: float = 0.0,
        temperature: float = 0.1,
        label_smoothing: float = 0.0,
        align_target: Literal["student", "teacher"] = "student",
        align_class_token: bool = True,
        align_locals: bool = False,
        image_negatives: bool = True,
        gather_negatives: bool = True,
        cross_sensor_dino: bool = False,
        prototypes: int | None = None,
        head_dim: int = 2048,
        lr: float = 5e-4,
        final_lr: float = 1e-6,
        warmup: float | None = None,
        weight_decay: Pair = (0.04, 0.4),
        momentum: Pair | None = None,
        teacher_temperature: Pair | None = None,
        temperature_warmup: float | None = None,
        freeze_last_layer: float = 0.01,
        freeze_trunk: float = 0.0,
        layer_decay: float = 1.0,
        drop_path_rate: float = 0.1,
        gradient_checkpointing: bool = False,
    ) -> None:
        super().__init__()

    def configure_models(self) -> None:
        """Student and teacher, equal at first, and the views."""
        self._choose_defaults()
        p = self.hparams
        check_options(XStars, p)
        pretrained = None if p["weights"] is None else read_weights(p["weights"])
        sensors = self.resolve(pretrained)
        self.image_sizes = sizes_by_sensor("image_size", p["image_size"], sensors)
        shape = (p["backbone"], p["drop_path_rate"], p["head_dim"], p["prototypes"])
        self.build_pair(sensors, *shape, pretrained)
        recompute_activations(self.model.trunk)
        self.model.trunk.set_grad_checkpointing(p["gradient_checkpointing"])
        self.views = MultiCrop(
            sensors,
            self.image_sizes,
            sizes_by_sensor("local_size", p["local_size"], sensors),
            p["local_crops"],
            self.model.patch_size,
            p["global_scale"],
            p["local_scale"],
        )

    def _choose_defaults(self) -> None:
        """Replace options that are None by values that fit the number of windows, also in what is logged."""
        p = self.hparams
        chosen = asdict(dino_defaults(1 if p["windows"] is None else p["windows"]))
        self.save_hyperparameters({name: value for name, value in chosen.items() if p[name] is None})

    def resolve(self, pretrained: Pretrained | None) -> dict[str, Sensor]:
        """The sensors in full, before there is a model."""
        return resolve_sensors(self.hparams["sensors"])

    def configure_losses(self) -> None:
        """DINO with a centre per sensor, and MSAD.

        With one centre for all sensors, a teacher could give each its own prototypes.
        """
        p = self.hparams
        learned = len(self.learned)
        self.dino = CrossSensorDINOLoss(learned, p["prototypes"], cross_sensor=p["cross_sensor_dino"])
        msad = MSADLoss(
            p["temperature"],
            p["label_smoothing"],
            image_negatives=p["image_negatives"],
            gather_distributed=p["gather_negatives"],
        )
        head = AlignmentHead(self.model.embed_dim, p["head_dim"])
        self.alignment = Alignment(head, msad, p["align_class_token"])
        # Else processes would wait for gradients that never come.
        self.alignment.requires_grad_(self.aligned)

    @property
    def aligned(self) -> bool:
        """Whether there is something to align."""
        return self.hparams["alpha"] > 0 and len(self.sensors) > 1

    @property
    def run_description(self) -> dict[str, Any]:
        """What must be the same when a run is resumed, besides the encoder."""
        return super().run_description | {"aligned sensors": self.aligned}

    @property
    def learned(self) -> tuple[str, ...]:
        """The sensors whose images the student sees."""
        return tuple(self.sensors)

    def on_fit_start(self) -> None:
        """Say which values were chosen."""
        super().on_fit_start()
        names = [field.name for field in fields(DINODefaults)]
        chosen = ", ".join(f"{name} {self.hparams[name]}" for name in names)
        rank_zero_info(f"With {self.hparams['windows'] or 'few'} windows per epoch: {chosen}.")

    def on_before_batch_transfer(self, batch: dict[str, Tensor], dataloader_idx: int) -> dict[str, Tensor]:
        """Refuse a training batch in which nothing can be aligned, while it is on the CPU still."""
        if self.trainer.training:
            check_batch(batch, self.sensors, self.learned, self.aligned)
        return batch

    def training_step(self, batch: Mapping[str, Tensor], batch_idx: int) -> Tensor:
        """Loss of one batch of windows with ``image_<sensor>`` and ``valid_<sensor>``."""
        losses = self.losses(self.views(batch))
        shown = ("train_loss", "train_dino", "train_align")
        self.log_dict({name: losses[name] for name in shown}, prog_bar=True)
        self.log_dict({name: value for name, value in losses.items() if name not in shown})
        return losses["train_loss"]

    def losses(self, views: Mapping[str, Views]) -> dict[str, Tensor]:
        """The loss, ``train_loss``, and its parts, from views of all sensors."""
        student = {kind: encode_views(self.model, views, kind, self.learned) for kind in self._kinds}
        with torch.no_grad():
            teacher = encode_views(self.teacher, views, "globals", self.learned)
        sensors = dict(zip(self.learned, self._dino(student, teacher), strict=True))
        pairs = self._align(student, teacher, views) if self.aligned else {}
        dino = torch.stack(list(sensors.values())).mean()
        shown = torch.stack([value > 0 for value in sensors.values()]).float().mean().clamp(min=1e-6)
        align = torch.stack(list(pairs.values())).mean() if pairs else dino.new_zeros(())
        alpha = self.hparams["alpha"] * self.schedules.ramp(self.global_step, self.hparams["alpha_warmup"])
        return {
            "train_loss": dino + alpha * align,
            "train_dino": dino,
            "train_align": align,
            # 1 is the signature of uniform collapse; a sensor that no window shows has a loss of 0.
            "train_dino_ratio": dino.detach() / shown / math.log(self.hparams["prototypes"]),
            **{f"train_dino_{name}": value.detach() for name, value in sensors.items()},
            **{f"train_align_{a}_{b}": value.detach() for (a, b), value in pairs.items()},
        }

    @property
    def _kinds(self) -> tuple[str, ...]:
        return ("globals", "locals") if self.hparams["local_crops"] else ("globals",)

    def _dino(
        self, student: Mapping[str, Mapping[str, TokenViews]], teacher: Mapping[str, TokenViews]
    ) -> Tensor:
        """DINO by sensor (S,), all class tokens in one pass of each head."""
        seen = [torch.stack([x.class_tokens for x in kind.values()]) for kind in student.values()]
        taught = torch.stack([x.class_tokens for x in teacher.values()])
        with torch.no_grad():
            targets = self.teacher_head(taught.flatten(0, 2)).unflatten(0, taught.shape[:3])
        tokens = torch.cat(seen, dim=1)  # (S, 2 + L, B, D)
        answers = self.head(tokens.flatten(0, 2)).unflatten(0, tokens.shape[:3])
        present = torch.stack([x.present for x in teacher.values()])
        temperature = self.schedules.temperature(self.global_step)
        losses: Tensor = self.dino(answers, targets, temperature, present)
        return losses

    def _align(
        self,
        student: Mapping[str, Mapping[str, TokenViews]],
        teacher: Mapping[str, TokenViews],
        views: Mapping[str, Views],
    ) -> dict[tuple[str, str], Tensor]:
        """MSAD by pair of sensors, the mean over the kinds of views that are aligned."""
        mutual = self.hparams["align_target"] == "student"
        kinds = self._kinds if self.hparams["align_locals"] else ("globals",)
        found = []
        for kind in kinds:
            fixed = {} if mutual else dict(teacher)
            found.append(self.alignment(student[kind], fixed | self.anchors(views, kind), mutual))
        return {pair: torch.stack([losses[pair] for losses in found]).mean() for pair in found[0]}

    def anchors(self, views: Mapping[str, Views], kind: str) -> dict[str, TokenViews]:
        """Tokens of sensors that the student does not see; none here."""
        return {}
