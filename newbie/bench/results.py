"""A result is a JSON file that says what was measured, where, when, and with which command."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from newbie.errors import OutputError, UsageError

FORMAT = "newbie-bench/1"
MAX_BYTES = 16 * 2**20
_LIST = re.compile(r"\[[^\[\]{}\"]*\]")  # of numbers


class Result(NamedTuple):
    """One file. `name` is its stem: the bench, what it measured, the number format, the machine."""

    name: str
    bench: str
    about: Mapping[str, Any]  # machine, command, seed, threads, ...
    values: Mapping[str, Any]


def write(result: Result, folder: Path) -> Path:
    """Write `folder/NAME.json`. Raises OutputError."""
    whole = {"format": FORMAT, "bench": result.bench, "about": dict(result.about), "values": _finite(result.values)}
    text = _LIST.sub(_on_one_line, json.dumps(whole, indent=1, ensure_ascii=False, allow_nan=False)) + "\n"
    path = folder / f"{result.name}.json"
    if len(text.encode()) > MAX_BYTES:
        raise OutputError(f"{path} would have {len(text) / 2**20:.0f} MiB, more than 16", "use fewer --repeats")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(".part")
        draft.write_text(text, encoding="utf-8")
        draft.replace(path)  # whole or not at all
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}", "name another folder with --out") from error
    return path


def read(path: Path) -> Result | None:
    """The result in a file; None when the file is another kind of JSON. Raises UsageError for a broken one."""
    try:
        whole = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read: {error}", "measure again, or remove the file") from error
    if not isinstance(whole, dict) or whole.get("format") != FORMAT:
        return None
    return Result(path.stem, whole["bench"], whole["about"], whole["values"])


def read_all(folder: Path) -> list[Result]:
    """Every result in a folder, by name. Raises UsageError when there is none."""
    found = [result for path in sorted(folder.glob("*.json")) if (result := read(path)) is not None]
    if not found:
        raise UsageError(f"{folder} holds no results", "measure first: python -m newbie bench all --quick")
    return found


def _on_one_line(numbers: re.Match[str]) -> str:
    return "[" + " ".join(numbers.group()[1:-1].split()) + "]"


def _finite(value: Any) -> Any:
    """JSON knows no NaN and no infinity: they are written as text, not left out."""
    if isinstance(value, Mapping):
        return {str(key): _finite(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(each) for each in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
