"""Stacks of channels of several sensors, all on the grid of the finest."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from xstars_lightning.datasets.chips.arrays import with_validity
from xstars_lightning.datasets.chips.base import ChipDataset, Pixels
from xstars_lightning.datasets.chips.repeated import averaged, phase, picked
from xstars_lightning.datasets.chips.stack_files import find_stacks, read_stack
from xstars_lightning.sensors import Sensor

__all__ = ["AlignedStacks"]

Values = NDArray[np.generic]


class AlignedStacks(ChipDataset):
    """Files of many channels on one grid, of which each sensor gets some back at its native resolution.

    ``exact`` takes one pixel of each cell, and refuses a file whose coarse pixels are not each repeated
    in squares of one size; where these begin is found in every file. ``mean`` averages the cells instead,
    for channels that were resampled to the grid by other means: those of the patches around the Chesapeake
    Bay [0] lie in cells of 24 x 30 pixels, slightly rotated, some of them twice as wide, as if Landsat had
    been brought to degrees before it was brought to 1 m. Missing pixels are those that a sensor's ``nodata``
    says.

    Args:
        root: Folder, searched recursively for npz (one array), npy and GeoTIFF.
        sensors: Sensors by key.
        channels: Channels of the file, from 0, that are the sensor's bands, in their order, by key.
        factors: Pixels of the file in a row of one pixel of the sensor, by key; the resolutions must have
            the same ratios.
        window: Side of a crop in metres; None: whole stacks.
        resampling: ``exact`` or ``mean``.
        group: Regular expression that finds a chip's group in its path below ``root``: what its first
            parentheses match; None: the folder.

    Raises:
        FileNotFoundError: If there is no file.
        ValueError: If arguments do not fit each other or the names of the files.

    References:
        [0] https://openaccess.thecvf.com/content_CVPR_2019/html/Robinson_Large_Scale_High-Resolution_Land_Cover_Mapping_With_Multi-Resolution_Data_CVPR_2019_paper.html
    """

    def __init__(
        self,
        root: str | Path,
        sensors: Mapping[str, Any],
        channels: Mapping[str, Sequence[int]],
        factors: Mapping[str, int],
        window: float | None = None,
        resampling: Literal["exact", "mean"] = "exact",
        group: str | None = None,
    ) -> None:
        super().__init__(sensors, window)
        self.channels = {key: list(channels.get(key, [])) for key in self.sensors}
        self.factors = {key: int(factors.get(key, 0)) for key in self.sensors}
        self.resampling = resampling
        for key, sensor in self.sensors.items():
            _check_sensor(key, sensor, self.channels[key], self.factors[key])
        _check_factors(self.sensors, self.factors)
        self.files = find_stacks(Path(root))
        self.names = [str(file) for file in self.files]
        self.groups = [_group(file.relative_to(root), group) for file in self.files]

    def read(self, index: int, rng: np.random.Generator | None) -> dict[str, Pixels]:
        """Read a stack, and bring every sensor back to its own pixels."""
        name, stack = self.names[index], read_stack(self.files[index])
        last = max(channel for channels in self.channels.values() for channel in channels)
        if last >= len(stack):
            raise ValueError(f"{name} has {len(stack)} channels; `channels` names {last}, counted from 0.")
        cut = self._whole_cells(name, stack)
        pixels = {}
        for key, sensor in self.sensors.items():
            values, factor = cut[self.channels[key]], self.factors[key]
            if self.resampling == "exact":
                pixels[key] = with_validity(picked(values, factor), sensor, name)
            else:
                values, valid = with_validity(values, sensor, name)
                pixels[key] = averaged(values, factor), averaged(valid[None], factor)[0] == 1
        return pixels

    def _whole_cells(self, name: str, stack: Values) -> Values:
        """The part of a stack that holds whole cells of every sensor."""
        largest = max(self.factors.values())
        top, left = self._starts(name, stack) if self.resampling == "exact" else (0, 0)
        height = (stack.shape[1] - top) // largest * largest
        width = (stack.shape[2] - left) // largest * largest
        return stack[:, top : top + height, left : left + width]

    def _starts(self, name: str, stack: Values) -> tuple[int, int]:
        """Row and column of the first whole cell of the coarsest sensor, at which all others have one too."""
        starts: list[int | None] = [None, None]
        for key in sorted(self.sensors, key=lambda key: -self.factors[key]):
            factor = self.factors[key]
            try:
                found = phase(stack[self.channels[key]], factor)
            except ValueError as error:
                raise ValueError(
                    f"{name}, sensor {key!r}: {error}. Correct `factors`, or say `resampling: mean` if the "
                    "channels were resampled."
                ) from error
            for axis, begin in enumerate(found):
                start = starts[axis]
                if start is None:
                    starts[axis] = begin
                elif begin is not None and (start - begin) % factor:
                    raise ValueError(
                        f"{name}: pixels of {key!r} do not begin where those of a coarser sensor do "
                        f"(at {begin} and {start}); say `resampling: mean`."
                    )
        return starts[0] or 0, starts[1] or 0


def _check_sensor(key: str, sensor: Sensor, channels: Sequence[int], factor: int) -> None:
    if len(channels) != len(sensor.bands) or min(channels, default=-1) < 0:
        raise ValueError(
            f"Sensor {key!r} has {len(sensor.bands)} bands ({', '.join(sensor.bands)}), but `channels` gives "
            f"it {list(channels)}: name one channel of the files, from 0, for each."
        )
    if factor < 1:
        raise ValueError(f"`factors` must give sensor {key!r} a whole number of 1 or more, got {factor}.")


def _check_factors(sensors: Mapping[str, Sensor], factors: Mapping[str, int]) -> None:
    largest = max(factors, key=lambda key: factors[key])
    for key, factor in factors.items():
        ratio = sensors[largest].resolution / sensors[key].resolution
        if factors[largest] % factor or abs(ratio - factors[largest] / factor) > 1e-6:
            raise ValueError(
                f"factors {factors[largest]} ({largest}) and {factor} ({key}) must be in the ratio of the "
                f"resolutions, {sensors[largest].resolution:g} m and {sensors[key].resolution:g} m, a "
                "whole number."
            )


def _group(path: Path, pattern: str | None) -> str:
    if pattern is None:
        return path.parent.as_posix()
    match = re.search(pattern, path.as_posix())
    if match is None or not match.groups():
        raise ValueError(f"group {pattern!r} finds no group (in parentheses) in {path.as_posix()!r}.")
    return match.group(1)
