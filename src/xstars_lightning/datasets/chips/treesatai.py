"""TreeSatAI: aerial images, Sentinel-2 and Sentinel-1 over forests of Lower Saxony."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
from torchgeo.datasets import TreeSatAI as TorchGeoTreeSatAI

from xstars_lightning.datasets.chips.arrays import chosen_bands, with_validity
from xstars_lightning.datasets.chips.base import ChipDataset, Pixels
from xstars_lightning.sensors import Sensor

__all__ = ["TREESATAI_SENSORS", "TreeSatAI"]

_S2 = ("blue", "green", "red", "nir", "rededge071", "rededge075", "rededge078", "nir08", "swir16", "swir22")
# Key -> folder, bands of its files.
_FOLDERS = {
    "aerial": ("aerial", ("nir", "green", "blue", "red")),
    "sentinel2": ("s2", (*_S2, "coastal", "nir09")),
    "sentinel1": ("s1", ("vv", "vh", "ratio")),
}
# Statistics of the authors' baseline configuration, as TorchGeo has them.
TREESATAI_SENSORS: dict[str, Any] = {
    "aerial": Sensor(
        name="treesatai_aerial",
        bands=("nir", "green", "blue", "red"),
        resolution=0.2,
        value_range=(0, 255),
        mean=(0.5932, 0.3652, 0.3335, 0.3178),
        std=(0.1910, 0.1317, 0.1098, 0.1321),
    ).to_dict(),
    "sentinel2": Sensor(
        name="treesatai_sentinel2",
        bands=_FOLDERS["sentinel2"][1],
        resolution=10,
        value_range=(0, 10000),
        mean=(0.0231, 0.0377, 0.0241, 0.2810, 0.0617, 0.2104, 0.2695, 0.2970, 0.1306, 0.0587, 0.0249, 0.2950),
        std=(0.0123, 0.0140, 0.0141, 0.0786, 0.0203, 0.0531, 0.0710, 0.0777, 0.0424, 0.0247, 0.0123, 0.0703),
    ).to_dict(),
}
BLOCK = 2000  # metres; forest stands that see each other are in one group


class TreeSatAI(ChipDataset):
    """Squares of 60 m: aerial (0.2 m, 304 x 304 pixels), Sentinel-2 and Sentinel-1 (10 m, 6 x 6) [0].

    The files are read by TorchGeo's class, without the labels. The aerial images show 0.4 m more on
    each side, which is cut off: 300 x 300 pixels remain. Squares of the official test set, on which the
    classification of trees is evaluated, are left out; a group is the ground of a block of 2 km.

    Args:
        root: Folder that holds ``aerial``, ``s2``, ``geojson``, ``labels`` and the lists of files.
        sensors: Sensors for ``aerial``, ``sentinel2`` and ``sentinel1`` (bands ``vv``, ``vh`` and
            ``ratio``, which is VV/VH), whose bands are some of those of the files.
        window: Side of a crop in metres, a multiple of 10; None: all of the 60 m.
        download: Download the files that are missing.

    Raises:
        DatasetNotFoundError: If a folder of images is missing.
        FileNotFoundError: If the places of the squares are missing.
        ValueError: If arguments do not fit.

    References:
        [0] https://doi.org/10.5194/essd-15-681-2023
    """

    keys = tuple(_FOLDERS)
    slack = 0.1

    def __init__(
        self,
        root: str | Path,
        sensors: Mapping[str, Any] = TREESATAI_SENSORS,
        window: float | None = None,
        download: bool = False,
    ) -> None:
        super().__init__(sensors, window)
        self._bands = {key: chosen_bands(s, _FOLDERS[key][1]) for key, s in self.sensors.items()}
        folders: list[Any] = [_FOLDERS[key][0] for key in self.sensors]
        self._files = TorchGeoTreeSatAI(str(root), "train", folders, download=download)
        self.names = list(self._files.files)
        self.groups = _blocks(Path(root) / "geojson" / "bb_60m.GeoJSON", self.names)

    def read(self, index: int, rng: np.random.Generator | None) -> dict[str, Pixels]:
        """Read a square."""
        found, name = self._files[index], self.names[index]
        return {
            key: with_validity(
                found[f"image_{_FOLDERS[key][0]}"][self._bands[key]].numpy(), sensor, f"{key} of {name}"
            )
            for key, sensor in self.sensors.items()
        }


def _blocks(path: Path, names: list[str]) -> list[str]:
    """Block of ground of each file."""
    if not path.is_file():
        raise FileNotFoundError(
            f"No {path}, which says where the squares lie; without it neighbours would be trained and "
            "validated on. Unpack geojson.zip of https://zenodo.org/records/6780578 in the root."
        )
    boxes = gpd.read_file(path).set_index("IMG_ID").geometry
    if np.abs(boxes.total_bounds).max() <= 360:
        boxes = boxes.to_crs("EPSG:25832")
    if missing := [name for name in names if Path(name).stem not in boxes.index]:
        raise ValueError(f"{path} says nothing of {len(missing)} files, for example {missing[0]}.")
    places = boxes[[Path(name).stem for name in names]].bounds
    return [f"{x}_{y}" for x, y in (places[["minx", "miny"]].to_numpy() // BLOCK).astype(int).tolist()]
