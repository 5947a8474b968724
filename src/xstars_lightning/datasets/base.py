"""What our geographic datasets share beyond TorchGeo's."""

import numpy as np
import torch
from geopandas import GeoDataFrame
from torch import Tensor
from torchgeo.datasets import GeoDataset
from torchgeo.datasets.utils import GeoSlice

__all__ = ["ExactGeoDataset", "Place", "Sample"]

Sample = dict[str, Tensor]
Place = tuple[slice, slice, slice]


class ExactGeoDataset(GeoDataset):
    """A GeoDataset whose bounds are cached and whose sample geometry is float64."""

    _bounds: Place
    _times: tuple[float, float, float]
    _bounded: GeoDataFrame | None = None

    @property
    def bounds(self) -> Place:
        """Extent of the index in x, y and time, with the resolution as step."""
        if self._bounded is not self.index:  # TorchGeo computes it anew, from all rows, at each read
            self._bounds = super().bounds
            self._times = _seconds(self._bounds[2])
            self._bounded = self.index
        return self._bounds

    def _slice_to_tensor(self, index: GeoSlice) -> Tensor:
        """The slices as (9,) float64; TorchGeo's float32 is half a metre coarse at 5000 km north."""
        return self._place_to_tensor(self._disambiguate_slice(index))

    def _place_to_tensor(self, place: Place) -> Tensor:
        """As :meth:`_slice_to_tensor`, of slices that lack nothing."""
        x, y, t = place
        times = self._times if t is self._bounds[2] else _seconds(t)
        return torch.from_numpy(np.array([x.start, x.stop, x.step, y.start, y.stop, y.step, *times], float))


def _seconds(t: slice) -> tuple[float, float, float]:
    return t.start.timestamp(), t.stop.timestamp(), float(t.step)
