"""What a run would see, in words and tables."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from xstars_lightning.tools.preview_facts import Facts, Reading, SensorFacts
from xstars_lightning.tools.preview_places import Scenes

__all__ = ["tell"]


def tell(console: Console, facts: Facts) -> None:
    """Print what a run would see."""
    console.print(_summary(facts))
    console.print(_sensors(facts))
    console.print(_statistics(facts))
    for sensor in facts.sensors.values():
        for complaint in sensor.complaints:
            console.print(complaint, style="yellow", soft_wrap=True, highlight=False)


def _summary(facts: Facts) -> Table:
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(style="bold")
    table.add_column()
    for name, value in _lines(facts):
        table.add_row(name, value)
    return table


def _lines(facts: Facts) -> Iterator[tuple[str, str]]:
    if facts.ground is not None:
        count, kind = len(facts.ground), "pair" if facts.pairs else "piece"
        yield (
            "ground",
            f"{count:,} {kind}{'' if count == 1 else 's'} seen by several sensors, {facts.km2:,.2f} km²",
        )
    if not np.isnan(facts.train_km2):
        yield "training", f"{facts.train_km2:,.2f} km²"
    yield "validation", f"{facts.val_windows:,} windows, {facts.val_windows * facts.window_km2:,.2f} km²"
    yield "window", f"{facts.window:g} m, {facts.window_km2:,.3g} km²"
    drawn = facts.windows_per_epoch
    yield "epoch", f"{drawn:,} windows, {drawn // facts.batch_size:,} batches of {facts.batch_size}"
    if facts.ground is not None:
        room = facts.km2 / facts.window_km2
        yield (
            "",
            f"{room:,.0f} windows would fill the ground; an epoch draws {_plain(drawn / room, 2)} times as "
            "many",
        )
    if len(facts.days):
        shown = ", ".join(_plain(value, 3) for value in np.quantile(facts.days, (0, 0.5, 1)))
        yield "time between", f"{shown} days (least, median, greatest)"
    yield from _speed(facts.reading, drawn)


def _plain(value: float, digits: int) -> str:
    """A number of so many significant digits, without an exponent."""
    return np.format_float_positional(value, digits, unique=False, fractional=False, trim="-")


def _speed(reading: Reading, drawn: int) -> Iterator[tuple[str, str]]:
    yield "reading", f"{reading.rate:,.0f} windows/s in one process ({reading.windows:,} windows were read)"
    seconds = drawn / reading.rate
    several = max(reading.workers, 1)
    others = f"; with {several} workers at best {_duration(seconds / several)}" if several > 1 else ""
    yield "", f"{_duration(seconds)} per epoch{others}"


def _duration(seconds: float) -> str:
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"


def _sensors(facts: Facts) -> Table:
    finest = min(sensor.resolution for sensor in facts.sensors.values())
    table = Table(title="Sensors", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("sensor", no_wrap=True)
    table.add_column("acquired")
    for heading in ("scenes", "pixel\n[m]", "ratio", "window\n[pixels]", "invalid\n[%]", "outside\n[%]"):
        table.add_column(heading, justify="right", no_wrap=True)
    for key, sensor in facts.sensors.items():
        outside = "-" if sensor.measured is None else f"{100 * sensor.measured.outside:.2f}"
        table.add_row(
            *(key, _dates(sensor.scenes)),
            *(f"{sensor.scenes.count:,}" if sensor.scenes else "-", f"{sensor.resolution:g}"),
            *(f"{sensor.resolution / finest:.3g}", "x".join(map(str, sensor.shape))),
            *(f"{100 * sensor.invalid:.2f}", outside),
        )
    return table


def _dates(scenes: Scenes | None) -> str:
    if scenes is None or not scenes.dated:
        return "unknown"
    first, last = (f"{pd.Timestamp(end):%Y-%m-%d}" for end in (scenes.first, scenes.last))
    some = "" if scenes.dated == scenes.count else f" ({scenes.count - scenes.dated:,} unknown)"
    return (first if first == last else f"{first} to {last}") + some


def _statistics(facts: Facts) -> Table:
    table = Table(
        title=f"Statistics of the first {len(facts.samples)} windows",
        caption="scaled values, declared -> measured",
        box=SIMPLE_HEAD,
    )
    for heading in ("sensor", "band"):
        table.add_column(heading, no_wrap=True)
    table.add_column("mean", justify="right")
    table.add_column("std", justify="right")
    for key, sensor in facts.sensors.items():
        for row in _bands(key, sensor):
            table.add_row(*row)
        table.add_section()
    return table


def _bands(key: str, facts: SensorFacts) -> Iterator[tuple[str, str, str, str]]:
    if facts.measured is None:
        return
    sensor, measured = facts.sensor, facts.measured
    labels = (key, f"({sensor.name})")
    rows = zip(sensor.bands, sensor.mean, measured.mean, sensor.std, measured.std, strict=True)
    for number, (band, mean, found, std, spread) in enumerate(rows):
        far = abs(found - mean) > std
        odd = not 0.5 <= spread / std <= 2
        yield (
            labels[number] if number < 2 else "",
            band,
            _marked(f"{mean:.4f} -> {found:.4f}", far),
            _marked(f"{std:.4f} -> {spread:.4f}", odd),
        )


def _marked(text: str, wrong: bool) -> str:
    return f"[yellow]{text}[/yellow]" if wrong else text
