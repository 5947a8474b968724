"""Which files an image has, in whatever way a dataset tells them."""

from types import SimpleNamespace

import pytest

from xstars_lightning.datasets.image_files import files_of, names_of


class Entries(SimpleNamespace):
    def __len__(self):
        return len(self.files)


@pytest.fixture
def paths(tmp_path):
    found = [tmp_path / name for name in ("a1", "a2", "b1", "b2")]
    for path in found:
        path.write_bytes(b"1")
    return found


def test_all_files_of_an_image_are_told(paths, tmp_path):
    pairs = [[paths[0], paths[1]], [paths[2], paths[3]]]
    assert files_of(Entries(files=pairs)) == pairs
    assert files_of(Entries(files=[[paths[0]], [paths[1]]])) == paths[:2]
    assert names_of(Entries(files=pairs, root=tmp_path)) == ["a1", "b1"]


def test_what_an_entry_names_beside_its_image_is_no_file_of_it(paths):
    entries = [
        {"image": str(one), "second": str(two), "class": "wood", "label": str(one)}
        for one, two in (paths[:2], paths[2:])
    ]
    assert files_of(Entries(files=entries)) == [paths[:2], paths[2:]]


def test_entries_that_name_no_file(paths):
    assert files_of(Entries(files=[{"class": "wood"}, {"class": "lake"}])) is None
    assert files_of(Entries(files=["nowhere"])) is None
