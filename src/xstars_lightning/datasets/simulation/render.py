"""What one sensor measures of a landscape on one day: reflectance on the sensor's own grid."""

from dataclasses import dataclass
from zlib import crc32

import numpy as np

from xstars_lightning.datasets.simulation.canvas import Landscape
from xstars_lightning.datasets.simulation.grids import FloatArray, point_spread, resample
from xstars_lightning.datasets.simulation.materials import Material, spectra, wavelengths
from xstars_lightning.datasets.simulation.noise import band_noise
from xstars_lightning.datasets.simulation.optics import Sun, illumination
from xstars_lightning.datasets.simulation.seasons import parcel_reflectance
from xstars_lightning.sensors import Sensor

__all__ = ["Instrument", "render"]

_PLANTS = (Material.GRASS, Material.BROADLEAF, Material.CONIFER)


@dataclass(frozen=True)
class Instrument:
    """How a sensor differs from a perfect one.

    Args:
        response: What each band collects from its own and the neighbouring passbands, (B, B).
        noise: Standard deviation of the noise in reflectance, (B,).
    """

    response: FloatArray
    noise: FloatArray

    @classmethod
    def of(cls, sensor: Sensor) -> "Instrument":
        """The same instrument for the same sensor, always."""
        rng = np.random.default_rng(crc32(sensor.name.encode()))
        count = len(sensor.bands)
        leak = rng.uniform(0.02, 0.12, (2, count))
        response = np.eye(count) + np.diag(leak[0, 1:], 1) + np.diag(leak[1, 1:], -1)
        response *= rng.uniform(0.92, 1.08, (count, 1)) / response.sum(axis=1, keepdims=True)
        noise = rng.uniform(0.8, 1.2, count) * (0.0007 + 0.0015 / sensor.resolution**0.5)
        return cls(response.astype(np.float32), noise.astype(np.float32))


def _colours(
    land: Landscape, sensor: Sensor, day: float, fixed: np.random.Generator, dated: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Reflectance of each surface (S, B), and how it changes with the vigour of plants (S, B)."""
    table = spectra(sensor.bands)
    autumn = np.interp(day, (240, 290), (0, 0.18))
    table[Material.BROADLEAF] += autumn * (table[Material.STRAW] * 0.4 - table[Material.BROADLEAF])
    dry = 0.3 * np.interp(day, (150, 215, 260), (0, 1, 0.6)) * dated.uniform(0.3, 1)
    table[Material.GRASS] += dry * (table[Material.STRAW] - table[Material.GRASS])
    table[Material.WATER] *= fixed.uniform(0.9, 1.6)
    parcels = parcel_reflectance(land.uses, sensor.bands, day, fixed, dated)
    vigour = np.zeros((len(Material) + len(parcels), len(sensor.bands)), dtype=np.float32)
    vigour[list(_PLANTS)] = 0.1 * (table[Material.CROP] - table[Material.SOIL])
    vigour[len(Material) :] = 0.22 * (table[Material.CROP] - table[Material.STRAW] * 0.85)
    colours = np.concatenate([table, parcels])
    # Plants cannot take away more light than the surface sends back.
    return colours, np.clip(vigour, -0.35 * colours, None)


def _light(land: Landscape, day: float, dated: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Brightness factor (H, W), with the cars of that moment, and depth of the shadow (H, W)."""
    light, shadow = illumination(land, Sun.on(day, dated))
    light *= land.texture
    road = np.flatnonzero(land.surface == Material.ASPHALT)
    cars = dated.choice(road, len(road) // 400)
    light.ravel()[cars] *= dated.choice([0.45, 1.5, 3.0, 3.6], len(cars))
    return light, shadow


def _haze(shape: tuple[int, int], sensor: Sensor, dated: np.random.Generator) -> FloatArray:
    """Light that the air adds, (B, h, w): more in the blue, a little uneven."""
    uneven = 1 + 0.15 * band_noise(shape, 1.0, (shape[0] / 2, 2.0 * shape[0]), dated)
    blue = dated.uniform(0.002, 0.012) * (490 / wavelengths(sensor.bands)) ** 1.6
    return blue.astype(np.float32)[:, None, None] * uneven


def render(
    land: Landscape, sensor: Sensor, fixed: np.random.Generator, dated: np.random.Generator
) -> FloatArray:
    """Look at a landscape with a sensor.

    Args:
        land: Sampled at least as finely as the sensor sees.
        sensor: Only its name, bands and resolution matter.
        fixed: Chance of the ground; give an equal generator for every look at the same landscape.
        dated: Chance of the day: season, weather, work in the fields, noise.

    Returns:
        Reflectance (B, h, w) of the pixels that fit into the landscape, about 0 to 0.6.
    """
    day = dated.uniform(100, 285)
    colours, vigour = _colours(land, sensor, day, fixed, dated)
    light, shadow = _light(land, day, dated)
    # Half a millimetre of slack, for resolutions that are no binary fractions.
    size = [int(n * land.resolution / sensor.resolution + 5e-4) for n in land.shape]
    optics = [
        point_spread(n, land.resolution, s, sensor.resolution) for n, s in zip(land.shape, size, strict=True)
    ]
    diffuse = 0.16 + 0.2 * (490 / wavelengths(sensor.bands)) ** 1.5
    bands = np.empty((len(sensor.bands), *size), dtype=np.float32)
    # Two buffers for all bands: fresh ones of this size cost as much as the arithmetic.
    ground, other = np.empty((2, *land.shape), dtype=np.float32)
    for band in range(len(sensor.bands)):
        np.take(vigour[:, band], land.surface, out=ground, mode="clip")
        ground *= land.vigour
        ground += np.take(colours[:, band], land.surface, out=other, mode="clip")
        ground *= light
        np.multiply(shadow, np.float32(min(diffuse[band], 0.6) - 1), out=other)
        other += 1
        ground *= other
        bands[band] = resample(ground, *optics)
    instrument = Instrument.of(sensor)
    image = np.einsum("ij,jhw->ihw", instrument.response, bands)
    image += _haze((size[0], size[1]), sensor, dated)
    image += instrument.noise[:, None, None] * dated.standard_normal(image.shape, dtype=np.float32)
    return image
