"""The files of one scene: half written under other names, finished under their own."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import rasterio
from numpy.typing import NDArray
from pyarrow import ArrowInvalid
from rasterio.errors import RasterioIOError

from xstars_lightning.callbacks.dense_embedding import SETTINGS, DenseEmbedding, Precision
from xstars_lightning.callbacks.embedded_scenes import EmbeddedScene, SceneTiling
from xstars_lightning.callbacks.window_table import WindowTable

__all__ = ["SceneFiles", "are_finished"]

Float = NDArray[np.float32]


class SceneFiles:
    """Writes the embeddings of one scene to ``<name>.tif`` and ``<name>.parquet``.

    Until :meth:`finish`, they bear ``.part`` behind their names.

    Args:
        paths: Those to write, ending in ``.tif`` or ``.parquet``.
        scene: The scene.
        tiling: How it is cut.
        settings: Written into the files; plain values.
        precision: Of the embeddings.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        scene: EmbeddedScene,
        tiling: SceneTiling,
        settings: Mapping[str, Any],
        precision: Precision,
    ) -> None:
        self.paths, self.scene, self.tiling = paths, scene, tiling
        self._settings, self._precision = settings, precision
        self._dense: DenseEmbedding | None = None
        self._table: WindowTable | None = None

    @property
    def begun(self) -> bool:
        """Whether a window has been added."""
        return self._dense is not None or self._table is not None

    def add(self, row: int, col: int, window: Float, patches: Float, share: Float) -> None:
        """Add a window; windows come row by row from the top.

        Args:
            row: Pixel row at which it begins.
            col: Pixel column.
            window: Its embedding (F,).
            patches: Embeddings of its patches (h, w, D).
            share: How much of each patch is valid (h, w), in [0, 1].

        Raises:
            OSError: If the files cannot be written.
        """
        if not self.begun:
            self._begin(len(window), patches.shape[2])
        if self._table is not None:
            self._table.add(row, col, float(share.mean()), window)
        if self._dense is not None:
            patch = self.tiling.patch_size
            self._dense.add(row // patch, col // patch, patches, share)

    def _begin(self, width: int, dense_width: int) -> None:
        scene, common = self.scene, (self._settings, self._precision)
        for path in self.paths:
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.suffix == ".parquet":
                self._table = WindowTable(
                    _part(path), scene.path, scene.time, scene.footprints, width, *common
                )
            else:
                place = (scene.crs.to_wkt(), scene.patch_transform)
                side = self.tiling.window // self.tiling.patch_size
                self._dense = DenseEmbedding(
                    _part(path), scene.patch_shape, dense_width, side, *place, *common
                )

    def finish(self) -> None:
        """Write what is left, and give the files their names.

        Of a scene of which no window was added, ``<name>.empty`` says so, and with which settings.
        """
        if not self.begun:
            marker = _marker(self.paths)
            marker.parent.mkdir(parents=True, exist_ok=True)
            _part(marker).write_text(json.dumps(self._settings))
            os.replace(_part(marker), marker)
            return
        self._close(complete=True)
        for path in self.paths:
            os.replace(_part(path), path)
        _marker(self.paths).unlink(missing_ok=True)

    def abandon(self) -> None:
        """Remove what was written."""
        try:
            self._close(complete=False)
        finally:
            for path in self.paths:
                _part(path).unlink(missing_ok=True)

    def _close(self, complete: bool) -> None:
        for writer in (self._table, self._dense):
            if writer is not None:
                writer.close(complete)


def are_finished(paths: Sequence[Path], settings: Mapping[str, Any]) -> bool:
    """Whether all files are there, made with the same settings, or the scene is known to be empty.

    Raises:
        ValueError: If one is there, but was made with others or by something else.
    """
    wanted = json.loads(json.dumps(settings))
    for path in filter(Path.exists, paths):
        found = _settings_of(path)
        if found is None:
            raise ValueError(
                f"{path} is in the way: it was not written by EmbeddingWriter. Choose another output_dir."
            )
        if found != wanted:
            key = next(key for key in {**wanted, **found} if found.get(key) != wanted.get(key))
            raise ValueError(
                f"{path} was made with other settings: {key} was {found.get(key)}, is {wanted.get(key)}. "
                "Choose another output_dir, remove the file, or give the settings with which it was made."
            )
    marker = _marker(paths)
    empty = marker.exists() and json.loads(marker.read_text()) == wanted
    return empty or all(path.exists() for path in paths)


def _settings_of(path: Path) -> Any:
    """The settings in a file; None if it has none."""
    try:
        if path.suffix == ".parquet":
            text = (pq.read_schema(path).metadata or {}).get(SETTINGS.encode())
        else:
            with rasterio.open(path) as file:
                text = file.tags().get(SETTINGS)
    except (ArrowInvalid, RasterioIOError):
        return None
    return None if text is None else json.loads(text)


def _marker(paths: Sequence[Path]) -> Path:
    return paths[0].with_suffix(".empty")


def _part(path: Path) -> Path:
    return path.with_name(f"{path.name}.part")
