"""The command ``xstars index``: build, update or describe an index of rasters."""

import os
from typing import Any

from rich.console import Console

from xstars_lightning.datasets.archive.dates import DateRule
from xstars_lightning.datasets.archive.describe import compare, describe
from xstars_lightning.datasets.archive.footprints import Footprints
from xstars_lightning.datasets.archive.geoparquet import read_about, read_index, write_index
from xstars_lightning.datasets.archive.scan import scan
from xstars_lightning.sensors import Sensor, get_sensor

__all__ = ["index"]

ENDING = ".parquet"


def index(
    paths: list[str],
    sensor: str | None = None,
    out: str | None = None,
    outlines: bool = True,
    date_regex: str | None = None,
    date_format: str | None = None,
    workers: int | None = None,
    skip_broken: bool = False,
    asset: str | None = None,
) -> None:
    """Build, update or describe an index of where the rasters of a sensor lie.

    With ``out``, the rasters in the paths are opened and noted in that file. If it exists, only files
    that are new or have changed are opened, files that are not in the paths any more are taken out, and
    dates are looked for by the same rule as before. A catalogue (GeoParquet) given in place of rasters is
    converted, without opening any. Without ``out``, indexes and catalogues are described.

    Args:
        paths: Folders, globs or files of rasters; or indexes or catalogues that end in ``.parquet``.
        sensor: Name in the catalogue of sensors, or YAML file of one. Needed to open rasters.
        out: The index to write, a file that ends in ``.parquet``.
        outlines: Outline the valid pixels, which reads every file at a low resolution; else the boxes of the
            images stand for them.
        date_regex: Regular expression that finds the date in a file's name, in its group ``date`` or its
            first group. By default the rule of the index that is updated, or else the first thing that
            looks like a date, if any.
        date_format: Format of that date as strptime has it, such as ``%Y%m%d``.
        workers: Files to open at once.
        skip_broken: Leave files out that cannot be used, and say which; else they are named at the end, and
            nothing is written.
        asset: Which asset of a STAC catalogue to read, where each scene has several.

    Raises:
        FileNotFoundError: If a path does not exist or holds no raster.
        OSError: If a raster cannot be read, or the index not be written.
        ValueError: If an argument is missing, or a raster cannot be used; the message names it.
    """
    console, catalogues = Console(), [path for path in paths if path.endswith(ENDING)]
    if out is None:
        if not paths or len(catalogues) < len(paths):
            raise ValueError("To index rasters, say where to: --out INDEX.parquet.")
        for path in paths:
            console.print(describe(read_index(path, asset), (read_about(path) or {}).get("sensor")))
        return
    if not out.endswith(ENDING):
        raise ValueError(f"--out {out} must end in {ENDING}.")
    if catalogues:
        found, old = _converted(paths, sensor, asset), None
        about: dict[str, Any] = {"sensor": sensor, "outlines": True}
    else:
        if asset is not None:
            raise ValueError(f"--asset {asset} is for a catalogue (.parquet) in place of rasters.")
        known = _known(sensor)
        about = {"sensor": known.name, "outlines": outlines}
        old, rule = _before(out, about), _rule(date_regex, date_format, out)
        if rule is not None:
            about |= {"date_regex": rule.regex, "date_format": rule.format}
        found = scan(
            paths,
            known,
            outlines=outlines,
            dates=rule,
            workers=workers,
            known=old,
            skip_broken=skip_broken,
        )
    write_index(found, out, about)
    console.print(describe(read_index(out), about["sensor"]))
    console.print(str(compare(old, found)))


def _converted(paths: list[str], sensor: str | None, asset: str | None) -> Footprints:
    if len(paths) > 1:
        raise ValueError(f"Catalogues are converted one by one, without rasters; got {', '.join(paths)}.")
    return read_index(paths[0], asset, bands=None if sensor is None else len(get_sensor(sensor).bands))


def _known(sensor: str | None) -> Sensor:
    if sensor is None:
        raise ValueError("Say which sensor the rasters are of: --sensor NAME, or a YAML file.")
    return get_sensor(sensor)


def _rule(regex: str | None, form: str | None, out: str) -> DateRule | None:
    """The rule that is given, or else the one with which the index was made, if there was one."""
    if regex is None and form is not None:
        raise ValueError(f"Say where the dates of --date_format {form} stand in the names: --date_regex.")
    if regex is None and os.path.exists(out):
        before = read_about(out) or {}
        regex, form = before.get("date_regex"), before.get("date_format")
    return None if regex is None else DateRule(regex, form)


def _before(out: str, about: dict[str, Any]) -> Footprints | None:
    """The index to update; None where there is none, or where its scenes are outlined otherwise."""
    if not os.path.exists(out):
        return None
    before = read_about(out)
    if before is None:
        raise ValueError(
            f"{out} was not written by `xstars index`, and is not replaced. Choose another --out."
        )
    if before.get("sensor") not in (None, about["sensor"]):
        raise ValueError(
            f"{out} is an index of sensor {before['sensor']!r}, not {about['sensor']!r}. Choose another "
            "--out, or remove it."
        )
    return read_index(out) if before.get("outlines") == about["outlines"] else None
