"""`xstars leakage`: does pretraining see the ground of the evaluation?"""

from io import BytesIO
from pathlib import Path

from geopandas import GeoDataFrame
from rich.console import Console
from rich.table import Table

from xstars_lightning.datasets.archive.drafts import drafted
from xstars_lightning.datasets.leakage import Leakage, find_leakage
from xstars_lightning.datasets.scene_outlines import read_outlines

__all__ = ["leakage"]

DRIVERS = {".gpkg": "GPKG", ".geojson": "GeoJSON", ".parquet": None}
SHOWN = 20  # pairs


def leakage(
    pretraining: list[str], downstream: list[str], out: str | None = None, fail: bool = False
) -> None:
    """Compare the ground of pretraining with that of a downstream dataset.

    Prints how much of the downstream scenes lies on ground that pretraining sees, and which.

    Args:
        pretraining: Indexes or catalogues (.parquet), vector files, and folders, globs or files of
            rasters.
        downstream: The same kinds.
        out: File for the shared ground, a row per pair of scenes: .gpkg, .geojson or .parquet.
        fail: End with exit status 1 if anything is shared.

    Raises:
        FileNotFoundError: If a path does not exist or holds no raster.
        SystemExit: With status 1, if `fail` and something is shared.
        ValueError: If a file says not where it lies, or `out` has another ending.
    """
    if out is not None and Path(out).suffix.lower() not in DRIVERS:
        raise ValueError(f"out={out!r} must end in one of {', '.join(DRIVERS)}.")
    found = find_leakage(read_outlines(pretraining), read_outlines(downstream))
    console = Console()
    _tell(console, found)
    if out is not None:
        _write(found.pairs, out)
        console.print(f"Written: {out}", soft_wrap=True, highlight=False)
    if fail and found.overlapping:
        raise SystemExit(1)


def _tell(console: Console, found: Leakage) -> None:
    console.print(
        f"Pretraining: {found.pretraining_km2:,.2f} km². Downstream: {found.scenes:,} scenes, "
        f"{found.km2:,.2f} km².",
        soft_wrap=True,
        highlight=False,
    )
    if not found.overlapping:
        console.print("No downstream scene shares ground with pretraining.", style="green")
        return
    console.print(
        f"{found.overlapping:,} of {found.scenes:,} downstream scenes share ground with pretraining: "
        f"{found.shared_km2:,.2f} km², {found.shared_km2 / found.km2:.2%} of their area.",
        style="bold red",
        soft_wrap=True,
        highlight=False,
    )
    console.print(_table(found.pairs))


def _table(pairs: GeoDataFrame) -> Table:
    rest = len(pairs) - SHOWN
    table = Table(caption=f"and {rest:,} more pairs (--out writes all)" if rest > 0 else None)
    table.add_column("downstream", overflow="fold")
    table.add_column("pretraining", overflow="fold")
    table.add_column("shared km²", justify="right", no_wrap=True)
    for row in pairs.head(SHOWN).itertuples():
        table.add_row(row.downstream, row.pretraining, f"{row.km2:.4g}")
    return table


def _write(pairs: GeoDataFrame, out: str) -> None:
    driver = DRIVERS[Path(out).suffix.lower()]
    buffer = BytesIO()
    if driver is None:
        pairs.to_parquet(buffer)
    else:
        pairs.to_file(buffer, driver=driver)
    with drafted(out) as file:
        file.write(buffer.getvalue())
