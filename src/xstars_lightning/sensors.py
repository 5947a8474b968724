"""What a sensor is, and the catalogue of known ones.

Statistics are those of *scaled* values: a sensor's ``value_range`` maps to [0, 1] when its
pixels are read, and ``mean`` and ``std`` describe the result.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from typing import Any

from xstars_lightning.sensor_files import FILE_ENDINGS, read_sensor_values

__all__ = ["CATALOGUE", "Sensor", "get_sensor", "resolve_sensors"]


@dataclass(frozen=True)
class Sensor:
    """Bands, ground resolution, value range and statistics of one sensor.

    Sensors with the same ``bands`` can share a patch embedding, whatever their resolution, so
    bands carry the common names of the STAC electro-optical extension [0] (``red``, ``nir``,
    ``swir16``, ...) rather than the numbers that each mission gives them.

    Args:
        name: Name in the catalogue, for messages.
        bands: Common names, in the order in which they stand in the files.
        resolution: Nominal ground sampling distance in metres.
        value_range: Digital numbers that become 0 and 1.
        mean: Mean per band of the scaled values.
        std: Standard deviation per band of the scaled values.
        rgb_bands: The three bands to show as red, green and blue; they may be repeated.
        nodata: Digital number that marks missing pixels where the files declare none.

    Raises:
        ValueError: If lengths disagree or a value is out of its domain.

    References:
        [0] https://github.com/stac-extensions/eo
    """

    name: str
    bands: tuple[str, ...]
    resolution: float
    value_range: tuple[float, float]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    rgb_bands: tuple[str, str, str] = ("red", "green", "blue")
    nodata: float | None = None

    def __post_init__(self) -> None:
        for field in ("bands", "value_range", "mean", "std", "rgb_bands"):
            object.__setattr__(self, field, tuple(getattr(self, field)))
        count = len(self.bands)
        if not count or len(set(self.bands)) != count:
            raise ValueError(
                f"Sensor {self.name!r}: bands must be distinct and at least one, got {self.bands}."
            )
        for field, values in (("mean", self.mean), ("std", self.std)):
            if len(values) != count:
                raise ValueError(
                    f"Sensor {self.name!r}: {field} has {len(values)} values for {count} bands {self.bands}; "
                    "give one value per band."
                )
        if min(self.std) <= 0:
            raise ValueError(f"Sensor {self.name!r}: std must be positive, got {self.std}.")
        if self.value_range[1] <= self.value_range[0]:
            raise ValueError(f"Sensor {self.name!r}: value_range {self.value_range} must increase.")
        if self.resolution <= 0:
            raise ValueError(f"Sensor {self.name!r}: resolution must be positive, got {self.resolution}.")
        if missing := [band for band in self.rgb_bands if band not in self.bands]:
            raise ValueError(
                f"Sensor {self.name!r}: rgb_bands {missing} are not among its bands {self.bands}; "
                "name three of them (a band may be repeated)."
            )

    @property
    def rgb_indices(self) -> tuple[int, ...]:
        """Positions of ``rgb_bands`` among ``bands``."""
        return tuple(self.bands.index(band) for band in self.rgb_bands)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for files that must be read without this package."""
        return asdict(self)


def _scaled(values: Iterable[float], divisor: float) -> tuple[float, ...]:
    return tuple(value / divisor for value in values)


_RGB = ("red", "green", "blue")
_L1C = (
    *("coastal", "blue", "green", "red", "rededge071", "rededge075", "rededge078"),
    *("nir", "nir08", "nir09", "cirrus", "swir16", "swir22"),
)
_L2A = tuple(band for band in _L1C if band != "cirrus")
_OLI = ("coastal", "blue", "green", "red", "nir08", "swir16", "swir22")

# Order: B1 ... B8, B8A, B9, B10, B11, B12; SSL4EO-S12 v1.0 (arXiv 2211.07044), digital numbers.
_L1C_MEAN = (
    *(1605.58, 1390.78, 1314.87, 1363.52, 1549.44, 2091.75, 2371.72),
    *(2299.90, 2560.30, 830.07, 22.10, 2177.07, 1524.07),
)
_L1C_STD = (
    *(786.79, 850.35, 875.06, 1138.85, 1122.18, 1161.59, 1274.39),
    *(1248.43, 1345.53, 577.32, 51.15, 1336.10, 1136.54),
)
_L2A_MEAN = (
    *(752.40, 884.30, 1144.16, 1297.47, 1624.91, 2194.64),
    *(2422.21, 2517.76, 2581.65, 2645.52, 2368.51, 1805.07),
)
_L2A_STD = (
    *(1108.03, 1155.15, 1183.63, 1368.11, 1370.27, 1355.55),
    *(1416.51, 1474.79, 1439.31, 1582.28, 1455.52, 1343.48),
)
# The Sentinel-2 bands whose passbands the seven of OLI resemble: B1, B2, B3, B4, B8A, B11, B12.
_OLI_IN_L2A = (0, 1, 2, 3, 8, 10, 11)

