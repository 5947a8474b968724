import platform

import pytest

from xstars_lightning.datamodules import CrossSensorDataModule
from xstars_lightning.datamodules.memory import keep_flat


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc's allocator")
def test_the_allocator_takes_it():
    assert keep_flat() is True


def test_loaders_do_it_in_their_workers(two_sensors):
    paths = {key: str(two_sensors / key) for key in ("high", "low")}
    sensors = dict.fromkeys(paths, "sentinel2_rgb")
    dm = CrossSensorDataModule(paths, sensors, window=240, batch_size=4, windows_per_epoch=16)
    dm.setup("validate")
    assert dm.train_dataloader().worker_init_fn is keep_flat
