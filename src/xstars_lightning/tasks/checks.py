"""What can be wrong with options, batches and checkpoints, said before it costs anything."""

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

__all__ = ["check_batch", "check_description", "check_options", "sizes_by_sensor"]

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


def check_batch(batch: Mapping[str, Any], sensors: Iterable[str], alpha: float) -> None:
    """Refuse a batch that lacks a sensor's tensors, or in which no window shows two sensors.

    Args:
        batch: On the CPU.
        sensors: Names of the sensors.
        alpha: Weight of the alignment; without it one sensor in a window is enough.

    Raises:
        ValueError: Naming what is missing.
    """
    names = list(sensors)
    wanted = [f"{kind}_{name}" for name in names for kind in ("image", "valid")]
    if missing := [key for key in wanted if key not in batch]:
        raise ValueError(
            f"The batch lacks {', '.join(missing)}; it has {', '.join(batch)}. Give the task the sensors of "
            "its datamodule; where a sensor saw nothing, valid_<sensor> is False."
        )
    seen = torch.stack([_seen(batch[f"valid_{name}"]) for name in names])
    if alpha > 0 and len(names) > 1 and not (seen.sum(dim=0) > 1).any():
        raise ValueError(
            f"No window of the batch of {seen.shape[1]} shows two of the sensors {', '.join(names)}, so "
            "nothing can be aligned. Check nodata values, raise min_sensors or min_valid of the data, or set "
            "alpha to 0."
        )


def _seen(valid: Tensor) -> Tensor:
    """Windows with a valid pixel, bool (B,)."""
    return valid.flatten(1).any(dim=1)


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
        if theirs[key] != ours[key]:
            names = [
                value if isinstance(value, str) else ", ".join(value) for value in (theirs[key], ours[key])
            ]
            raise ValueError(
                f"The checkpoint was trained with another {key} ({names[0]}) than this run has ({names[1]}), "
                "or with other values of it. Resume with the config.yaml of its run; to start a new run from "
                "its weights, give them as `weights`."
            )
