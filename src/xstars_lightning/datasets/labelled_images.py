"""Images with one label or several as every task here wants them: values in [0, 1], classes from 0."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from torch import Tensor
from torch.utils.data import Dataset

from xstars_lightning.datasets.image_files import files_of, names_of
from xstars_lightning.datasets.plots import plot_images
from xstars_lightning.evaluation.files import Files
from xstars_lightning.evaluation.splits import split_hash
from xstars_lightning.sensors import Sensor

__all__ = ["LabelledImages", "ToUnit"]


@dataclass(frozen=True)
class ToUnit:
    """Scales images by the value range of their sensor, and resizes them.

    Args:
        sensors: By name.
        image_key: Name of the image in the samples of one sensor; of several it is ``image_<name>``.
        size: Side in pixels to which images are brought, bilinearly and antialiased; None leaves them.
    """

    sensors: Mapping[str, Sensor]
    image_key: str = "image"
    size: int | None = None

    def __call__(self, sample: Mapping[str, Any]) -> dict[str, Tensor]:
        """Take the images of a sample, digital numbers (C, H, W), to about [0, 1].

        Raises:
            ValueError: If there is no such image, or its bands are not those of its sensor.
        """
        if len(self.sensors) == 1:
            (sensor,) = self.sensors.values()
            return {"image": self._scale(sample, self.image_key, sensor)}
        keys = {f"image_{name}": sensor for name, sensor in self.sensors.items()}
        return {key: self._scale(sample, key, sensor) for key, sensor in keys.items()}

    def _scale(self, sample: Mapping[str, Any], key: str, sensor: Sensor) -> Tensor:
        if key not in sample:
            raise ValueError(
                f"has no {key!r}; it has {', '.join(sample)}. Set image_key, or name the sensors."
            )
        image, (low, high) = sample[key], sensor.value_range
        if image.ndim != 3 or len(image) != len(sensor.bands):
            raise ValueError(
                f"is {' x '.join(map(str, image.shape))}, but the sensor {sensor.name!r} has "
                f"{len(sensor.bands)} bands ({', '.join(sensor.bands)}); describe the bands as they are."
            )
        scaled = (image.float() - low) / (high - low)
        if self.size is None or scaled.shape[1:] == (self.size, self.size):
            return scaled
        return F.interpolate(scaled[None], (self.size,) * 2, mode="bilinear", antialias=True)[0]


class LabelledImages(Dataset[dict[str, Tensor]]):
    """Some images of a dataset of TorchGeo, with their labels.

    Args:
        dataset: Its samples hold images and ``label``: a class, or which classes there are (C,).
        transforms: What is done to the images.
        classes: Names of the classes, in the order of the labels.
        chosen: Positions of the images, in the order in which they shall stand; None takes all.

    Attributes:
        names: Names of the images.
        targets: Their labels (N,) or (N, C), None if the dataset does not tell them without reading.
        split_hash: SHA-256 of the sorted names, to tell splits apart.
    """

    def __init__(
        self, dataset: Any, transforms: ToUnit, classes: Sequence[str], chosen: Sequence[int] | None = None
    ) -> None:
        self.dataset, self.transforms, self.classes = dataset, transforms, list(classes)
        self.chosen = list(range(len(dataset)) if chosen is None else chosen)
        names = names_of(dataset)
        self.names = tuple(names[index] for index in self.chosen)
        targets = getattr(dataset, "targets", None)
        self.targets = None if targets is None else torch.as_tensor(targets)[self.chosen]
        self.split_hash = split_hash(self.names)

    @property
    def files(self) -> list[Files] | None:
        """Files of the images, None if the dataset does not tell them; not kept, as they may be millions."""
        files = files_of(self.dataset)
        return None if files is None else [files[index] for index in self.chosen]

    def __len__(self) -> int:
        """Number of images."""
        return len(self.chosen)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        """Read an image.

        Returns:
            ``image`` float32 (C, H, W) in about [0, 1], or ``image_<sensor>`` of every sensor; ``label``,
            long, a scalar or (C,).

        Raises:
            ValueError: If a file is damaged, the bands are not those of the sensor, or the label is of no
                class; the image is named.
        """
        name = self.names[index]
        try:
            sample = self.dataset[self.chosen[index]]
        except (OSError, SyntaxError, ValueError) as error:  # of decoders, on damaged files
            raise ValueError(f"{name} cannot be read; replace or remove it. {error}") from error
        try:
            return self.transforms(sample) | {"label": self._label(torch.as_tensor(sample["label"]))}
        except ValueError as error:
            raise ValueError(f"{name} {error}") from error

    def _label(self, label: Tensor) -> Tensor:
        several = label.numel() > 1
        top = 1 if several else len(self.classes) - 1
        if several and label.shape != (len(self.classes),):
            raise ValueError(f"has {label.numel()} labels, but there are {len(self.classes)} class names.")
        if bool(((label < 0) | (label > top)).any()):
            raise ValueError(
                f"has the label {label.tolist()}; {f'0 to {top}' if not several else '0 or 1'} is known. "
                "Name all classes, in class_names."
            )
        return label.long() if several else label.long().reshape(())

    def plot(self, sample: Mapping[str, Tensor], suptitle: str | None = None) -> Figure:
        """Show a sample, with its classes and, where it has one, its ``prediction`` as title."""
        title = "\n".join(
            f"{key}: {self._named(sample[key])}" for key in ("label", "prediction") if key in sample
        )
        names = {
            "image" if len(self.transforms.sensors) == 1 else f"image_{name}": sensor
            for name, sensor in self.transforms.sensors.items()
        }
        cells = [(title, sample[key][list(sensor.rgb_indices)], None) for key, sensor in names.items()]
        return plot_images([cells], suptitle)

    def _named(self, label: Tensor) -> str:
        indices = label.nonzero()[:, 0].tolist() if label.ndim else [int(label)]
        return ", ".join(self.classes[index] for index in indices)
