"""Classification on any dataset, by its name."""

import pytest
import torch
from torch.utils.data import Dataset

from xstars_lightning.datamodules import ClassificationDataModule

FOLDERS = "xstars_lightning.datasets.class_folders.ClassFolders"
SENSORS = {"camera": "aerial_rgb"}


class Numbers(Dataset):
    """Image i has the value i everywhere; what it tells of itself is up to the test."""

    def __init__(self, root, split="train", count=20, labels=None, side=8, transforms=None):
        self.count, self.side = count, side
        self.labels = labels or [index % 3 for index in range(count)]

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        side = self.side + (index if self.side == 9 else 0)
        image = torch.full((3, side, side), float(index))
        return {"image": image, "label": torch.tensor(self.labels[index])}


class Named(Numbers):
    classes = ("a", "b", "c")

    @property
    def targets(self):
        return self.labels


@pytest.fixture
def build(monkeypatch):
    monkeypatch.setattr("torchgeo.datasets.Numbers", Numbers, raising=False)
    monkeypatch.setattr("torchgeo.datasets.Named", Named, raising=False)

    def build(name="Named", stages=("fit", "test"), **arguments):
        datamodule = ClassificationDataModule(**{"dataset_class": name, "sensors": SENSORS, **arguments})
        for stage in stages:
            datamodule.setup(stage)
        return datamodule

    return build


def test_images_are_scaled_and_keep_their_labels_in_any_order(build):
    datamodule = build(batch_size=20)
    batch = next(iter(datamodule.test_dataloader()))
    numbers = (batch["image"][:, 0, 0, 0] * 255).round().long()
    assert sorted(numbers.tolist()) == list(range(20)) != numbers.tolist()
    assert torch.equal(batch["label"], numbers % 3)
    assert torch.equal(datamodule.test_dataset.targets, batch["label"])
    assert datamodule.test_dataset.names == tuple(str(int(number)) for number in numbers)


def test_the_order_is_seeded_or_that_of_the_dataset(build):
    first, again, other = (build(seed=seed).test_dataset for seed in (0, 0, 1))
    assert first.names == again.names != other.names
    assert first.split_hash == other.split_hash
    assert build(shuffled=False).test_dataset.names == tuple(map(str, range(20)))


def test_held_out_shares_are_stratified(build):
    labels = [0] * 8 + [1] * 8 + [2] * 4
    splits = {"train": {}, "test": {}}
    datamodule = build(splits=splits, held_out={"val": 0.25}, options={"labels": labels})
    assert datamodule.train_dataset.targets.bincount().tolist() == [6, 6, 3]
    assert datamodule.val_dataset.targets.bincount().tolist() == [2, 2, 1]
    assert not {*datamodule.train_dataset.names} & {*datamodule.val_dataset.names}
    assert len(datamodule.test_dataset) == 20


def test_held_out_of_images_that_do_not_tell_their_labels(build):
    datamodule = build("Numbers", class_names=["a", "b", "c"], splits={"train": {}}, held_out={"test": 0.3})
    assert (len(datamodule.train_dataset), len(datamodule.test_dataset)) == (14, 6)
    assert datamodule.val_dataset is None
    assert datamodule.train_dataset.targets is None


def test_several_labels_per_image(build):
    labels = [[1, 0, 0], [1, 1, 0]] * 10
    datamodule = build(options={"labels": labels}, shuffled=False, held_out=None)
    batch = next(iter(datamodule.test_dataloader()))
    assert batch["label"].tolist() == labels
    figure = datamodule.test_dataset.plot(
        datamodule.test_dataset[1] | {"prediction": torch.tensor([0, 1, 1])}
    )
    assert figure.axes[0].get_title() == "label: a, b\nprediction: b, c"


def test_images_of_several_sizes_need_a_size(build):
    batches = build(options={"side": 9}).test_dataloader()
    with pytest.raises(ValueError, match=r"pixels cannot make one batch; set `size`"):
        next(iter(batches))
    batch = next(iter(build(options={"side": 9}, size=16).test_dataloader()))
    assert batch["image"].shape == (20, 3, 16, 16)


def test_class_names_need_to_be_known(build):
    assert build(stages=()).class_names == ["a", "b", "c"]
    with pytest.raises(ValueError, match="Numbers does not name its classes: give class_names"):
        build("Numbers")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"dataset_class": "Nombers"}, "No dataset 'Nombers'"),
        ({"options": {"cuont": 3}}, "Named has no argument cuont; it has root, split"),
        ({"splits": {"test": {}}}, "train in `splits`"),
        ({"held_out": {"val": 0.5}}, "`splits` or in `held_out`"),
        ({"splits": {"train": {}}, "held_out": {"val": 0.5, "test": 0.5}}, "sum below 1"),
        (
            {"splits": {"train": {}}, "held_out": {"test": 0.2}, "options": {"count": 1}},
            "'a' has 1 samples",
        ),
        ({"sensors": {"camera": "sentinel2_l2a"}}, "3 x 8 x 8, but the sensor 'sentinel2_l2a' has 12 bands"),
        ({"image_key": "photo"}, "has no 'photo'; it has image, label"),
        ({"sensors": {"a": "aerial_rgb", "b": "aerial_rgb"}}, "has no 'image_a'"),
        ({"class_names": ["a", "b"]}, r"has the label 2; 0 to 1 is known"),
        ({"options": {"labels": [[1, 0]] * 20}}, "has 2 labels, but there are 3 class names"),
        ({"options": {"labels": [[1, 0, 2]] * 20}}, "0 or 1 is known"),
    ],
)
def test_what_is_wrong_is_said(build, arguments, words):
    def read():
        return list(build(**arguments).test_dataloader())

    with pytest.raises(ValueError, match=words):
        read()


def test_a_damaged_image_is_named(class_folders):
    datamodule = ClassificationDataModule(FOLDERS, SENSORS, root=str(class_folders))
    datamodule.setup("test")
    (class_folders / datamodule.test_dataset.names[2]).write_bytes(b"no image")
    with pytest.raises(ValueError, match=datamodule.test_dataset.names[2]):
        datamodule.test_dataset[2]
