"""Whether the files of a folder have their bands in one order, and it is the sensor's."""

from dataclasses import dataclass, field

from rasterio.enums import ColorInterp

from xstars_lightning.datasets.handles import open_raster
from xstars_lightning.sensors import Sensor

__all__ = ["BandOrder", "BandOrders", "band_order"]

Names = tuple[str, ...]

_SILENT = (ColorInterp.undefined, ColorInterp.gray)  # what GDAL says where it knows nothing


@dataclass(frozen=True)
class BandOrder:
    """What a file says of its bands.

    Args:
        path: The file.
        descriptions: Description per band, in lower case; empty where there is none.
        colours: Colour that a band is said to be shown in; empty where there is none.
    """

    path: str
    descriptions: Names
    colours: Names


def band_order(path: str, sensor: Sensor) -> BandOrder:
    """Read what a file says of its bands, without alpha."""
    source, count = open_raster(path, sensor).source, len(sensor.bands)
    descriptions = tuple((text or "").strip().lower() for text in source.descriptions[:count])
    colours = tuple("" if one in _SILENT else one.name for one in source.colorinterp[:count])
    return BandOrder(path, descriptions, colours)


@dataclass
class BandOrders:
    """Compares the band orders of files with the sensor's and with each other's, as they come.

    Two orders disagree if a name stands at different places in them. Colours count where a file has no
    descriptions, and only where the sensor has a band of each: near infrared shown in red is no mistake.

    Args:
        sensor: The bands as they should be.
    """

    sensor: Sensor
    _seen: dict[str, BandOrder] = field(default_factory=dict, init=False)  # where a name occurred first

    def check(self, order: BandOrder) -> None:
        """Compare one more file.

        Raises:
            ValueError: If its bands are in another order than the sensor's, or than those of a file before.
        """
        mine = self._names(order)
        if _disagree(mine, self.sensor.bands):
            raise ValueError(
                f"{order.path} has its bands in the order {_listed(mine)}, but sensor {self.sensor.name!r} "
                f"has {_listed(self.sensor.bands)}. Choose the sensor that matches the file, or correct what "
                "it says of its bands with `rio edit-info --colorinterp` or `gdal_edit.py -colorinterp_N`."
            )
        for name in filter(None, mine):
            first = self._seen.get(name, order)
            if _disagree(mine, other := self._names(first)):
                raise ValueError(
                    f"{first.path} has its bands in the order {_listed(other)}, but {order.path} in the "
                    f"order {_listed(mine)}. The files of one sensor must agree: give those of each order "
                    "as a sensor of their own, or correct the descriptions that are wrong."
                )
        # Only now: nothing is compared with a file that is left out.
        self._seen = dict.fromkeys(filter(None, mine), order) | self._seen

    def _names(self, order: BandOrder) -> Names:
        if any(order.descriptions):
            return order.descriptions
        return order.colours if set(order.colours) <= {*self.sensor.bands, ""} else ()


def _disagree(one: Names, other: Names) -> bool:
    return any(name and name in other and other.index(name) != place for place, name in enumerate(one))


def _listed(names: Names) -> str:
    return ", ".join(name or "?" for name in names)
