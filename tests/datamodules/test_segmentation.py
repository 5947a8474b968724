"""Splits and options of the datamodule for labelled images."""

import numpy as np
import pytest

from xstars_lightning.datamodules.segmentation import SegmentationDataModule

OPTIONS = {
    "dataset_class": "xstars_lightning.datasets.chesapeake_cover.ChesapeakeCover",
    "sensors": {"naip": "naip_rgbn"},
    "splits": {"train": {"split": "train"}},
    "held_out": {"val": 0.2, "test": 0.3},
}


@pytest.fixture
def root(tmp_path):
    (tmp_path / "train").mkdir()
    array = np.ones((1, 29, 16, 16), np.float32)
    for number in range(10):
        np.savez(tmp_path / "train" / f"{number}.npz", array)
    return str(tmp_path)


def parts(root, **options):
    data = SegmentationDataModule(**(OPTIONS | {"root": root} | options))
    data.setup("fit")
    data.setup("test")
    return [getattr(data, f"{split}_dataset").names for split in ("train", "val", "test")]


def test_held_out_images_are_no_training_images(root):
    train, val, test = parts(root)
    assert (len(train), len(val), len(test)) == (5, 2, 3)
    assert len({*train, *val, *test}) == 10


def test_the_draw_is_seeded(root):
    assert parts(root) == parts(root)
    assert parts(root) != parts(root, seed=1)


def test_class_names_are_known_before_setup(root):
    data = SegmentationDataModule(**OPTIONS, root=root)
    assert data.class_names[:2] == ["water", "tree canopy and forest"]
    assert (
        SegmentationDataModule(**OPTIONS, root=root, ignored=[1]).class_names[0] == "tree canopy and forest"
    )
    assert SegmentationDataModule(**OPTIONS, root=root, class_names={1: "lake"}).class_names == ["lake"]


def test_training_images_are_shuffled_and_none_is_left_out(root):
    data = SegmentationDataModule(**OPTIONS, root=root, batch_size=3, tile=8, crops=2)
    data.setup("fit")
    batches = list(data.train_dataloader())
    assert [len(batch["image"]) for batch in batches] == [6, 4]
    (val,) = data.val_dataloader()
    assert val["index"].tolist() == [0] * 4 + [1] * 4  # covered, not cropped


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"splits": {}}, "train in `splits`"),
        ({"splits": {"train": {}, "val": {}}}, "in `splits` or in `held_out`"),
        ({"held_out": {"vall": 0.1}}, "got train and vall"),
        ({"held_out": {"val": 0.5, "test": 0.5}}, "sum below 1"),
        ({"held_out": {"val": 0.0}}, "positive shares"),
        ({"sensors": {"a": "spot_rgb", "b": "landsat_rgb"}}, "of one sensor; got a, b"),
    ],
)
def test_options_that_make_no_sense(options, message):
    with pytest.raises(ValueError, match=message):
        SegmentationDataModule(**(OPTIONS | options))


def test_too_few_images_to_hold_any_out(root):
    with pytest.raises(ValueError, match=r"10 training images .* too few to hold 10 of them out"):
        parts(root, held_out={"val": 0.66, "test": 0.33})
