"""Files that appear whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO
from uuid import uuid4

__all__ = ["drafted"]


@contextmanager
def drafted(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Write a file aside and move it to its place at the end.

    Whatever happens, a file that was there before stays whole until the new one is, and no draft is
    left behind.

    Args:
        path: Where the file shall be; its folder is made if missing.

    Yields:
        The draft, open for writing; it lies in the same folder, for the move to be one step.

    Raises:
        OSError: If the disk is full or cannot be written; the message says what is left.
    """
    final = os.path.abspath(path)
    folder, name = os.path.split(final)
    draft = os.path.join(folder, f".{name}-{uuid4().hex[:8]}")
    try:
        os.makedirs(folder, exist_ok=True)
        with open(draft, "wb") as file:
            yield file
            file.flush()
            # A full disk may show only now, and must do so before the old file is replaced.
            os.fsync(file.fileno())
        os.replace(draft, final)
    except OSError as error:
        before = "The file that was there is unchanged" if os.path.exists(final) else "Nothing is left behind"
        raise OSError(
            f"Cannot write {final}: {error.strerror or error}. {before}. Free space in {folder} or correct "
            "its permissions, or write to another folder."
        ) from error
    finally:
        with suppress(OSError):
            os.unlink(draft)
