"""What must be known of scenes to write their embeddings; datamodules give it."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
from affine import Affine
from numpy.typing import NDArray

__all__ = ["EmbeddedScene", "EmbeddedScenes", "SceneTiling"]


class SceneTiling(Protocol):
    """How scenes are cut into windows; in pixels of the scene."""

    @property
    def window(self) -> int:
        """Side of a window."""

    @property
    def overlap(self) -> int:
        """Pixels that neighbouring windows share."""

    @property
    def patch_size(self) -> int:
        """Side of a patch."""


class EmbeddedScene(Protocol):
    """What must be known of a scene to write its embeddings."""

    @property
    def name(self) -> str:
        """Of the files, relative, without extension."""

    @property
    def path(self) -> str:
        """The raster."""

    @property
    def time(self) -> np.datetime64:
        """Begin of the acquisition, UTC; NaT where unknown."""

    @property
    def stamp(self) -> tuple[int, int]:
        """Size and time of last change of the raster."""

    @property
    def crs(self) -> Any:
        """Of ``patch_transform``; has ``to_wkt``."""

    @property
    def patch_transform(self) -> Affine:
        """Patch (column, row) to coordinates."""

    @property
    def patch_shape(self) -> tuple[int, int]:
        """Rows and columns of patches."""

    def __len__(self) -> int:
        """Number of windows."""

    def corner(self, number: int) -> tuple[int, int]:
        """Row and column of the pixel at which a window begins."""

    def footprints(self, rows: Sequence[int], cols: Sequence[int]) -> NDArray[np.object_]:
        """Polygons in OGC:CRS84 of the windows that begin at some pixels."""


class EmbeddedScenes(Protocol):
    """What the writer needs of a datamodule; ``SceneDataModule`` has it.

    Attributes:
        scenes: The scenes, by the numbers that batches name.
        tiling: How they are cut.
        finished: Asked before a scene is read, and set by the writer: whether its files are there.
    """

    scenes: Sequence[EmbeddedScene]
    tiling: SceneTiling
    finished: Callable[[EmbeddedScene], bool]
