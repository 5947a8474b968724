"""Paths in an index: relative to its folder where they lie below it, so that both can be moved."""

import os

import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["absolute_paths", "check_distinct", "relative_paths"]


def check_distinct(paths: pa.LargeStringArray, source: str) -> None:
    """Refuse a file that occurs twice.

    Raises:
        ValueError: The message names the first such file.
    """
    if pc.count_distinct(paths).as_py() == len(paths):
        return
    path = next(one["values"] for one in pc.value_counts(paths).to_pylist() if one["counts"] > 1)
    raise ValueError(f"{path} is twice in {source}, so that its ground would count twice. Remove one row.")


def relative_paths(paths: pa.LargeStringArray, folder: str) -> pa.LargeStringArray:
    """Paths as they are written; those below the folder relative to it."""
    start = folder.rstrip("/") + "/"
    return pc.if_else(pc.starts_with(paths, start), pc.utf8_slice_codeunits(paths, len(start)), paths)


def absolute_paths(paths: pa.LargeStringArray, index: str | os.PathLike[str]) -> pa.LargeStringArray:
    """Paths as they are read; relative ones seen from the folder of the index."""
    whole = pc.or_(pc.starts_with(paths, "/"), pc.match_substring(paths, "://"))
    if pc.all(whole).as_py():
        return paths
    folder = pa.scalar(os.path.dirname(os.path.abspath(index)), pa.large_string())
    dotted = pc.starts_with(paths, "./")
    if pc.any(dotted).as_py():
        paths = pc.if_else(dotted, pc.utf8_slice_codeunits(paths, 2), paths)
    joined = pc.binary_join_element_wise(folder, paths, pa.scalar("/", pa.large_string()))
    return pc.if_else(whole, paths, joined) if pc.any(whole).as_py() else joined
