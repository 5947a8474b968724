"""Dates come out of names, or the error says why not."""

import numpy as np
import pytest

from xstars_lightning.datasets.archive.dates import DateRule, find_date, time_of

LAST = np.timedelta64(86_400_000_000 - 1, "us")


@pytest.mark.parametrize(
    ("name", "day"),
    [
        ("tile_20230612.tif", "2023-06-12"),
        ("tile-2023-06-12_rgb.tif", "2023-06-12"),
        ("2023_06_12.tif", "2023-06-12"),
        ("LC08_L2SP_199026_20200715_20200912_02_T1", "2020-07-15"),
        ("MOD09GA.A2020197.h18v04.061.2020199030723.hdf", "2020-07-15"),
        ("a_20231345_20230612.tif", "2023-06-12"),  # the first is no date
        ("a_2023366_2024366.tif", "2024-12-31"),  # 2023 has no day 366
    ],
)
def test_the_first_plausible_date_is_found(name, day):
    begin, end = find_date(f"/archive/19990101/{name}")
    assert begin == np.datetime64(day, "us")
    assert end - begin == LAST


def test_a_time_beside_the_date_counts():
    begin, end = find_date("/a/S2A_MSIL2A_20230612T103629_N0509_R008_T32UNF_20230612T170000.SAFE/")
    assert begin == end == np.datetime64("2023-06-12T10:36:29", "us")


@pytest.mark.parametrize(
    "name", ["scene_00.tif", "1234567890.tif", "20239999.tif", "18000101.tif", "x202306121.tif"]
)
def test_no_date_is_unknown(name):
    assert np.isnat(time_of(name, None)).all()


def test_a_rule_finds_its_group_and_keeps_the_precision_of_its_format():
    rule = DateRule(r"_(?P<date>\d{2}\.\d{4})_", "%m.%Y")
    assert time_of("/a/x_02.2024_7.tif", rule) == (
        np.datetime64("2024-02-01", "us"),
        np.datetime64("2024-02-29T23:59:59.999999", "us"),
    )


def test_a_rule_may_look_at_folders_and_know_no_format():
    assert DateRule(r"/(\d{8})/")("/a/20230612/x.tif")[0] == np.datetime64("2023-06-12", "us")


def test_zones_become_utc():
    assert DateRule(r".+\.(\d{8}T\d{4}.\d{4})", "%Y%m%dT%H%M%z")("a.20230612T0100+0200")[0] == np.datetime64(
        "2023-06-11T23:00", "us"
    )


def test_a_file_that_breaks_the_rule_is_named():
    with pytest.raises(ValueError, match=r"b\.tif: the rule '_\(\\\\d\{8\}\)' does not match.*date_regex"):
        time_of("b.tif", DateRule(r"_(\d{8})", "%Y%m%d"))


@pytest.mark.parametrize("form", [None, "%Y%m%d"])
def test_a_number_that_is_no_date_is_named(form):
    with pytest.raises(ValueError, match=r"a_20239912\.tif: .*finds '20239912'.*date_format"):
        DateRule(r"_(\d{8})", form)("a_20239912.tif")


def test_a_broken_regex():
    with pytest.raises(ValueError, match=r"'\(' is no regular expression"):
        DateRule("(")
