"""Rasters of one sensor, read window by window on their own pixel grid."""

import copy
import os
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pandas as pd
import torch
from geopandas import GeoDataFrame
from matplotlib.figure import Figure
from pyproj import CRS
from torchgeo.datasets import RasterDataset
from torchgeo.datasets.utils import GeoSlice

from xstars_lightning.datasets.base import ExactGeoDataset, Place, Sample
from xstars_lightning.datasets.grid import snapped_grid
from xstars_lightning.datasets.listing import PathLike, list_rasters
from xstars_lightning.datasets.lookup import FileLookup
from xstars_lightning.datasets.mosaic import mosaic, scaled
from xstars_lightning.datasets.plots import plot_images
from xstars_lightning.datasets.raster_file import RasterFile, metres_per_unit
from xstars_lightning.datasets.warping import pixel_size_in, warp_outlines
from xstars_lightning.sensors import Sensor

__all__ = ["NativeRasterDataset"]


class NativeRasterDataset(ExactGeoDataset, RasterDataset):
    """Rasters of one sensor, at their native resolution.

    A window is moved by at most half a pixel to lie on the pixels of the file that covers most of
    it, and read without resampling. Only files whose pixels do not coincide with those, or which
    are in another CRS, are warped (bilinear, once). Where files overlap, the one that covers more
    of the window wins, and others fill its invalid pixels. The index, as in TorchGeo, has one row
    per file; its geometry is the outline of the *valid* pixels.

    Args:
        paths: Folder(s), glob(s), file(s) or product(s), see :func:`find_rasters`; or an index of them
            (``*.parquet``, made by ``xstars index``), which opens none.
        sensor: Bands, value range and nodata of last resort. Its resolution is nominal: the files'
            own counts.
        crs: Coordinate reference system of windows and index; that of the first file by default.
        transforms: Called with each sample.

    Raises:
        FileNotFoundError: If a path does not exist or holds no raster.
        OSError: If a file cannot be read.
        ValueError: If a file has no CRS, other bands than the sensor, no valid pixel, or pixels of
            another size than the other files.
    """

    def __init__(
        self,
        paths: PathLike | Iterable[PathLike],
        sensor: Sensor,
        crs: CRS | None = None,
        transforms: Callable[[Sample], Sample] | None = None,
    ) -> None:
        # The constructor of RasterDataset is not called: it skips unreadable files in silence.
        self.paths = paths if isinstance(paths, str | os.PathLike) else list(paths)
        self.sensor = sensor
        self.bands = self.all_bands = sensor.bands
        self.transforms = transforms
        self._rasters = list_rasters(self.paths, sensor)
        self._build_index(crs or self._rasters[0].crs)

    def _build_index(self, crs: CRS) -> None:
        own = [file.crs for file in self._rasters]
        # The files' own object where it is equal: reading then compares CRSs by identity.
        self._crs = crs = next((known for known in dict.fromkeys(own) if known == crs), crs)
        outlines = warp_outlines([file.footprint for file in self._rasters], own, crs)
        times = [self._filepath_to_timestamp(path) for path in self.files]
        index = pd.IntervalIndex.from_tuples(times, closed="both", name="datetime")
        self.index = GeoDataFrame({"filepath": self.files}, index=index, geometry=outlines, crs=crs)
        self._res = pixel_size_in(crs, self._rasters[0], self.sensor)
        self._files_at = FileLookup(self._rasters, index, crs, margin=max(self._res))

    @property
    def files(self) -> list[str]:
        """Paths of all files, in the order of the index."""
        return [file.path for file in self._rasters]

    @property
    def resolution(self) -> float:
        """Ground size of a pixel in metres: the files' own, if their CRS is projected."""
        first = self._rasters[0]
        if first.crs.is_geographic:
            return self.sensor.resolution
        return max(first.pixel_size) * metres_per_unit(first.crs)

    @property
    def grid_origin(self) -> tuple[float, float] | None:
        """A corner of the first file's pixels in the dataset's CRS; None if its pixels lie askew."""
        first = self._rasters[0]
        return (first.transform.c, first.transform.f) if self._upright(first) else None

    def to_crs(self, crs: CRS) -> "NativeRasterDataset":
        """The same rasters, indexed and read in another CRS; this dataset stays as it is."""
        if crs == self.crs:
            return self
        other = copy.copy(self)
        other._build_index(crs)
        return other

    @property
    def crs(self) -> CRS:
        """Coordinate reference system of windows and index."""
        return self._crs

    @crs.setter
    def crs(self, new_crs: CRS) -> None:
        if new_crs != self.crs:
            self._build_index(new_crs)

    @property
    def res(self) -> tuple[float, float]:
        """Pixel width and height in units of the CRS."""
        return self._res

    @res.setter
    def res(self, new_res: float | tuple[float, float]) -> None:
        pair = (new_res, new_res) if isinstance(new_res, int | float) else tuple(new_res)
        if pair != self._res and not np.allclose(pair, self._res, rtol=1e-6, atol=0):
            raise ValueError(
                f"Sensor {self.sensor.name!r} is read in pixels of {self._res} ({self.crs.name}), not "
                f"{pair}: NativeRasterDataset never resamples. Join sensors by CrossSensorDataset, not `&`."
            )

    def __getitem__(self, index: GeoSlice) -> Sample:
        """Read a window.

        Args:
            index: ``[xmin:xmax, ymin:ymax, tmin:tmax]`` in the dataset's CRS; parts may be missing.

        Returns:
            ``image`` (C, H, W) float32, scaled so that the sensor's value range becomes [0, 1], not
            clipped, 0 where invalid; ``valid`` (1, H, W) bool; ``bounds`` (9,) float64 as asked for;
            ``transform`` (9,) float64 of the pixels returned.

        Raises:
            IndexError: If no file touches the window.
            OSError: If a block cannot be read.
            ValueError: If a valid pixel is NaN, or another resolution is asked for.
        """
        return self.read(index)

    def read(self, index: GeoSlice, raw: bool = False) -> Sample:
        """Read a window, as indexing does.

        Args:
            index: As for indexing.
            raw: Whether to return, instead of ``image``, ``raw`` (C, H, W): the values in the files' own
                type (see :func:`mosaic`), not scaled, arbitrary where invalid.
        """
        place = x, y, t = self._disambiguate_slice(index)
        files = self._files_at(x, y, None if t is self.bounds[2] else t)
        if not files:
            raise IndexError(f"No file of {self.sensor.name!r} at x {x}, y {y}; they lie in {self.bounds}.")
        return self._read(place, files, raw)

    def touches(self, index: GeoSlice) -> bool:
        """Whether a file touches a window, so that it can be read by indexing."""
        return bool(self._files_at(*self._disambiguate_slice(index)))

    def empty(self, index: GeoSlice, raw: bool = False) -> Sample:
        """A window as :meth:`read` returns it, of the same shape, but valid nowhere; no file is read."""
        return self._read(self._disambiguate_slice(index), [], raw)

    def _read(self, place: Place, files: list[RasterFile], raw: bool) -> Sample:
        x, y, _ = place
        self.res = (x.step, y.step)
        # Where no file is, the pixels lie as those of the files elsewhere.
        anchor = next((file for file in files or self._rasters if self._upright(file)), None)
        grid = snapped_grid((x.start, x.stop), (y.start, y.stop), self.crs, self.res, anchor)
        values, valid = mosaic(grid, files, self.sensor)
        pixels = values if raw else scaled(values, valid, self.sensor)
        sample = {
            "raw" if raw else "image": torch.from_numpy(pixels),
            "valid": torch.from_numpy(valid[None]),
            "bounds": self._place_to_tensor(place),
            "transform": torch.from_numpy(np.array(tuple(grid.transform), dtype=np.float64)),
        }
        return self.transforms(sample) if self.transforms is not None else sample

    def _upright(self, file: RasterFile) -> bool:
        return file.crs is self._crs and file.north_up

    def plot(self, sample: Sample, **kwargs: Any) -> Figure:
        """Show a sample in the sensor's RGB bands, each stretched from its 2nd to its 98th percentile.

        Args:
            sample: As returned by indexing.
            **kwargs: ``suptitle``, the figure's title.
        """
        title = f"{self.sensor.name}, {self.resolution:g} m"
        rgb = sample["image"][list(self.sensor.rgb_indices)]
        return plot_images([[(title, rgb, sample.get("valid"))]], **kwargs)
