"""What fine-tuning asks of its data: splits apart, as many labels as wanted, sensors of the same bands."""

from collections.abc import Sequence
from typing import Any

import torch
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor

from xstars_lightning.evaluation.label_draws import draw_labels
from xstars_lightning.sensors import Sensor, resolve_sensors
from xstars_lightning.tasks.cleaning import clean_data, keep_images

__all__ = ["check_images", "find_test_sensor", "prepare_data", "restandardize"]

_OTHER = {"fit": "test", "test": "fit"}


def prepare_data(
    datamodule: Any, stage: str, exclude: bool, fraction: float, seed: int, class_names: Sequence[str]
) -> dict[str, Any]:
    """Clean the splits of training and test, and leave a share of the training images.

    Args:
        datamodule: Set up for the stage; its datasets are replaced. None: nothing is done.
        stage: ``fit`` or ``test``; in others nothing is done.
        exclude: As for :func:`clean_data`.
        fraction: Share of the training images of every class, in (0, 1].
        seed: Of the draw.
        class_names: Names of all classes.

    Returns:
        What :func:`clean_data` returns.

    Raises:
        ValueError: As :func:`clean_data` and :func:`draw_labels`, or if images are to be drawn and the
            dataset does not tell their labels.
    """
    if datamodule is None or stage not in _OTHER:
        return {"excluded": [], "leakage_checked": False}
    try:
        datamodule.setup(_OTHER[stage])
    except FileNotFoundError as error:
        rank_zero_warn(f"The data of `{_OTHER[stage]}` cannot be opened to be compared: {error}")
    cleaned = clean_data(datamodule, exclude)
    if fraction != 1 and stage == "fit":
        dataset = datamodule.train_dataset
        if (labels := getattr(dataset, "targets", None)) is None:
            raise ValueError(
                f"{type(dataset).__name__} tells no labels without reading all images, so that a fraction of "
                "every class cannot be drawn; give it `targets`, or take fraction 1."
            )
        chosen = draw_labels(torch.as_tensor(labels), seed, class_names, fraction)
        datamodule.train_dataset = keep_images(dataset, chosen.tolist())
    return cleaned


def find_test_sensor(datamodule: Any, sensor: Sensor) -> Sensor | None:
    """The sensor of the test images; None if it is that of the training images.

    Args:
        datamodule: Its ``test_sensors`` differ from its ``sensors`` where there is one.
        sensor: That of the training images.

    Raises:
        ValueError: If its bands are not those of the training images.
    """
    given = resolve_sensors(getattr(datamodule, "test_sensors", None) or {})
    if not given or given == resolve_sensors(getattr(datamodule, "sensors", None) or {}):
        return None
    (tested,) = given.values()
    if tested.bands != sensor.bands:
        raise ValueError(
            f"The test images of {tested.name!r} have the bands {', '.join(tested.bands)}, those of training "
            f"of {sensor.name!r} {', '.join(sensor.bands)}; one network takes both only if they are the "
            "same. Choose bands that both have, or test on the sensor of the training."
        )
    return tested


def restandardize(image: Tensor, sensor: Sensor, known: Sensor) -> Tensor:
    """Images of a sensor such that the statistics of a known one standardise them by their own.

    So the network stays as it was trained, and so do its checkpoints.

    Args:
        image: Values in about [0, 1] (B, C, H, W).
        sensor: That of the images.
        known: The one whose statistics the encoder applies; it has the same bands.
    """
    if (sensor.mean, sensor.std) == (known.mean, known.std):
        return image
    values = image.new_tensor([sensor.mean, sensor.std, known.mean, known.std])[..., None, None]
    return (image - values[0]) / values[1] * values[3] + values[2]


def check_images(image: Tensor, patch: int) -> None:
    """Refuse what fine-tuning cannot take.

    Args:
        image: Of a batch.
        patch: Side of a patch in pixels.

    Raises:
        ValueError: If the images are of two dates, or smaller than a patch.
    """
    if image.ndim != 4:
        raise ValueError(
            f"Batches hold images of shape {' x '.join(map(str, image.shape[1:]))}; fine-tuning takes one "
            "date, C x H x W. Two dates are for SegmentationProbe."
        )
    if min(image.shape[-2:]) < patch:
        raise ValueError(
            f"Images of {image.shape[-2]} x {image.shape[-1]} pixels are smaller than a patch of {patch} "
            "pixels; choose larger images or a smaller patch."
        )
