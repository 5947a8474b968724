"""A map of what a run would see."""

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import shapely
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.patches import Patch
from numpy.typing import NDArray

from xstars_lightning.tools.preview_facts import Facts
from xstars_lightning.tools.preview_places import Scenes

__all__ = ["plot_map"]

Geometries = NDArray[np.object_]
GROUND, TRAINING, VALIDATION = "#e3e7d3", "#2a6f97", "#e07a1f"
EDGES = ("#1b9e77", "#8e3fa8", "#c2185b", "#444444", "#a6761d", "#3f51b5")  # of scenes, per sensor
DRAWN = 20_000  # pieces of ground
METRES_PER_DEGREE = 111_000
SMALL = 1 / 120  # of the map's width; windows below are drawn as points
WIDE = 4  # times the extent of the ground; scenes beyond that are cut off


def plot_map(axis: Axes, facts: Facts) -> None:
    """Draw the outlines of each sensor, the ground that windows are drawn from, and windows.

    Args:
        axis: Where; in longitude and latitude.
        facts: With ``ground``.
    """
    assert facts.ground is not None
    ground = facts.ground.geometry.to_numpy()[:: -(-len(facts.ground) // DRAWN)]
    scenes = {key: sensor.scenes for key, sensor in facts.sensors.items() if sensor.scenes is not None}
    west, south, east, north = _extent(ground, np.concatenate([some.outlines for some in scenes.values()]))
    handles = [_polygons(axis, ground, GROUND, 1.0, "ground of windows")]
    far = facts.window / METRES_PER_DEGREE < SMALL * max(east - west, north - south)
    handles += [*_windows(axis, facts, _points if far else _polygons), *_scenes(axis, facts, scenes)]
    axis.set(xlim=(west, east), ylim=(south, north), aspect=1 / np.cos(np.radians((south + north) / 2)))
    axis.ticklabel_format(useOffset=False)
    axis.tick_params(labelsize=8)
    axis.grid(color="#999", alpha=0.25, linewidth=0.5)
    axis.set_title(f"{facts.km2:,.4g} km² of shared ground (longitude, latitude)", fontsize=10)
    axis.legend(
        handles=handles,
        fontsize=8,
        ncols=3,
        loc="upper center",
        bbox_to_anchor=(0.5, 0),
        borderaxespad=3,
        frameon=False,
    )


def _windows(axis: Axes, facts: Facts, draw: Callable[..., Patch]) -> Iterator[Patch]:
    for windows, colour, said in (
        (facts.train_outlines, TRAINING, f"{len(facts.train_outlines):,} training windows"),
        (facts.val_outlines, VALIDATION, f"{facts.val_windows:,} validation windows"),
    ):
        if len(windows):
            # The more windows lie over each other, the fainter each.
            layers = len(windows) * facts.window_km2 / facts.km2
            yield draw(axis, windows, colour, float(np.clip(0.5 / layers, 0.02, 0.5)), said)


def _scenes(axis: Axes, facts: Facts, scenes: Mapping[str, Scenes]) -> Iterator[Patch]:
    # Coarse sensors first and thicker, for outlines that coincide.
    coarse_first = sorted(scenes, key=lambda key: -facts.sensors[key].resolution)
    for number, (key, some) in enumerate(scenes.items()):
        edge, order = EDGES[number % len(EDGES)], coarse_first.index(key)
        width = 1 + 2 * (len(scenes) - 1 - order)
        rings = _rings(some.outlines)
        axis.add_collection(LineCollection(rings, colors=[edge], linewidths=width, zorder=4 + order))
        yield Patch(fill=False, edgecolor=edge, label=f"{key} ({some.count:,})")


def _extent(ground: Geometries, scenes: Geometries) -> tuple[float, float, float, float]:
    """Bounds of all scenes, or, where these reach far, of the ground and its surroundings."""
    low, high = np.split(np.array(shapely.total_bounds(ground)), 2)
    near = 0.5 * (WIDE - 1) * np.maximum(high - low, 1e-3)
    least, most = np.split(np.array(shapely.total_bounds(scenes)), 2)
    least, most = np.maximum(least, low - near), np.minimum(most, high + near)
    edge = 0.04 * (most - least)
    (west, south), (east, north) = (least - edge).tolist(), (most + edge).tolist()
    return west, max(south, -89.0), east, min(north, 89.0)


def _polygons(axis: Axes, shapes: Geometries, colour: str, alpha: float, name: str) -> Patch:
    axis.add_collection(PolyCollection(_rings(shapes), facecolors=[colour], alpha=alpha, linewidths=0))
    return Patch(color=colour, alpha=max(alpha, 0.3), label=name)


def _rings(shapes: Geometries) -> list[NDArray[np.float64]]:
    """Corners of the exteriors of polygons and multipolygons."""
    return [shapely.get_coordinates(ring) for ring in shapely.get_exterior_ring(shapely.get_parts(shapes))]


def _points(axis: Axes, windows: Geometries, colour: str, alpha: float, name: str) -> Patch:
    """Windows too small to be seen as what they are, above all else."""
    x, y = shapely.get_coordinates(shapely.centroid(windows)).T
    axis.scatter(x, y, s=12, color=colour, alpha=max(alpha, 0.3), linewidths=0, zorder=20)
    return Patch(color=colour, label=name)
