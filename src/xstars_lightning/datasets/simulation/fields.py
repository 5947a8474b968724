"""Fields: what grows on each parcel, and the rows, tramlines and soil patterns one sees in it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xstars_lightning.datasets.simulation.canvas import Landscape, Use
from xstars_lightning.datasets.simulation.grids import FloatArray
from xstars_lightning.datasets.simulation.materials import Material
from xstars_lightning.datasets.simulation.noise import band_noise
from xstars_lightning.datasets.simulation.painting import mask, paint
from xstars_lightning.datasets.simulation.parcels import Parcels

__all__ = ["Region", "paint_fields"]

_HEADLAND = 13.0  # metres along the edge that are driven across
_TRAMLINES = 24.0  # metres between the wheel tracks of a sprayer
_STREAK = 1.5  # metres: finest stripe within a field


@dataclass(frozen=True)
class Region:
    """The character of a scene.

    Args:
        parcel: Typical area of a parcel in square metres.
        woods: Share of woodland.
        meadows: Share of meadows in what is not woodland.
        hedges: Share of parcels with a hedge around.
        conifers: Share of conifers in the woodland.
        crops: Shares of the crops, wheat to vineyard, (5,).
    """

    parcel: float
    woods: float
    meadows: float
    hedges: float
    conifers: float
    crops: tuple[float, ...]

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "Region":
        """From open plains with large fields to small-scale country full of hedges and woods."""
        closed = rng.beta(1.0, 1.1)
        return cls(
            parcel=float(np.interp(closed, (0, 1), (7e4, 1.3e4)) * rng.uniform(0.8, 1.25)),
            woods=float(np.interp(closed, (0, 1), (0.08, 0.36)) * rng.uniform(0.7, 1.3)),
            meadows=float(np.interp(closed, (0, 1), (0.08, 0.45))),
            hedges=float(np.interp(closed, (0, 1), (0.04, 0.6))),
            conifers=float(rng.beta(0.7, 1.5)),
            crops=tuple(rng.dirichlet((4.0, 1.5, 2.5, 1.2, 0.5)).tolist()),
        )


def _uses(
    parcels: Parcels, relief: FloatArray, region: Region, r: float, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Woods in clumps on the high ground, meadows in clumps on the low ground, crops elsewhere."""
    clumps = band_noise(relief.shape, r, (250, 1800), rng)
    column, row = (parcels.centre / r).astype(int).T
    row, column = row.clip(0, relief.shape[0] - 1), column.clip(0, relief.shape[1] - 1)
    high = relief[row, column] / max(float(relief.std()), 1e-6)
    wild = clumps[row, column] + 0.5 * high + rng.normal(0, 0.45, len(row))
    area = np.array([shape.area for shape in parcels.shapes])
    order = wild.argsort()
    share = np.empty(len(row))
    share[order] = area[order].cumsum() / area.sum()
    uses = rng.choice(5, size=len(row), p=region.crops)
    grass = (rng.random(len(row)) < region.meadows) | (share < 0.35 * region.meadows)
    uses[grass] = Use.MEADOW
    uses[rng.random(len(row)) < 0.012] = Use.BARE
    woods = share > 1 - region.woods
    uses[woods] = np.where(clumps[row, column] * 0.4 + rng.random(len(row)) < region.conifers, 8, 7)[woods]
    uses[order[len(order) // 3]] = Use.BARE
    return uses


def _rows(
    land: Landscape, angle: NDArray[np.float64], inner: NDArray[np.bool_], rng: np.random.Generator
) -> None:
    """Stripes along the direction of work: streaks and tramlines, and planted rows in vineyards."""
    height, width = land.shape
    zeros = np.zeros(len(Material))
    cosine, sine = (
        np.concatenate([zeros, f(angle)]).astype(np.float32)[land.surface] for f in (np.cos, np.sin)
    )
    x = (np.arange(width, dtype=np.float32) * land.resolution)[None, :]
    y = (np.arange(height, dtype=np.float32) * land.resolution)[:, None]
    across = np.where(inner, y * cosine - x * sine, x * cosine + y * sine)
    offset = rng.integers(0, 1 << 12, len(zeros) + len(angle))
    table = np.convolve(rng.standard_normal((1 << 13) + 2), (0.4, 0.8, 0.4), mode="valid").astype(np.float32)
    stripe = table[((across / _STREAK).astype(np.int32) + offset[land.surface]) & ((1 << 13) - 1)]
    arable = land.use_at(Use.WHEAT, Use.RAPESEED, Use.MAIZE, Use.SUNFLOWER, Use.BARE)
    wheels = (across % _TRAMLINES < 2.2) & land.use_at(Use.WHEAT, Use.RAPESEED)
    vines = land.use_at(Use.VINEYARD) * np.sin(across * (2 * np.pi / 4.5), dtype=np.float32)
    visible = np.concatenate([zeros, rng.gamma(2.0, 0.5, len(angle))]).astype(np.float32)[land.surface]
    stripe *= visible * np.where(arable, np.float32(1), np.float32(0.25))
    land.texture += 0.045 * stripe - 0.08 * wheels + 0.1 * vines
    land.vigour += 0.22 * stripe - 0.6 * wheels + 0.7 * vines


def paint_fields(
    shape: tuple[int, int], resolution: float, parcels: Parcels, region: Region, rng: np.random.Generator
) -> Landscape:
    """Ground, and parcels with their grassy margins; no trees, roads or water yet."""
    relief = band_noise(shape, resolution, (300, 4000), rng, slope=1.8) * np.float32(rng.uniform(10, 30))
    uses = _uses(parcels, relief, region, resolution, rng)
    surface = np.full(shape, Material.GRASS, dtype=np.uint16)
    margins = rng.uniform(0.2, 1.8, len(uses))
    shrunk = [parcel.buffer(-margin) for parcel, margin in zip(parcels.shapes, margins, strict=True)]
    paint(surface, shrunk, len(Material) + np.arange(len(uses)), resolution)
    soil = band_noise(shape, resolution, (18, 500), rng)
    grain = band_noise(shape, resolution, (2.2 * resolution, 18), rng, slope=0.3)
    land = Landscape(
        resolution, surface, np.zeros(shape, np.float32), relief, 1 + 0.035 * grain, 0.4 * soil, uses
    )
    land.vigour += 0.12 * grain
    inner = mask([parcel.buffer(-_HEADLAND) for parcel in parcels.shapes], shape, resolution)
    _rows(land, parcels.angle, inner, rng)
    return land
