"""What benchmarks print becomes a page."""

import json

import pytest

import report
from measure import in_turn, spread

RESULT = {
    "benchmark": "training step",
    "machine": {"threads": 2, "commit": "abc"},
    "goal": 1.6,
    "rows": [
        {"batch": 8, "ratio": {"median": 2.0, "min": 1.5, "max": 2.5}},
        {"batch": 32, "loss": 0.123456789, "once": {"median": 1.5, "min": 1.5, "max": 1.5}},
    ],
    "date": "2026-01-01",
    "minutes": 3.5,
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Benchmarks and documents of a project with one benchmark."""
    (tmp_path / "bench_step.py").write_text(
        '"""A step against a peer.\n\n    python benchmarks/bench_step.py\n"""\n'
        f"print({json.dumps(RESULT)!r})\n"
    )
    (tmp_path / "reading.md").write_text("What it means.\n")
    places = {"HERE": "", "RESULTS": "benchmarks.json", "PAGE": "benchmarks.md", "READING": "reading.md"}
    for name, place in places.items():
        monkeypatch.setattr(report, name, tmp_path / place)
    return tmp_path


def test_a_page_says_method_command_machine_and_numbers(folder):
    report.main([])
    page = (folder / "benchmarks.md").read_text()
    for words in (
        "What it means.",
        "## Training step",
        "A step against a peer.",
        "threads 2, ",
        "commit abc",
    ):
        assert words in page
    assert "`python benchmarks/bench_step.py`" in page
    assert "| 8 | 2 (1.5 to 2.5) |  |  |" in page
    assert "| 32 |  | 0.123457 | 1.5 |" in page


def test_results_of_other_benchmarks_are_kept(folder):
    (folder / "benchmarks.json").write_text(json.dumps({"bench_old": RESULT | {"benchmark": "old"}}))
    (folder / "bench_old.py").write_text('"""Old."""\n')
    report.main(["bench_step"])
    assert {"## Old", "## Training step"} <= {*(folder / "benchmarks.md").read_text().splitlines()}


def test_an_unknown_benchmark_is_named(folder):
    with pytest.raises(SystemExit, match=r"No benchmark bench_stop; there are bench_step\."):
        report.main(["bench_stop"])


def test_a_benchmark_that_fails_leaves_the_page_alone(folder):
    (folder / "bench_step.py").write_text('"""A step."""\nraise SystemExit(3)\n')
    with pytest.raises(SystemExit, match="bench_step ended with 3"):
        report.main([])
    assert not (folder / "benchmarks.md").exists()


def test_ways_are_timed_in_turn_after_one_round_that_does_not_count():
    calls = []
    measured = in_turn({"a": lambda: calls.append("a") or 1.0, "b": lambda: calls.append("b") or 2.0}, 2)
    assert calls == ["a", "b"] * 3
    assert [len(times) for times in measured.times.values()] == [2, 2]
    assert measured.values == {"a": 1.0, "b": 2.0}


def test_ratios_are_taken_round_by_round():
    measured = in_turn({"a": lambda: 0.0, "b": lambda: 0.0}, 1)
    measured.times.update(a=[2.0, 9.0, 4.0], b=[1.0, 3.0, 1.0])
    assert measured.ratio("a", "b") == {"median": 3.0, "min": 2.0, "max": 4.0}
    assert spread([1.23456, 2.0, 3.0])["min"] == 1.235
