"""What must be known to repeat a run."""

import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

__all__ = ["provenance", "versions"]

_PACKAGES = (
    "xstars-lightning",
    "torch",
    "torchvision",
    "timm",
    "torchgeo",
    "lightning",
    "scikit-learn",
    "numpy",
)


def provenance() -> dict[str, Any]:
    """Command, versions of Python and of the packages that matter, and the commit of the code.

    The commit is None unless the code lies in a git repository that tracks it; ``changed`` tells
    whether it differs from the commit.
    """
    return {"command": sys.argv, "commit": _commit(), "versions": versions()}


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that matter."""
    found = {"python": sys.version.split()[0]}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def _commit() -> dict[str, Any] | None:
    folder = Path(__file__).parent
    # Code in an environment that happens to lie in somebody's repository is not tracked there.
    if _git(folder, "ls-files", "--error-unmatch", "linear_probe.py") is None:
        return None
    commit, changes = _git(folder, "rev-parse", "HEAD"), _git(folder, "status", "--porcelain", "..")
    return {"hash": commit, "changed": bool(changes)} if commit else None


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
