"""Weights of any origin, in one form: a trunk and the patch embeddings that belong to it."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Any

import timm
from torch import Tensor

from xstars_lightning.models.stems import Stem, name_bands
from xstars_lightning.models.weights import read_file
from xstars_lightning.sensors import Sensor

__all__ = ["Pretrained", "read_weights", "unwrap"]


@dataclass(frozen=True)
class Pretrained:
    """Weights of a vision transformer, whatever file or library they came from.

    Args:
        source: File or name.
        trunk: Tensors by the names that timm's VisionTransformer gives them, without patch
            embeddings, heads and decoders.
        stems: Patch embeddings by the bands they take.
        sensors: Sensors with their statistics, by name; empty for weights that are not ours.
        ignored: Names of the tensors that were left out.
        statistics: Mean and deviation per band of values in [0, 1], if a file of others tells what it was
            trained with.
    """

    source: str
    trunk: Mapping[str, Tensor]
    stems: Mapping[tuple[str, ...], Stem]
    sensors: Mapping[str, Sensor]
    ignored: tuple[str, ...] = ()
    statistics: tuple[tuple[float, ...], tuple[float, ...]] | None = None


def read_weights(source: str) -> Pretrained:
    """Read weights from a file, or by the name that timm or TorchGeo knows them by.

    Args:
        source: A file: a ``.ckpt`` of ``xstars fit`` (its teacher), a file of ``save_encoder``, or a
            checkpoint of X-STARS [0], DINO, DINOv2, MAE, timm, or of a Lightning module that holds a
            timm transformer; of a teacher and a student, the teacher. Or a name: of timm, such as
            ``vit_small_patch16_224.dino``, also written ``timm:vit_small_patch16_224.dino``, or of
            TorchGeo, such as ``ViTSmall16_Weights.SENTINEL2_ALL_DINO``. Whatever has a folder or a
            suffix of weights in it is a file.

    Raises:
        FileNotFoundError: If the file is missing.
        OSError: If named weights cannot be downloaded.
        ValueError: If the file cannot be read safely, holds no vision transformer with timm's
            names, or the name is unknown.

    References:
        [0] https://github.com/VMarsocci/X-STARS
    """
    if source.startswith("timm:"):
        return _from_timm(source, source.removeprefix("timm:"))
    path = Path(source)
    if path.is_file() or {"/", "\\"} & set(source) or path.suffix.lower() in _SUFFIXES:
        content, description = read_file(path)
        if description is None:
            return replace(_foreign(source, unwrap(content)), statistics=_read_statistics(content))
        return _ours(source, content, description)
    return _from_torchgeo(source) if "_Weights." in source else _from_timm(source, source)


_SUFFIXES = (".bin", ".ckpt", ".pt", ".pth", ".safetensors", ".tar")


def _ours(source: str, state: Mapping[str, Tensor], description: Mapping[str, Any]) -> Pretrained:
    sensors = {name: Sensor(**values) for name, values in description["sensors"].items()}
    stems = {}
    for sensor in sensors.values():
        key = f"patch_embed.{'-'.join(sensor.bands)}.proj"
        if f"{key}.weight" not in state:
            raise ValueError(f"{source} lacks {key}.weight of {sensor.name!r}; it is damaged or was edited.")
        stems[sensor.bands] = state[f"{key}.weight"], state[f"{key}.bias"]
    trunk = {name.removeprefix("trunk."): x for name, x in state.items() if name.startswith("trunk.")}
    return Pretrained(source, trunk, stems, sensors)


def _read_statistics(content: Mapping[str, Any]) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    """Mean and deviation among the options of the run, where X-STARS keeps them; None if there are none."""
    options = content.get("args")
    mean, std = getattr(options, "mean", None), getattr(options, "std", None)
    if not isinstance(mean, (list, tuple)) or not isinstance(std, (list, tuple)):
        return None
    numbers = all(isinstance(value, (int, float)) for value in (*mean, *std))
    fit = numbers and len(mean) == len(std) and min(std, default=0) > 0
    return (tuple(mean), tuple(std)) if fit else None


def unwrap(content: Mapping[str, Any]) -> dict[str, Tensor]:
    """The state dictionary in a checkpoint, the teacher's before the student's.

    Args:
        content: What a file holds, as :func:`~xstars_lightning.models.weights.read_file` gives it.
    """
    for key in ("teacher", "student", "model", "state_dict"):
        if isinstance(inner := content.get(key), Mapping):
            return unwrap(inner)
    return {str(name): value for name, value in content.items() if isinstance(value, Tensor)}


def _foreign(
    source: str, state: Mapping[str, Tensor], numbers: Sequence[str] = (), mission: str = ""
) -> Pretrained:
    """Tensors of others -> ours; what is known of their bands is as for :func:`name_bands`."""
    prefix = _find_prefix(source, state)
    named = {name.removeprefix(prefix): x for name, x in state.items() if name.startswith(prefix)}
    # DINOv2 numbers chunks of blocks before the blocks.
    named = {re.sub(r"^blocks\.\d+\.(?=\d)", "blocks.", name): x for name, x in named.items()}
    weight, bias = (named.pop(name, None) for name in _STEM)
    stems: dict[tuple[str, ...], Stem] = {}
    if weight is not None and weight.ndim == 4:
        bands = name_bands(weight.shape[1], numbers, mission)
        stems[bands] = weight, weight.new_zeros(len(weight)) if bias is None else bias
    if rest := [name for name in named if name.startswith("patch_embed.") and name not in _STEM]:
        raise ValueError(
            f"{source} embeds patches by more than one convolution ({', '.join(rest[:3])}, ...), as "
            "hybrid models do; take weights of a plain vision transformer."
        )
    trunk = {name: x for name, x in named.items() if not name.startswith(_NO_TRUNK)}
    ignored = [name for name in named if name not in trunk]
    ignored += [name for name in state if not name.startswith(prefix)]
    return Pretrained(source, trunk, stems, {}, tuple(ignored))


_STEM = ("patch_embed.proj.weight", "patch_embed.proj.bias")
_NO_TRUNK = ("head.", "decoder_", "mask_token")


def _find_prefix(source: str, names: Iterable[str]) -> str:
    """What stands before the names of the transformer: of several, the teacher's, else the first."""
    names = list(names)
    found = (re.match(r"(|.*?\.)blocks\.0\.", name) for name in names)
    prefixes = list(dict.fromkeys(match[1] for match in found if match))
    if not prefixes:
        raise ValueError(
            f"{source} holds no vision transformer: tensors such as blocks.0.norm1.weight are missing, as "
            f"timm names them (found: {', '.join(names[:5]) or 'no tensor'}). Rename them, or give others."
        )
    return max(prefixes, key=lambda p: (f"{p}{_STEM[0]}" in names, "teacher" in p))


