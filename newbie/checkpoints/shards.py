"""Checkpoints split over several files: which files belong together, and that none lies outside its folder."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from newbie.checkpoints.index import Index
from newbie.errors import WeightsError

INDEX = ".index.json"  # at the end of an index's name
NUMBERED = re.compile(r"(?P<stem>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})(?P<suffix>\.[a-z]+)")


def files(index: Path) -> list[Path]:
    """The shards that an index names, sorted, each inside the index's own folder.

    Raises:
        WeightsError: the index is malformed, a shard is missing, or a name or a link leads out of the folder.
    """
    names = sorted(set(weight_map(index).values()))
    return [_inside(index, name) for name in names]


def weight_map(index: Path) -> dict[str, str]:
    """Tensor name → shard name, as the index says."""
    table = read_json(index).get("weight_map")
    if not isinstance(table, dict) or not table or not all(isinstance(name, str) for name in table.values()):
        raise WeightsError(f"{index}: has no weight_map of tensor names to file names", "download it again")
    return table


def check(index: Path, parts: Sequence[Index]) -> None:
    """Every tensor of the index lies in the shard it names.

    Raises:
        WeightsError: names the first tensor that does not.
    """
    held = {part.files[0].name: part for part in parts}
    absent = [(tensor, shard) for tensor, shard in weight_map(index).items() if tensor not in held[shard]]
    if absent:
        tensor, shard = absent[0]
        raise WeightsError(
            f"{index.parent / shard}: does not hold tensor {tensor}, which {index.name} says it does"
            + (f" ({len(absent)} tensors in all)" if len(absent) > 1 else ""),
            "the files are from different versions; download them together",
        )


def numbered(paths: Sequence[Path]) -> list[list[Path]]:
    """Groups of files named like model-00001-of-00003.safetensors, each complete and in order.

    Raises:
        WeightsError: a file of a group is missing; names it.
    """
    groups: dict[tuple[Path, str, str, str], dict[int, Path]] = {}
    for path in paths:
        if match := NUMBERED.fullmatch(path.name):
            key = (path.parent, match["stem"], match["count"], match["suffix"])
            groups.setdefault(key, {})[int(match["number"])] = path
    for (folder, stem, count, suffix), found in groups.items():
        for number in range(1, int(count) + 1):
            if number not in found:
                missing = folder / f"{stem}-{number:05d}-of-{count}{suffix}"
                raise WeightsError(
                    f"{missing}: missing, {len(found)} of {int(count)} files are there",
                    "download the missing file; half a model is not run",
                )
    return [[found[number] for number in sorted(found)] for found in groups.values()]


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file beside the weights.

    Raises:
        WeightsError: unreadable, not JSON, or not an object.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({error.strerror})", "check the path and its rights") from error
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"{path}: is not valid JSON ({error})", "download it again") from error
    if not isinstance(values, dict):
        raise WeightsError(f"{path}: holds a {type(values).__name__}, expected an object", "download it again")
    return values


def _inside(index: Path, name: str) -> Path:
    plain = PurePosixPath(name).name == name == PureWindowsPath(name).name and name not in ("", ".", "..")
    if not plain or "\0" in name:
        raise WeightsError(
            f"{index}: names the shard {name!r}, which is not a plain file name", "shards lie beside their index"
        )
    if name.endswith(INDEX):
        raise WeightsError(f"{index}: names the shard {name!r}, which is an index, not weights", "download it again")
    path = index.parent / name
    if not path.is_file():
        raise WeightsError(f"{path}: missing, although {index.name} names it", "download the missing file")
    homes = hub_homes(index.parent) or (index.parent.resolve(),)
    if not any(path.resolve().is_relative_to(home) for home in homes):
        raise WeightsError(
            f"{path}: is a link that leads out of its folder, to {path.resolve()}",
            "put the file itself beside its index",
        )
    return path


def hub_homes(folder: Path) -> tuple[Path, ...]:
    """Where the links of a snapshot in the hub's cache may lead: its repository, and the cache's shared blobs."""
    for parent in folder.absolute().parents:
        if parent.name == "snapshots" and (parent.parent / "blobs").is_dir():
            return parent.parent.resolve(), parent.parent.parent.resolve() / "blobs"
    return ()
