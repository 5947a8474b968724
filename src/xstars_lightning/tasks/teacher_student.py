"""What tasks with a student and a momentum teacher share: optimizer, schedules, teacher, validation."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from lightly.models.modules import DINOProjectionHead
from lightning.pytorch.strategies import ModelParallelStrategy
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule, fully_shard, register_fsdp_forward_method
from torch.optim import AdamW, Optimizer
from torch.optim.swa_utils import get_ema_multi_avg_fn
from torchgeo.tasks import BaseTask

from xstars_lightning.models import CrossSensorEncoder, LoadReport, Pretrained, initialize
from xstars_lightning.models.weights import DESCRIPTION, describe_encoder
from xstars_lightning.sensors import Sensor
from xstars_lightning.tasks.checks import check_description, check_run
from xstars_lightning.tasks.parameter_groups import parameter_groups
from xstars_lightning.tasks.randomness import seed_batch
from xstars_lightning.tasks.schedules import Schedules

__all__ = ["TeacherStudent"]

_RUN = "xstars_run"


class TeacherStudent(BaseTask):
    """A student that trains and a teacher that follows it by an exponential moving average.

    A subclass calls :meth:`build_pair` in ``configure_models`` and has the hyperparameters of
    :class:`~xstars_lightning.tasks.schedules.Schedules`, ``layer_decay`` and ``band_rule``.

    Attributes:
        model: The student's encoder.
        head: The student's DINO head.
        teacher: The teacher's encoder, the one to keep.
        loaded: What came from existing weights, if any.
        teacher_head: The teacher's DINO head.
        image_sizes: Side in pixels, by sensor, to which whole windows are resized in validation.
    """

    monitor = "val_retrieval"
    mode = "max"
    ignore = ()  # a run is described by all its options, also by the weights that TorchGeo leaves out
    image_sizes: dict[str, int]
    _seed: int | None = None

    def build_pair(
        self,
        sensors: Mapping[str, Sensor],
        backbone: str,
        drop_path_rate: float,
        head_dim: int,
        prototypes: int,
        pretrained: Pretrained | None = None,
    ) -> None:
        """Create student and teacher with equal weights; the teacher takes no gradient."""
        self.model = CrossSensorEncoder(sensors, backbone, drop_path_rate)
        self.teacher = CrossSensorEncoder(sensors, backbone)
        # The head's weight norm cannot be deep-copied, so two are built and one is loaded.
        self.head, self.teacher_head = (
            DINOProjectionHead(self.model.embed_dim, head_dim, output_dim=prototypes) for _ in range(2)
        )
        self.loaded: LoadReport | None = None
        if pretrained is not None:
            self.loaded = initialize(self.model, pretrained, self.hparams["band_rule"])
            rank_zero_info(str(self.loaded))
        for student, teacher in self._pairs():
            teacher.load_state_dict(student.state_dict())
            teacher.requires_grad_(False)

    def _pairs(self) -> tuple[tuple[nn.Module, nn.Module], ...]:
        return (self.model, self.teacher), (self.head, self.teacher_head)

    def configure_model(self) -> None:
        """Shard all parameters over the processes (FSDP2), if the trainer has a ModelParallelStrategy.

        The processes must have built the same weights, as the seed of the command line makes them.
        """
        if not isinstance(self.trainer.strategy, ModelParallelStrategy) or isinstance(self.model, FSDPModule):
            return
        encoders = [part for part in self.children() if isinstance(part, CrossSensorEncoder)]
        blocks = [block for encoder in encoders for block in encoder.trunk.blocks]
        for module in (*blocks, *(part for part in self.children() if list(part.parameters()))):
            # Outermost modules would stay whole; optimizer and teacher take shards alone.
            fully_shard(module, mesh=self.device_mesh, reshard_after_forward=True)
        for encoder in encoders:
            register_fsdp_forward_method(encoder, "embed")
            register_fsdp_forward_method(encoder, "contextualize")

    @property
    def sensors(self) -> dict[str, Sensor]:
        """The sensors, by the names under which they stand in batches."""
        return self.teacher.sensors

    @property
    def schedules(self) -> Schedules:
        """The schedules of this run, for as many steps as the trainer will take."""
        names = [name for name in Schedules.__annotations__ if name != "steps"]
        steps = int(self.trainer.estimated_stepping_batches)
        return Schedules(steps, **{name: self.hparams[name] for name in names})

    def configure_optimizers(self) -> Optimizer:
        """AdamW; no decay for biases and norms, groups of their own for what is frozen at first."""
        groups = parameter_groups(
            self,
            self.model,
            self.head.last_layer,
            self.hparams["layer_decay"],
            self.loaded.known if self.loaded else (),
        )
        return AdamW(groups, lr=self.hparams["lr"])

    def on_fit_start(self) -> None:
        """Take the run's seed, unless a checkpoint brought one."""
        if self._seed is None:
            self._seed = torch.initial_seed() % 2**63

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Set random numbers, learning rate and weight decay for the batch to come."""
        progress: Any = self.trainer.fit_loop.epoch_loop.batch_progress  # typed as its base class
        seed_batch(self._seed or 0, progress.total.processed, self.global_rank)
        schedules, step = self.schedules, self.global_step
        rate, decay = schedules.learning_rate(step), schedules.decay(step)
        for group in self.trainer.optimizers[0].param_groups:
            frozen = bool(group["part"]) and schedules.frozen(step, group["part"])
            group["lr"] = 0.0 if frozen else rate * group["lr_scale"]
            group["weight_decay"] = decay if group["decays"] else 0.0

    def optimizer_step(
        self,
        epoch: int,
        batch_idx: int,
        optimizer: Any,
        optimizer_closure: Callable[[], Any] | None = None,
    ) -> None:
        """Step the student, then move the teacher by 1 - m towards it."""
        momentum = self.schedules.teacher_momentum(self.global_step)
        super().optimizer_step(epoch, batch_idx, optimizer, optimizer_closure)
        self.move_teacher(momentum)

    def move_teacher(self, momentum: float) -> None:
        """Move the teacher by 1 - ``momentum`` towards the student, all its tensors at once."""
        for student, teacher in self._pairs():
            get_ema_multi_avg_fn(momentum)(list(teacher.parameters()), list(student.parameters()), None)

    def encode(self, batch: Mapping[str, Tensor], sensor: str) -> Tensor:
        """Tokens (B, 1 + N, D) of the teacher for whole windows, resized to ``image_sizes``."""
        return self._encode(self.teacher, batch, sensor)

    def _encode(self, encoder: CrossSensorEncoder, batch: Mapping[str, Tensor], sensor: str) -> Tensor:
        size = (self.image_sizes[sensor], self.image_sizes[sensor])
        image = F.interpolate(batch[f"image_{sensor}"], size, mode="bilinear", antialias=True)
        tokens: Tensor = encoder(image, sensor)
        return tokens

    def validation_step(self, batch: Mapping[str, Tensor], batch_idx: int) -> dict[str, Tensor]:
        """Tokens of every sensor, for the callbacks."""
        return {sensor: self.encode(batch, sensor) for sensor in self.sensors}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Leave word of what encoder the checkpoint holds, for ``load_encoder``, and of the seed."""
        checkpoint[DESCRIPTION] = describe_encoder(self.teacher, "teacher.")
        checkpoint[_RUN] = self.run_description | {"seed": self._seed}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse a checkpoint of another encoder or task; ValueError that names what differs."""
        check_description(checkpoint.get(DESCRIPTION), describe_encoder(self.teacher, "teacher."))
        run = checkpoint.get(_RUN, {})
        check_run(run, self.run_description)
        self._seed = run["seed"]

    @property
    def run_description(self) -> dict[str, Any]:
        """What must be the same when a run is resumed, besides the encoder; plain values."""
        return {"task": type(self).__name__}
