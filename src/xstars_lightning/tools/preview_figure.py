"""What a run would see, as a picture: where, when, which values, and the first windows."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from numpy.typing import NDArray
from torch import Tensor

from xstars_lightning.datamodules.preflight import Measured
from xstars_lightning.datasets.plots import stretched
from xstars_lightning.sensors import Sensor
from xstars_lightning.tools.preview_facts import Facts, SensorFacts
from xstars_lightning.tools.preview_map import plot_map

__all__ = ["plot_facts"]

COLUMNS = 8  # windows shown
LEVELS = 80  # bins of a histogram, about
#: Colours of bands by their common name; others follow in a colour map.
BANDS = {"red": "#d1372b", "green": "#3a8f3e", "blue": "#2f62c4", "nir": "#8a2d83", "nir08": "#8a2d83"}


def plot_facts(facts: Facts) -> Figure:
    """Draw a map, histograms of times and of values, and the first windows of every sensor."""
    sensors = len(facts.sensors)
    upper = max(4.6, 1.7 * sensors)
    lower = 1.55 * sensors + 0.4
    figure = plt.figure(figsize=(13, upper + lower))
    figure.set_layout_engine("constrained", w_pad=0.06, h_pad=0.06)
    top, bottom = np.asarray(figure.subfigures(2, 1, height_ratios=(upper, lower)))
    if facts.ground is None:
        _values(top, facts)
    else:
        left, right = np.asarray(top.subfigures(1, 2, width_ratios=(1.25, 1)))
        heights = (3.2, 1) if len(facts.days) else (1,)
        first, *others = left.subplots(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
        plot_map(first, facts)
        for axis in others:
            _times(axis, facts)
        _values(right, facts)
    _windows(bottom, facts)
    return figure


def _times(axis: Axes, facts: Facts) -> None:
    """How far apart the scenes of a pair are, weighted by the ground they share."""
    assert facts.ground is not None
    known = facts.ground.dropna(subset="days")
    axis.hist(known["days"], bins=40, weights=known["km2"], color="#5b7f95")
    axis.set(xlabel="days between the acquisitions", ylabel="km²")
    axis.spines[["top", "right"]].set_visible(False)


def _values(figure: SubFigure, facts: Facts) -> None:
    axes = figure.subplots(len(facts.sensors), 1, squeeze=False)[:, 0]
    figure.suptitle("Values (above: mean ± std, hollow as declared, full as measured)", fontsize=10)
    for axis, (key, sensor) in zip(axes, facts.sensors.items(), strict=True):
        axis.set(yticks=[], ylabel=key)
        axis.tick_params(labelsize=8)
        axis.spines[["top", "right", "left"]].set_visible(False)
        if sensor.measured is None:
            axis.text(0.5, 0.5, "not seen", ha="center", transform=axis.transAxes)
        else:
            _histogram(axis, key, sensor, sensor.measured, facts.samples)
        if any("statistics" in said for said in sensor.complaints):
            axis.text(1, 0.55, "far from the declared", ha="right", color="#b05a00", transform=axis.transAxes)
    axes[-1].set_xlabel("scaled value: 0 and 1 are the ends of the value range", fontsize=9)


def _histogram(
    axis: Axes, key: str, facts: SensorFacts, measured: Measured, samples: Sequence[Mapping[str, Tensor]]
) -> None:
    """Values of every band, and above them their means and standard deviations."""
    sensor = facts.sensor
    values = torch.cat([x[f"image_{key}"][:, x[f"valid_{key}"][0]] for x in samples], dim=1).numpy()
    mean, std = np.array(sensor.mean), np.array(sensor.std)
    low, high = np.quantile(values, (0.002, 0.998))
    edges = _edges(min(low, (mean - std).min()), max(high, (mean + std).max()), sensor)
    counts = [np.histogram(band, edges)[0] for band in values]
    top, step = max(count.max() for count in counts), 0.5 / len(counts)
    for row, (band, count) in enumerate(zip(sensor.bands, counts, strict=True)):
        colour = BANDS.get(band, plt.get_cmap("viridis")(row / len(counts)))
        axis.stairs(count / top, edges, color=colour, fill=True, alpha=0.18)
        axis.stairs(count / top, edges, color=colour, linewidth=0.9)
        said = ((mean[row], std[row], "white"), (measured.mean[row], measured.std[row], colour))
        for above, (centre, spread, face) in enumerate(said):
            y = 1.08 + step * (row + 0.3 + 0.4 * above)
            axis.errorbar(centre, y, xerr=spread, color=colour, fmt="o", ms=4, mfc=face, lw=1, capsize=2)
    axis.set(ylim=(0, 1.6), xlim=(edges[0], edges[-1]))


def _edges(low: float, high: float, sensor: Sensor) -> NDArray[np.float64]:
    """Ends of the bins: each has as many digital numbers, or 8-bit values would show as a comb."""
    number = 1 / (sensor.value_range[1] - sensor.value_range[0])
    width = number * max(1, round((high - low) / LEVELS / number))
    first, last = np.floor(low / width) - 1, np.ceil(high / width) + 1
    return np.arange(first, last + 1) * width - number / 2


def _windows(figure: SubFigure, facts: Facts) -> None:
    """The first windows, a row per sensor, stretched as the datasets' own plots are."""
    columns = min(COLUMNS, len(facts.samples))
    axes = figure.subplots(len(facts.sensors), columns, squeeze=False)
    figure.suptitle(f"The first windows of {facts.window:g} m", fontsize=10)
    for line, (key, sensor) in zip(axes, facts.sensors.items(), strict=True):
        for axis, sample in zip(line, facts.samples, strict=False):
            rgb = sample[f"image_{key}"][list(sensor.sensor.rgb_indices)]
            axis.imshow(stretched(rgb, sample[f"valid_{key}"]), interpolation="nearest")
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set_color("#bbb")
        line[0].set_ylabel(f"{key}\n{sensor.resolution:g} m", fontsize=9)
