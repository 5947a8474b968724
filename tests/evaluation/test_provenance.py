"""What a run tells about itself."""

import subprocess
import sys

import torch

from xstars_lightning.evaluation import provenance as module
from xstars_lightning.evaluation.provenance import provenance


def test_command_and_versions(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["xstars", "test"])
    told = provenance()
    assert told["command"] == ["xstars", "test"]
    assert told["versions"]["torch"] == torch.__version__.split("+")[0]
    assert set(told) == {"command", "commit", "versions"}


def test_commit_is_that_of_a_repository_that_tracks_the_code(monkeypatch, tmp_path):
    package = tmp_path / "package"
    package.mkdir()
    (package / "linear_probe.py").write_text("1")
    monkeypatch.setattr(module, "__file__", str(package / "provenance.py"))
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run([*git, "init", "-q"], check=True)
    assert provenance()["commit"] is None
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-qm", "a"], check=True)
    head = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
    assert provenance()["commit"] == {"hash": head.stdout.strip(), "changed": False}
    (package / "linear_probe.py").write_text("2")
    assert provenance()["commit"]["changed"]
