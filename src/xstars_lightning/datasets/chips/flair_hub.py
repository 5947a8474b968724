"""FLAIR-HUB: aerial images, SPOT and Sentinel-2 over France."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torchgeo.datasets import FLAIRHUB, FLAIRHUBBase, FLAIRHUBToy

from xstars_lightning.datasets.chips.arrays import chosen_bands, with_validity
from xstars_lightning.datasets.chips.base import ChipDataset, Pixels
from xstars_lightning.sensors import Sensor, get_sensor

__all__ = ["FLAIR_HUB_SENSORS", "FLAIRHubPairs"]

_RGBN = ("red", "green", "blue", "nir")
_L2A = get_sensor("sentinel2_l2a")
_S2 = tuple(band for band in _L2A.bands if band not in ("coastal", "nir09"))
_S2_IN_L2A = [_L2A.bands.index(band) for band in _S2]
# Key -> modality of TorchGeo, its key in samples, bands of its files.
_MODALITIES = {
    "aerial": ("AERIAL_RGBI", "image_aerial_rgbi", _RGBN),
    "spot": ("SPOT_RGBI", "image_spot_rgbi", _RGBN),
    "sentinel2": ("SENTINEL2_TS", "image_sentinel2", _S2),
}
_CLOUDS = "SENTINEL2_MSK-SC"
# Aerial and SPOT: the data paper (arXiv 2506.07080). Sentinel-2: the catalogue's.
FLAIR_HUB_SENSORS: dict[str, Any] = {
    "aerial": Sensor(
        name="flair_aerial",
        bands=_RGBN,
        resolution=0.2,
        value_range=(0, 255),
        mean=(0.4144, 0.4367, 0.4007, 0.4180),
        std=(0.2048, 0.1789, 0.1737, 0.1560),
    ).to_dict(),
    "spot": Sensor(
        name="flair_spot",
        bands=_RGBN,
        resolution=1.6,
        value_range=(0, 10000),
        mean=(0.0433, 0.0509, 0.0468, 0.1137),
        std=(0.0313, 0.0285, 0.0226, 0.0543),
    ).to_dict(),
    "sentinel2": Sensor(
        name="flair_sentinel2",
        bands=_S2,
        resolution=10.24,
        value_range=(0, 10000),
        mean=tuple(_L2A.mean[i] for i in _S2_IN_L2A),
        std=tuple(_L2A.std[i] for i in _S2_IN_L2A),
        nodata=0,
    ).to_dict(),
}


class FLAIRHubPairs(ChipDataset):
    """Patches of 102.4 m: aerial (0.2 m), SPOT (1.6 m) and one date of Sentinel-2 (10.24 m) [0].

    SPOT's 1.5 m and Sentinel-2's 10 m are resampled so that a patch has 512, 64 and 10 pixels. The files
    are read by TorchGeo's class. It finds patches by their land cover masks (AERIAL_LABEL-COSIA) and
    the table of splits (GLOBAL_ALL_MTD), so these must be there too. Of the official split, ``train``
    trains, ``valid`` validates, and ``test`` is left alone. TorchGeo gives no dates, so Sentinel-2's is
    chosen by its masks of clouds and snow (SENTINEL2_MSK-SC).

    Args:
        root: Folder that holds ``D004-2021_AERIAL_RGBI`` and the like; any of the domains will do. Of
            the toy dataset: the folder that holds ``FLAIR-HUB_TOY``.
        sensors: Sensors for ``aerial``, ``spot`` and ``sentinel2``, whose bands are some of the files'.
        window: Side of a crop in metres, a multiple of 51.2, or 1.6 without Sentinel-2; None: whole patches.
        revisit: Which date of Sentinel-2: the one least under clouds and snow (``clearest``), or any at
            ``random``; the middle of a chip, as in validation, has the clearest one always.
        split_column: Official split; None: the first, or that of the toy dataset.
        toy: Whether it is the toy dataset.

    Raises:
        DatasetNotFoundError: If files are missing.
        ValueError: If arguments do not fit.

    References:
        [0] https://arxiv.org/abs/2506.07080
    """

    keys = tuple(_MODALITIES)

    def __init__(
        self,
        root: str | Path,
        sensors: Mapping[str, Any] = FLAIR_HUB_SENSORS,
        window: float | None = None,
        revisit: Literal["clearest", "random"] = "clearest",
        split_column: str | None = None,
        toy: bool = False,
    ) -> None:
        super().__init__(sensors, window)
        self.revisit = revisit
        self._bands = {key: chosen_bands(s, _MODALITIES[key][2]) for key, s in self.sensors.items()}
        modalities = [_MODALITIES[key][0] for key in self.sensors]
        if "sentinel2" in self.sensors:
            modalities.append(_CLOUDS)
        there = {} if toy else _complete_domains(Path(root), ("AERIAL_LABEL-COSIA", *modalities))
        # As it is, TorchGeo's class wants all the 750 GB.
        kind: Any = FLAIRHUBToy if toy else type("FLAIRHUB", (FLAIRHUB,), {"domain_years": there})
        column = split_column or ("split_toy" if toy else "split_1")
        parts: list[FLAIRHUBBase] = [
            kind(str(root), split, column, bands=modalities) for split in ("train", "val")
        ]
        domains = {f"{domain}-{year}" for domain, years in there.items() for year in years}
        # TorchGeo lists files as the disk does, which is another order on another machine.
        patches = sorted(
            (str(file["patch_id"]), part, number)
            for part in (0, 1)
            for number, file in enumerate(parts[part].files)
            if toy or str(file["patch_id"]).split("_")[0] in domains
        )
        self._parts, self._patches = parts, patches
        self.names = [name for name, _, _ in patches]
        self.groups = [name.split("_")[0] for name in self.names]
        self.held_out = np.array([part == 1 for _, part, _ in patches], dtype=bool)

    def read(self, index: int, rng: np.random.Generator | None) -> dict[str, Pixels]:
        """Read a patch: aerial, SPOT, and one date of Sentinel-2."""
        name, part, number = self._patches[index]
        found = self._parts[part][number]
        pixels = {}
        for key, sensor in self.sensors.items():
            image = found[_MODALITIES[key][1]]
            if key == "sentinel2":
                chooser = rng if self.revisit == "random" else None
                image = image[_revisit(name, image, found["mask_sentinel2_snowcloud"], chooser)]
            pixels[key] = with_validity(image[self._bands[key]].numpy(), sensor, f"{key} of {name}")
        return pixels


def _complete_domains(root: Path, kinds: Sequence[str]) -> dict[str, list[str]]:
    """Years of each domain of which all kinds of files are there."""

    def complete(name: str) -> bool:
        return all((root / f"{name}_{kind}").is_dir() for kind in kinds)

    known = FLAIRHUB.domain_years.items()
    found = {domain: [year for year in years if complete(f"{domain}-{year}")] for domain, years in known}
    if not any(found.values()):
        raise FileNotFoundError(
            f"No domain in {root} has all of {', '.join(kinds)}, such as D004-2021_{kinds[0]}. Unpack the "
            "archives of one or more domains of https://huggingface.co/datasets/IGNF/FLAIR-HUB there."
        )
    return found


def _revisit(name: str, series: Tensor, clouds: Tensor, rng: np.random.Generator | None) -> int:
    """Date of an image that shows something, at random or the clearest one."""
    if len(series) != len(clouds):
        raise ValueError(f"{name}: {len(series)} dates of Sentinel-2, but {len(clouds)} of its cloud masks.")
    cover = clouds.float().mean(dim=(1, 2, 3))
    seen = (series != 0).flatten(1).any(dim=1)
    if rng is not None and seen.any():
        return int(rng.choice(torch.nonzero(seen)[:, 0].numpy()))
    return int(torch.where(seen, cover, torch.inf).argmin())
