"""Patches around the Chesapeake Bay in which two sensors and land cover lie on one grid."""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torchgeo.datasets import NonGeoDataset

__all__ = ["ChesapeakeCover"]

# Channels of the arrays. Landsat 8 surface reflectance times 10,000, repeated from 30 m to 1 m.
_OLI = ("coastal", "blue", "green", "red", "nir08", "swir16", "swir22")
_CHANNELS = {
    "naip": dict(zip(("red", "green", "blue", "nir"), range(4), strict=True)),
    "landsat_leaf_on": dict(zip(_OLI, range(10, 17), strict=True)),
    "landsat_leaf_off": dict(zip(_OLI, range(19, 26), strict=True)),
}
_LAND_COVER = 8


class ChesapeakeCover(NonGeoDataset):
    """npz files of the Chesapeake land cover dataset [0]: NAIP (1 m), Landsat 8 (30 m), six classes.

    Every file holds one array (1, 29, H, W). The order of its channels is documented nowhere; it was
    inferred from the values.

    Args:
        root: Folder that holds a folder of npz files per split.
        split: Name of that folder, ``train`` or ``val``.
        sensor: ``naip``, ``landsat_leaf_on`` or ``landsat_leaf_off``.
        bands: Their names, in the order that is wanted; all of the sensor where they are left out.

    Raises:
        FileNotFoundError: If there is no file.
        ValueError: If the sensor or a band is unknown.

    Attributes:
        files: The files, sorted.

    References:
        [0] https://lila.science/datasets/chesapeakelandcover
    """

    #: Value in the masks -> class.
    classes: ClassVar = {
        1: "water",
        2: "tree canopy and forest",
        3: "low vegetation and field",
        4: "barren land",
        5: "impervious (other)",
        6: "impervious (road)",
    }

    def __init__(
        self,
        root: str | Path = "data/chesapeake_patches",
        split: str = "train",
        sensor: str = "naip",
        bands: Sequence[str] | None = None,
    ) -> None:
        if sensor not in _CHANNELS:
            raise ValueError(f"Unknown sensor {sensor!r}; there are {', '.join(_CHANNELS)}.")
        known = _CHANNELS[sensor]
        if unknown := [band for band in bands or () if band not in known]:
            raise ValueError(f"{sensor} has no band {', '.join(unknown)}; it has {', '.join(known)}.")
        self.root = Path(root)
        self.files = sorted((self.root / split).glob("*.npz"))
        if not self.files:
            raise FileNotFoundError(f"No npz file in {self.root / split}; give the folder above as root.")
        self._channels = [known[band] for band in bands or known]

    def __len__(self) -> int:
        """Number of patches."""
        return len(self.files)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        """``image`` float32 (C, H, W) in digital numbers and ``mask`` long (H, W) in 1 to 6, 0 unlabelled."""
        with np.load(self.files[index]) as file:
            array = torch.from_numpy(file[file.files[0]][0])
        return {"image": array[self._channels].float(), "mask": array[_LAND_COVER].long()}
