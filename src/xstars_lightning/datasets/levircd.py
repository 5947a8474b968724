"""LEVIR-CD, its images matched with their labels by name."""

from pathlib import Path
from typing import Any

from lightning.pytorch.utilities import rank_zero_warn
from torchgeo.datasets import LEVIRCD

__all__ = ["LabelledLEVIRCD"]


class LabelledLEVIRCD(LEVIRCD):
    """TorchGeo's LEVIR-CD [0] for folders that are not complete.

    TorchGeo takes the n-th label for the n-th image; where a label is missing, all that follow are those
    of other images.

    Args:
        root: Folder that holds ``A``, ``B`` and ``label``, with files ``<split>_*.png``.
        split: ``train``, ``val`` or ``test``.
        skip_unlabelled: Leave images out that lack a label or the other date, and warn of them.
        **kwargs: Further arguments of TorchGeo's class.

    Raises:
        DatasetNotFoundError: If a folder is missing.
        FileNotFoundError: If images lack a label or the other date; they are named.

    References:
        [0] https://justchenhao.github.io/LEVIR/
    """

    def __init__(
        self, root: str = "data/levircd", split: Any = "train", skip_unlabelled: bool = False, **kwargs: Any
    ) -> None:
        self.skip_unlabelled = skip_unlabelled
        super().__init__(root, split, **kwargs)

    def _load_files(self, root: Any, split: str) -> list[dict[str, str]]:
        folders = {"image1": "A", "image2": "B", "mask": "label"}
        found = {key: {p.name for p in (Path(root) / f).glob(f"{split}*.png")} for key, f in folders.items()}
        complete = set.intersection(*found.values())
        if lacking := sorted(set.union(*found.values()) - complete):
            some = ", ".join(lacking[:5])
            what = f"{len(lacking)} files of {root} stand in some of A, B and label only: {some}"
            if not self.skip_unlabelled:
                raise FileNotFoundError(f"{what}. Add what is missing, or set skip_unlabelled: true.")
            rank_zero_warn(f"Left out: {what}.")
        return [
            {key: str(Path(root) / folder / name) for key, folder in folders.items()}
            for name in sorted(complete)
        ]
