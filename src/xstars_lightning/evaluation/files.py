"""The files of an image: one, or several, such as bands or dates."""

from collections.abc import Sequence
from pathlib import Path

__all__ = ["Files", "paths_of"]

#: One file, or several in their order.
Files = Path | Sequence[Path]


def paths_of(files: Files) -> Sequence[Path]:
    """The files as a sequence, also where it is one."""
    return [files] if isinstance(files, Path) else files
