"""Reading and writing of encoders.

An encoder is described by its backbone and its sensors; the description travels with the
tensors, so that a file is enough to rebuild the encoder with its statistics.
"""

import json
import os
import pickle
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from xstars_lightning.models.encoder import CrossSensorEncoder
from xstars_lightning.sensors import Sensor

__all__ = ["DESCRIPTION", "describe_encoder", "load_encoder", "save_encoder"]

#: Key of the description in Lightning checkpoints and in the metadata of safetensors files.
DESCRIPTION = "xstars_encoder"

# Hyperparameters in our checkpoints hold sensors; nothing else needs to be allowed.
torch.serialization.add_safe_globals([Sensor])


def describe_encoder(encoder: CrossSensorEncoder, prefix: str = "") -> dict[str, Any]:
    """What :func:`load_encoder` needs besides tensors, as plain values.

    Args:
        encoder: The encoder.
        prefix: What stands before the names of its tensors in a larger state dictionary.
    """
    sensors = {name: sensor.to_dict() for name, sensor in encoder.sensors.items()}
    return {"backbone": encoder.backbone, "sensors": sensors, "prefix": prefix}


def save_encoder(encoder: CrossSensorEncoder, path: str | Path) -> None:
    """Write the encoder, its sensors and its statistics to one safetensors file, atomically."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    metadata = {DESCRIPTION: json.dumps(describe_encoder(encoder))}
    tensors = {name: tensor.contiguous() for name, tensor in encoder.state_dict().items()}
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        save_file(tensors, Path(folder) / path.name, metadata)
        os.replace(Path(folder) / path.name, path)


def load_encoder(path: str | Path) -> CrossSensorEncoder:
    """Rebuild an encoder from a checkpoint of training (its teacher) or from an exported file.

    Args:
        path: A ``.ckpt`` that ``xstars fit`` wrote, or a file of :func:`save_encoder`.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file holds no encoder of ours, or one whose tensors do not fit.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"No weights at {path}; give a checkpoint (.ckpt) or an exported file.")
    tensors, description = _read(path)
    sensors = {name: Sensor(**values) for name, values in description["sensors"].items()}
    encoder = CrossSensorEncoder(sensors, description["backbone"])
    prefix = description["prefix"]
    state = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
    try:
        encoder.load_state_dict(state)
    except RuntimeError as error:
        raise ValueError(
            f"{path} says it holds a {description['backbone']} for {', '.join(sensors)}, but its tensors do "
            f"not fit; the file is damaged or was edited. {error}"
        ) from error
    return encoder


def _read(path: Path) -> tuple[Mapping[str, Tensor], dict[str, Any]]:
    """Tensors and description of either kind of file."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if DESCRIPTION not in metadata:
                raise ValueError(_FOREIGN.format(path, f"tensors such as {next(iter(file.keys()), None)}"))
            return {name: file.get_tensor(name) for name in file.keys()}, json.loads(metadata[DESCRIPTION])  # noqa: SIM118
    except SafetensorError:
        pass  # then it is a checkpoint
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise ValueError(
            f"{path} cannot be read as a checkpoint: it is damaged or of another kind."
        ) from error
    if not isinstance(checkpoint, dict) or DESCRIPTION not in checkpoint:
        keys = ", ".join(map(str, list(checkpoint)[:5])) if isinstance(checkpoint, dict) else type(checkpoint)
        raise ValueError(_FOREIGN.format(path, keys))
    return checkpoint["state_dict"], checkpoint[DESCRIPTION]


_FOREIGN = (
    "{} holds no encoder of xstars-lightning (found: {}). Give a checkpoint that `xstars fit` wrote or a "
    "file of save_encoder()."
)
