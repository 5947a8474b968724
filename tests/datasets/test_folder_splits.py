"""Images of class folders, their splits, and what is wrong with them."""

import numpy as np
import pytest
import torch
from PIL import Image

from xstars_lightning.datasets.class_folders import ClassFolders
from xstars_lightning.evaluation import split_hash


def write_lists(folder, **rows):
    paths = {}
    for split in ("train", "val", "test"):
        path = folder / f"{split}.csv"
        default = f"Lake/Lake_{len(paths)}.jpg,Lake"
        path.write_text("\n".join(rows.get(split, [default])) + "\n")
        paths[split] = str(path)
    return paths


def test_default_split_is_stratified_and_complete(class_folders):
    splits = {name: ClassFolders(class_folders, name) for name in ("train", "val", "test")}
    assert {name: part.targets.bincount().tolist() for name, part in splits.items()} == {
        "train": [6, 6, 6],
        "val": [2, 2, 2],
        "test": [2, 2, 2],
    }
    assert len({name for part in splits.values() for name in part.names}) == 30
    assert splits["train"].classes == ["Field", "Lake", "Wood"]


def test_split_is_seeded_hashed_and_mixed(class_folders):
    first, again, other = (ClassFolders(class_folders, seed=seed) for seed in (0, 0, 1))
    assert first.names == again.names
    assert first.split_hash == again.split_hash == split_hash(first.names) != other.split_hash
    assert first.targets.tolist() != sorted(first.targets.tolist())


def test_sample_is_the_named_image(class_folders):
    dataset = ClassFolders(class_folders)
    for index in (0, 7):
        sample = dataset[index]
        with Image.open(class_folders / dataset.names[index]) as image:
            expected = torch.from_numpy(np.array(image)).permute(2, 0, 1).float()
        torch.testing.assert_close(sample["image"], expected)
        assert sample["image"].dtype == torch.float32
        assert sample["label"].dtype == torch.long
        assert dataset.classes[int(sample["label"])] == dataset.names[index].split("/")[0]


def test_grey_images_become_rgb(class_folders):
    Image.fromarray(np.full((32, 32), 51, np.uint8)).save(class_folders / "Lake" / "Lake_0.jpg")
    dataset = ClassFolders(class_folders, lists=write_lists(class_folders), split="train")
    torch.testing.assert_close(dataset[0]["image"], torch.full((3, 32, 32), 51.0))


def test_transforms_are_applied(class_folders):
    dataset = ClassFolders(class_folders, transforms=lambda sample: sample | {"image": 255 - sample["image"]})
    plain = ClassFolders(class_folders)
    torch.testing.assert_close(dataset[3]["image"], 255 - plain[3]["image"])


def test_lists_decide_members_order_and_labels(class_folders):
    lists = write_lists(class_folders, test=["Wood/Wood_3.jpg,Wood", "Field/Field_1.jpg,Lake"])
    dataset = ClassFolders(class_folders, "test", lists)
    assert dataset.names == ("Wood/Wood_3.jpg", "Field/Field_1.jpg")
    assert dataset.targets.tolist() == [2, 1]


def test_plot_names_the_class(class_folders):
    dataset = ClassFolders(class_folders)
    sample = dataset[0] | {"prediction": torch.tensor(2)}
    title = dataset.plot(sample, suptitle="x").axes[0].get_title()
    assert title == f"label: {dataset.classes[int(sample['label'])]}\nprediction: Wood"


@pytest.mark.parametrize("keep", [0, 20, 300, -100])
def test_truncated_image_is_named(class_folders, keep):
    dataset = ClassFolders(class_folders)
    path = class_folders / dataset.names[4]
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ValueError, match=path.name):
        dataset[4]


@pytest.mark.parametrize(
    ("row", "error", "message"),
    [
        ("Lake/Lake_77.jpg,Lake", FileNotFoundError, r"test.csv:1: .*Lake_77.jpg"),
        ("Lake/Lake_7.tif,Lake", FileNotFoundError, r"there is Lake/Lake_7.jpg"),
        ("Lake/Lake_7.jpg,Pond", ValueError, r"test.csv:1: unknown class 'Pond'.*Field, Lake, Wood"),
        ("Lake/Lake_0.jpg,Lake", ValueError, r"Lake_0.jpg was listed before, in .*train.csv:1"),
        ("3,Lake/Lake_7.jpg,1,Lake", ValueError, r"test.csv:1: .*2 columns"),
        ("", ValueError, r"test.csv lists no image"),
    ],
)
def test_list_errors(class_folders, row, error, message):
    with pytest.raises(error, match=message):
        ClassFolders(class_folders, "test", write_lists(class_folders, test=[row]))


def test_lists_are_needed_for_every_split(class_folders):
    lists = write_lists(class_folders)
    with pytest.raises(ValueError, match="train, val, test"):
        ClassFolders(class_folders, "train", {"train": lists["train"], "test": lists["test"]})
    with pytest.raises(FileNotFoundError, match=r"nowhere\.csv"):
        ClassFolders(class_folders, "train", lists | {"val": "nowhere.csv"})


def test_root_errors(class_folders, tmp_path):
    with pytest.raises(FileNotFoundError, match="missing"):
        ClassFolders(tmp_path / "missing")
    with pytest.raises(FileNotFoundError, match="holds images"):
        ClassFolders(class_folders / "Lake")
    with pytest.raises(ValueError, match="Unknown split 'dev'"):
        ClassFolders(class_folders, "dev")


def test_class_too_small_to_split_is_named(class_folders):
    (class_folders / "Town").mkdir()
    (class_folders / "Lake" / "Lake_0.jpg").rename(class_folders / "Town" / "a.jpg")
    with pytest.raises(ValueError, match="'Town' has 1 samples"):
        ClassFolders(class_folders)


def test_real_eurosat(real_data):
    root = real_data / "eurosat_rgb"
    train = ClassFolders(root)
    assert (len(train), len(train.classes), train[0]["image"].shape) == (16200, 10, (3, 64, 64))
    # Pins the draw: published numbers name this hash.
    assert train.split_hash == "fa3f3b2cbf22012fce40961343178e79605e497c4d1d89fd18a60e3f4b814408"
    lists = {s: str(root / "splits_aitlas" / f"eurosat_{s}.csv") for s in ("train", "val", "test")}
    assert [len(ClassFolders(root, s, lists)) for s in ("train", "val", "test")] == [16200, 5400, 5400]
