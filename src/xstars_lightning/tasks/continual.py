"""Continual pretraining: a model that knows one sensor learns others."""

import copy
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor

from xstars_lightning.models import CrossSensorEncoder, Pretrained
from xstars_lightning.sensors import Sensor
from xstars_lightning.tasks.token_views import TokenViews, encode_views
from xstars_lightning.tasks.xstars import XStars
from xstars_lightning.transforms import Views

__all__ = ["ContinualXStars"]


class ContinualXStars(XStars):
    """Adapts existing weights to new sensors, as the second use of X-STARS [0].

    A frozen copy of the given weights encodes the anchor sensors, which the weights know. The
    student starts from the same weights, distils itself on the new sensors only, and is aligned
    with what the frozen copy says of the anchors at the same places; and, where there are several
    new sensors, with itself between them. A new sensor with other bands gets a patch embedding of
    its own; one with the bands of an anchor shares the anchor's, which then changes for both.

    Args:
        anchors: Sensors that the weights know.
        weights: As in :class:`XStars`, but needed. Anchors that stand in a file of ours keep the
            statistics of that file.
        alpha: Weight of the alignment, larger than in :class:`XStars`: the anchors do not move.
        freeze_trunk: Share of the steps in which only what is new trains: heads and new stems.
        layer_decay: Factor of the learning rate from each block of the trunk to the one below; less
            than 1 keeps more of what the model knew.
        **options: Those of :class:`XStars`.

    Raises:
        ValueError: If an anchor is none of the sensors, no sensor is new, or weights or alpha are
            missing.

    References:
        [0]: X-STARS, 2024, https://arxiv.org/abs/2405.09922
    """

    def __init__(
        self,
        anchors: list[str],
        weights: str | None = None,
        alpha: float = 1.0,
        freeze_trunk: float = 0.1,
        layer_decay: float = 0.75,
        **options: Any,
    ) -> None:
        super().__init__(
            weights=weights, alpha=alpha, freeze_trunk=freeze_trunk, layer_decay=layer_decay, **options
        )

    def configure_models(self) -> None:
        """The pair, and the frozen copy."""
        self._check_anchors()
        super().configure_models()
        self._check_stems()
        self.frozen: CrossSensorEncoder = copy.deepcopy(self.model)
        self.frozen.eval().requires_grad_(False)
        shared = {"-".join(self.sensors[name].bands) for name in self.learned}
        for key, stem in self.model.patch_embed.items():
            # Else processes would wait for gradients that never come.
            stem.requires_grad_(key in shared)

    def _check_anchors(self) -> None:
        p = self.hparams
        sensors, anchors = list(p["sensors"] or ()), p["anchors"]
        if not sensors:
            return  # refused by all tasks alike
        if unknown := [name for name in anchors if name not in sensors]:
            raise ValueError(
                f"Anchors {unknown} are not among the sensors {sensors}; name those the weights know."
            )
        if not anchors or len(set(anchors)) == len(sensors):
            raise ValueError(
                f"Of the sensors {sensors} the anchors are {list(anchors)}; at least one must be an anchor, "
                "which the weights know, and at least one new."
            )
        if p["weights"] is None:
            raise ValueError(
                "Continual pretraining starts from existing weights; give them: weights=<file or name>."
            )
        if p["alpha"] == 0:
            raise ValueError(
                "alpha is 0, so that anchors play no part; raise it, or use XStars with weights."
            )

    def _check_stems(self) -> None:
        """Refuse anchors of whose bands the weights know none, warn of those of which they know some."""
        assert self.loaded is not None
        for name in self.hparams["anchors"]:
            key = "-".join(self.sensors[name].bands)
            if key in self.loaded.known:
                continue
            if key not in self.loaded.related or self.hparams["band_rule"] == "new":
                raise ValueError(
                    f"{self.loaded.source} does not know the bands of the anchor {name!r} (patch embedding: "
                    f"{self.loaded.stems[key]}), so that it cannot teach it; choose an anchor that it knows."
                )
            rank_zero_warn(
                f"Anchor {name!r}: the weights have other bands, so that what they say of it may be poor "
                f"(patch embedding: {self.loaded.stems[key]})."
            )

    @property
    def run_description(self) -> dict[str, Any]:
        """What must be the same when a run is resumed, besides the encoder."""
        return super().run_description | {"anchors": list(self.hparams["anchors"])}

    def resolve(self, pretrained: Pretrained | None) -> dict[str, Sensor]:
        """The sensors; anchors with the statistics that the weights were trained with, if these tell."""
        sensors = super().resolve(pretrained)
        known = pretrained.sensors if pretrained else {}
        for name in self.hparams["anchors"]:
            if name in known and known[name].bands == sensors[name].bands:
                sensors[name] = _as_known(name, sensors[name], known[name])
            elif pretrained:
                rank_zero_warn(
                    f"Anchor {name!r}: {pretrained.source} does not tell its statistics; those declared are "
                    f"used (mean {sensors[name].mean}, std {sensors[name].std}). Declare the ones that the "
                    "weights were trained with."
                )
        return sensors

    @property
    def learned(self) -> tuple[str, ...]:
        """The new sensors."""
        return tuple(name for name in self.sensors if name not in self.hparams["anchors"])

    def train(self, mode: bool = True) -> "ContinualXStars":
        """Switch all but the frozen copy, which has no stochastic depth."""
        super().train(mode)
        self.frozen.eval()
        return self

    @torch.no_grad()
    def anchors(self, views: Mapping[str, Views], kind: str) -> dict[str, TokenViews]:
        """What the frozen copy says of the anchors."""
        return encode_views(self.frozen, views, kind, self.hparams["anchors"])

    @torch.no_grad()
    def before(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Tokens (B, 1 + N, D) of the anchors as the model knew them, for whole windows."""
        with self.trainer.precision_plugin.forward_context():  # as validation_step has it
            return {name: self._encode(self.frozen, batch, name) for name in self.hparams["anchors"]}


def _as_known(name: str, mine: Sensor, theirs: Sensor) -> Sensor:
    """The anchor as the weights know it; ValueError if its pixels are scaled in another way."""
    if mine.value_range != theirs.value_range:
        raise ValueError(
            f"Anchor {name!r} is declared with value_range {mine.value_range}, but the weights were trained "
            f"with {theirs.value_range}; give the sensor that range, or the model sees other values."
        )
    if (mine.mean, mine.std) != (theirs.mean, theirs.std):
        rank_zero_warn(
            f"Anchor {name!r}: the statistics of the weights (mean {theirs.mean}, std {theirs.std}) are "
            f"used, for the model knows these, and not the declared ones (mean {mine.mean}, std {mine.std})."
        )
    return replace(mine, mean=theirs.mean, std=theirs.std)
