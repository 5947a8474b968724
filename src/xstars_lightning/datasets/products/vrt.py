"""Bands in files of their own -> one raster, described to GDAL in XML and never written [0].

References:
    [0] https://gdal.org/en/stable/drivers/raster/vrt.html
"""

from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

import rasterio
from affine import Affine

__all__ = ["BandFile", "band_file", "describe"]

TYPES = {"uint8": "Byte", "uint16": "UInt16", "int16": "Int16", "float32": "Float32"}  # GDAL's names


@dataclass(frozen=True)
class BandFile:
    """A file of one band.

    Args:
        path: The file.
        crs: Its CRS as WKT.
        transform: Pixel to coordinates; north up.
        width: Columns.
        height: Rows.
        type: GDAL's name of the data type.
        offset: Added to every value.
    """

    path: str
    crs: str
    transform: Affine
    width: int
    height: int
    type: str
    offset: float = 0.0


def band_file(path: str, offset: float = 0.0) -> BandFile:
    """Look at a file of one band.

    Raises:
        RasterioIOError: If it cannot be opened.
    """
    with rasterio.open(path) as file:
        size, kind = (file.width, file.height), TYPES[file.dtypes[0]]
        return BandFile(path, file.crs.to_wkt(), file.transform, *size, kind, offset)


def describe(
    bands: Sequence[BandFile], grid: BandFile, kind: str | None = None, nodata: int | None = None
) -> str:
    """Describe bands on the grid of one of them.

    Args:
        bands: The bands in order; those with coarser pixels are interpolated bilinearly, without the
            missing ones, if they have values and not classes.
        grid: Whose pixels to take.
        kind: GDAL's name of the type, wide enough for the values with their offsets; None: classes of
            the bands' own type, taken from the nearest pixel.
        nodata: What the 0 of missing pixels becomes.

    Returns:
        XML, which GDAL and rasterio open by itself, without a file.
    """
    rows = "\n".join(
        f'<VRTRasterBand dataType="{kind or band.type}" band="{number}">'
        + (f"<NoDataValue>{nodata}</NoDataValue>" if nodata is not None else "")
        + (_classes(band, grid) if kind is None else _values(band, grid))
        + "</VRTRasterBand>"
        for number, band in enumerate(bands, 1)
    )
    return _dataset(grid, rows)


def _dataset(grid: BandFile, bands: str) -> str:
    a, b, c, d, e, f = grid.transform[:6]
    return (
        f'<VRTDataset rasterXSize="{grid.width}" rasterYSize="{grid.height}"><SRS>{escape(grid.crs)}</SRS>'
        f"<GeoTransform>{c!r}, {a!r}, {b!r}, {f!r}, {d!r}, {e!r}</GeoTransform>{bands}</VRTDataset>"
    )


def _classes(band: BandFile, grid: BandFile) -> str:
    return f"<SimpleSource>{_source(band, band.path, grid)}</SimpleSource>"


def _values(band: BandFile, grid: BandFile) -> str:
    # A nested description that declares 0 missing: interpolation then leaves missing pixels out.
    inner = _dataset(
        band,
        f'<VRTRasterBand dataType="{band.type}" band="1"><NoDataValue>0</NoDataValue>'
        f"<SimpleSource>{_source(band, band.path, band)}</SimpleSource></VRTRasterBand>",
    )
    offset = f"<ScaleOffset>{band.offset!r}</ScaleOffset><ScaleRatio>1</ScaleRatio>"
    return (
        f'<ComplexSource resampling="bilinear">{_source(band, inner, grid)}'
        f"<NODATA>0</NODATA>{offset if band.offset else ''}</ComplexSource>"
    )


def _source(band: BandFile, name: str, grid: BandFile) -> str:
    """Where the band's pixels lie on the grid."""
    x, y = ~grid.transform @ (band.transform.c, band.transform.f)
    width = band.width * band.transform.a / grid.transform.a
    height = band.height * band.transform.e / grid.transform.e
    return (
        f'<SourceFilename relativeToVRT="0" shared="0">{escape(name)}</SourceFilename>'
        f"<SourceBand>1</SourceBand><SourceProperties RasterXSize="
        f'"{band.width}" RasterYSize="{band.height}" DataType="{band.type}"/>'
        f'<SrcRect xOff="0" yOff="0" xSize="{band.width}" ySize="{band.height}"/>'
        f'<DstRect xOff="{x!r}" yOff="{y!r}" xSize="{width!r}" ySize="{height!r}"/>'
    )
