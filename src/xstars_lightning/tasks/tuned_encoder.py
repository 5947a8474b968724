"""An encoder to be fine-tuned."""

from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn

from xstars_lightning.models import BandRule, CrossSensorEncoder, LoadReport, initialize, read_weights
from xstars_lightning.sensors import Sensor

__all__ = ["build_encoder"]


def build_encoder(
    weights: str | None,
    name: str,
    sensor: Sensor,
    backbone: str,
    band_rule: BandRule = "match",
    drop_path_rate: float = 0.0,
) -> tuple[CrossSensorEncoder, LoadReport | None]:
    """Build an encoder of one sensor, from weights.

    Where the weights know the sensor, by name and bands, it keeps their statistics.

    Args:
        weights: As :func:`~xstars_lightning.models.pretrained.read_weights` takes them; None for a random
            initialisation, which is said.
        name: Name of the sensor.
        sensor: The sensor.
        backbone: Name of a timm vision transformer; that of the weights.
        band_rule: As :func:`~xstars_lightning.models.initialize.initialize` has it.
        drop_path_rate: Stochastic depth, in [0, 1).

    Returns:
        The encoder, and what it took from the weights.

    Raises:
        FileNotFoundError: If there are no such weights.
        ValueError: If they do not fit.
    """
    if weights is None:
        rank_zero_warn("No weights given: training starts from a RANDOM INITIALISATION.")
        return CrossSensorEncoder({name: sensor}, backbone, drop_path_rate), None
    pretrained = read_weights(weights)
    known = pretrained.sensors.get(name)
    if known is not None and known.bands == sensor.bands:
        sensor = known
    encoder = CrossSensorEncoder({name: sensor}, backbone, drop_path_rate)
    report = initialize(encoder, pretrained, band_rule)
    rank_zero_info(str(report))
    return encoder, report
