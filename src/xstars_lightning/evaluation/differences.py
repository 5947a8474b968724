"""What must be said beside numbers of runs on the same test images: where the runs differ."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any

__all__ = ["differences"]

Run = Mapping[str, Any]

# What may differ between networks without making their numbers incomparable, but must be said.
_SAID = ("image_size", "features", "test_sensor", "statistics", "test_statistics", "protocol")
_LONGEST = 120  # characters of a value


def differences(group: Mapping[str, Run]) -> Iterator[str]:
    """In which data and options runs differ, a sentence for each.

    Args:
        group: Contents of ``evaluation.json`` by name, all on the same test images.
    """
    said = [_said(run) for run in group.values()]
    for key in said[0]:
        texts = [_text(value) for value in _unshared([one[key] for one in said])]
        if len({*texts}) > 1:
            pairs = zip(group, texts, strict=True)
            yield f"{key} differs: {'; '.join(f'{name} {text}' for name, text in pairs)}."


def _said(run: Run) -> dict[str, Any]:
    """Images of the splits, what was excluded, and options; those of the training of a fine-tuned run too."""
    before: Run = run.get("training") or {}
    keys = ("images", "split_hashes", "data_hashes")
    parts = [{**before.get(key, {}), **run.get(key, {})} for key in keys]
    excluded = {(one["split"], one["name"]) for part in (before, run) for one in part.get("excluded", ())}
    return {
        **{split: _images(split, *parts) for split in ("train", "val", "test")},
        "excluded": dict(Counter(split for split, _ in excluded)),
        **{key: run.get(key) for key in _SAID},
    }


def _images(split: str, counts: Run, names: Run, data: Run) -> str | None:
    """How many images, and the beginnings of the hashes of their names and their files."""
    if split not in counts:
        return None
    files = f", data {data[split][:8]}" if data.get(split) else ""
    return f"{counts[split]} images ({names[split][:8]}{files})"


def _unshared(values: Sequence[Any]) -> Sequence[Any]:
    """Of dictionaries what they do not all share; other values as they are."""
    if not all(isinstance(value, Mapping) for value in values):
        return values
    shared = [key for key in values[0] if all(key in v and v[key] == values[0][key] for v in values)]
    return [{key: v for key, v in value.items() if key not in shared} for value in values]


def _text(value: Any) -> str:
    """A value, cut where it is long; a hash tells it apart then."""
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    if len(text) <= _LONGEST:
        return text
    return f"{text[: _LONGEST - 14]}... ({sha256(text.encode()).hexdigest()[:8]})"
