"""Which of a STAC item's assets [0] is the raster to read.

References:
    [0] https://github.com/radiantearth/stac-spec/blob/master/commons/assets.md
"""

import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["choose_asset"]

CALLED = ("visual", "data", "image", "analytic")
BANDS = ("eo:bands", "bands", "raster:bands")  # fields with an entry per band
PICTURES = ("image/png", "image/jpeg")
OTHER_ROLES = ("thumbnail", "metadata")


def choose_asset(
    assets: pa.StructArray, source: str, asset: str | None = None, bands: int | None = None
) -> pa.Array:
    """Links to one asset of each scene.

    Without a name it is the only raster, or the only one with the role ``data``, the only one with as many
    bands as the sensor, or the only one called visual, data, image or analytic, in this order.

    Args:
        assets: STAC's assets, a field per asset.
        source: Name of the catalogue.
        asset: Name of the asset; None: the one that fits.
        bands: Number of bands of the sensor, if it is known.

    Raises:
        ValueError: If there is no such asset, or not one that fits.
    """
    linked = {field.name: assets.field(field.name) for field in assets.type if "href" in _names(field.type)}
    if asset is not None and asset not in linked:
        raise ValueError(f"{source} has no asset {asset!r}; it has {', '.join(linked) or 'none'}.")
    chosen = _fitting(linked, bands) if asset is None else asset
    if chosen is None:
        raise ValueError(
            f"{source} has the assets {', '.join(linked) or 'of no file'}: which file to read is not clear. "
            "Name it: `xstars index CATALOGUE.parquet --asset NAME --out INDEX.parquet`. Assets that hold a "
            "band each are not read as one raster: stack them into a file per scene, for example with "
            "`gdalbuildvrt -separate`, and add a column `path` with that file."
        )
    return linked[chosen].field("href")


def _fitting(linked: dict[str, pa.StructArray], bands: int | None) -> str | None:
    if len(linked) == 1:
        return next(iter(linked))
    rasters = [name for name, asset in linked.items() if _is_raster(asset)]
    counts = {name: _count(linked[name]) for name in rasters}
    # What is known to have other bands than the sensor is not it, whatever it is called.
    possible = [name for name in rasters if bands is None or counts[name] in (None, bands)]
    several = (
        [name for name in possible if len(rasters) == 1],
        [name for name in possible if "data" in _roles(linked[name])],
        [name for name in possible if bands is not None and counts[name] == bands],
        [name for name in possible if name.lower() in CALLED],
    )
    return next((names[0] for names in several if len(names) == 1), None)


def _is_raster(asset: pa.StructArray) -> bool:
    if _roles(asset).intersection(OTHER_ROLES):
        return False
    kinds = _values(asset, "type")
    return all(kind.startswith("image/") and not kind.startswith(PICTURES) for kind in kinds)


def _count(asset: pa.StructArray) -> int | None:
    """Bands that an asset is said to have; None where nothing is said, or not the same of all scenes."""
    for name in BANDS:
        if name in _names(asset.type) and _is_list(asset.type.field(name).type):
            lengths = pc.unique(pc.list_value_length(asset.field(name)).drop_null()).to_pylist()
            if lengths:
                return int(lengths[0]) if len(lengths) == 1 else None
    return None


def _is_list(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) or pa.types.is_large_list(kind)


def _roles(asset: pa.StructArray) -> set[str]:
    """Roles that an asset has in any scene."""
    if "roles" not in _names(asset.type) or pa.types.is_null(asset.type.field("roles").type):
        return set()
    return set(pc.unique(asset.field("roles").flatten().drop_null()).to_pylist())


def _values(asset: pa.StructArray, name: str) -> list[str]:
    return pc.unique(asset.field(name).drop_null()).to_pylist() if name in _names(asset.type) else []


def _names(kind: pa.DataType) -> list[str]:
    return [field.name for field in kind] if pa.types.is_struct(kind) else []
