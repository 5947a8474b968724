"""What the parcels look like on a day of the year."""

import numpy as np
from numpy.typing import NDArray

from xstars_lightning.datasets.simulation.canvas import Use
from xstars_lightning.datasets.simulation.grids import FloatArray
from xstars_lightning.datasets.simulation.materials import Material, spectra

__all__ = ["parcel_reflectance"]

# Day of the year -> shares of green, flowering and dry plants; the rest is soil.
_CALENDAR: dict[Use, tuple[tuple[float, float, float, float], ...]] = {
    Use.WHEAT: (
        *((60, 0.35, 0, 0), (130, 0.95, 0, 0), (160, 0.85, 0, 0.1), (182, 0.05, 0, 0.9)),
        *((198, 0, 0, 0.95), (202, 0, 0, 0.6), (245, 0.1, 0, 0.35), (262, 0, 0, 0.05), (300, 0.15, 0, 0)),
    ),
    Use.RAPESEED: (
        *((60, 0.6, 0, 0), (95, 0.75, 0.2, 0), (112, 0.25, 0.75, 0), (132, 0.9, 0, 0), (170, 0.5, 0, 0.4)),
        *((188, 0, 0, 0.85), (195, 0, 0, 0.5), (225, 0.2, 0, 0.2), (260, 0.6, 0, 0)),
    ),
    Use.MAIZE: (
        *((60, 0, 0, 0.12), (115, 0, 0, 0.02), (140, 0.08, 0, 0), (185, 0.9, 0, 0), (235, 0.92, 0, 0)),
        *((262, 0.4, 0, 0.5), (285, 0, 0, 0.55)),
    ),
    Use.SUNFLOWER: (
        *((60, 0.02, 0, 0.1), (110, 0, 0, 0), (140, 0.12, 0, 0), (185, 0.85, 0, 0), (200, 0.6, 0.3, 0)),
        *((235, 0.3, 0, 0.5), (265, 0, 0, 0.4)),
    ),
    Use.VINEYARD: ((60, 0.05, 0, 0.1), (120, 0.15, 0, 0.1), (180, 0.5, 0, 0.05), (290, 0.3, 0, 0.15)),
    Use.MEADOW: ((60, 0.6, 0, 0.3), (130, 0.95, 0, 0), (210, 0.6, 0, 0.3), (280, 0.7, 0, 0.2)),
    Use.BARE: ((1, 0.02, 0, 0.02), (365, 0.02, 0, 0.02)),
    Use.BROADLEAF: ((60, 0.8, 0, 0.1), (365, 0.8, 0, 0.1)),
    Use.CONIFER: ((60, 0.8, 0, 0.1), (365, 0.8, 0, 0.1)),
}


def _states(
    uses: NDArray[np.int64], day: float, fixed: np.random.Generator, dated: np.random.Generator
) -> FloatArray:
    """Shares of green, flower and dry plants per parcel, (P, 3)."""
    # Farmers sow on different days, and the same parcel is early or late for every sensor.
    local = day + fixed.normal(0, 9, len(uses))
    states = np.zeros((len(uses), 3), dtype=np.float32)
    for use, table in _CALENDAR.items():
        days, *shares = np.array(table).T
        for column, share in enumerate(shares):
            states[uses == use, column] = np.interp(local[uses == use], days, share)
    mown = (uses == Use.MEADOW) & (dated.random(len(uses)) < 0.3)
    states[mown] = (0.45, 0, 0.45)
    ploughed = (states.sum(axis=1) < 0.8) & (uses <= Use.SUNFLOWER) & (dated.random(len(uses)) < 0.3)
    states[ploughed] = 0
    return states


def parcel_reflectance(
    uses: NDArray[np.int64],
    bands: tuple[str, ...],
    day: float,
    fixed: np.random.Generator,
    dated: np.random.Generator,
) -> FloatArray:
    """Reflectance of the parcels.

    Args:
        uses: `Use` of each parcel, (P,).
        bands: Common names of B bands.
        day: Day of the year.
        fixed: Chance of the ground: soils and sowing days, the same for every sensor.
        dated: Chance of the date: mowing and ploughing.

    Returns:
        Reflectance (P, B).
    """
    table, states = spectra(bands), _states(uses, day, fixed, dated)
    pale = fixed.beta(1.2, 3.5) * 0.7 + fixed.beta(0.8, 4.0, len(uses)) * 0.45
    moist = dated.uniform(0.72, 1.12, len(uses))
    soil = (1 - pale[:, None]) * table[Material.SOIL] + pale[:, None] * table[Material.PALE_SOIL]
    soil = soil * np.where(states.sum(axis=1) < 0.05, 0.9 * moist, moist)[:, None]
    green = np.where((uses == Use.MEADOW)[:, None], table[Material.GRASS], table[Material.CROP])
    plants = np.stack(
        [green, *np.broadcast_to(table[[Material.FLOWER, Material.STRAW], None], (2, *green.shape))]
    )
    cover = states.T[:, :, None]
    mixed = (cover * plants).sum(axis=0) + (1 - cover.sum(axis=0)) * soil
    return (mixed * fixed.normal(1, 0.06, len(uses)).clip(0.8, 1.2)[:, None]).astype(np.float32)
