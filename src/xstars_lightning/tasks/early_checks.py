"""What would fail after all images were embedded, said before."""

from typing import Any

import torch
from lightning.pytorch import Trainer

from xstars_lightning.evaluation.evaluate import Protocol
from xstars_lightning.evaluation.label_draws import draw_labels
from xstars_lightning.tasks.embedding import limit_of

__all__ = ["check_labels"]


def check_labels(trainer: Trainer, protocol: Protocol) -> None:
    """Look whether there are enough training labels, where the dataset tells them without reading images.

    Args:
        trainer: Its datamodule has set up the training data.
        protocol: What is asked.

    Raises:
        ValueError: If there are fewer images than neighbours, or of a class than labels; it is named.
    """
    datamodule: Any = trainer.datamodule  # type: ignore[attr-defined]
    dataset = datamodule.train_dataset
    if (targets := getattr(dataset, "targets", None)) is None:
        return
    batches = -(-len(dataset) // datamodule.batch_size)
    labels = torch.as_tensor(targets)[: datamodule.batch_size * limit_of(trainer, batches)]
    if not 1 <= protocol.k <= len(labels):
        raise ValueError(
            f"k={protocol.k} neighbours were asked for, the bank holds {len(labels)} training images; choose "
            "k between 1 and their number."
        )
    names = getattr(datamodule, "class_names", None) or dataset.classes
    for share in protocol.fractions:
        draw_labels(labels, protocol.seed, names, share)
    for count in protocol.shots:
        draw_labels(labels, protocol.seed, names, shots=count)
