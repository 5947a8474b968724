"""Only numbers on the same images stand side by side, and what differs is said."""

import json

import pytest

from xstars_lightning.evaluation.comparison import comparison_markdown, group_runs, plot_comparison, read_runs
from xstars_lightning.tools.compare import compare


def run(name, value, test="a" * 64, **changed):
    scores = {
        "kNN": {"value": value, "spread": None, "interval": [value - 0.01, value + 0.02]},
        "linear, 1 % of labels": {"value": value / 2, "spread": 0.015, "interval": None},
    }
    about = {"name": name, "data": "Data", "images": {"test": 9}, "split_hashes": {"test": test}}
    return about | {"scores": scores, "image_size": 112} | changed


@pytest.fixture
def write(tmp_path):
    def write(folder, content):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "evaluation.json").write_text(json.dumps(content))
        return str(tmp_path / folder)

    return write


def test_table_has_a_row_for_each_and_the_best_bold(write, tmp_path, capsys):
    write("runs/ours/version_0", run("ours", 0.8))
    write("runs/peer", run("peer", 0.7))
    compare([str(tmp_path / "runs")])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "**Data, 9 test images (aaaaaaaa)**"
    assert lines[2] == "| | kNN | linear, 1 % of labels |"
    assert lines[4] == "| ours | **80.0 [79.0, 82.0]** | **40.0 ± 1.5** |"
    assert lines[5] == "| peer | 70.0 [69.0, 72.0] | 35.0 ± 1.5 |"
    assert not any("differs" in line for line in lines)


def test_other_test_images_are_another_table(write):
    runs = read_runs([write("a", run("a", 0.8)), write("b", run("b", 0.7, test="b" * 64))])
    table = comparison_markdown(group_runs(runs))
    assert table.count("**Data, 9 test images") == 2
    assert "**80.0" in table
    assert "**70.0" in table


def test_what_differs_is_said_and_what_lacks_is_left_open(write):
    other = run("b", 0.9, image_size=224)
    del other["scores"]["kNN"]
    table = comparison_markdown(group_runs(read_runs([write("a", run("a", 0.8)), write("b", other)])))
    assert "image_size differs: a 112; b 224." in table
    assert "| b | - | **45.0 ± 1.5** |" in table


def test_other_training_images_are_remarked_upon(write):
    runs = {}
    for name, count in (("few", 100), ("many", 10_000)):
        digests = {"train": name.ljust(8, "x"), "val": "v" * 64, "test": "a" * 64}
        images = {"train": count, "val": 9, "test": 9}
        runs[name] = run(name, 0.8, images=images, split_hashes=digests, data_hashes={"train": None})
    tuned = {"images": {"train": 100, "val": 9}, "split_hashes": runs["few"]["split_hashes"]}
    runs["tuned"] = run("tuned", 0.9, training=tuned)
    remarks = comparison_markdown({"Data": runs}).splitlines()[7:]
    few = "100 images (fewxxxxx)"
    assert remarks == ["", f"train differs: few {few}; many 10000 images (manyxxxx); tuned {few}."]


def test_other_files_statistics_and_exclusions_are_remarked_upon(write):
    about = {"data_hashes": {"test": "b" * 64}, "statistics": {"bands": ["red"], "mean": [0.5]}}
    first = run("a", 0.8, **about, excluded=[{"split": "test", "name": str(n), "reason": ""} for n in (1, 2)])
    other = {"data_hashes": {"test": "c" * 64}, "statistics": {"bands": ["red"], "mean": [0.25] * 50}}
    lines = comparison_markdown({"Data": {"a": first, "b": run("b", 0.8, **other)}}).splitlines()
    assert (
        "test differs: a 9 images (aaaaaaaa, data bbbbbbbb); b 9 images (aaaaaaaa, data cccccccc)." in lines
    )
    assert 'excluded differs: a {"test": 2}; b {}.' in lines
    (statistics,) = [line for line in lines if line.startswith("statistics")]
    assert 'a {"mean": [0.5]}; b {"mean": [0.25, 0.25,' in statistics
    assert len(statistics) < 200


def test_every_resolution_has_its_columns(write):
    parts = {share: run("a", value)["scores"] for share, value in (("0.5", 0.6), ("1", 0.8))}
    several = run("a", 0.8, resolutions={share: {"scores": scores} for share, scores in parts.items()})
    groups = group_runs(read_runs([write("a", several), write("b", run("b", 0.7))]))
    lines = comparison_markdown(groups).splitlines()
    assert lines[2] == (
        "| | kNN | linear, 1 % of labels | kNN, at 50 % resolution "
        "| linear, 1 % of labels, at 50 % resolution |"
    )
    assert lines[4].startswith("| a | **80.0 [79.0, 82.0]** | **40.0 ± 1.5** | **60.0 [59.0, 62.0]** |")
    assert lines[5] == "| b | 70.0 [69.0, 72.0] | 35.0 ± 1.5 | - | - |"
    (axes,) = plot_comparison(groups).axes
    assert axes.containers[0].lines[0].get_xdata().tolist() == pytest.approx([80, 40, 60, 30])


def test_runs_of_one_name_are_told_apart(write):
    folders = [write(name, run("same", 0.8)) for name in ("a", "b")]
    (group,) = group_runs(read_runs(folders)).values()
    assert list(group) == ["same", f"same ({folders[1]})"]


def test_files_are_written(write, tmp_path):
    folder = write("a", run("a", 0.8))
    compare([folder], out=str(tmp_path / "table.md"), figure=str(tmp_path / "picture.png"))
    assert (tmp_path / "table.md").read_text().startswith("**Data")
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")


def test_picture_has_a_point_for_every_score(write):
    groups = group_runs(read_runs([write("a", run("a", 0.8)), write("b", run("b", 0.7))]))
    (axes,) = plot_comparison(groups).axes
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["a", "b"]
    assert axes.containers[0].lines[0].get_xdata().tolist() == pytest.approx([80, 40])


def test_a_mean_outside_its_interval_has_no_bar_on_that_side():
    score = {"kNN": {"value": 0.8, "spread": None, "interval": [0.81, 0.85]}}
    (axes,) = plot_comparison({"Data": {"a": run("a", 0.8) | {"scores": score}}}).axes
    ((left, right),) = [segment[:, 0] for segment in axes.containers[0].lines[2][0].get_segments()]
    assert (left, right) == (pytest.approx(80), pytest.approx(85))


def test_folders_without_an_evaluation_are_named_and_left_out(write, tmp_path):
    write("runs/a", run("a", 0.8))
    (tmp_path / "runs" / "pretraining").mkdir()
    (tmp_path / "runs" / "table.md").write_text("| a |")
    paths = [str(path) for path in sorted((tmp_path / "runs").iterdir())]
    with pytest.warns(UserWarning, match=r"no evaluation\.json: .*pretraining, .*table\.md\."):
        runs = read_runs(paths)
    assert [one["name"] for one in runs.values()] == ["a"]


def test_errors(write, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"No evaluation\.json in .*empty"):
        read_runs([str(tmp_path / "empty")])
    old = run("a", 0.8)
    del old["scores"]
    with pytest.raises(ValueError, match="lacks scores"):
        read_runs([write("old", old)])
    folder = write("bad", {})
    (tmp_path / "bad" / "evaluation.json").write_text("{")
    with pytest.raises(ValueError, match="no JSON"):
        read_runs([folder])
