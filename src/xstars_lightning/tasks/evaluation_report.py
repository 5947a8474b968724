"""What a frozen evaluation writes and prints."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import rich
import torch
import torch.nn.functional as F
from torch import Tensor

from xstars_lightning.evaluation import plot_confusion, save_report, score_table
from xstars_lightning.evaluation.evaluate import Protocol, Scores, drawn_names
from xstars_lightning.evaluation.figures import plot_neighbours, plot_tokens
from xstars_lightning.evaluation.knn import nearest
from xstars_lightning.evaluation.protocol import EmbeddedSplit, ProbeScore
from xstars_lightning.evaluation.provenance import provenance
from xstars_lightning.evaluation.report import flat_scores, resolution_table
from xstars_lightning.models.attention import class_attention
from xstars_lightning.sensors import Sensor
from xstars_lightning.tasks.split_features import SplitFeatures

__all__ = ["describe_network", "save_pictures", "save_scores"]

_NEIGHBOURS, _SIDE = 5, 128  # pictures


def describe_network(network: SplitFeatures, weights: str | None) -> dict[str, Any]:
    """Weights, sensor and statistics, plain values."""
    fitted, tested = network.fitted, network.tested
    return {
        "name": fitted.name,
        "weights": weights,
        "weights_sha256": fitted.weights_sha256,
        "random_initialisation": weights is None,
        "backbone": getattr(fitted.network, "backbone", type(fitted.network).__name__),
        "sensor": fitted.sensor.to_dict(),
        "test_sensor": tested.sensor.to_dict() if tested is not fitted else None,
        "statistics": fitted.statistics,
        "test_statistics": tested.statistics,
        "image_size": network.image_size,
        "features": network.how,
    }


def save_scores(
    folder: Path,
    about: Mapping[str, Any],
    scores: Mapping[float, Scores],
    protocol: Protocol,
    train: EmbeddedSplit,
) -> None:
    """Print the tables; write ``evaluation.json``, ``labels.json`` and ``confusion_matrix.png``.

    Args:
        folder: Where to.
        about: What else stands in the JSON.
        scores: By share of the resolution; the first share is shown in full.
        protocol: How they came about.
        train: The training images, of which some were labelled.
    """
    shown = next(iter(scores.values()))
    flat = {share: flat_scores(one.knn, one.probes) for share, one in scores.items()}
    heading = f"kNN,\nk={protocol.k}, T={protocol.temperature}"
    title = "RANDOM INITIALISATION" if about["random_initialisation"] else about["name"]
    rich.print(
        score_table(f"{title}, {about['features']}, {about['data']}", (heading, shown.knn), shown.probes)
    )
    if len(scores) > 1:
        rich.print(resolution_table(flat))
    content = {**about, **shown.to_dict(protocol), "scores": next(iter(flat.values()))}
    content["protocol"] = {**vars(protocol), "resolutions": list(scores)}
    content["validation_labels"] = about["images"].get("val", 0)
    content["resolutions"] = {
        f"{share:g}": {**one.to_dict(protocol), "scores": flat[share]} for share, one in scores.items()
    }
    last = shown.probes[-1]
    figure = None
    if isinstance(last.draws[0], ProbeScore):
        figure = plot_confusion(last.draws[0], f"Linear probe, {last.heading}")
    save_report(folder, content | provenance(), figure)
    (folder / "labels.json").write_text(json.dumps(drawn_names(train, protocol)) + "\n")
    rich.print(f"Written: {folder / 'evaluation.json'} and what lies beside it")


def save_pictures(
    folder: Path,
    network: SplitFeatures,
    image: Tensor,
    splits: Mapping[str, EmbeddedSplit],
    train_dataset: Any,
) -> None:
    """Write ``tokens.png`` and ``neighbours.png`` of the first test images.

    Args:
        folder: Where to; it exists.
        network: The network.
        image: The first test images, values in about [0, 1] (B, C, H, W).
        splits: Features of ``train`` and ``test``.
        train_dataset: Whose samples are shown as neighbours.
    """
    extractor, train, test = network.tested, splits["train"], splits["test"]
    resized = network.resize(image)
    tokens = plot_tokens(
        _rgb(resized, extractor.sensor),
        {"patches": extractor(resized).patches},
        class_attention(extractor, resized),
    )
    tokens.savefig(folder / "tokens.png", dpi=120)
    found = nearest(train.features, test.features[: len(image)], min(_NEIGHBOURS, len(train.names)))[1]
    samples = [[train_dataset[index] for index in row] for row in found.tolist()]
    pictures = [
        F.interpolate(
            _rgb(network.image(sample, "train")[None], network.fitted.sensor), (_SIDE, _SIDE), mode="area"
        )
        for row in samples
        for sample in row
    ]
    names = [[train.names[index] for index in row] for row in found.tolist()]
    rows = [pictures[i : i + found.shape[1]] for i in range(0, len(pictures), found.shape[1])]
    figure = plot_neighbours(
        F.interpolate(_rgb(image, extractor.sensor), (_SIDE, _SIDE), mode="area"),
        [torch.cat(row) for row in rows],
        list(test.names[: len(image)]),
        names,
    )
    figure.savefig(folder / "neighbours.png", dpi=120)


def _rgb(image: Tensor, sensor: Sensor) -> Tensor:
    """(B, C, H, W) -> (B, 3, H, W) on the CPU."""
    return image[:, list(sensor.rgb_indices)].float().cpu()
