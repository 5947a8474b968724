"""How much each run of the study may cost."""

from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from timm.models.vision_transformer import VisionTransformer

__all__ = ["FULL", "QUICK", "Budget"]


@dataclass(frozen=True)
class Budget:
    """What all runs have in common.

    Args:
        backbone: Name of a timm vision transformer.
        steps: Optimizer steps.
        batch: Windows per step.
        image_size: Side of global crops in pixels, for all sensors.
        native_size: The same for each sensor, near its own resolution, with about as many tokens in
            all; pairs, so that a budget can be a key.
        lr: Peak learning rate.
        seeds: Runs of each row.
        images: Training and test images of EuroSAT and of UC Merced.
    """

    backbone: str
    steps: int
    batch: int
    image_size: int
    native_size: tuple[tuple[str, int], ...]
    lr: float
    seeds: int
    images: tuple[tuple[str, tuple[int, int]], ...]

    @property
    def digest(self) -> str:
        """Tells budgets apart."""
        return sha256(repr(self).encode()).hexdigest()[:8]

    def options(self) -> dict[str, Any]:
        """Options of X-STARS that all rows share, for runs of hundreds of steps."""
        return {
            "backbone": self.backbone,
            "image_size": self.image_size,
            "local_size": self.image_size // 2 // 16 * 16,
            "local_crops": 2,
            "prototypes": 1024,
            "head_dim": 512,
            "lr": self.lr,
            "momentum": (0.99, 0.95),
            "teacher_temperature": (0.04, 0.04),
            "freeze_last_layer": 0.3,
            "drop_path_rate": 0.0,
        }


# timm warns about models without a configuration.
default_cfgs = generate_default_cfgs({"vit_tiny_third_patch16_224": {"input_size": (3, 224, 224)}})


@register_model
def vit_tiny_third_patch16_224(pretrained: bool = False, **options: Any) -> VisionTransformer:
    """ViT-Tiny with 4 blocks instead of 12, for the quick form."""
    return build_model_with_cfg(
        VisionTransformer,
        "vit_tiny_third_patch16_224",
        pretrained,
        patch_size=16,
        embed_dim=192,
        depth=4,
        num_heads=3,
        **options,
    )


#: Minutes on two CPU cores.
QUICK = Budget(
    backbone="vit_tiny_third_patch16_224",
    steps=60,
    batch=16,
    image_size=64,
    native_size=(("fine", 96), ("sentinel2", 64), ("landsat", 32)),
    lr=1e-3,
    seeds=3,
    images=(("eurosat", (1500, 1500)), ("ucmerced", (1050, 1050))),
)

#: Minutes per run on a GPU.
FULL = Budget(
    backbone="vit_small_patch16_224",
    steps=2000,
    batch=64,
    image_size=112,
    native_size=(("fine", 160), ("sentinel2", 112), ("landsat", 64)),
    lr=5e-4,
    seeds=3,
    images=(("eurosat", (5000, 5000)), ("ucmerced", (1050, 1050))),
)
