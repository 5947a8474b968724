"""What a probe of patch tokens writes and prints."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import rich

from xstars_lightning.evaluation.dense_protocol import FewImagesScore, FittedProbe
from xstars_lightning.evaluation.provenance import provenance
from xstars_lightning.evaluation.segmentation_report import Overlay, plot_overlays, segmentation_table
from xstars_lightning.models.features import FeatureExtractor

__all__ = ["describe_extractors", "save_probes"]


def describe_extractors(
    fitted: FeatureExtractor, tested: FeatureExtractor, weights: str | None
) -> dict[str, Any]:
    """Weights, sensors and statistics, plain values.

    Args:
        fitted: The network as it sees the sensor of the training images.
        tested: As it sees that of the test images; the same object if there is one sensor.
        weights: What was asked for.
    """
    return {
        "name": tested.name,
        "weights": weights,
        "weights_sha256": tested.weights_sha256,
        "random_initialisation": weights is None,
        "sensor": fitted.sensor.to_dict(),
        "test_sensor": tested.sensor.to_dict() if tested is not fitted else None,
        "statistics": fitted.statistics,
        "test_statistics": tested.statistics,
    }


def save_probes(
    folder: Path,
    about: Mapping[str, Any],
    rows: Sequence[FewImagesScore],
    fitted: Sequence[FittedProbe],
    overlays: Sequence[Overlay],
) -> None:
    """Print the table; write ``evaluation.json``, ``labels.json`` and ``segmentation.png``.

    Args:
        folder: Where to; it is created.
        about: What else stands in the JSON.
        rows: Scores by share of the labelled images.
        fitted: The probes.
        overlays: Test images for the picture, predicted by the last probe.
    """
    network = "RANDOM INITIALISATION" if about["random_initialisation"] else about["name"]
    sensors = [about["sensor"]["name"]] + ([about["test_sensor"]["name"]] if about["test_sensor"] else [])
    title = f"{network}, {about['data'].rpartition('.')[2]}, {' to '.join(sensors)}"
    rich.print(segmentation_table(title, rows))
    report = {**about, "scores": _flat(rows), "segmentation_probe": [asdict(row) for row in rows]}
    labels = [{"fraction": each.fraction, "seed": each.seed, "images": each.names} for each in fitted]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "evaluation.json").write_text(json.dumps(report | provenance(), indent=1) + "\n")
    (folder / "labels.json").write_text(json.dumps(labels, indent=1) + "\n")
    figure = plot_overlays(overlays, about["classes"], f"{title}: mean IoU {100 * rows[-1].mean:.1f} %")
    figure.savefig(folder / "segmentation.png", dpi=120)
    rich.print(f"Written: {folder / 'evaluation.json'}, {folder / 'segmentation.png'}")


def _flat(rows: Sequence[FewImagesScore]) -> dict[str, dict[str, Any]]:
    """What `xstars compare` shows, by column."""
    return {
        f"mean IoU, {100 * row.fraction:g} % of images": {
            "value": row.mean,
            "spread": row.spread,
            "interval": row.scores[0].interval if len(row.scores) == 1 else None,
        }
        for row in rows
    }
