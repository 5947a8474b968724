"""Features that were computed before, found again by everything that they depend on."""

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from xstars_lightning.evaluation.files import Files, paths_of

__all__ = ["cache_key", "hash_data", "hash_files", "read_features", "write_features"]

_READ = 2 * 10**9  # bytes that are read for a hash


def hash_data(names: Sequence[str], files: Sequence[Files], limit: int = _READ) -> tuple[str, str]:
    """SHA-256 that tells whether data are the same, wherever they lie, and what it is of.

    Args:
        names: Of the samples.
        files: Their files, one or several of each.
        limit: Bytes; more are not read, and the hash is of sizes and times of change instead, which may
            differ between copies.

    Returns:
        The hash, and ``contents`` or ``names, sizes and times``.

    Raises:
        FileNotFoundError: If a file is missing.
    """
    if sum(file.stat().st_size for several in files for file in paths_of(several)) > limit:
        return hash_files(names, files, places=False), "names, sizes and times"
    digest = sha256()
    for name, several in zip(names, files, strict=True):
        for path in paths_of(several):
            with path.open("rb") as file:
                digest.update(f"{name} {file_digest(file, 'sha256').hexdigest()}\n".encode())
    return digest.hexdigest(), "contents"


def hash_files(names: Sequence[str], files: Sequence[Files], places: bool = True) -> str:
    """SHA-256 of names, sizes and times of change, in their order; cheap, so that it can always be asked.

    Args:
        names: Of the samples.
        files: Their files, one or several of each.
        places: Also of where the files lie.

    Raises:
        FileNotFoundError: If a file is missing.
    """
    digest = sha256()
    for name, several in zip(names, files, strict=True):
        for file in paths_of(several):
            status = file.stat()
            place = f" {file.resolve()}" if places else ""
            digest.update(f"{name} {status.st_size} {status.st_mtime_ns}{place}\n".encode())
    return digest.hexdigest()


def cache_key(weights: str, data: str, transform: Mapping[str, Any]) -> str:
    """Hash of all that features depend on.

    Args:
        weights: Hash of the tensors of the network.
        data: Hash of the images and their order.
        transform: What is done to the images before and to the tokens after the network, plain values.
    """
    content = {"weights": weights, "data": data, "transform": transform}
    return sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def read_features(folder: Path, key: str) -> dict[str, Tensor] | None:
    """Tensors that were written under the key; None where there are none, or the file is damaged."""
    path = folder / f"{key}.safetensors"
    try:
        return load_file(path) if path.is_file() else None
    except SafetensorError:
        return None


def write_features(folder: Path, key: str, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors under a key, so that no reader meets half a file."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as draft:
        path = Path(draft) / f"{key}.safetensors"
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)
        os.replace(path, folder / path.name)