def _from_timm(source: str, name: str) -> Pretrained:
    if not timm.is_model_pretrained(name):
        raise ValueError(_unknown(source, name, timm.list_pretrained("vit*"), "timm"))
    model = _download(source, partial(timm.create_model, name, pretrained=True, num_classes=0))
    return _foreign(source, model.state_dict())


def _from_torchgeo(name: str) -> Pretrained:
    from torchgeo import models  # takes seconds: it brings everything that TorchGeo has

    try:
        weights = models.get_weight(name)
    except ValueError as error:
        groups = [group for key, group in vars(models).items() if key.startswith("ViT")]
        known = [str(member) for group in groups for member in group]
        raise ValueError(_unknown(name, name, known, "TorchGeo")) from error
    load = partial(weights.get_state_dict, progress=True, check_hash=True, weights_only=True)
    state = unwrap(_download(name, load))
    return _foreign(name, state, weights.meta.get("bands") or (), mission=name.partition(".")[2])


def _download(source: str, load: Callable[[], Any]) -> Any:
    try:
        return load()
    except OSError as error:
        raise OSError(
            f"{source} could not be downloaded; download it elsewhere and give the file. {error}"
        ) from error


def _unknown(source: str, name: str, known: Iterable[str], library: str) -> str:
    near = get_close_matches(name, known, n=3, cutoff=0.4)
    hint = f"Did you mean {' or '.join(near)}?" if near else "A file needs its suffix, such as .pth."
    return f"No weights {source!r}: it is no file, and {library} has no such pretrained weights. {hint}"
