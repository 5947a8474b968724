"""What our geographic datasets share beyond TorchGeo's."""

import torch
from geopandas import GeoDataFrame
from torch import Tensor
from torchgeo.datasets import GeoDataset
from torchgeo.datasets.utils import GeoSlice

__all__ = ["ExactGeoDataset", "Sample"]

Sample = dict[str, Tensor]


class ExactGeoDataset(GeoDataset):
    """A GeoDataset whose bounds are cached and whose sample geometry is float64."""

    _bounds: tuple[slice, slice, slice]
    _bounded: GeoDataFrame | None = None

    @property
    def bounds(self) -> tuple[slice, slice, slice]:
        """Extent of the index in x, y and time, with the resolution as step."""
        if self._bounded is not self.index:  # TorchGeo computes it anew, from all rows, at each read
            self._bounds = super().bounds
            self._bounded = self.index
        return self._bounds

    def _slice_to_tensor(self, index: GeoSlice) -> Tensor:
        """The slices as (9,) float64; TorchGeo's float32 is half a metre coarse at 5000 km north."""
        x, y, t = self._disambiguate_slice(index)
        times = (t.start.timestamp(), t.stop.timestamp(), t.step)
        values = (x.start, x.stop, x.step, y.start, y.stop, y.step, *times)
        return torch.tensor([float(value) for value in values], dtype=torch.float64)
