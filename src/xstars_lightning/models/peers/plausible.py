"""Whether the images of a sensor, once standardised, are what a network was trained on."""

from collections.abc import Sequence
from statistics import median

from lightning.pytorch.utilities import rank_zero_warn

from xstars_lightning.models.peers.extractor import pick_bands
from xstars_lightning.sensors import Sensor

__all__ = ["check_standardized", "warn_of_reflectance"]

# Networks know means about 0 and deviations about 1; weights that are only divided by 10,000 see
# deviations of 0.1, and single bands, such as cirrus, almost none.
_LARGEST_MEAN = 5.0
_DEVIATIONS = (0.05, 10.0)


def check_standardized(
    name: str, sensor: Sensor, bands: Sequence[str], mean: Sequence[float], std: Sequence[float]
) -> None:
    """Refuse statistics that make of the sensor's own ones what no network was trained on.

    Args:
        name: Of the weights, for the message.
        sensor: Its ``mean`` and ``std`` describe the images, values in about [0, 1].
        bands: Those that the weights take.
        mean: Subtracted from values in [0, 1], per band of ``bands``.
        std: Divisors, likewise.

    Raises:
        ValueError: If the standardised mean of a band is beyond 5, or the median of the standardised
            deviations outside 0.05 to 10, or if the images lack a band.
    """
    picked = pick_bands(name, sensor, bands)
    means = [(sensor.mean[i] - m) / s for i, m, s in zip(picked, mean, std, strict=True)]
    stds = [sensor.std[i] / s for i, s in zip(picked, std, strict=True)]
    if max(map(abs, means)) <= _LARGEST_MEAN and _DEVIATIONS[0] <= median(stds) <= _DEVIATIONS[1]:
        return
    raise ValueError(
        f"{name} would see the images of {sensor.name!r} with means {_shown(means)} and deviations "
        f"{_shown(stds)} (of {', '.join(bands)}), where networks know about 0 and 1. If value_range "
        f"{sensor.value_range}, mean {_shown(sensor.mean)} and std {_shown(sensor.std)} of the sensor do not "
        "describe the images, correct them; if they do, choose other weights."
    )


def warn_of_reflectance(name: str, sensor: Sensor) -> None:
    """Warn if the images are reflectance, as far as the value range tells; the weights know 8-bit pictures.

    Args:
        name: Of the weights.
        sensor: Of the images. Ranges of 10,000 and more, and of 1, are taken for reflectance up to 1.
    """
    extent = sensor.value_range[1] - sensor.value_range[0]
    if extent >= 10000 or extent == 1:
        rank_zero_warn(
            f"{name} was trained on 8-bit pictures, the images of {sensor.name!r} (value_range "
            f"{sensor.value_range}) seem to be reflectance: in pictures of Sentinel-2, 255 is a reflectance "
            "of 0.36, so that these images are about 3 times too dark. Give it 8-bit pictures, or the sensor "
            "a value_range that ends where pictures are white, with mean and std to match."
        )


def _shown(values: Sequence[float]) -> str:
    return "(" + ", ".join(f"{value:.3g}" for value in values) + ")"
