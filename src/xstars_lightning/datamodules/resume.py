"""Training windows at the place where the trainer stands, also after a restart in mid-epoch."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from lightning.pytorch import Trainer
from torch.utils.data import Sampler, SequentialSampler

from xstars_lightning.datamodules.lost import CountingLoader
from xstars_lightning.samplers.stream import WindowStream

__all__ = ["PacedSampler", "Progress", "ResumableLoader"]


class PacedSampler(SequentialSampler):
    """Begins each epoch after the windows that training has consumed.

    What a sampler has handed out says nothing on that: workers fetch ahead. Nor does the trainer's
    epoch: Lightning counts a new one when ``max_steps`` ends the last one early. It is a
    SequentialSampler because ``overfit_batches`` replaces any other by one that counts from 0.

    Args:
        sampler: The windows: a stream, or a list that is the same in each epoch.
        position: Windows consumed in all epochs and processes; None outside of a trainer, where the
            sampler's own epoch counts.
    """

    def __init__(
        self, sampler: WindowStream[Any] | Sequence[Any] | Sampler[Any], position: Callable[[], int | None]
    ) -> None:
        self.sampler = sampler
        self._position = position

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch, for use without a trainer."""
        if isinstance(self.sampler, WindowStream):
            self.sampler.set_epoch(epoch)

    def __len__(self) -> int:
        """Windows of this process per epoch."""
        return len(self.sampler)  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[Any]:
        """Yield the windows of the epoch that begins or goes on."""
        position = self._position()
        if position is None or not isinstance(self.sampler, WindowStream):
            return iter(self.sampler)
        return self.sampler.since(position)


class ResumableLoader(CountingLoader):
    """A loader that Lightning knows to be resumable; its state is the trainer's progress."""

    def state_dict(self) -> dict[str, Any]:
        """Nothing: see :class:`PacedSampler`."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Nothing: see :class:`PacedSampler`."""


class Progress:
    """How many windows training has consumed, by the trainer's own count, also before a restart."""

    def __init__(self, batch_size: int) -> None:
        self.batch_size = batch_size
        self._restored = {"windows": 0, "batches": 0}

    def windows(self, trainer: Trainer | None) -> int | None:
        """Windows consumed in all epochs and processes; None without a trainer."""
        if trainer is None:
            return None
        if trainer.overfit_batches:  # type: ignore[attr-defined]
            return 0
        batches = _batches_done(trainer) - self._restored["batches"]
        return self._restored["windows"] + batches * self.batch_size * trainer.world_size

    def state_dict(self, trainer: Trainer | None) -> dict[str, int]:
        """Windows and batches consumed, for the checkpoint."""
        if trainer is None:
            return {}
        return {"windows": self.windows(trainer) or 0, "batches": _batches_done(trainer)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on after these windows, also with another batch size or number of processes."""
        self._restored = {key: int(state[key]) for key in ("windows", "batches")}


def _batches_done(trainer: Trainer) -> int:
    """Training batches of this process that are done, in all epochs, also those before a restart."""
    progress: Any = trainer.fit_loop.epoch_loop.batch_progress  # typed as its base class
    return int(progress.total.processed)
