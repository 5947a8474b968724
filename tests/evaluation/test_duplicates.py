"""The same content under two names."""

from xstars_lightning.evaluation.duplicates import find_duplicates
from xstars_lightning.evaluation.exclusion import KeptSamples, find_broken


def test_content_decides_and_not_name_or_size(tmp_path):
    contents = {
        "train/a": b"1111",
        "train/b": b"2222",
        "train/c": b"33",
        "test/a": b"2222",
        "test/b": b"4444",
    }
    for name, content in contents.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    train, test = (
        [tmp_path / name for name in contents if name.startswith(kind)] for kind in ("train", "test")
    )
    assert find_duplicates(train, test) == [(1, 0)]
    (tmp_path / "train/a").write_bytes(b"2222")
    assert find_duplicates(train, test) == [(0, 0), (1, 0)]


def test_an_image_of_several_files_is_the_same_if_all_of_them_are(tmp_path):
    contents = {"a1": b"11", "a2": b"22", "b1": b"11", "b2": b"33", "c1": b"22", "c2": b"11"}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    a, b, c = ([tmp_path / f"{image}{date}" for date in "12"] for image in "abc")
    assert find_duplicates([a, b], [b, c, tmp_path / "a1"]) == [(1, 0)]


def test_every_pair_of_several_copies_is_found(tmp_path):
    for name, content in {"a": b"11", "b": b"22", "c": b"11"}.items():
        (tmp_path / name).write_bytes(content)
    a, b, c = (tmp_path / name for name in "abc")
    assert find_duplicates([a, b, c], [c, b, a]) == [(0, 0), (2, 0), (1, 1), (0, 2), (2, 2)]


class Broken:
    classes = ("x", "y")

    def __len__(self):
        return 3

    def __getitem__(self, index):
        if index == 1:
            raise ValueError("b is truncated")
        return index


def test_what_cannot_be_read_is_found_and_left_out():
    assert find_broken(Broken()) == {1: "b is truncated"}
    kept = KeptSamples(Broken(), [0, 2], ["a", "c"])
    assert [kept[index] for index in range(len(kept))] == [0, 2]
    assert (kept.names, kept.classes) == (["a", "c"], ("x", "y"))
    assert getattr(kept, "targets", None) is None


def test_labels_of_what_is_kept_are_those_of_its_images():
    class Labelled(Broken):
        targets = (7, 8, 9)

    assert KeptSamples(Labelled(), [0, 2], ["a", "c"]).targets.tolist() == [7, 9]
