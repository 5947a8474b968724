"""MSC-France: SPOT, Sentinel-2 and Landsat over French cities."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from rasterio.errors import NotGeoreferencedWarning

from xstars_lightning.datasets.chips.base import ChipDataset, Pixels
from xstars_lightning.datasets.cross_sensor import sensors_needed
from xstars_lightning.datasets.handles import open_raster
from xstars_lightning.datasets.pixels import read_pixels
from xstars_lightning.datasets.raster_file import check_bands

__all__ = ["FOLDERS", "MSC_FRANCE_SENSORS", "MSCFrance"]

FOLDERS = {"spot": "SPOT", "sentinel2": "Sentinel", "landsat": "Landsat"}
EXTENSIONS = (".tif", ".tiff", ".png", ".jpg", ".jpeg")
MSC_FRANCE_SENSORS: dict[str, Any] = {
    "spot": "spot_rgb",
    "sentinel2": "sentinel2_rgb",
    "landsat": "landsat_rgb",
}


class MSCFrance(ChipDataset):
    """SPOT (1.5 m), Sentinel-2 (10 m) and Landsat-8 (30 m) tiles of one footprint [0], [1].

    Files are ``<root>/{SPOT,Sentinel,Landsat}/<City>/<name>``, the same name for all sensors, with or
    without georeference. A group is a city.

    Args:
        root: Folder that holds the folders of the sensors (``MSC-France``).
        sensors: Sensors per key, two or three of ``spot``, ``sentinel2`` and ``landsat``.
        window: Side of a crop in metres, a multiple of 30; None: whole tiles.
        min_sensors: Fewest sensors that must have a tile; None: all.

    Raises:
        FileNotFoundError: If a folder is missing or holds no image.
        ValueError: If a tile is missing in a sensor, or arguments do not fit.

    References:
        [0] https://arxiv.org/abs/2405.09922
        [1] https://www.eotdl.com/datasets/MSC-France
    """

    keys = tuple(FOLDERS)

    def __init__(
        self,
        root: str | Path,
        sensors: Mapping[str, Any] = MSC_FRANCE_SENSORS,
        window: float | None = None,
        min_sensors: int | None = None,
    ) -> None:
        super().__init__(sensors, window)
        self.root = Path(root)
        found = {key: _images(self.root / FOLDERS[key]) for key in self.sensors}
        needed = sensors_needed(min_sensors, found)
        everything = set().union(*found.values())
        shown = {name: sum(name in names for names in found.values()) for name in everything}
        self.names = sorted(name for name, count in shown.items() if count >= needed)
        if not self.names or (min_sensors is None and len(self.names) < len(everything)):
            raise ValueError(_unmatched(found, everything, needed))
        self.groups = [name.split("/")[0] for name in self.names]
        self._found = found

    def read(self, index: int, rng: np.random.Generator | None) -> dict[str, Pixels]:
        """Read a tile, of every sensor that has it."""
        pixels = {}
        for key, sensor in self.sensors.items():
            if self.names[index] in self._found[key]:
                path = str(self.root / FOLDERS[key] / self.names[index])
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", NotGeoreferencedWarning)
                    raster = open_raster(path, sensor)
                check_bands(raster.source, sensor)
                pixels[key] = read_pixels(raster, sensor)
        return pixels


def _images(folder: Path) -> set[str]:
    """``<City>/<file>`` of all images."""
    if not folder.is_dir():
        raise FileNotFoundError(
            f"No folder {folder}. `root` holds the folders {', '.join(FOLDERS.values())}; name fewer sensors "
            "if one of them was not downloaded."
        )
    found = {
        f"{file.parent.name}/{file.name}" for file in folder.glob("*/*") if file.suffix.lower() in EXTENSIONS
    }
    if not found:
        raise FileNotFoundError(f"No image ({', '.join(EXTENSIONS)}) in the folders of cities in {folder}.")
    return found


def _unmatched(found: Mapping[str, set[str]], everything: set[str], needed: int) -> str:
    lines = [f"The tiles of the sensors do not match; {needed} sensors must have a file of the same name."]
    for key, names in found.items():
        missing = sorted(everything - names)
        examples = f", for example {', '.join(missing[:3])}" if missing else ""
        lines.append(f"  {FOLDERS[key]}: {len(names)} tiles, {len(missing)} missing{examples}")
    return "\n".join([*lines, "Complete the download, or say `min_sensors` to use what fewer sensors have."])
