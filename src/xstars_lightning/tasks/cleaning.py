"""Images that must not be evaluated: what cannot be read, and test images to train on."""

from typing import Any

from lightning.pytorch.utilities import rank_zero_warn

from xstars_lightning.evaluation.duplicates import find_duplicates
from xstars_lightning.evaluation.exclusion import KeptSamples, find_broken
from xstars_lightning.tasks.embedding import image_files, image_names

__all__ = ["clean_data", "keep_images"]

_SPLITS = ("train", "val", "test")


def clean_data(datamodule: Any, exclude: bool) -> dict[str, Any]:
    """Look for images that cannot be read and for test images that training has too.

    Images are compared by the content of their files, where the datasets tell them: all files of an
    image, masks apart. What cannot be read shows itself when it is read; it is looked for only to exclude
    it. Where an image is a scene that is read in windows, scenes are compared, and one with a window that
    cannot be read is left out whole.

    Args:
        datamodule: Set up for fit and test; its datasets are replaced where something is excluded.
        exclude: Leave such images out; of a pair, that of training.

    Returns:
        For the report: ``excluded``, a list of ``split``, ``name`` and ``reason``, and
        ``leakage_checked``, whether the files of all splits are known and were compared.

    Raises:
        ValueError: If a test image stands in the training or validation data too, unless it is to be
            excluded; both are named. If no image of a split is left.
    """
    excluded = _exclude_broken(datamodule) if exclude else []
    unknown = _without_files(datamodule)
    if unknown:
        rank_zero_warn(
            f"LEAKAGE IS NOT CHECKED: whether test images stand in the training data too is not known, as no "
            f"files of {', '.join(unknown)} are told; give the dataset `files`, or `names` below `root`."
        )
    for split in ("train", "val"):
        if not {split, "test"} & {*unknown}:
            excluded += _exclude_twins(datamodule, split, exclude)
    if excluded:
        shown = "; ".join(f"{one['split']} {one['name']}: {one['reason']}" for one in excluded[:5])
        rank_zero_warn(f"EXCLUDED {len(excluded)} images: {shown}{' ...' if len(excluded) > 5 else ''}")
    return {"excluded": excluded, "leakage_checked": not unknown}


def _exclude_broken(datamodule: Any) -> list[dict[str, str]]:
    excluded = []
    for split in _SPLITS:
        if (dataset := getattr(datamodule, f"{split}_dataset", None)) is not None:
            image_of = getattr(dataset, "image_of", range(len(dataset)))
            broken = {image_of[sample]: why for sample, why in find_broken(dataset).items()}
            excluded += _leave_out(datamodule, split, broken)
    return excluded


def _without_files(datamodule: Any) -> list[str]:
    """Splits whose files are unknown; there may be none for validation."""
    datasets = {split: getattr(datamodule, f"{split}_dataset", None) for split in _SPLITS}
    wanted = [split for split, dataset in datasets.items() if dataset is not None or split != "val"]
    return [split for split in wanted if datasets[split] is None or image_files(datasets[split]) is None]


def _exclude_twins(datamodule: Any, split: str, exclude: bool) -> list[dict[str, str]]:
    ours, test = (getattr(datamodule, f"{key}_dataset", None) for key in (split, "test"))
    if ours is None:
        return []
    pairs = find_duplicates(image_files(ours) or (), image_files(test) or ())
    if pairs and not exclude:
        names = image_names(ours), image_names(test)
        shown = "; ".join(f"{split} {names[0][a]} = test {names[1][b]}" for a, b in pairs[:5])
        raise ValueError(
            f"{len(pairs)} test images stand in the {split} data too, with the same content: {shown}"
            f"{'; ...' if len(pairs) > 5 else ''}. Remove them, or set skip_broken to leave them out of the "
            f"{split} data."
        )
    twins = {a: f"is test image {image_names(test)[b]}" for a, b in pairs}
    return _leave_out(datamodule, split, twins)


def _leave_out(datamodule: Any, split: str, reasons: dict[int, str]) -> list[dict[str, str]]:
    if not reasons:
        return []
    dataset = getattr(datamodule, f"{split}_dataset")
    names = image_names(dataset)
    kept = [index for index in range(len(names)) if index not in reasons]
    if not kept:
        raise ValueError(
            f"Nothing is left of the {len(names)} {split} images, such as {names[0]}: "
            f"{next(iter(reasons.values()))}"
        )
    setattr(datamodule, f"{split}_dataset", keep_images(dataset, kept))
    return [{"split": split, "name": names[i], "reason": why} for i, why in reasons.items()]


def keep_images(dataset: Any, kept: list[int]) -> Any:
    """Images at some positions of a dataset, by itself if it knows how: batches may hold their positions."""
    if hasattr(dataset, "keep"):
        return dataset.keep(kept)
    names, files = image_names(dataset), image_files(dataset)
    return KeptSamples(
        dataset, kept, [names[i] for i in kept], None if files is None else [files[i] for i in kept]
    )
