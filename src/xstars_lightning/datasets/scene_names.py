"""Names of what is made of scenes; they stay the same when other scenes are added."""

import os
from collections import Counter
from collections.abc import Sequence
from glob import has_magic
from hashlib import sha256
from pathlib import PurePath

from xstars_lightning.datasets.archive.stamps import is_virtual

__all__ = ["root_of", "scene_names"]


def root_of(path: str) -> str | None:
    """Folder below which scenes are named: one that is given, that of a file, what precedes a wildcard.

    None of an index or a name for GDAL: what they stand for need not lie in one folder.
    """
    if path.endswith(".parquet") or is_virtual(path):
        return None
    if os.path.isdir(path):
        return os.path.abspath(path)
    if os.path.exists(path):
        return os.path.dirname(os.path.abspath(path))
    while has_magic(path):
        path = os.path.dirname(path)
    return os.path.abspath(path)


def scene_names(paths: Sequence[str], root: str | None) -> list[str]:
    """Names of scenes, relative and without extension.

    Args:
        paths: Absolute, or names for GDAL.
        root: Names are the paths below it; of two that differ in the extension only, with it. Without a
            root, names are those of the files with eight digits of the hash of their whole path.
    """
    if root is None:
        return [f"{PurePath(path).stem}-{sha256(path.encode()).hexdigest()[:8]}" for path in paths]
    # A product may be the root itself.
    starts = [root if path != root else os.path.dirname(root) for path in paths]
    whole = [PurePath(os.path.relpath(path, start)) for path, start in zip(paths, starts, strict=True)]
    bare = [str(path.with_suffix("")) for path in whole]
    count = Counter(bare)
    return [name if count[name] == 1 else str(path) for name, path in zip(bare, whole, strict=True)]
