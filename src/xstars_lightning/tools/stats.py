"""`xstars stats`: the statistics that a sensor should declare."""

import os
from collections.abc import Iterator
from dataclasses import replace

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from xstars_lightning.datasets.archive.drafts import drafted
from xstars_lightning.datasets.archive.geoparquet import read_index
from xstars_lightning.datasets.files import find_rasters
from xstars_lightning.datasets.statistics import BandStatistics, measure_rasters
from xstars_lightning.sensor_files import sensor_yaml
from xstars_lightning.sensors import Sensor, get_sensor

__all__ = ["stats"]


def stats(
    paths: list[str], sensor: str, out: str | None = None, sample: float = 1.0, workers: int | None = None
) -> None:
    """Measure the mean and standard deviation of every band over all valid pixels.

    Values are scaled as in training: the sensor's value range becomes [0, 1]. Prints a table and, on
    demand, writes the sensor with these statistics into a YAML file, to be named in place of a sensor
    of the catalogue: `--data.sensors.aerial aerial.yaml`.

    Args:
        paths: Folders, globs, files, or indexes (.parquet) that `xstars index` made.
        sensor: Name in the catalogue or YAML file: bands, value range and nodata.
        out: YAML file to write.
        sample: Share of the blocks to read; the same ones each time.
        workers: Threads that read; one per processor by default.

    Raises:
        FileNotFoundError: If a path does not exist or holds no raster.
        OSError: If a file cannot be read.
        ValueError: If files have other bands than the sensor, no valid pixel, or valid ones that are NaN.
    """
    known = get_sensor(sensor)
    files = [file for path in paths for file in _files(path)]
    if not files:
        raise FileNotFoundError(f"No raster to measure in {', '.join(paths) or 'an empty list of paths'}.")
    measured = _measure(files, known, sample, workers or os.cpu_count() or 1)
    if not measured.valid:
        raise ValueError(
            f"Sensor {known.name!r}: none of the {measured.pixels} pixels read is valid. Check the files and "
            "their nodata, or raise sample."
        )
    console = Console()
    console.print(_table(known, measured, len(files)))
    if out is not None:
        _write(out, known, measured, f"{' '.join(paths)}: {len(files)} files, sample {sample:g}")
        console.print(f"Written: {out}", soft_wrap=True, highlight=False)


def _files(path: str) -> list[str]:
    if path.endswith((".parquet", ".geoparquet")):
        return [str(file) for file in read_index(path).path.to_pylist()]
    return find_rasters(path)


def _measure(files: list[str], sensor: Sensor, sample: float, workers: int) -> BandStatistics:
    total = BandStatistics.empty(len(sensor.bands))
    with Progress(transient=True) as progress:
        task = progress.add_task(f"Reading {sensor.name}", total=len(files))
        for share, part in measure_rasters(files, sensor, sample, workers):
            total += part
            progress.advance(task, share)
    return total


def _table(sensor: Sensor, measured: BandStatistics, files: int) -> Table:
    invalid = 1 - measured.valid / measured.pixels
    table = Table(
        title=f"{sensor.name}: {measured.valid:,} valid pixels of {files:,} files, {invalid:.2%} invalid",
        caption=f"scaled values: {sensor.value_range[0]:g} is 0, {sensor.value_range[1]:g} is 1",
    )
    table.add_column("band")
    for heading in ("mean", "std", "declared\nmean", "declared\nstd", "min", "max", "outside\nthe range"):
        table.add_column(heading, justify="right")
    for row in _rows(sensor, measured):
        table.add_row(*row)
    return table


def _rows(sensor: Sensor, measured: BandStatistics) -> Iterator[list[str]]:
    numbers = (measured.mean, measured.std, sensor.mean, sensor.std, measured.low, measured.high)
    outside = measured.outside / measured.valid
    for band, share, *values in zip(sensor.bands, outside, *numbers, strict=True):
        yield [band, *(f"{value:.4f}" for value in values), f"{share:.2%}"]


def _write(out: str, sensor: Sensor, measured: BandStatistics, what: str) -> None:
    """Write the sensor with what was measured.

    Raises:
        ValueError: If a band is constant, so that nothing can be divided by its deviation.
    """
    ends = zip(sensor.bands, measured.low, measured.high, strict=True)
    if constant := [band for band, low, high in ends if low == high]:
        raise ValueError(
            f"{out} is not written: {', '.join(constant)} of sensor {sensor.name!r} have one value "
            "everywhere. Check the files, or leave these bands out."
        )
    mean, std = (tuple(float(f"{value:.6g}") for value in x) for x in (measured.mean, measured.std))
    comment = f"Measured by `xstars stats` on {what}, {measured.valid} valid pixels."
    with drafted(out) as file:
        file.write(sensor_yaml(replace(sensor, mean=mean, std=std).to_dict(), comment).encode())
