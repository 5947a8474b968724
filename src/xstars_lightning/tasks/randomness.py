"""Random numbers that depend on where a run stands, not on how it got there."""

import numpy as np
import torch

__all__ = ["seed_batch"]


def seed_batch(seed: int, batch: int, rank: int) -> None:
    """Seed torch for one training batch, on all devices.

    Augmentation and stochastic depth of a resumed run then equal those of a run left alone,
    whatever was drawn in between, and no process has to save its state.

    Args:
        seed: Of the run.
        batch: Batches trained on before, in all epochs.
        rank: Of the process; each draws its own.
    """
    state = np.random.SeedSequence([seed, batch, rank]).generate_state(1, np.uint64)
    torch.manual_seed(int(state[0]))
