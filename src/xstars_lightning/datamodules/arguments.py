"""Checks of arguments that would otherwise fail late or not at all."""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

__all__ = ["check_not_wrapped", "check_same_keys"]


def check_same_keys(paths: Mapping[str, Any], sensors: Mapping[str, Any]) -> None:
    """Check that paths and sensors are given for the same keys.

    Raises:
        ValueError: If not; the message suggests the nearest key.
    """
    for key in [*(k for k in paths if k not in sensors), *(k for k in sensors if k not in paths)]:
        has, lacks = ("paths", "sensors") if key in paths else ("sensors", "paths")
        others = sensors if has == "paths" else paths
        near = get_close_matches(key, others, n=1)
        hint = f"Did you mean {near[0]!r}? " if near else ""
        raise ValueError(
            f"{key!r} stands in `{has}` but not in `{lacks}` ({', '.join(others) or 'empty'}). {hint}"
            "Each sensor needs its paths and its description under one key; to use fewer sensors, name "
            "only those, for example --data.sensors '{aerial: aerial_rgb, sentinel2: sentinel2_rgb}'."
        )


def check_not_wrapped(trainer: Any) -> None:
    """Check that Lightning will not divide our samplers among processes once more.

    Raises:
        ValueError: If it would.
    """
    if trainer._accelerator_connector.use_distributed_sampler:
        raise ValueError(
            "The training windows are already divided among processes, and Lightning would divide them "
            "again: give the trainer `use_distributed_sampler=False` (the command `xstars` does)."
        )
