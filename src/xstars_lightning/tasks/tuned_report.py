"""What fine-tuning must be known by: on what it trained, and how its test came out."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from xstars_lightning.evaluation import save_report
from xstars_lightning.evaluation.provenance import provenance
from xstars_lightning.models.peers.extractor import hash_tensors
from xstars_lightning.sensors import Sensor
from xstars_lightning.tasks.data_report import describe_data, describe_run
from xstars_lightning.tasks.embedding import image_names

__all__ = ["save_tuned", "training_record"]

# Of the hyperparameters: what stands elsewhere in the report, or does not change the network.
_ELSEWHERE = ("sensors", "class_names", "num_classes", "labels", "pictures")


def training_record(task: Any) -> dict[str, Any]:
    """Where a fit starts and on what it trains, plain values for its checkpoints.

    Args:
        task: A :class:`~xstars_lightning.tasks.fine_tuning.FineTuning` that begins to train.
    """
    datamodule: Any = getattr(task.trainer, "datamodule", None)
    datasets = {split: getattr(datamodule, f"{split}_dataset", None) for split in ("train", "val")}
    names = {split: image_names(dataset) for split, dataset in datasets.items() if dataset is not None}
    data = describe_data(datamodule, names) if names else {}
    run = {**task.cleaned, **describe_run(task.trainer, "train")}
    return {"weights": task.weights, "options": _options(task), **data, **run, **provenance()}


def save_tuned(
    task: Any, names: Sequence[str], column: str, scores: Mapping[str, Any], figure: Figure | None = None
) -> Path:
    """Write ``evaluation.json`` of a test, which `xstars compare` puts beside those of frozen features.

    Args:
        task: A :class:`~xstars_lightning.tasks.fine_tuning.FineTuning` that has tested.
        names: Names of the test images that were scored.
        column: What its number is called in tables, before how the network was trained.
        scores: ``value`` and ``interval`` of that number, and further plain values.
        figure: Confusion matrix.

    Returns:
        The folder, that of the logger; it is created.
    """
    folder = Path(task.trainer.log_dir or task.trainer.default_root_dir)
    about = _describe(task)
    flat = {"value": scores["value"], "spread": None, "interval": scores["interval"]}
    content = {
        **about,
        **describe_data(task.trainer.datamodule, {"test": names}),
        **task.cleaned,
        **describe_run(task.trainer),
        "scores": {", ".join(part for part in (column, about["trained"]) if part): flat},
        "fine_tuning": dict(scores),
        **provenance(),
    }
    save_report(folder, content, figure)
    return folder


def _describe(task: Any) -> dict[str, Any]:
    record: Mapping[str, Any] = task.trained or {}
    # A test from a checkpoint is not told again where its training started.
    weights, options = record.get("weights", task.weights), record.get("options") or _options(task)
    (sensor,) = task.encoder.sensors.values()
    tested = task.test_sensor or sensor
    trained = "fine-tuned" if record or task.trainer.ckpt_path else "NOT TRAINED"
    if trained == "fine-tuned" and options["freeze_backbone"]:
        trained = "trained on the frozen encoder"
    if (fraction := options.get("fraction", 1.0)) < 1:
        trained += f", {100 * fraction:g} % of labels"
    return {
        "name": f"{weights or f'random {task.encoder.backbone}'}, {trained}",
        "trained": trained,
        "weights": weights,
        "weights_sha256": hash_tensors(task.state_dict()),
        "checkpoint": None if task.trainer.ckpt_path is None else str(task.trainer.ckpt_path),
        "random_initialisation": weights is None,
        "backbone": task.encoder.backbone,
        "sensor": sensor.to_dict(),
        "test_sensor": tested.to_dict() if task.test_sensor else None,
        "statistics": _statistics(sensor),
        "test_statistics": _statistics(tested),
        "image_size": options.get("image_size"),
        "protocol": options,
        "training": dict(record) or None,
    }


def _statistics(sensor: Sensor) -> dict[str, Any]:
    return {"mean": list(sensor.mean), "std": list(sensor.std)}


def _options(task: Any) -> dict[str, Any]:
    left_out = {*_ELSEWHERE, *task.fixed}
    return {key: value for key, value in task.hparams.items() if key not in left_out}
