"""L8 Biome, every scene on the grid of its own file."""

from pathlib import Path

import rasterio
from pyproj import CRS
from torchgeo.datasets import IntersectionDataset, L8Biome
from torchgeo.datasets.l8biome import L8BiomeImage, L8BiomeMask

__all__ = ["L8BiomeScenes"]


class L8BiomeScenes(L8Biome):
    """TorchGeo's L8 Biome [0], whose scenes can be opened one by one, each in its own UTM zone.

    TorchGeo reads all of them in EPSG:3857 at one resolution, in which 30 m are 30 m on the ground at the
    equator and 15 m at 60 degrees of latitude. Arguments and errors are those of TorchGeo's class.

    References:
        [0] https://landsat.usgs.gov/landsat-8-cloud-cover-assessment-validation-data
    """

    def scene(self, image: Path) -> IntersectionDataset:
        """One scene and its mask, in the CRS and at the resolution of the file.

        Args:
            image: The file of the scene.

        Raises:
            OSError: If it cannot be opened.
        """
        with rasterio.open(image) as file:
            crs, res = CRS.from_wkt(file.crs.to_wkt()), file.res
        mask = image.with_name(f"{image.stem}_fixedmask{image.suffix}")
        cache = self.image.cache
        return IntersectionDataset(
            L8BiomeImage(image, crs, res, self.image.bands, cache=cache),
            L8BiomeMask(mask, crs, res, cache=cache),
        )
