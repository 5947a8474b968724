"""One file per run, so that an interrupted study goes on where it stopped."""

import json
import os
import re
from hashlib import sha256
from pathlib import Path
from typing import TypedDict
from uuid import uuid4

__all__ = ["Run", "done", "load_runs", "run_key", "save_run"]


class Run(TypedDict):
    """One run: the data, the row of the table that it belongs to, its seed, and what came out."""

    data: str
    row: str
    seed: int
    metrics: dict[str, float]


def run_key(data: str, row: str, seed: int) -> str:
    """Name of a run, fit for a file."""
    digest = sha256(f"{data}\n{row}\n{seed}".encode()).hexdigest()[:6]  # rows may differ by a sign only
    return re.sub(r"[^a-z0-9]+", "-", f"{data} {row} {seed} {digest}".lower())


def done(folder: str | Path, key: str) -> bool:
    """Whether the run of this key was saved."""
    return (Path(folder) / f"{key}.json").is_file()


def save_run(folder: str | Path, run: Run) -> None:
    """Write a run, wholly or not at all; an earlier one of the same key is replaced."""
    path = Path(folder) / f"{run_key(run['data'], run['row'], run['seed'])}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{uuid4().hex[:8]}")
    draft.write_text(json.dumps(run, indent=1) + "\n")
    os.replace(draft, path)


def load_runs(folder: str | Path) -> list[Run]:
    """All runs that were saved, in alphabetical order of their keys."""
    return [json.loads(path.read_text()) for path in sorted(Path(folder).glob("*.json"))]
