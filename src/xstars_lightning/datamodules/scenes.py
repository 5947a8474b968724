"""Whole scenes of one sensor -> batches of overlapping windows, to be embedded."""

import logging
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchgeo.datamodules import BaseDataModule

from xstars_lightning.datamodules.arguments import check_not_wrapped
from xstars_lightning.datasets.archive.geoparquet import read_index
from xstars_lightning.datasets.archive.scan import scan
from xstars_lightning.datasets.scene_names import root_of
from xstars_lightning.datasets.scenes import Scene, cut_scenes
from xstars_lightning.datasets.tiling import Tiling
from xstars_lightning.samplers.shares import share_out
from xstars_lightning.sensors import Sensor, resolve_sensors

__all__ = ["SceneDataModule", "SceneWindows"]

logger = logging.getLogger(__name__)

Batch = dict[str, Tensor]


class SceneWindows(Dataset[Batch]):
    """The windows of some scenes, scene by scene and row by row.

    A sample holds ``image`` (C, H, W) float32, in [0, 1] by the sensor's value range and filled from the
    nearest valid pixel where invalid, ``valid`` (1, H, W) bool, ``scene``, the number of the scene, and
    ``row`` and ``col``, the pixel at which the window begins, int64.

    Args:
        scenes: All scenes.
        numbers: Those to be read.
        sensor: Bands and value range.
        skip_broken: Give windows that cannot be read, and the further ones of their scene, as invalid ones,
            instead of an error. Samples hold ``broken`` then, bool, whether a window is such a one.
    """

    def __init__(
        self, scenes: Sequence[Scene], numbers: Sequence[int], sensor: Sensor, skip_broken: bool = False
    ) -> None:
        self.scenes, self.numbers, self.sensor, self.skip_broken = scenes, numbers, sensor, skip_broken
        self._broken: set[int] = set()
        self._ends = np.cumsum([len(scenes[number]) for number in numbers], dtype=np.int64)

    def __len__(self) -> int:
        """Number of windows."""
        return int(self._ends[-1]) if len(self._ends) else 0

    def __getitem__(self, index: int) -> Batch:
        """Read a window; errors as :meth:`Scene.read`."""
        place = int(np.searchsorted(self._ends, index, side="right"))
        number = self.numbers[place]
        scene = self.scenes[number]
        row, col = scene.corner(index - int(self._ends[place]) + len(scene))
        image, valid = self._read(number, row, col)
        about = {"scene": torch.tensor(number), "row": torch.tensor(row), "col": torch.tensor(col)}
        if self.skip_broken:
            about["broken"] = torch.tensor(number in self._broken)
        return {"image": torch.from_numpy(image), "valid": torch.from_numpy(valid[None]), **about}

    def _read(self, number: int, row: int, col: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        scene = self.scenes[number]
        if number not in self._broken:
            try:
                return scene.read(row, col, self.sensor)
            except (OSError, ValueError) as error:
                if not self.skip_broken:
                    raise
                logger.warning("%s is left out, as asked for. %s", scene.path, error)
                self._broken.add(number)
        shape = (scene.tiling.window, scene.tiling.window)
        return np.zeros((len(self.sensor.bands), *shape), np.float32), np.zeros(shape, bool)


class SceneDataModule(BaseDataModule):
    """Scenes of one sensor, each embedded as a whole: for ``trainer.predict``.

    Batches hold what :class:`SceneWindows` gives, stacked. Each process reads scenes of its own. Names of
    scenes, and of what is made of them, stay the same when scenes are added: below a folder, or what precedes
    the wildcards of a glob, they are the paths of the files without extension (with it where two differ in
    nothing else); of a list or an index, ``<file>-<hash>``, by the whole path.

    Args:
        paths: Folder, glob or file, or a list of them; or one index (``xstars index``).
        sensor: Sensor, or its name in the catalogue.
        key: Name under which the weights know the sensor; by default the sensor's own name. Weights that
            know the name bring the statistics that they were trained with.
        window: Side of a window in pixels, a multiple of the patch size.
        overlap: Pixels that neighbouring windows share, a multiple of the patch size; half a window by
            default. Embeddings are blended there; with 0, the borders of windows are seen.
        patch_size: Side of a patch in pixels of the scene: that of the network, unless the task resizes.
        batch_size: Windows per batch and process.
        num_workers: Processes that read, per process that embeds.
        skip_broken: Leave scenes out that cannot be opened or read, instead of an error; they are counted
            and named, and tried again when the command is given again.

    Raises:
        ValueError: If the numbers do not fit each other.

    Attributes:
        sensors: The sensor by its key.
        scenes: All scenes, after ``setup``.
        finished: Says of a scene that it needs not be read, because all that is made of it is there; set
            by who writes.
    """

    # More processes than scenes: some have nothing to do.
    allow_zero_length_dataloader_with_multiple_devices = True

    def __init__(
        self,
        paths: str | list[str],
        sensor: Sensor | str,
        key: str | None = None,
        window: int = 224,
        overlap: int | None = None,
        patch_size: int = 16,
        batch_size: int = 32,
        num_workers: int = 0,
        skip_broken: bool = False,
    ) -> None:
        half = window // 2 // max(patch_size, 1) * patch_size
        self.tiling = Tiling(window, half if overlap is None else overlap, patch_size)
        super().__init__(SceneWindows, batch_size, num_workers)
        resolved = resolve_sensors({"sensor": sensor})["sensor"]
        self.sensors = {key or resolved.name: resolved}
        self.paths, self.skip_broken = paths, skip_broken
        self.scenes: list[Scene] = []
        self.finished: Callable[[Scene], bool] = lambda scene: False

    @property
    def sensor(self) -> Sensor:
        """Bands and value range of the scenes."""
        (sensor,) = self.sensors.values()
        return sensor

    def setup(self, stage: str) -> None:
        """Find the scenes and look where they lie.

        Args:
            stage: ``predict``; others do nothing.

        Raises:
            FileNotFoundError: If a path does not exist or holds no raster.
            OSError: If a file cannot be read.
            ValueError: If a file does not fit the sensor.
        """
        if stage != "predict" or self.scenes:
            return
        one = self.paths if isinstance(self.paths, str) else None
        if one is not None and one.endswith(".parquet"):
            index = read_index(one)
        else:
            index = scan(self.paths, self.sensor, outlines=False, skip_broken=self.skip_broken)
        root = None if one is None else root_of(one)
        self.scenes = cut_scenes(index, self.sensor, self.tiling, root, self.skip_broken)
        self._warn_of_small()

    def _warn_of_small(self) -> None:
        side = self.tiling.window
        if small := [scene for scene in self.scenes if min(scene.file.height, scene.file.width) < side]:
            file = small[0].file
            rank_zero_warn(
                f"{len(small)} of {len(self.scenes)} scenes are smaller than a window of {side} x {side} "
                f"pixels, such as {file.path} ({file.width} x {file.height}). They are padded by their last "
                "pixels, which counts as invalid; with a smaller window the network sees less of that."
            )

    def predict_dataloader(self) -> DataLoader[Batch]:
        """Windows of this process's scenes, without those that are finished."""
        rank, world = 0, 1
        if self.trainer is not None:
            rank, world = self.trainer.global_rank, self.trainer.world_size
            if world > 1:
                check_not_wrapped(self.trainer)
        # Shared out before the finished ones are left out: processes that look at different moments agree.
        own = share_out([len(scene) for scene in self.scenes], world)[rank]
        left = [number for number in own if not self.finished(self.scenes[number])]
        if len(left) < len(own):
            rank_zero_info(f"{len(own) - len(left)} of {len(own)} scenes are finished already.")
        return DataLoader(
            SceneWindows(self.scenes, left, self.sensor, self.skip_broken),
            batch_size=self.batch_size,
            num_workers=self.num_workers,
            pin_memory=torch.cuda.is_available(),
        )

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Leave the batch as it is: the network standardises, not the datamodule as TorchGeo's do."""
        return batch
