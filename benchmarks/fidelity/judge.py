"""Judging an encoder: retrieval on held-out ground, few-label classification, land cover across sensors."""

import copy
from collections.abc import Mapping
from itertools import combinations

import torch
import torch.nn.functional as F
from torch import Tensor
from torchgeo.datasets import stack_samples

from fidelity.classification import Images, classify
from fidelity.ground import Ground
from fidelity.land_cover import land_cover, place_labels, read_cover
from xstars_lightning.datamodules import CrossSensorDataModule, SimulatedDataModule
from xstars_lightning.evaluation import effective_rank, neighbour_overlap, recall_at_1
from xstars_lightning.losses import pool_tokens
from xstars_lightning.models import CrossSensorEncoder

__all__ = ["encode_windows", "judge", "retention"]

#: Places along the side of a window at which two sensors are compared, in every row alike.
_SIDE, _SIDE_LANDSAT = 4, 2
_PROBE_WINDOWS = 96  # of the training ground, for the labels of the land-cover probe

Tokens = dict[str, Tensor]


def judge(
    encoder: CrossSensorEncoder,
    sizes: Mapping[str, int],
    ground: Ground,
    images: Mapping[str, Images],
) -> dict[str, float]:
    """All figures of one encoder.

    Args:
        encoder: The encoder; sensors that it lacks are added, with the patch embedding of equal bands.
        sizes: Side in pixels to which windows are resized, by sensor.
        ground: The ground.
        images: Classification datasets, by the sensor they are taken for.
    """
    encoder = _for_all_sensors(encoder, ground)
    held_out, bounds = encode_windows(encoder, sizes, ground.data)
    metrics = _retrieval(held_out)
    metrics["rank"] = sum(float(effective_rank(x[:, 0])) for x in held_out.values()) / len(held_out)
    for sensor, dataset in images.items():
        metrics |= classify(encoder, sensor, dataset)
    if isinstance(ground.data, SimulatedDataModule):
        metrics |= _land_cover(encoder, sizes, ground.data, held_out, bounds)
    return metrics


def _for_all_sensors(encoder: CrossSensorEncoder, ground: Ground) -> CrossSensorEncoder:
    encoder = copy.deepcopy(encoder).eval()
    for name, sensor in ground.sensors.items():
        if name not in encoder.sensors:
            encoder.add_sensor(name, sensor)
    return encoder


@torch.inference_mode()
def encode_windows(
    encoder: CrossSensorEncoder, sizes: Mapping[str, int], data: CrossSensorDataModule, training: int = 0
) -> tuple[Tokens, Tensor]:
    """Tokens (W, 1 + N, D) by sensor and bounds (W, 9) of held-out windows, or of the first training ones."""
    if training:
        assert data.train_sampler is not None
        chosen = zip(range(training), data.train_sampler.since(0), strict=False)
        samples = [data.train_dataset[window] for _, window in chosen]
        batches = [stack_samples(samples[i : i + 16]) for i in range(0, training, 16)]
    else:
        batches = list(data.val_dataloader())
    device = next(encoder.parameters()).device
    tokens = {}
    for name in data.sensors:
        side = (sizes[name], sizes[name])
        parts = [
            encoder(F.interpolate(b[f"image_{name}"].to(device), side, mode="bilinear", antialias=True), name)
            for b in batches
        ]
        tokens[name] = torch.cat(parts).float().cpu()
    return tokens, torch.cat([batch["bounds"] for batch in batches])


def _places(tokens: Tensor, side: int) -> Tensor:
    """Patch tokens (W, side², D); the windows of the study are valid throughout, to 95 % at least."""
    patches = tokens[:, 1:]
    return pool_tokens(patches, torch.ones(patches.shape[:2]), side)[0]


def _retrieval(tokens: Tokens) -> dict[str, float]:
    """Recall@1 between every two sensors, the mean of both directions."""
    metrics = {}
    for a, b in combinations(tokens, 2):
        side = _SIDE_LANDSAT if "landsat" in (a, b) else _SIDE
        x, y = (_places(tokens[name], side) for name in (a, b))
        for kind, (p, q) in {
            "patch": (x.flatten(0, 1), y.flatten(0, 1)),
            "window": (x.mean(1), y.mean(1)),
        }.items():
            both = recall_at_1(p, q) + recall_at_1(q, p)
            metrics[f"{kind}_{a}_{b}"] = float(both / 2)
    return metrics


def _land_cover(
    encoder: CrossSensorEncoder,
    sizes: Mapping[str, int],
    data: SimulatedDataModule,
    held_out: Tokens,
    bounds: Tensor,
) -> dict[str, float]:
    trained, where = encode_windows(encoder, sizes, data, _PROBE_WINDOWS)
    pair = ("fine", "sentinel2")
    tokens = {name: torch.cat([_places(x[name], _SIDE) for x in (trained, held_out)]) for name in pair}
    labels = place_labels(read_cover(data.folder, torch.cat([where, bounds])), _SIDE)
    scores = land_cover(tokens, labels, torch.arange(len(labels)) < len(where))
    return {f"cover_{name.replace('>', '_')}": score for name, score in scores.items()}


def retention(
    before: CrossSensorEncoder, after: CrossSensorEncoder, sizes: Mapping[str, int], ground: Ground
) -> float:
    """Share of the 10 nearest neighbours of Sentinel-2 places that are the same before and after."""
    both = [encode_windows(_for_all_sensors(x, ground), sizes, ground.data)[0] for x in (before, after)]
    a, b = (_places(tokens["sentinel2"], _SIDE).flatten(0, 1) for tokens in both)
    return float(neighbour_overlap(a, b, k=10))
