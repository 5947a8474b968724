"""Labels on one sensor, the model used on another: land cover from frozen patch tokens.

The classes come from the label rasters of the simulated scenes.
"""

from collections.abc import Mapping
from pathlib import Path

import rasterio
import torch
import torch.nn.functional as F
from rasterio.windows import Window, from_bounds
from shapely import box
from torch import Tensor

from xstars_lightning.datasets.files import find_rasters
from xstars_lightning.datasets.simulated import LAND_COVER
from xstars_lightning.evaluation import linear_probe

__all__ = ["land_cover", "mean_recall", "place_labels", "read_cover"]

_UNLABELLED = 0
_CHUNK = 32  # windows at once, which bounds the memory of their shares


def read_cover(folder: str | Path, bounds: Tensor) -> Tensor:
    """Read the land cover of windows on the simulated scenes.

    Args:
        folder: Folder of the set, as ``write_scenes`` returns it and ``SimulatedDataModule`` keeps it.
        bounds: Windows of one size as batches have them, (W, 9) float64: x from, to, step, y from, to,
            step, and the times.

    Returns:
        Classes (W, H, H) on the finest grid, uint8; 0 outside the scene.

    Raises:
        FileNotFoundError: If the set has no labels.
        ValueError: If the centre of a window lies in no scene.
    """
    cover: dict[int, Tensor] = {}
    boxes = bounds[:, [0, 3, 1, 4]].tolist()
    for path in find_rasters(Path(folder) / LAND_COVER):
        with rasterio.open(path) as file:
            scene = box(*file.bounds)
            for index, corners in enumerate(boxes):
                if scene.contains(box(*corners).centroid):
                    window = Window(*map(round, from_bounds(*corners, file.transform).flatten()))
                    pixels = file.read(1, window=window, boundless=True, fill_value=_UNLABELLED)
                    cover[index] = torch.from_numpy(pixels)
    if missing := [index for index in range(len(boxes)) if index not in cover]:
        raise ValueError(
            f"Windows {missing[:5]} lie in no scene of {folder}; give the folder that the windows come from."
        )
    return torch.stack([cover[index] for index in range(len(boxes))])


def place_labels(windows: Tensor, side: int) -> Tensor:
    """The class that most of the labelled pixels of each place have.

    Args:
        windows: Classes (W, H, H), uint8; 0 marks ground without label.
        side: Places along a side of the window.

    Returns:
        Classes (W, side²), long, row by row; 0 where no pixel of a place is labelled, and among equals
        the lowest.
    """
    majority = []
    for chunk in torch.split(windows, _CHUNK):
        classes = range(int(windows.max()) + 1)
        shares = [F.adaptive_avg_pool2d((chunk == number).float()[:, None], side) for number in classes]
        shares[_UNLABELLED] = torch.zeros_like(shares[_UNLABELLED])
        majority.append(torch.cat(shares, dim=1).argmax(dim=1).flatten(1))
    return torch.cat(majority)


def land_cover(
    tokens: Mapping[str, Tensor],
    labels: Tensor,
    train: Tensor,
    *,
    least: int = 20,
    limit: int = 2000,
    seed: int = 0,
) -> dict[str, float]:
    """Fit a linear probe on the places of each sensor, and test it on those of every sensor.

    Fitted and tested on different ground. The standardisation is that of the training places of the
    sensor with the labels, for whoever uses the model on another sensor has no other.

    Args:
        tokens: Patch tokens (W, P, D) at common places, by sensor.
        labels: Classes (W, P) of the places; 0 is left out.
        train: Windows that lie on the training ground, bool (W,); the others are for the test.
        least: Classes with fewer training or fewer test places are left out: their recall is chance.
        limit: Training places at most, drawn at random, the same for all sensors.
        seed: Of that draw.

    Returns:
        Mean class recall in [0, 1], see :func:`mean_recall`, as ``<with labels>><in use>``.

    Raises:
        ValueError: If fewer than two classes remain.
    """
    parts = torch.stack([labels[part].flatten().bincount(minlength=256) for part in (train, ~train)])
    parts[:, _UNLABELLED] = 0
    classes = (parts.amin(dim=0) >= max(least, 1)).nonzero()[:, 0]
    if len(classes) < 2:
        there = [{c: n for c, n in enumerate(part) if n} for part in parts.tolist()]
        raise ValueError(
            f"Two classes or more must have {least} training and {least} test places; labelled are, by "
            f"class, {there[0]} and {there[1]}. Take more windows or lower `least`."
        )
    fit, test = (torch.isin(labels, classes) & part[:, None] for part in (train, ~train))
    order = torch.randperm(int(fit.sum()), generator=torch.Generator().manual_seed(seed))[:limit]
    everything = torch.cat([x[test] for x in tokens.values()])
    scores = {}
    for source, x in tokens.items():
        predictions = linear_probe(x[fit][order], labels[fit][order], everything).predictions
        for target, part in zip(tokens, predictions.chunk(len(tokens)), strict=True):
            scores[f"{source}>{target}"] = mean_recall(part, labels[test])
    return scores


def mean_recall(predictions: Tensor, truth: Tensor) -> float:
    """Share of each class that was found, averaged over the classes that occur (balanced accuracy).

    Args:
        predictions: Classes (N,).
        truth: Classes (N,), N at least 1.
    """
    total = truth.bincount().double()
    found = truth[predictions == truth].bincount(minlength=len(total)).double()
    return float((found / total)[total > 0].mean())
