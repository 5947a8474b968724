"""Runs benchmarks one after the other and writes what they found to docs/benchmarks.md.

    python benchmarks/report.py [bench_step bench_views ...]

Without names all are run. The results of those that are not run are kept from docs/benchmarks.json. What is
to be thought of the numbers stands in benchmarks/reading.md and is put at the head of the page.
"""

import json
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from measure import machine

HERE = Path(__file__).parent
DOCS = HERE.parent / "docs"
RESULTS, PAGE, READING = DOCS / "benchmarks.json", DOCS / "benchmarks.md", HERE / "reading.md"
FIGURES = {"bench_growth": "growth.png"}


def run(name: str) -> dict[str, Any]:
    """What a benchmark prints as its last line, with the day and the minutes it took."""
    print(f"== {name}", flush=True)
    start, measured = time.monotonic(), code()
    lines = []
    with subprocess.Popen(
        [sys.executable, HERE / f"{name}.py"], stdout=subprocess.PIPE, text=True
    ) as process:
        for line in process.stdout or ():
            print(line, end="", flush=True)
            lines.append(line)
    if process.returncode:
        raise SystemExit(f"{name} ended with {process.returncode}; docs/benchmarks.md is as it was before.")
    if code() != measured:
        raise SystemExit(f"The code changed while {name} ran; docs/benchmarks.md is as it was before.")
    result = json.loads(lines[-1])
    result["machine"] = machine() | ({"commit": measured} if measured else {}) | result.get("machine", {})
    minutes = round((time.monotonic() - start) / 60, 1)
    return {"date": datetime.now(UTC).date().isoformat(), "minutes": minutes, "method": method(name)} | result


def code() -> str:
    """Commit of what is measured and of what measures, with a + if they differ from it; empty without git."""
    status = _git("status", "--porcelain", "--", ".", "../src", "../pyproject.toml")
    return _git("rev-parse", "--short=10", "HEAD") + ("+" if status else "")


def _git(*words: str) -> str:
    return subprocess.run(["git", "-C", HERE, *words], capture_output=True, text=True).stdout.strip()


def page(results: dict[str, dict[str, Any]]) -> str:
    """The page: reading, then a section for every benchmark."""
    sections = [_section(name, results[name]) for name in sorted(results)]
    return "\n".join(["# Benchmarks", "", READING.read_text().strip(), "", *sections])


def _section(name: str, result: dict[str, Any]) -> str:
    rest = dict(result)
    title, machine = rest.pop("benchmark"), rest.pop("machine", {})
    where = ", ".join(f"{key} {value}" for key, value in machine.items())
    taken = f"Measured on {rest.pop('date')} in {rest.pop('minutes')} minutes: {where}."
    tables = {key: rest.pop(key) for key in list(rest) if _is_table(rest[key])}
    parts = [
        f"## {title[0].upper()}{title[1:]}",
        rest.pop("method", "") or method(name),
        f"`python benchmarks/{name}.py`",
        taken,
    ]
    if rest:
        parts.append(_table([{"": key, "value": value} for key, value in rest.items()]))
    for key, rows in tables.items():
        parts += ([] if key == "rows" else [f"**{key}**"]) + [_table(rows)]
    if name in FIGURES:
        parts.append(f"![{title}]({FIGURES[name]})")
    return "\n\n".join(parts) + "\n"


def method(name: str) -> str:
    """What a benchmark says of itself, without the command."""
    text = (HERE / f"{name}.py").read_text().split('"""')[1]
    return text.split("\n    python ")[0].strip()


def _is_table(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)


def _table(rows: list[dict[str, Any]]) -> str:
    columns = list(dict.fromkeys(key for row in rows for key in row))
    lines = [columns, ["---"] * len(columns), *([_cell(row.get(key)) for key in columns] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(value: Any) -> str:
    """A spread as its median with minimum and maximum if they differ, other dictionaries as lists."""
    if isinstance(value, dict) and {*value} >= {"median", "min", "max"}:
        one, least, most = (value[name] for name in ("median", "min", "max"))
        return f"{one:g}" if least == most else f"{one:g} ({least:g} to {most:g})"
    if isinstance(value, dict):
        return ", ".join(f"{key} {_cell(each)}" for key, each in value.items())
    if isinstance(value, float):
        return f"{value:.6g}"
    return "" if value is None else str(value)


def main(names: list[str]) -> None:
    """Run benchmarks and write the page after each."""
    known = {path.stem for path in HERE.glob("bench_*.py")}
    if unknown := sorted({*names} - known):
        raise SystemExit(f"No benchmark {', '.join(unknown)}; there are {', '.join(sorted(known))}.")
    results = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    for name in names or sorted(known):
        results[name] = run(name)
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")
        PAGE.write_text(page(results))


if __name__ == "__main__":
    main(sys.argv[1:])
