"""A stream of windows drawn at random, the same whatever the number of processes."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch.distributed as dist
from numpy.typing import NDArray
from torch.utils.data import Sampler

from xstars_lightning.samplers.strata import Balance, Strata

__all__ = ["PROPOSALS", "WindowStream"]

Windows = NDArray[np.float64]
PROPOSALS = 2048  # per round; a constant, so that longer epochs begin with the windows of shorter ones
ROUNDS = 50  # without a single window before giving up
PILOT = 20_000  # windows that tell how frequent each class is
PILOT_SEED = 2_718_281_828


class WindowStream[W](Sampler[W], ABC):
    """Windows in epochs, the same whatever the number of processes.

    The windows of an epoch form one stream, drawn from ``(seed, epoch)`` alone; process r of W
    takes the windows r, r + W, r + 2W, ... Lightning must not wrap it
    (``use_distributed_sampler=False``) and calls :meth:`set_epoch` by itself.

    Args:
        length: Windows per epoch, over all processes; each takes the same number, without the rest.
        seed: Of the stream.
        rank: Of this process; from ``torch.distributed`` by default.
        world_size: Number of processes; from ``torch.distributed`` by default.

    Raises:
        ValueError: If there are fewer windows than processes.
    """

    def __init__(
        self, length: int, seed: int = 0, rank: int | None = None, world_size: int | None = None
    ) -> None:
        self.length, self.seed = length, seed
        self._rank, self._world_size = rank, world_size
        if len(self) < 1:
            raise ValueError(f"length {length} leaves no window for each of {self.world_size} processes.")
        self.epoch, self.start = 0, 0
        self.balance: Balance | None = None

    @abstractmethod
    def propose(self, rng: np.random.Generator) -> Windows:
        """The windows (n, ...) among ``PROPOSALS`` at random places that may be used."""

    @abstractmethod
    def classes(self, windows: Windows, strata: Strata) -> NDArray[np.int64]:
        """Class (n,) of each window."""

    @abstractmethod
    def to_windows(self, windows: Windows) -> Iterator[W]:
        """Windows as the dataset takes them."""

    @abstractmethod
    def no_room(self) -> ValueError:
        """The error for data in which no window fits."""

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

    def __iter__(self) -> Iterator[W]:
        """Yield this process's windows for the rest of the epoch."""
        windows = self.draw(self.epoch, len(self) * self.world_size)[self.start :]
        return self.to_windows(windows[self.rank :: self.world_size])

    def since(self, position: int) -> Iterator[W]:
        """Yield as many windows as an epoch has, from anywhere in the stream of all epochs.

        Args:
            position: Windows consumed before, in all epochs and processes together.
        """
        count = len(self) * self.world_size
        epoch, start = divmod(position, self.length)
        windows = self.draw(epoch, min(start + count, self.length))[start:]
        if len(windows) < count:
            windows = np.concatenate([windows, self.draw(epoch + 1, count - len(windows))])
        return self.to_windows(windows[self.rank :: self.world_size])

    def draw(self, epoch: int, count: int) -> Windows:
        """The first windows (count, ...) of an epoch, over all processes, as plain numbers."""
        return self._draw(np.random.SeedSequence([self.seed, epoch]), count)

    def balance_over(self, strata: Strata) -> None:
        """Draw the classes equally often from now on, by their frequency among some first windows."""
        pilot = self._draw(np.random.SeedSequence(PILOT_SEED), PILOT)
        self.balance = Balance.of(strata, self.classes(pilot, strata))

    def _draw(self, seed: np.random.SeedSequence, count: int) -> Windows:
        rng = np.random.default_rng(seed)
        rounds: list[Windows] = []
        found = 0
        while found < count:
            windows = self.propose(rng)
            if self.balance is not None:
                classes = self.classes(windows, self.balance.strata)
                windows = windows[self.balance.accepts(classes, rng)]
            rounds.append(windows)
            found += len(windows)
            if not found and len(rounds) == ROUNDS:
                raise self.no_room()
        return np.concatenate(rounds)[:count]


def _distributed() -> bool:
    return dist.is_available() and dist.is_initialized()
