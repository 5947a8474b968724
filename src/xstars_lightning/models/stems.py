"""Patch embeddings: the bands that published ones take, and fitting them to other bands.

A patch embedding is linear, so what it does is the sum of what it does to each band: its filters
can be handed from band to band.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from timm.layers import resample_patch_embed
from torch import Tensor

from xstars_lightning.sensors import CATALOGUE

__all__ = ["BandRule", "Stem", "choose_stem", "fit_stem", "name_bands"]

#: Patch embedding: weight (D, C, p, p) and bias (D).
Stem = tuple[Tensor, Tensor]

#: How a patch embedding for other bands is made, see :func:`fit_stem`; "new" is left to chance.
BandRule = Literal["match", "mean", "repeat", "new"]

_RGB = ("red", "green", "blue")
_SENTINEL2 = (*(f"B{number}" for number in range(1, 9)), "B8A", *(f"B{number}" for number in range(9, 13)))
_TM = {"B1": "blue", "B2": "green", "B3": "red", "B4": "nir08", "B5": "swir16", "B7": "swir22"}
_OLI = dict(zip((f"B{number}" for number in range(1, 8)), CATALOGUE["landsat_sr"].bands, strict=True))
_MISSIONS = {
    "SENTINEL2": dict(zip(_SENTINEL2, CATALOGUE["sentinel2_l1c"].bands, strict=True)),
    "LANDSAT_TM": _TM,
    "LANDSAT_ETM": _TM,
    "LANDSAT_OLI": _OLI | {"B9": "cirrus"},
}


def name_bands(count: int, numbers: Sequence[str] = (), mission: str = "") -> tuple[str, ...]:
    """Common names of the bands that a published patch embedding takes.

    Args:
        count: How many bands it takes, C.
        numbers: The mission's own names, such as ``B4``, ``B04`` or ``SR_B4``, if they are known.
        mission: What begins with the mission, such as ``SENTINEL2_ALL_DINO``.

    Returns:
        C names: those that the catalogue of sensors uses, ``red``, ``green``, ``blue`` for three
        bands of which nothing is known, and ``band_1``, ``band_2``, ... for the rest.
    """
    table = next((names for start, names in _MISSIONS.items() if mission.startswith(start)), {})
    plain = [re.sub(r"^(SR_)?B0?", "B", number.upper()) for number in numbers]
    if len(plain) != count or not table.keys() & {*plain}:
        return _RGB if count == 3 else tuple(f"band_{i}" for i in range(1, count + 1))
    return tuple(table.get(number, f"band_{i}") for i, number in enumerate(plain, start=1))


def fit_stem(
    stem: Stem,
    known: Sequence[str],
    bands: Sequence[str],
    patch_size: int,
    rule: BandRule,
) -> Stem:
    """Make a patch embedding for other bands, or another patch size, of one that is trained.

    All filters are multiplied by C / C', the ratio of the numbers of bands: bands of a scene are
    much alike, so the response, which is a sum over bands, would else grow with their number. To
    make that response exactly the same for an image that is constant over bands, every filter would
    need a factor of its own, a quotient of sums that may be close to 0; the ratio of counts is exact
    for "mean" and close for the others. Patches are resampled by pseudo-inverse [0], so that a
    resampled image gets the same tokens.

    Args:
        stem: Weight (D, C, p, p) and bias (D).
        known: The C bands that the weight takes.
        bands: The C' bands that are wanted.
        patch_size: Side p' of the patches that are wanted, in pixels.
        rule: "match" gives known bands their own filters and others the mean of all, "mean" gives
            every band the mean, "repeat" takes the filters in turn, whatever the bands are called.
            It does not matter if the bands are the known ones.

    Returns:
        Weight (D, C', p', p') and the bias as it is.

    References:
        [0] FlexiViT, 2023, https://arxiv.org/abs/2212.08013
    """
    weight, bias = stem
    if tuple(known) != tuple(bands):
        filters, mean = weight.float().unbind(1), weight.float().mean(1)
        if rule == "match":
            chosen = [filters[known.index(band)] if band in known else mean for band in bands]
        elif rule == "mean":
            chosen = [mean] * len(bands)
        else:
            chosen = [filters[i % len(known)] for i in range(len(bands))]
        weight = torch.stack(chosen, dim=1) * (len(known) / len(bands))
    return resample_patch_embed(weight, [patch_size, patch_size]), bias


def choose_stem(
    stems: Mapping[tuple[str, ...], Stem], bands: tuple[str, ...], patch_size: int, rule: BandRule
) -> tuple[Stem | None, str]:
    """Make a patch embedding of the one that shares most bands with it.

    Args:
        stems: Patch embeddings that are trained, by their bands; at least one, unless the rule is "new".
        bands: The bands that are wanted; if they are among ``stems``, the rule does not matter.
        patch_size: Side of the patches that are wanted, in pixels.
        rule: As for :func:`fit_stem`, or "new" for none.

    Returns:
        The patch embedding, or None for "new", and how it came about, for a report.
    """
    if bands not in stems and rule == "new":
        return None, "new"
    # Of those that share as many bands, the one that has the fewest others.
    known = max(stems, key=lambda key: (key == bands, len({*key} & {*bands}), -len(key)))
    stem = fit_stem(stems[known], known, bands, patch_size, rule)
    how = "copied" if known == bands else f"{rule} of {', '.join(known)}"
    if rule == "match" and not {*known} & {*bands}:
        how += " (no band in common)"
    if (size := stems[known][0].shape[-1]) != patch_size:
        how += f", resampled from {size} to {patch_size} pixels"
    return stem, how
