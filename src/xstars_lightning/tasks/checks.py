"""What can be wrong with options, batches and checkpoints, said before it costs anything."""

import inspect
from collections.abc import Iterable, Mapping
from itertools import combinations
from typing import Any

__all__ = ["check_batch", "check_description", "check_options", "check_run", "sizes_by_sensor"]

_SHARES = (
    *("warmup", "temperature_warmup", "alpha_warmup", "freeze_last_layer", "freeze_trunk"),
    *("momentum", "global_scale", "local_scale", "drop_path_rate"),
)
_LEAST = {"alpha": 0, "prototypes": 2, "local_crops": 0}
_ALIGNMENT = (
    *("alpha_warmup", "temperature", "label_smoothing", "align_target", "align_class_token"),
    *("align_locals", "image_negatives", "gather_negatives"),
)


def check_options(task: type, options: Mapping[str, Any]) -> None:
    """Refuse options of X-STARS that are out of their domain or of no effect.

    Args:
        task: The task, whose constructor has the defaults.
        options: Its hyperparameters.

    Raises:
        ValueError: Naming the option, its value and the remedy.
    """
    if not options["sensors"]:
        raise ValueError(
            f"{task.__name__} needs its sensors; pass those of the datamodule, sensors=dm.sensors."
        )
    for name in _SHARES:
        values = options[name] if isinstance(options[name], Iterable) else (options[name],)
        if not all(0 <= value <= 1 for value in values):
            raise ValueError(f"{name} must lie in [0, 1], got {options[name]}.")
    for name in ("global_scale", "local_scale"):
        low, high = options[name]
        if not 0 < low <= high:
            raise ValueError(f"{name} must rise from more than 0, got {options[name]}.")
    if min(options["teacher_temperature"]) <= 0:
        raise ValueError(f"teacher_temperature must be positive, got {options['teacher_temperature']}.")
    if options["freeze_trunk"] and options["weights"] is None:
        raise ValueError("freeze_trunk would freeze a random trunk; give weights, or leave it 0.")
    for name, low in _LEAST.items():
        if options[name] < low:
            raise ValueError(f"{name} must be at least {low}, got {options[name]}.")
    if not 0 < options["layer_decay"] <= 1:
        raise ValueError(f"layer_decay must lie in (0, 1], got {options['layer_decay']}.")
    if options["align_locals"] and (options["align_target"] == "teacher" or not options["local_crops"]):
        raise ValueError(
            "align_locals needs local_crops and align_target 'student': the teacher sees no local crop."
        )
    if options["cross_sensor_dino"] and len(options["sensors"]) < 2:
        raise ValueError("cross_sensor_dino needs two or more sensors; turn it off or add a sensor.")
    _check_alpha(task, options)


def _check_alpha(task: type, options: Mapping[str, Any]) -> None:
    defaults = inspect.signature(task).parameters
    changed = [name for name in _ALIGNMENT if options[name] != defaults[name].default]
    if options["alpha"] == 0 and changed:
        raise ValueError(
            f"alpha is 0, so that nothing is aligned, but {', '.join(changed)} would change how: leave "
            f"{'it' if len(changed) == 1 else 'them'} out, or raise alpha."
        )


def sizes_by_sensor(name: str, size: int | Mapping[str, int], sensors: Iterable[str]) -> dict[str, int]:
    """One side in pixels for every sensor.

    Raises:
        ValueError: If sizes are given by sensor and one is missing or of no sensor.
    """
    sensors = list(sensors)
    if isinstance(size, int):
        return dict.fromkeys(sensors, size)
    if set(size) != set(sensors):
        raise ValueError(f"{name} has sizes for {', '.join(size)}, but the sensors are {', '.join(sensors)}.")
    return {sensor: size[sensor] for sensor in sensors}


def check_batch(
    batch: Mapping[str, Any], sensors: Iterable[str], learned: Iterable[str], aligned: bool
) -> None:
    """Refuse a batch that lacks a sensor's tensors, or in which nothing can be learned.

    Args:
        batch: On the CPU; pixels may still be unscaled, as ``raw_<sensor>``.
        sensors: Names of all sensors.
        learned: Those that the student sees.
        aligned: Whether sensors are aligned; else one that is learned is enough.

    Raises:
        ValueError: Naming what is missing.
    """
    names, taught = list(sensors), set(learned)
    wanted = [("image", name) for name in names if f"raw_{name}" not in batch]
    wanted += [("valid", name) for name in names]
    if missing := [key for key in map("_".join, wanted) if key not in batch]:
        raise ValueError(
            f"The batch lacks {', '.join(missing)}; it has {', '.join(batch)}. Give the task the sensors of "
            "its datamodule; where a sensor saw nothing, valid_<sensor> is False."
        )
    seen = {name: batch[f"valid_{name}"].flatten(1).any(dim=1) for name in names}
    if aligned:
        pairs = [(a, b) for a, b in combinations(names, 2) if a in taught or b in taught]
        if not any(bool((seen[a] & seen[b]).any()) for a, b in pairs):
            raise ValueError(
                f"No window of the batch of {len(seen[names[0]])} shows two of the sensors "
                f"{', '.join(names)}, of which one is learned. Check nodata values, raise "
                "min_sensors or min_valid of the data or the batch size, or set alpha to 0."
            )
    elif not any(bool(seen[name].any()) for name in taught):
        raise ValueError(
            f"No window of the batch shows any of {', '.join(sorted(taught))}; check nodata values."
        )


def check_description(theirs: Mapping[str, Any] | None, ours: Mapping[str, Any]) -> None:
    """Refuse to resume from a checkpoint of another encoder.

    Args:
        theirs: Description of the encoder in the checkpoint, if it has one.
        ours: Description of this run's.

    Raises:
        ValueError: If backbone or sensors differ, or the checkpoint is of another task.
    """
    if theirs is None:
        raise ValueError(
            "The checkpoint holds no encoder of xstars-lightning; give one that `xstars fit` wrote."
        )
    for key in ("backbone", "sensors"):
        # The order of sensors counts: each has its own place among DINO's centres.
        if theirs[key] != ours[key] or list(theirs[key]) != list(ours[key]):
            names = [
                value if isinstance(value, str) else ", ".join(value) for value in (theirs[key], ours[key])
            ]
            raise ValueError(
                f"The checkpoint was trained with another {key} ({names[0]}) than this run has ({names[1]}), "
                "or with other values of it. Resume with the config.yaml of its run; to start a new run from "
                "its weights, give them as `weights`."
            )


def check_run(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> None:
    """Refuse to resume what another kind of run left.

    Args:
        theirs: Description of the run in the checkpoint.
        ours: Description of this run.

    Raises:
        ValueError: Naming what differs.
    """
    for key, value in ours.items():
        if theirs.get(key) != value:
            raise ValueError(
                f"The checkpoint is of a run with {key} {theirs.get(key)}, this one has {value}. Resume with "
                "the config.yaml of its run; to start a new run from its weights, give them as `weights`."
            )
