"""Features of the networks of timm and of torchvision, and tensors of files for them."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from xstars_lightning.models.peers.extractor import FeatureExtractor, Features, Standardize, hash_tensors
from xstars_lightning.models.pretrained import unwrap
from xstars_lightning.models.weights import read_file
from xstars_lightning.sensors import Sensor

__all__ = ["NetworkFeatures", "file_tensors", "load_tensors"]

# Of networks, and of the ways in which they were trained.
_HEADS = ("head.", "head_", "heads.", "fc.", "classifier.", "decoder_", "mask_token")


class NetworkFeatures(FeatureExtractor):
    """A network of timm, or a Swin transformer of torchvision, behind the statistics of its weights.

    Args:
        name: For tables.
        sensor: Bands and value range of the images.
        bands: What the weights were trained on.
        network: The network, with weights.
        mean: Subtracted from values in [0, 1], per band of ``bands``.
        std: Divisors, likewise.
        weights_sha256: Hash of the weights; that of the tensors where it is left out.

    Raises:
        ValueError: If the images lack a band.
    """

    def __init__(
        self,
        name: str,
        sensor: Sensor,
        bands: tuple[str, ...],
        network: nn.Module,
        mean: tuple[float, ...],
        std: tuple[float, ...],
        weights_sha256: str | None = None,
    ) -> None:
        statistics = {"mean": list(mean), "std": list(std)}
        digest = weights_sha256 or hash_tensors(network.state_dict())
        super().__init__(name, sensor, bands, network, statistics, _patch_size(network), digest)
        self.standardize = Standardize(mean, std)

    def extract(self, image: Tensor) -> Features:
        """As :meth:`FeatureExtractor.extract`; ValueError if the network takes other sizes only."""
        network: Any = self.network
        image = self.standardize(image)
        try:
            if not hasattr(network, "forward_features"):  # torchvision
                return Features(None, network.norm(network.features(image)))
            tokens: Tensor = network.forward_features(image)
        except AssertionError as error:  # of timm, on sizes
            raise ValueError(
                f"{self.name} cannot take images of {image.shape[-2]} x {image.shape[-1]} pixels: {error}. "
                "Choose another image_size."
            ) from error
        if tokens.ndim == 4:
            last = str(getattr(network, "output_fmt", "NCHW")).endswith("NHWC")
            return Features(None, tokens if last else tokens.permute(0, 2, 3, 1))
        # Where timm normalises after pooling, forward_features gives tokens that are not normalised.
        tokens = getattr(network, "fc_norm", nn.Identity())(tokens)
        first = getattr(network, "num_prefix_tokens", 0)
        side = self.patch_size or 1
        grid = (image.shape[-2] // side, image.shape[-1] // side)
        cls = tokens[:, 0] if first and getattr(network, "cls_token", None) is not None else None
        return Features(cls, tokens[:, first:].unflatten(1, grid))


def _patch_size(network: Any) -> int | None:
    """Of a plain transformer, whose tokens are patches; None of all else."""
    if not hasattr(network, "num_prefix_tokens") or not hasattr(network, "patch_embed"):
        return None
    return int(network.patch_embed.patch_size[0])


def file_tensors(path: str) -> dict[str, Tensor]:
    """Tensors of a file by name; of a teacher and a student, the teacher's.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it cannot be read safely.
    """
    return unwrap(read_file(Path(path))[0])


def load_tensors(network: nn.Module, tensors: dict[str, Tensor], source: str) -> None:
    """Put tensors into a network; only heads, and what stands beside the network in a file, may be left over.

    Raises:
        ValueError: If one is missing, left over or of another shape.
    """
    own = network.state_dict()
    prefix = _find_prefix(own, tensors)
    tensors = {name.removeprefix(prefix): x for name, x in tensors.items() if name.startswith(prefix)}
    heads = [name for name in tensors if name not in own and name.startswith(_HEADS)]
    try:
        network.load_state_dict({name: x for name, x in tensors.items() if name not in heads})
    except RuntimeError as error:
        raise ValueError(f"{source} does not fit the network that it was said to be of. {error}") from error


def _find_prefix(own: Iterable[str], names: Mapping[str, Tensor]) -> str:
    """What stands before the names of a network in a file that holds all of it, such as ``backbone.``."""
    own = tuple(own)
    found = [name.removesuffix(own[0]) for name in names if name.endswith(own[0])]
    return next((prefix for prefix in found if all(prefix + name in names for name in own)), "")
