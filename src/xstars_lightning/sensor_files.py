"""Sensors described in YAML files, as `xstars stats` writes them."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

__all__ = ["FILE_ENDINGS", "read_sensor_values", "sensor_yaml"]

FILE_ENDINGS = (".yaml", ".yml")

#: Key -> what stands there; the last two may be missing.
_KINDS = {
    "name": "a text",
    "bands": "a list of texts",
    "resolution": "a number",
    "value_range": "a list of two numbers",
    "mean": "a list of numbers",
    "std": "a list of numbers",
    "rgb_bands": "a list of three texts",
    "nodata": "a number or null",
}
_OPTIONAL = ("rgb_bands", "nodata")
_LENGTHS = {"value_range": 2, "rgb_bands": 3}


def read_sensor_values(path: str) -> dict[str, Any]:
    """Read the arguments of a `Sensor` from a YAML file, every one of the right kind.

    Args:
        path: The file: a mapping with the arguments of `Sensor` as keys.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no such mapping; the message names file and key.
    """
    if not os.path.isfile(path):
        raise FileNotFoundError(
            f"No such sensor file: {path!r} (seen from {os.getcwd()}). `xstars stats --out` writes one."
        )
    try:
        values = yaml.safe_load(Path(path).read_text())
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is no YAML: {error}") from error
    if not isinstance(values, dict):
        raise ValueError(f"{path} describes no sensor: it must hold the keys {', '.join(_KINDS)}.")
    if wrong := [str(key) for key in values if key not in _KINDS]:
        raise ValueError(f"{path}: a sensor has no {', '.join(wrong)}. Its keys are {', '.join(_KINDS)}.")
    if missing := [key for key in _KINDS if key not in values and key not in _OPTIONAL]:
        raise ValueError(f"{path}: the sensor lacks {', '.join(missing)}.")
    return {key: _checked(path, key, value) for key, value in values.items()}


def _checked(path: str, key: str, value: Any) -> Any:
    kind = _KINDS[key]
    if key == "nodata" and value is None:
        return None
    several = kind.startswith("a list")
    items = value if several and isinstance(value, list) else [] if several else [value]
    try:
        # YAML 1.1 reads 1e-5 as text.
        found = [_text(item) if "text" in kind else float(item) for item in items]
    except (TypeError, ValueError):
        found = []
    if not found or len(found) != _LENGTHS.get(key, len(found)):
        raise ValueError(f"{path}: {key} must be {kind}, got {value!r}.")
    return tuple(found) if several else found[0]


def _text(item: Any) -> str:
    if not isinstance(item, str):
        raise TypeError
    return item


def sensor_yaml(values: Mapping[str, Any], comment: str) -> str:
    """The text of a file that describes a sensor.

    Args:
        values: `Sensor.to_dict()`.
        comment: What to say above, in one or several lines.
    """
    plain = {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}
    said = "".join(f"# {line}\n" for line in comment.splitlines())
    return said + yaml.safe_dump(plain, sort_keys=False, default_flow_style=None, width=100)
