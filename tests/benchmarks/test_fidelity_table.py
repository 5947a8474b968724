"""Runs survive an interruption; tables hold the right numbers, and bold what the rule says."""

import os

import pytest

from fidelity.figure import plot
from fidelity.runs import done, load_runs, run_key, save_run
from fidelity.summary import Cell, Column, best_row, summarise
from fidelity.table import table, write_page

RECALL, RANK = Column("recall", "recall@1"), Column("rank", "rank", percent=False, compare=False)


def run(row, seed, data="real", **metrics):
    return {"data": data, "row": row, "seed": seed, "metrics": metrics}


RUNS = [
    *(run("DINO alone", seed, recall=0.50 + 0.01 * seed, rank=20.0) for seed in range(3)),
    *(run("ours", seed, recall=0.60 + 0.02 * seed) for seed in range(3)),
]


def test_runs_come_back(tmp_path):
    folder = tmp_path / "new"
    assert not done(folder, run_key("real", "ours", 1))
    for one in RUNS:
        save_run(folder, one)
    assert done(folder, run_key("real", "ours", 1))
    assert not done(folder, run_key("real", "ours", 3))
    assert sorted(load_runs(folder), key=str) == sorted(RUNS, key=str)
    save_run(folder, run("ours", 1, recall=0.9))
    assert len(load_runs(folder)) == 6
    assert run("ours", 1, recall=0.9) in load_runs(folder)


def test_rows_that_differ_by_punctuation_have_keys_of_their_own():
    keys = {run_key("real", row, 0) for row in ("ours, µ", "ours + µ", "ours", "Ours")}
    assert len(keys) == 4
    assert all(key.replace("-", "").isalnum() and key.isascii() for key in keys)


def test_interrupted_writing_leaves_no_run(tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        save_run(tmp_path, RUNS[0])
    assert not done(tmp_path, run_key("real", "DINO alone", 0))
    assert load_runs(tmp_path) == []


def test_means_and_sample_deviations():
    summary = summarise([*RUNS, run("one", 0, recall=0.3)])
    assert list(summary) == ["DINO alone", "ours", "one"]
    assert summary["ours"]["recall"] == Cell(pytest.approx(0.62), pytest.approx(0.02), 3)
    assert summary["ours"]["recall"].error == pytest.approx(0.02 / 3**0.5)
    assert summary["one"]["recall"] == Cell(0.3, None, 1)
    assert list(summarise(RUNS, ["ours", "absent", "DINO alone"])) == ["ours", "DINO alone"]


def test_table_in_markdown():
    assert table(summarise(RUNS), [RANK, Column("absent", "absent"), RECALL]) == (
        "|  | rank | recall@1 |\n"
        "| --- | ---: | ---: |\n"
        "| DINO alone | 20.00 ± 0.00 | 51.0 ± 1.0 |\n"
        "| ours | - | **62.0 ± 2.0** |\n"
    )


@pytest.mark.parametrize(
    ("first", "second", "best"),
    [
        (Cell(0.63, 0.02, 4), Cell(0.60, 0.02, 4), "a"),  # 0.03 exceeds 0.01 + 0.01
        (Cell(0.60, 0.02, 4), Cell(0.63, 0.02, 4), "b"),
        (Cell(0.63, 0.04, 4), Cell(0.60, 0.03, 4), None),  # 0.03 does not exceed 0.02 + 0.015
        (Cell(0.63, 0.04, 16), Cell(0.60, 0.03, 16), "a"),
        (Cell(0.90, None, 1), Cell(0.10, 0.01, 3), None),
        (Cell(float("nan"), None, 3), Cell(0.10, 0.01, 3), None),
        (Cell(0.5, 0.0, 3), Cell(0.5, 0.0, 3), None),
    ],
)
def test_best_must_exceed_the_standard_errors(first, second, best):
    summary = {"a": {"recall": first}, "b": {"recall": second}, "c": {"recall": Cell(0.05, 0.3, 2)}, "d": {}}
    assert best_row(summary, RECALL) == best
    assert best_row(summary, RECALL._replace(compare=False)) is None


def test_one_row_alone_is_not_best():
    assert best_row({"a": {"recall": Cell(0.9, 0.01, 3)}}, RECALL) is None


def test_figure_has_a_panel_for_each_column_that_a_dataset_has():
    few = summarise([run("ours", seed, recall=0.4) for seed in range(2)])
    figure = plot({"Real": summarise(RUNS), "Few": few}, [RECALL, RANK])
    axes = figure.axes
    assert [panel.get_title() for panel in axes if panel.axison] == ["recall@1 [%]", "rank", "recall@1 [%]"]
    assert [bar.get_width() for bar in axes[0].patches] == pytest.approx([51, 62])
    assert [label.get_text() for label in axes[0].get_yticklabels()] == ["DINO alone", "ours"]
    colours = [bar.get_facecolor() for bar in axes[0].patches]
    assert colours[0] != colours[1]
    assert [part.get_suptitle() for part in figure.subfigs] == ["Real", "Few"]


def test_page_holds_a_table_for_each_dataset_and_the_figure(tmp_path):
    simulated = [run("ours", 0, "simulated", recall=0.25)]
    path = tmp_path / "docs" / "study.md"
    write_page([*RUNS, *simulated], path, "# Title\n\nWords.\n", [RECALL, RANK], rows=["ours", "DINO alone"])
    text = path.read_text()
    assert text.startswith("# Title\n\nWords.\n\n![")
    assert "(study.png)" in text
    assert text.index("## Simulated scenes") < text.index("## Real imagery")
    assert "| ours | 25.0 |" in text
    assert text.index("| ours | **62.0 ± 2.0** | - |") < text.index("| DINO alone | 51.0")
    assert "over 1 seed (shares" in text
    assert "over 3 seeds (shares" in text
    assert path.with_suffix(".png").read_bytes().startswith(b"\x89PNG")


def test_page_about_nothing_is_an_error(tmp_path):
    for runs, columns, rows in (([], [RECALL], None), (RUNS, [], None), (RUNS, [RECALL], ["absent"])):
        with pytest.raises(ValueError, match=rf"None of the {len(runs)} runs"):
            write_page(runs, tmp_path / "study.md", "", columns, rows)
    assert not list(tmp_path.iterdir())
