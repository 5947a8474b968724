"""Runs of the same evaluation side by side."""

import json
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from xstars_lightning.evaluation.differences import differences

__all__ = ["comparison_markdown", "group_runs", "plot_comparison", "read_runs"]

Run = Mapping[str, Any]
Group = Mapping[str, Run]  # by name


def read_runs(paths: Sequence[str]) -> dict[str, Run]:
    """Read ``evaluation.json`` of runs.

    Args:
        paths: Files, or folders in which they are looked for, at any depth.

    Returns:
        Contents by file, in the order given, each once. Paths that hold none are named in a warning.

    Raises:
        FileNotFoundError: If no path holds one.
        ValueError: If a file is not one of an evaluation.
    """
    found = {path: _files(Path(path)) for path in paths}
    empty = ", ".join(path for path, files in found.items() if not files)
    if not any(found.values()):
        raise FileNotFoundError(f"No evaluation.json in {empty}; give folders that `xstars test` wrote.")
    if empty:
        warnings.warn(f"Left out, there is no evaluation.json: {empty}.", stacklevel=2)
    return {str(file): _read(file) for files in found.values() for file in files}


def _files(path: Path) -> list[Path]:
    # Of what `runs/*` names, tables and pictures are no evaluations.
    return [path] if path.is_file() and path.suffix == ".json" else sorted(path.rglob("evaluation.json"))


def _read(file: Path) -> Run:
    try:
        run: Run = json.loads(file.read_text())
    except json.JSONDecodeError as error:
        raise ValueError(f"{file} is no JSON: {error}. Run the evaluation again.") from error
    if missing := {"scores", "split_hashes"} - run.keys():
        raise ValueError(
            f"{file} lacks {', '.join(sorted(missing))}; an older version wrote it. Run the evaluation again."
        )
    return run


def group_runs(runs: Mapping[str, Run]) -> dict[str, dict[str, Run]]:
    """Divide runs by data and test images: only numbers on the same images may be compared.

    Returns:
        Runs by name, by a heading that tells data and test images. A name that occurs twice is
        followed by the folder of its run.
    """
    groups: dict[str, dict[str, Run]] = {}
    for file, run in runs.items():
        test = run["split_hashes"]["test"][:8]
        heading = f"{run.get('data', 'unknown data')}, {run['images']['test']} test images ({test})"
        group = groups.setdefault(heading, {})
        name = str(run.get("name", run.get("weights")))
        group[f"{name} ({Path(file).parent})" if name in group else name] = run
    return groups


def comparison_markdown(groups: Mapping[str, Group]) -> str:
    """A Markdown table for each group: networks as rows, scores in per cent as columns, the best bold.

    Scores of every share of the resolution have columns of their own.
    """
    return "\n".join("\n".join(_table(heading, group)) for heading, group in groups.items())


def _table(heading: str, group: Group) -> list[str]:
    columns = _columns(group)
    lines = [f"**{heading}**", "", f"| | {' | '.join(columns)} |", f"| --- |{' ---: |' * len(columns)}"]
    best = {column: max(_value(run, column) for run in group.values()) for column in columns}
    for name, run in group.items():
        cells = [_cell(_scores(run).get(column), best[column]) for column in columns]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    for remark in differences(group):
        lines += ["", remark]
    return [*lines, ""]


def _scores(run: Run) -> Mapping[str, Mapping[str, Any]]:
    """Scores by column, those at a share of the resolution after all others."""
    if "resolutions" not in run:
        return run["scores"]
    by_share = sorted(run["resolutions"].items(), key=lambda item: -float(item[0]))
    return {
        name if float(share) == 1 else f"{name}, at {100 * float(share):g} % resolution": score
        for share, part in by_share
        for name, score in part["scores"].items()
    }


def _columns(group: Group) -> list[str]:
    found = dict.fromkeys(column for run in group.values() for column in _scores(run))
    return sorted(found, key=lambda column: " % resolution" in column)


def _value(run: Run, column: str) -> float:
    return float(_scores(run).get(column, {}).get("value", -1.0))


def _cell(score: Mapping[str, Any] | None, best: float) -> str:
    if score is None:
        return "-"
    text = f"{100 * score['value']:.1f}"
    if score.get("spread") is not None:
        text += f" ± {100 * score['spread']:.1f}"
    elif score.get("interval") is not None:
        text += " [{:.1f}, {:.1f}]".format(*(100 * bound for bound in score["interval"]))
    return f"**{text}**" if score["value"] == best else text


def plot_comparison(groups: Mapping[str, Group]) -> Figure:
    """A panel for each group: scores in per cent with their 95 % intervals, a colour for each network."""
    height = sum(1.2 + 0.35 * len(group) * len(_columns(group)) for group in groups.values())
    figure = Figure(figsize=(9, 1 + height), layout="constrained")
    panels = figure.subplots(len(groups), squeeze=False)[:, 0]
    for axes, (heading, group) in zip(panels, groups.items(), strict=True):
        columns = _columns(group)
        for number, (name, run) in enumerate(group.items()):
            shift = 0.8 * (number + 0.5) / len(group) - 0.4
            _plot_run(axes, run, {column: place + shift for place, column in enumerate(columns)}, name)
        axes.set_yticks(range(len(columns)), columns)
        axes.invert_yaxis()
        axes.set(xlabel="%", title=heading)
        axes.grid(axis="x", alpha=0.3)
        axes.legend(fontsize=8)
    return figure


def _plot_run(axes: Axes, run: Run, places: Mapping[str, float], name: str) -> None:
    """Scores of a network with their intervals, each at its place."""
    known = _scores(run)
    scores = [(place, known[key]) for key, place in places.items() if key in known]
    values = np.array([100 * score["value"] for _, score in scores])
    bounds = np.array([score.get("interval") or (score["value"],) * 2 for _, score in scores]).T * 100
    # A mean over draws may lie outside the interval of its resampled means; a bar has no negative length.
    lengths = np.maximum([values - bounds[0], bounds[1] - values], 0)
    axes.errorbar(values, [place for place, _ in scores], xerr=lengths, fmt="o", capsize=3, label=name)