_SENSORS = (
    # 8-bit RGB renderings: MSC-France, the statistics that X-STARS uses (arXiv 2405.09922).
    Sensor(
        name="spot_rgb",
        bands=_RGB,
        resolution=1.5,
        value_range=(0, 255),
        mean=(0.31007201, 0.34869021, 0.23991865),
        std=(0.16708196, 0.14294321, 0.16296565),
    ),
    Sensor(
        name="sentinel2_rgb",
        bands=_RGB,
        resolution=10,
        value_range=(0, 255),
        mean=(0.14316194, 0.14518686, 0.09228685),
        std=(0.13242126, 0.10325284, 0.08168219),
    ),
    Sensor(
        name="landsat_rgb",
        bands=_RGB,
        resolution=30,
        value_range=(0, 255),
        mean=(0.27059479, 0.27839213, 0.18060363),
        std=(0.1741122, 0.14797395, 0.125955),
    ),
    # Processing baseline 04.00 (January 2022) and later adds 1000 to every value. Folders (.SAFE) are read
    # without it; give other files of such products the range (1000, 11000) in a sensor of your own.
    Sensor(
        name="sentinel2_l1c",
        bands=_L1C,
        resolution=10,
        value_range=(0, 10000),
        mean=_scaled(_L1C_MEAN, 10000),
        std=_scaled(_L1C_STD, 10000),
    ),
    Sensor(
        name="sentinel2_l2a",
        bands=_L2A,
        resolution=10,
        value_range=(0, 10000),
        mean=_scaled(_L2A_MEAN, 10000),
        std=_scaled(_L2A_STD, 10000),
    ),
    # Landsat 8/9 Collection 2 Level 2; reflectance = DN x 2.75e-5 - 0.2. No statistics are
    # published: those of the matching Sentinel-2 bands, both being surface reflectance.
    Sensor(
        name="landsat_sr",
        bands=_OLI,
        resolution=30,
        value_range=(0.2 / 2.75e-5, 1.2 / 2.75e-5),
        mean=_scaled((_L2A_MEAN[i] for i in _OLI_IN_L2A), 10000),
        std=_scaled((_L2A_STD[i] for i in _OLI_IN_L2A), 10000),
        nodata=0,
    ),
    # Aerial RGB: RESISC45, as TorchGeo has it. RGBN: measured on 16 NAIP patches around the
    # Chesapeake Bay, 1 Mpx in all; a rough guide.
    Sensor(
        name="aerial_rgb",
        bands=_RGB,
        resolution=0.5,
        value_range=(0, 255),
        mean=_scaled((93.89391792, 97.11226906, 87.56775284), 255),
        std=_scaled((51.84919672, 47.2365918, 47.06308786), 255),
    ),
    Sensor(
        name="naip_rgbn",
        bands=(*_RGB, "nir"),
        resolution=1,
        value_range=(0, 255),
        mean=_scaled((120.92, 131.29, 111.41, 119.11), 255),
        std=_scaled((41.85, 34.53, 25.62, 39.31), 255),
    ),
)
CATALOGUE: Mapping[str, Sensor] = {sensor.name: sensor for sensor in _SENSORS}


def get_sensor(name: str) -> Sensor:
    """Look a sensor up in the catalogue, or read it from a YAML file.

    Args:
        name: Name in the catalogue, or path of a file that ends in ``.yaml`` or ``.yml``, such as
            `xstars stats` writes.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the catalogue has none of that name, and the message suggests the nearest; or
            if the file describes no sensor, and the message names file and key.
    """
    if name.endswith(FILE_ENDINGS):
        return _from_file(name)
    if name not in CATALOGUE:
        near = get_close_matches(name, CATALOGUE, n=1, cutoff=0.0)
        raise ValueError(
            f"Unknown sensor {name!r}. Did you mean {near[0]!r}? Known: {', '.join(CATALOGUE)}. "
            "A sensor of your own is given by its bands, resolution, value_range, mean and std, or as a "
            "YAML file of these."
        )
    return CATALOGUE[name]


def _from_file(path: str) -> Sensor:
    values = read_sensor_values(path)
    try:
        return Sensor(**values)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def resolve_sensors(sensors: Mapping[str, Sensor | str | Mapping[str, Any]]) -> dict[str, Sensor]:
    """Make sensors of catalogue names, of YAML files, and of the plain values that configurations keep.

    Args:
        sensors: The keys name the sensors in batches (``image_<key>``).

    Raises:
        FileNotFoundError: As :func:`get_sensor`.
        ValueError: As :func:`get_sensor`, or if values make no sensor.
    """
    return {key: _resolve(sensor) for key, sensor in sensors.items()}


def _resolve(sensor: Sensor | str | Mapping[str, Any]) -> Sensor:
    if isinstance(sensor, Sensor):
        return sensor
    return get_sensor(sensor) if isinstance(sensor, str) else Sensor(**sensor)
