"""What a probe of patch tokens writes and prints."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import rich

from xstars_lightning.evaluation.dense_protocol import FewImagesScore, FittedProbe
from xstars_lightning.evaluation.provenance import provenance
from xstars_lightning.evaluation.report import resolution_table, save_report
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
    rows: Mapping[float, Sequence[FewImagesScore]],
    fitted: Sequence[FittedProbe],
    overlays: Sequence[Overlay],
) -> None:
    """Print the tables; write ``evaluation.json``, ``labels.json`` and ``segmentation.png``.

    Args:
        folder: Where to; it is created.
        about: What else stands in the JSON.
        rows: Scores by share of the resolution, and by amount of labelled images; the first share is shown
            in full.
        fitted: The probes of the first share.
        overlays: Test images for the picture, predicted by the last of them.
    """
    network = "RANDOM INITIALISATION" if about["random_initialisation"] else about["name"]
    sensors = [about["sensor"]["name"]] + ([about["test_sensor"]["name"]] if about["test_sensor"] else [])
    title = f"{network}, {about['data']}, {' to '.join(sensors)}"
    shown, flat = next(iter(rows.values())), {share: _flat(part) for share, part in rows.items()}
    rich.print(segmentation_table(title, shown))
    if len(rows) > 1:
        rich.print(resolution_table(flat))
    labels = [
        {"fraction": each.fraction, "shots": each.shots, "seed": each.seed, "images": each.names}
        for each in fitted
    ]
    heading = f"{title}: mean IoU {100 * shown[-1].mean:.1f} %"
    content = {**about, "validation_labels": about["images"].get("val", 0), **_scores(rows, flat)}
    save_report(folder, content | provenance())
    (folder / "labels.json").write_text(json.dumps(labels, indent=1) + "\n")
    plot_overlays(overlays, about["classes"], heading).savefig(folder / "segmentation.png", dpi=120)
    rich.print(f"Written: {folder / 'evaluation.json'}, {folder / 'segmentation.png'}")


def _scores(
    rows: Mapping[float, Sequence[FewImagesScore]], flat: Mapping[float, Mapping[str, Any]]
) -> dict[str, Any]:
    """Scores as plain values: of the first share of the resolution, and of every share."""
    parts = {
        f"{share:g}": {"segmentation_probe": [asdict(row) for row in part], "scores": flat[share]}
        for share, part in rows.items()
    }
    return {**next(iter(parts.values())), "resolutions": parts}


def _flat(rows: Sequence[FewImagesScore]) -> dict[str, dict[str, Any]]:
    """What `xstars compare` shows, by column."""
    return {
        f"mean IoU, {row.heading}": {"value": row.mean, "spread": row.spread, "interval": row.interval}
        for row in rows
    }
