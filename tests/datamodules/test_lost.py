import logging

import pytest
import torch
from torchgeo.datasets import stack_samples

from xstars_lightning.datamodules import CrossSensorDataModule
from xstars_lightning.datamodules.lost import CountingLoader, LostWindows, ReplacingDataset
from xstars_lightning.datasets import CrossSensorDataset
from xstars_lightning.datasets.handles import RemoteReadError


class Archive:
    """Windows are numbers; some of them lie in files that are gone."""

    def __init__(self, gone):
        self.gone = gone

    def __getitem__(self, window):
        if window in self.gone:
            raise RemoteReadError(f"Cannot read https://archive/{window}.tif: 404.")
        if window < 0:
            raise OSError(f"Cannot read /disk/{window}.tif.")
        return {"image": torch.tensor([float(window)])}


def loader(gone, share, windows=200, batch_size=50):
    dataset = ReplacingDataset(Archive(gone), spares=[1000, 1001, 1002])
    return CountingLoader(
        dataset,
        sampler=range(windows),
        batch_size=batch_size,
        lost=LostWindows(share),
        collate_fn=stack_samples,
    )


def test_a_window_that_cannot_be_read_is_replaced_counted_and_named(caplog):
    ours = loader({7, 120}, share=0.02)
    with caplog.at_level(logging.WARNING):
        batches = list(ours)
    values = torch.cat([batch["image"] for batch in batches]).flatten()
    assert (values >= 1000).nonzero().flatten().tolist() == [7, 120]
    assert ours.lost.replaced == 2
    assert ours.lost.windows == 200
    assert "https://archive/7.tif" in caplog.text
    assert all(set(batch) == {"image"} for batch in batches)


def test_the_same_window_has_the_same_replacement():
    first, second = ({b["image"].sum().item() for b in loader({7}, 0.5)} for _ in range(2))
    assert first == second


def test_too_many_lost_windows_stop_the_run():
    with pytest.raises(OSError, match=r"3 of 150 windows .* max_lost 0.20%"):
        list(loader({7, 60, 120}, share=0.002))


def test_a_few_early_ones_do_not(caplog):
    ours = loader({1, 2, 3}, share=0.01)
    assert len(list(ours)) == 4
    assert "3 of 200 windows so far were replaced" in caplog.text


def test_the_look_before_training_replaces_them_too(two_sensors, monkeypatch):
    dm = CrossSensorDataModule(
        paths={key: str(two_sensors / key) for key in ("high", "low")},
        sensors=dict.fromkeys(("high", "low"), "sentinel2_rgb"),
        window=240,
        batch_size=4,
        windows_per_epoch=16,
    )
    dm.setup("validate")
    first = next(dm.train_sampler.since(0))
    read = CrossSensorDataset.__getitem__

    def vanished(dataset, window):
        if window == first:
            raise RemoteReadError("Cannot read https://archive/a.tif: 404.")
        return read(dataset, window)

    monkeypatch.setattr(CrossSensorDataset, "__getitem__", vanished)
    assert len(dm.first_samples(4)) == 4
    assert torch.cat([batch["bounds"] for batch in dm.train_dataloader()]).shape == (16, 9)


def test_none_may_be_lost_if_so_stated():
    with pytest.raises(OSError, match="1 of 50 windows"):
        list(loader({7}, share=0.0))


def test_an_archive_that_is_gone_altogether_is_the_error_itself():
    with pytest.raises(RemoteReadError, match="404"):
        list(loader({*range(200), 1000, 1001, 1002}, share=1.0))


def test_files_on_a_disk_are_not_forgiven():
    with pytest.raises(OSError, match=r"/disk/-1\.tif"):
        ReplacingDataset(Archive(set()), [1])[-1]


@pytest.mark.parametrize("share", [-0.1, 1.1])
def test_a_share_out_of_range_is_refused(share):
    with pytest.raises(ValueError, match="max_lost"):
        LostWindows(share)
