"""Reading and writing of encoders.

An encoder is described by its backbone and its sensors; the description travels with the
tensors, so that a file is enough to rebuild the encoder with its statistics.
"""

import argparse
import json
import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from xstars_lightning.models.encoder import CrossSensorEncoder
from xstars_lightning.sensors import Sensor

__all__ = ["DESCRIPTION", "describe_encoder", "load_encoder", "read_file", "save_encoder"]

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
    state, description = read_file(Path(path))
    if description is None:
        raise ValueError(_FOREIGN.format(path, ", ".join(map(str, list(state)[:5]))))
    sensors = {name: Sensor(**values) for name, values in description["sensors"].items()}
    encoder = CrossSensorEncoder(sensors, description["backbone"])
    try:
        encoder.load_state_dict(state)
    except RuntimeError as error:
        raise ValueError(
            f"{path} says it holds a {description['backbone']} for {', '.join(sensors)}, but its tensors do "
            f"not fit; the file is damaged or was edited. {error}"
        ) from error
    return encoder


def read_file(path: Path) -> tuple[Mapping[str, Any], dict[str, Any] | None]:
    """Read a safetensors file or a checkpoint, without running anything that it may hold.

    Returns:
        Of a file of ours: the tensors of the encoder, by its own names, and its description. Of any
        other: what it holds, and None.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is damaged, of another kind, or needs more than tensors, plain values
            and ``argparse.Namespace``.
    """
    if not path.is_file():
        raise FileNotFoundError(f"No weights at {path}; give a checkpoint (.ckpt) or an exported file.")
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            metadata = file.metadata() or {}
    except SafetensorError:
        content = _unpickle(path)
        if DESCRIPTION not in content:
            return content, None
        tensors, description = content["state_dict"], content[DESCRIPTION]
    else:
        if DESCRIPTION not in metadata:
            return tensors, None
        description = json.loads(metadata[DESCRIPTION])
    prefix = description["prefix"]
    state = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
    return state, description


# Checkpoints of DINO, X-STARS and MAE hold the options of their command line, and learning rates that
# NumPy's schedules gave; its own constructor of scalars is public by its name in pickles alone.
_HARMLESS: list[Any] = [
    argparse.Namespace,
    (np.float64(0).__reduce__()[0], "numpy.core.multiarray.scalar"),
    np.float64(0).__reduce__()[0],
    np.dtype,
    type(np.dtype(np.float64)),
]


def _unpickle(path: Path) -> Mapping[str, Any]:
    try:
        with torch.serialization.safe_globals(_HARMLESS):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, MemoryError):
        raise
    except Exception as error:  # damaged bytes fail anywhere in the unpickler, with any exception
        if needed := re.search(r"GLOBAL (\S+)", str(error)):
            raise ValueError(_UNSAFE.format(path, needed[1])) from error
        raise ValueError(
            f"{path} cannot be read as a checkpoint: it is damaged or of another kind."
        ) from error
    if not isinstance(content, Mapping):
        raise ValueError(f"{path} holds a {type(content).__name__}; give a file of named tensors.")
    return content


_UNSAFE = (
    "{} needs {} to be read; only tensors and plain values are, since all else could run code. If you "
    "trust its origin, load it with torch.load(..., weights_only=False), save its state dictionary alone "
    "and give that file."
)
_FOREIGN = (
    "{} holds no encoder of xstars-lightning (found: {}). Give a checkpoint that `xstars fit` wrote or a "
    "file of save_encoder()."
)
