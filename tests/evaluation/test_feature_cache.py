"""A cache that forgets whenever anything that matters has changed."""

import os

import pytest
import torch

from xstars_lightning.evaluation.feature_cache import (
    cache_key,
    hash_data,
    hash_files,
    read_features,
    write_features,
)


@pytest.fixture
def files(tmp_path):
    paths = [tmp_path / name for name in ("a.bin", "b.bin")]
    for path in paths:
        path.write_bytes(b"1234")
        os.utime(path, ns=(0, 10**18))
    return paths


def test_what_is_written_is_read(tmp_path):
    features = torch.rand(4, 3)
    assert read_features(tmp_path / "new", "key") is None
    write_features(tmp_path / "new", "key", {"features": features.T})
    assert torch.equal(read_features(tmp_path / "new", "key")["features"], features.T)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["key.safetensors"]


def test_damaged_file_is_a_miss(tmp_path):
    (tmp_path / "key.safetensors").write_bytes(b"half a f")
    assert read_features(tmp_path, "key") is None


def test_failed_write_leaves_nothing(tmp_path, monkeypatch):
    def fail(*arguments):
        raise OSError("no space")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="no space"):
        write_features(tmp_path, "key", {"features": torch.ones(1)})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("part", ["weights", "data", "transform"])
def test_every_part_of_the_key_counts(part):
    parts = {"weights": "a", "data": "b", "transform": {"size": 1}}
    other = {"transform": {"size": 2}}.get(part, "c")
    assert cache_key(**parts) == cache_key(**parts)
    assert cache_key(**parts) != cache_key(**parts | {part: other})


def test_files_are_told_by_name_size_and_time(files, tmp_path):
    names = ["a", "b"]
    known = hash_files(names, files)
    assert known == hash_files(names, files)
    assert known != hash_files(names, files[::-1])
    assert known != hash_files(["a", "c"], files)
    files[0].write_bytes(b"4321")
    assert known != hash_files(names, files)


def test_copies_of_the_same_data_have_the_same_hash(files, tmp_path):
    copies = [tmp_path / f"copy_{path.name}" for path in files]
    for path, copy in zip(files, copies, strict=True):
        copy.write_bytes(path.read_bytes())
        os.utime(copy, ns=(0, 10**18))
    names = ["a", "b"]
    assert hash_data(names, files) == hash_data(names, copies)
    assert hash_data(names, files)[1] == "contents"
    assert hash_data(names, files, limit=7) == hash_data(names, copies, limit=7)
    assert hash_data(names, files, limit=7)[1] == "names, sizes and times"
    assert hash_files(names, files) != hash_files(names, copies)
    copies[1].write_bytes(b"4321")  # of the same size
    os.utime(copies[1], ns=(0, 10**18))
    assert hash_data(names, files) != hash_data(names, copies)


def test_every_file_of_an_image_counts(files):
    known = hash_files(["a"], [files])
    assert known != hash_files(["a"], files[:1])
    files[1].write_bytes(b"12345")
    assert known != hash_files(["a"], [files])
