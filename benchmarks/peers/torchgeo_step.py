"""Peer: a training step of TorchGeo's nearest task on the same transformer, as a sanity bound."""

import torch
from lightning.pytorch import Trainer
from torch import Tensor, nn
from torch.optim import AdamW
from torchgeo.tasks import MoCo

__all__ = ["TorchGeoStep"]


class TorchGeoStep(nn.Module):
    """A step of MoCo v3 [0] as TorchGeo [1] has it: losses, gradients, optimizer and teacher.

    Of TorchGeo's self-supervised tasks it does nearly the work of DINO on two global crops: two
    passes of a student, two of a momentum teacher, a head of wide layers, AdamW, all of it on a plain
    transformer of timm. SimCLR has no teacher, MAE shows its encoder a quarter of the patches, and
    BYOL's heads hang on a layer by its number. There are no local crops and no second sensor, so for
    the work of a step of ours count the images.

    Its augmentations are switched off: views come ready. Attention is fused where timm has it so.

    Args:
        backbone: Name of a timm vision transformer, which takes images of its own size only.
        lr: Learning rate of AdamW; the task's default is for 4096 images.
        precision: Type of autocast in the forward passes; None for none.

    References:
        [0]: MoCo v3, 2021, https://arxiv.org/abs/2104.02057
        [1] https://github.com/torchgeo/torchgeo
    """

    def __init__(self, backbone: str, lr: float = 1e-4, precision: torch.dtype | None = None) -> None:
        super().__init__()
        off = nn.Identity()
        self.task = _Silent(model=backbone, version=3, lr=lr, augmentation1=off, augmentation2=off)
        # Never started: the step asks it which of how many epochs this is.
        self.task.trainer = Trainer(
            max_epochs=200, accelerator="cpu", logger=False, enable_checkpointing=False
        )
        self.precision = precision
        decay = self.task.hparams["weight_decay"]
        self.optimizer = AdamW([x for x in self.parameters() if x.requires_grad], lr=lr, weight_decay=decay)

    def step(self, images: Tensor) -> float:
        """One step.

        Args:
            images: Standardised images (B, 3, S, S), which serve as both views, or two views of them
                side by side, (B, 6, S, S); B at least 2.

        Returns:
            The loss.
        """
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.loss(images)
        loss.backward()
        self.optimizer.step()
        return float(loss.detach())

    def loss(self, images: Tensor) -> Tensor:
        """TorchGeo's training step itself, which moves the teacher too; images as of :meth:`step`."""
        with torch.autocast(images.device.type, self.precision, enabled=self.precision is not None):
            return self.task.training_step({"image": images}, 0)


class _Silent(MoCo):
    """MoCo that logs nowhere, which outside of training it must not."""

    def log(self, *args: object, **keywords: object) -> None:
        """Nowhere."""
