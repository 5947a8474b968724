"""Embeddings of whole scenes -> files, scene by scene."""

import logging
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import repeat
from pathlib import Path
from typing import Any, cast, get_args

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import BasePredictionWriter
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor

from xstars_lightning.callbacks.dense_embedding import Precision
from xstars_lightning.callbacks.embedded_scenes import EmbeddedScene, EmbeddedScenes, SceneTiling
from xstars_lightning.callbacks.embedding_pictures import draw_embeddings
from xstars_lightning.callbacks.scene_files import SceneFiles, are_finished

__all__ = ["EmbeddingWriter"]

logger = logging.getLogger(__name__)


class EmbeddingWriter(BasePredictionWriter):
    """Writes what :class:`~xstars_lightning.tasks.Embed` makes of the scenes of a ``SceneDataModule``.

    For each scene, ``<name>.parquet`` with the embeddings of its windows (see :class:`WindowTable`),
    ``<name>.tif`` with those of its patches on the scene's own grid (see :class:`DenseEmbedding`), and
    ``<name>.png``, these in colours that all scenes share.

    A run that was stopped goes on where the same command is given again: scenes whose files are there
    are left out, after a check that the files were made with the same settings. With several processes
    each writes scenes of its own, and pictures are drawn when one process runs the command once more.
    No prediction is kept in memory, whatever ``return_predictions`` says. Of a scene without a valid pixel
    there is ``<name>.empty`` alone, so that it is not read again. Nothing is written of a scene of which a
    window is ``broken``, as the datamodule's batches may say; they are named at the end.

    Args:
        output_dir: Folder for the files; by default the trainer's ``default_root_dir``.
        windows: Whether to write embeddings of windows.
        dense: Whether to write embeddings of patches.
        pictures: Whether to draw these.
        precision: ``float32``, or ``float16``, half as large.

    Raises:
        ValueError: If nothing is to be written, or the precision is unknown; in use, if a file in
            ``output_dir`` was made with other settings, or the network's patches are of another size
            than the datamodule says.
    """

    def __init__(
        self,
        output_dir: str | None = None,
        windows: bool = True,
        dense: bool = True,
        pictures: bool = True,
        precision: Precision = "float32",
    ) -> None:
        super().__init__("batch")
        if not (windows or dense):
            raise ValueError("Neither windows nor patches are to be written; set windows or dense.")
        if precision not in get_args(Precision):
            raise ValueError(f"precision must be one of {get_args(Precision)}, got {precision!r}.")
        self.output_dir = output_dir
        self.suffixes = [".parquet"] * windows + [".tif"] * dense
        self.pictures = pictures and dense
        self.precision = precision
        self._folder = Path()
        self._files: SceneFiles | None = None
        self._written = 0
        self._broken: dict[str, None] = {}

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Tell the datamodule how to know which scenes are finished; ValueError if it has no scenes."""
        super().setup(trainer, pl_module, stage)
        if stage != "predict":
            return
        scenes = _scenes(trainer)
        self._folder = Path(self.output_dir or trainer.default_root_dir)
        # The weights, on which the settings depend, are there only after the module's own setup.
        scenes.finished = partial(self._finished, scenes.tiling, pl_module)
        trainer.predict_loop.return_predictions = False
        self._files, self._written, self._broken = None, 0, {}

    def write_on_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        prediction: Mapping[str, Tensor],
        batch_indices: Sequence[int] | None,
        batch: Mapping[str, Tensor],
        batch_idx: int,
        dataloader_idx: int,
    ) -> None:
        """Write the windows of a batch, which may end one scene and begin another."""
        scenes = _scenes(trainer)
        values = {key: value.float().cpu().numpy() for key, value in prediction.items() if key != "seen"}
        if values:
            _check_patches(values["patches"].shape[1:3], scenes.tiling)
        seen = iter(range(len(batch["scene"])))
        places = zip(*(batch[key].tolist() for key in ("scene", "row", "col")), strict=True)
        broken = batch["broken"].tolist() if "broken" in batch else repeat(False, len(batch["scene"]))
        for (number, row, col), shown, lost in zip(places, prediction["seen"].tolist(), broken, strict=True):
            scene = scenes.scenes[number]
            if self._files is None:
                settings = self._settings(scenes.tiling, pl_module, scene)
                self._files = SceneFiles(self._paths(scene), scene, scenes.tiling, settings, self.precision)
            if lost:
                self._broken[scene.path] = None
            if shown:
                index = next(seen)
                self._files.add(row, col, *(values[key][index] for key in ("window", "patches", "share")))
            if (row, col) == scene.corner(len(scene) - 1):
                self._finish(self._files)

    def _finish(self, files: SceneFiles) -> None:
        if files.scene.path in self._broken:
            files.abandon()
        else:
            if not files.begun:
                logger.warning("%s has no valid pixel: no embedding is written of it.", files.scene.path)
            self._written += files.begun
            files.finish()
        self._files = None

    def _abandon(self) -> None:
        if self._files is not None:
            self._files.abandon()
            self._files = None

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Remove half-written files."""
        self._abandon()

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Remove what a limit on batches left unfinished, and draw."""
        if stage != "predict":
            return
        self._abandon()
        scenes = [self._paths(scene) for scene in _scenes(trainer).scenes]
        there = [paths for paths in scenes if all(path.exists() for path in paths)]
        rank_zero_info(f"{self._written} scenes embedded, {len(there)} of {len(scenes)} in {self._folder}.")
        if self._broken:  # by every process of its own
            lost = ", ".join(self._broken)
            logger.warning("%d scenes cannot be read and were left out: %s", len(self._broken), lost)
        if self.pictures and trainer.world_size > 1:
            rank_zero_info("Pictures are drawn by one process: give the command once more with 1 device.")
        elif self.pictures:
            self._draw([paths[-1] for paths in there])

    def _draw(self, dense: Sequence[Path]) -> None:
        """Draw all, because their palette depends on all, unless nothing is new."""
        if dense and (self._written or not all(path.with_suffix(".png").exists() for path in dense)):
            draw_embeddings(dense)

    def _paths(self, scene: EmbeddedScene) -> list[Path]:
        return [self._folder / f"{scene.name}{suffix}" for suffix in self.suffixes]

    def _finished(self, tiling: SceneTiling, module: LightningModule, scene: EmbeddedScene) -> bool:
        return are_finished(self._paths(scene), self._settings(tiling, module, scene))

    def _settings(self, tiling: SceneTiling, module: LightningModule, scene: EmbeddedScene) -> dict[str, Any]:
        """All that the files of a scene depend on."""
        cut = {key: getattr(tiling, key) for key in ("window", "overlap", "patch_size")}
        raster = {"scene": scene.name, "size_and_time": scene.stamp}
        return {**cast(Any, module).settings, **cut, "precision": self.precision, **raster}


def _scenes(trainer: Trainer) -> EmbeddedScenes:
    datamodule = getattr(trainer, "datamodule", None)
    if not all(hasattr(datamodule, name) for name in ("scenes", "tiling", "finished")):
        raise ValueError(
            f"EmbeddingWriter writes scenes, and {type(datamodule).__name__} has none; use SceneDataModule: "
            "trainer.predict(task, datamodule=SceneDataModule(...))."
        )
    return cast(EmbeddedScenes, datamodule)


def _check_patches(grid: Sequence[int], tiling: SceneTiling) -> None:
    side = tiling.window // tiling.patch_size
    if tuple(grid) != (side, side):
        right = f"{tiling.window / grid[0]:g}"
        raise ValueError(
            f"The network gives {grid[0]} x {grid[1]} patches for a window of {tiling.window} pixels: its "
            f"patches are of {right} pixels, not {tiling.patch_size} as the datamodule says. Set patch_size "
            f"to {right} there (--data.patch_size), and window and overlap to multiples of it."
        )
