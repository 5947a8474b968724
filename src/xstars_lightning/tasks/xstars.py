"""X-STARS: self-distillation on every sensor, dense alignment between sensors."""

import math
from collections.abc import Mapping
from itertools import combinations

import torch
import torch.nn.functional as F
from lightly.loss import DINOLoss
from torch import Tensor, nn

from xstars_lightning.losses import MSADLoss
from xstars_lightning.models import AlignmentHead, CrossSensorEncoder
from xstars_lightning.sensors import Sensor, resolve_sensors
from xstars_lightning.tasks.teacher_student import TeacherStudent
from xstars_lightning.transforms import MultiCrop, Views

__all__ = ["XStars"]


class XStars(TeacherStudent):
    """Pretrains one encoder for all sensors of a cross-sensor datamodule.

    The loss of X-STARS [0] is the mean over sensors of DINO [1] between views of one sensor, plus ``alpha``
    times the mean over pairs of sensors of MSAD between their tokens at the same places. Class
    tokens go through DINO's head; all tokens through one alignment head for all sensors, the
    class token being one more place that is always valid, as in the authors' release. The
    encoder to keep is the teacher.

    Args:
        sensors: Sensors by the names under which they stand in batches, as catalogue names or
            in full. The command line takes them from the data.
        backbone: Name of a timm vision transformer.
        image_size: Side of global crops, and of whole windows in validation, in pixels.
        local_size: Side of local crops in pixels.
        local_crops: Number of local crops; 0 for none.
        global_scale: Share of the window's area that a global crop covers, smallest and largest.
        local_scale: The same for local crops.
        alpha: Weight of the alignment; 0 is DINO alone.
        temperature: Temperature of the alignment.
        label_smoothing: Label smoothing of the alignment.
        prototypes: Outputs K of DINO's head; about 1,024 for less than 20,000 windows, 65,536
            for millions.
        head_dim: Hidden width of both heads.
        lr: Peak learning rate of AdamW, for the batch size in use.
        final_lr: Learning rate at the end of its cosine.
        warmup: Share of the steps in which learning rate and teacher temperature are warmed up.
        weight_decay: Weight decay at start and end; biases and norms have none.
        momentum: Momentum of the teacher at start and end. A run of hundreds of steps needs one that
            falls: high at first, lest student and teacher collapse together, and low enough at the
            end for the teacher to arrive.
        teacher_temperature: Temperature of the teacher before and after its warm-up.
        freeze_last_layer: Share of the steps in which DINO's last layer stays as it is.
        drop_path_rate: Stochastic depth of the student.

    Raises:
        ValueError: If there is no sensor or an option is out of its domain.

    References:
        [0]: X-STARS, 2024, https://arxiv.org/abs/2405.09922
        [1]: DINO, 2021, https://arxiv.org/abs/2104.14294
    """

    def __init__(
        self,
        sensors: dict[str, Sensor | str] | None = None,
        backbone: str = "vit_small_patch16_224",
        image_size: int = 224,
        local_size: int = 96,
        local_crops: int = 6,
        global_scale: tuple[float, float] = (0.4, 1.0),
        local_scale: tuple[float, float] = (0.05, 0.4),
        alpha: float = 1.0,
        temperature: float = 0.1,
        label_smoothing: float = 0.0,
        prototypes: int = 4096,
        head_dim: int = 2048,
        lr: float = 5e-4,
        final_lr: float = 1e-6,
        warmup: float = 0.1,
        weight_decay: tuple[float, float] = (0.04, 0.4),
        momentum: tuple[float, float] = (0.996, 1.0),
        teacher_temperature: tuple[float, float] = (0.04, 0.07),
        freeze_last_layer: float = 0.01,
        drop_path_rate: float = 0.1,
    ) -> None:
        if not sensors:
            raise ValueError("XStars needs its sensors; pass those of the datamodule, sensors=dm.sensors.")
        shares = {"warmup": (warmup,), "freeze_last_layer": (freeze_last_layer,), "momentum": momentum}
        for name, values in (shares | {"global_scale": global_scale, "local_scale": local_scale}).items():
            if not all(0 <= value <= 1 for value in values):
                raise ValueError(f"{name} must lie in [0, 1], got {values}.")
        least = {"alpha": (alpha, 0), "prototypes": (prototypes, 2), "local_crops": (local_crops, 0)}
        for name, (value, low) in least.items():
            if value < low:
                raise ValueError(f"{name} must be at least {low}, got {value}.")
        super().__init__()

    def configure_models(self) -> None:
        """Student and teacher, equal at first, and the alignment head."""
        p = self.hparams
        sensors = resolve_sensors(p["sensors"])
        self.build_pair(sensors, p["backbone"], p["drop_path_rate"], p["head_dim"], p["prototypes"])
        self.align_head = AlignmentHead(self.model.embed_dim, p["head_dim"])
        self.views = MultiCrop(
            sensors,
            p["image_size"],
            p["local_size"],
            p["local_crops"],
            self.model.patch_size,
            p["global_scale"],
            p["local_scale"],
        )

    def configure_losses(self) -> None:
        """DINO with a centre per sensor, and MSAD.

        With one centre for all sensors, a teacher could give each its own prototypes.
        """
        p = self.hparams
        self.dino = nn.ModuleDict({name: DINOLoss(p["prototypes"]) for name in self.model.sensors})
        self.msad = MSADLoss(p["temperature"], p["label_smoothing"])

    def training_step(self, batch: Mapping[str, Tensor], batch_idx: int) -> Tensor:
        """Loss of one batch of windows with ``image_<sensor>`` and ``valid_<sensor>``."""
        views = self.views(batch)
        tokens = self._tokens(self.model, views, "globals")
        student = [tokens[:, 0]]
        if self.hparams["local_crops"]:
            student.append(self._tokens(self.model, views, "locals")[:, 0])
        with torch.no_grad():
            teacher = self.teacher_head(self._tokens(self.teacher, views, "globals")[:, 0])
        losses = self._dino_losses(self.head(torch.cat(student)), teacher)
        dino = torch.stack(list(losses.values())).mean()
        pairs = self._align_losses(self.align_head(tokens), views)
        align = torch.stack(list(pairs.values())).mean() if pairs else dino.new_zeros(())
        loss: Tensor = dino + self.hparams["alpha"] * align
        self.log_dict({"train_loss": loss, "train_dino": dino, "train_align": align}, prog_bar=True)
        # 1 is the signature of uniform collapse.
        self.log("train_dino_ratio", dino / math.log(self.hparams["prototypes"]))
        self.log_dict({f"train_dino_{name}": value for name, value in losses.items()})
        self.log_dict({f"train_align_{a}_{b}": value for (a, b), value in pairs.items()})
        return loss

    @staticmethod
    def _tokens(encoder: CrossSensorEncoder, views: Mapping[str, Views], kind: str) -> Tensor:
        """Tokens (S V B, 1 + N, D) of the S sensors' views of one kind, in one pass of the trunk."""
        return encoder.contextualize(
            torch.cat([encoder.embed(getattr(v, kind), s) for s, v in views.items()])
        )

    def _dino_losses(self, student: Tensor, teacher: Tensor) -> dict[str, Tensor]:
        """DINO per sensor; student (S (2 + L) B, K) with all global views first, teacher (S 2 B, K)."""
        sensors = len(self.dino)
        far, near = student.float().split([len(teacher), len(student) - len(teacher)])
        windows = len(teacher) // (2 * sensors)
        views = torch.cat([x.unflatten(0, (sensors, -1, windows)) for x in (far, near) if len(x)], dim=1)
        targets = teacher.float().unflatten(0, (sensors, 2, windows))
        temperature = self.schedules.temperature(self.global_step)
        for loss in (module for module in self.dino.values() if isinstance(module, DINOLoss)):
            # A plain mean at first: an average that starts at 0 lags behind for tens of steps, in
            # which the student learns to answer what the teacher says of every window.
            loss.center_momentum = min(0.9, self.global_step / (self.global_step + 1))
        with torch.autocast(student.device.type, enabled=False):
            return {
                name: loss(list(targets[i]), list(views[i]), teacher_temp=temperature)
                for i, (name, loss) in enumerate(self.dino.items())
            }

    def _align_losses(self, embeddings: Tensor, views: Mapping[str, Views]) -> dict[tuple[str, str], Tensor]:
        """MSAD per pair of sensors; embeddings (S 2 B, 1 + N, P) of the global views."""

        def places(x: Tensor) -> Tensor:
            """(2 B, N, ...) -> (B, 2 N, ...): the place n of one view is not that of the other."""
            return torch.cat(x.chunk(2), dim=1)

        embedded = dict(zip(views, map(places, embeddings.chunk(len(views))), strict=True))
        valid = {name: places(F.pad(v.valid, (1, 0), value=True)) for name, v in views.items()}
        return {
            (a, b): self.msad(embedded[a], embedded[b], valid[a] & valid[b])
            for a, b in combinations(views, 2)
        }
