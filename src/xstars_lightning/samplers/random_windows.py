"""Windows at random, for training."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import shapely
import torch.distributed as dist
from shapely.geometry.base import BaseGeometry
from torch.utils.data import Sampler

from xstars_lightning.samplers.ground import Boxes, Ground, Snap, Window, to_slices

__all__ = ["RandomWindowSampler"]

PROPOSALS = 2048  # per round; a constant, so that longer epochs begin with the windows of shorter ones
ROUNDS = 50  # without a single window before giving up


class RandomWindowSampler(Sampler[Window]):
    """Square windows, uniform over the valid ground, the same whatever the number of processes.

    The windows of an epoch form one stream, drawn from ``(seed, epoch)`` alone; process r of W
    takes the windows r, r + W, r + 2W, ... Lightning must not wrap it
    (``use_distributed_sampler=False``) and calls :meth:`set_epoch` by itself.

    Args:
        area: Valid ground, e.g. ``CrossSensorDataset.area``.
        size: Side of a window in units of the CRS.
        length: Windows per epoch, over all processes; each takes the same number, without the rest.
        snap: Grid of the windows' upper-left corners, e.g. ``CrossSensorDataset.snap``.
        region: Windows lie wholly within it; None: anywhere.
        min_valid: Least share of valid ground in a window, in (0, 1].
        seed: Of the stream.
        rank: Of this process; from ``torch.distributed`` by default.
        world_size: Number of processes; from ``torch.distributed`` by default.

    Raises:
        ValueError: If no window fits on the ground.
    """

    def __init__(
        self,
        area: BaseGeometry,
        size: float,
        length: int,
        snap: Snap,
        region: BaseGeometry | None = None,
        min_valid: float = 0.95,
        seed: int = 0,
        rank: int | None = None,
        world_size: int | None = None,
    ) -> None:
        self.ground = Ground(area, size, snap, region, min_valid)
        self.length, self.seed = length, seed
        self._rank, self._world_size = rank, world_size
        if len(self) < 1:
            raise ValueError(f"length {length} leaves no window for each of {self.world_size} processes.")
        self.epoch, self.start = 0, 0
        bounds = shapely.bounds(self.ground.pieces)
        self._corners, self._spans = bounds[:, :2], bounds[:, 2:] - bounds[:, :2]
        self._shares = np.cumsum(self._spans.prod(axis=1))
        self.draw(0, 1)

    @property
    def rank(self) -> int:
        """Number of this process."""
        return (dist.get_rank() if _distributed() else 0) if self._rank is None else self._rank

    @property
    def world_size(self) -> int:
        """Number of processes."""
        return (
            (dist.get_world_size() if _distributed() else 1) if self._world_size is None else self._world_size
        )

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch to draw; a new one begins at its first window."""
        if epoch != self.epoch:
            self.epoch, self.start = epoch, 0

    def state_dict(self) -> dict[str, int]:
        """Epoch, and the position in its stream over all processes at which iteration begins."""
        return {"epoch": self.epoch, "start": self.start}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resume at a position; the rest of the epoch follows, later epochs are complete."""
        self.epoch, self.start = int(state["epoch"]), int(state["start"])

    def __len__(self) -> int:
        """Windows of this process in a complete epoch."""
        return self.length // self.world_size

    def __iter__(self) -> Iterator[Window]:
        """Yield ``(slice(xmin, xmax), slice(ymin, ymax))`` for the rest of the epoch."""
        windows = self.draw(self.epoch, len(self) * self.world_size)[self.start :]
        return to_slices(windows[self.rank :: self.world_size])

    def since(self, position: int) -> Iterator[Window]:
        """Yield as many windows as an epoch has, from anywhere in the stream of all epochs.

        Args:
            position: Windows consumed before, in all epochs and processes together.
        """
        count = len(self) * self.world_size
        epoch, start = divmod(position, self.length)
        windows = self.draw(epoch, min(start + count, self.length))[start:]
        if len(windows) < count:
            windows = np.concatenate([windows, self.draw(epoch + 1, count - len(windows))])
        return to_slices(windows[self.rank :: self.world_size])

    def draw(self, epoch: int, count: int) -> Boxes:
        """The first windows (count, 4) of an epoch, over all processes, as xmin, ymin, xmax, ymax."""
        rng = np.random.default_rng(np.random.SeedSequence([self.seed, epoch]))
        rounds: list[Boxes] = []
        found = 0
        while found < count:
            rounds.append(self._propose(rng))
            found += len(rounds[-1])
            if not found and len(rounds) == ROUNDS:
                raise self.ground.no_room()
        return np.concatenate(rounds)[:count]

    def _propose(self, rng: np.random.Generator) -> Boxes:
        """Windows centred anywhere in the boxes around the pieces; those kept are uniform."""
        places = rng.random((3, PROPOSALS))
        piece = np.searchsorted(self._shares, places[0] * self._shares[-1], side="right")
        x, y = (self._corners[piece] + places[1:].T * self._spans[piece]).T
        half = self.ground.size / 2
        here = shapely.contains_xy(self.ground.pieces[piece], x, y)
        windows = self.ground.snapped(x[here] - half, y[here] + half)
        return windows[self.ground.accepts(windows)]


def _distributed() -> bool:
    return dist.is_available() and dist.is_initialized()
