import logging

import pytest

from xstars_lightning.samplers import commensurable_size


@pytest.mark.parametrize(
    ("size", "resolutions", "expected"),
    [
        (640, (1.5, 10, 30), 660),
        (640, (1.5, 10), 660),
        (660, (5, 10, 30), 660),
        (100, (0.5, 0.2), 100),
        (101.3, (0.5, 0.2), 102),
        (640, (10, 11.13), 640),  # least common multiple 11,130 m
        (640, (10, 3.14159265), 640),
        (20, (1.5, 10), 20),
    ],
)
def test_rounded_up_to_whole_pixels(size, resolutions, expected, caplog):
    with caplog.at_level(logging.INFO):
        assert commensurable_size(size, resolutions) == pytest.approx(expected)
    assert len(caplog.records) == (size != expected)
