"""Scores for the eye hold the numbers of the scores."""

import json
from io import StringIO

from rich.console import Console

from xstars_lightning.evaluation import plot_confusion, save_report, score_table
from xstars_lightning.evaluation.protocol import FewLabelScore, ProbeScore, Score

SCORE = Score(0.8125, {"field": 0.75, "lake": 1.0, "wood": None}, [[3, 1, 0], [0, 4, 0], [0, 0, 0]])


def probe(accuracy, lake):
    per_class = {"field": 0.5, "lake": lake, "wood": None}
    return ProbeScore(accuracy, per_class, SCORE.confusion, seed=0, labels=9, labels_hash="", strength=1.0)


def test_table_shows_means_and_spread():
    few = FewLabelScore(0.01, 0.625, 0.0314, [probe(0.6, 0.2), probe(0.65, 0.4)])
    console = Console(width=200, record=True, file=StringIO())
    console.print(score_table("title", ("kNN", SCORE), [few]))
    text = console.export_text()
    rows = {line.split()[1]: line for line in text.splitlines() if len(line.split()) > 2}
    assert "1 % of labels" in text
    assert "81.2" in rows["all"]
    assert "62.5 ± 3.1" in rows["all"]
    assert rows["lake"].split()[1::2] == ["lake", "100.0", "30.0"]
    assert rows["wood"].split()[1::2] == ["wood", "-", "-"]


def test_confusion_matrix_is_normalised_by_row():
    (axes, _) = plot_confusion(SCORE, "Probe").axes
    assert axes.get_title() == "Probe: 81.2 % correct"
    assert [label.get_text() for label in axes.get_yticklabels()] == ["field", "lake", "wood"]
    shares = axes.images[0].get_array()
    assert shares.tolist() == [[75.0, 25.0, 0.0], [0.0, 100.0, 0.0], [0.0, 0.0, 0.0]]
    assert [text.get_text() for text in axes.texts[:3]] == ["75", "25", "0"]


def test_report_is_written(tmp_path):
    save_report(tmp_path / "new" / "folder", {"accuracy": 0.5}, plot_confusion(SCORE, "Probe"))
    assert json.loads((tmp_path / "new" / "folder" / "evaluation.json").read_text()) == {"accuracy": 0.5}
    assert (tmp_path / "new" / "folder" / "confusion_matrix.png").read_bytes().startswith(b"\x89PNG")
