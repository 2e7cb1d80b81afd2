"""How much main memory containers, services and batch systems leave this process: Linux control groups, both versions.

A group has its processes and those of the groups inside it, so each group from a process's own up to the one that is
mounted may hold it. A kernel kills what goes over `memory.max` (version 1: `memory.limit_in_bytes`), and stops whoever
goes over `memory.high` until they have given back: neither is to be planned over. What a group has in use are also the
pages of files that it has read; those go when room is needed, and are not counted, as `MemAvailable` does not.

Source: the kernel's admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst; cgroups(7).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

LIMITS = ("memory.max", "memory.high", "memory.limit_in_bytes")
IN_USE = ("memory.current", "memory.usage_in_bytes")
# Of files and of the kernel. With its groups inside: version 1 says so, version 2 means so.
DROPPED = (("total_inactive_file", "inactive_file"), ("total_active_file", "active_file"), ("slab_reclaimable",))


def left(root: Path = Path("/")) -> float:
    """Bytes until the first limit of this process's groups, at least one; infinity where there is no limit.

    Args:
        root: the folder that has `proc` and what is mounted.
    """
    return min((_left(group) for group in groups(root)), default=math.inf)


def groups(root: Path = Path("/")) -> Iterator[Path]:
    """The folders of the groups that hold this process, from the innermost outwards, as far as they can be seen."""
    own: dict[str, PurePosixPath] = {}
    for line in _lines(root / "proc/self/cgroup"):
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" or "memory" in controllers.split(","):
            own["cgroup2" if number == "0" else "cgroup"] = PurePosixPath(path)
    for line in _lines(root / "proc/self/mountinfo"):
        mounted, _, what = line.partition(" - ")
        kind, _, options = what.partition(" ")
        if kind not in own or (kind == "cgroup" and "memory" not in options.split(" ")[-1].split(",")):
            continue
        shown, place = mounted.split(" ")[3:5]
        top = root / place.lstrip("/")
        # In a container the path may be one that only the system outside knows: its own group is what is mounted.
        inside = own[kind].relative_to(shown) if own[kind].is_relative_to(shown) else PurePosixPath()
        group = top if ".." in inside.parts else top / inside
        yield group
        yield from (group.parents[i] for i in range(len(group.relative_to(top).parts)))


def _left(group: Path) -> float:
    limit = min((_number(group / name) for name in LIMITS), default=math.inf)
    if limit == math.inf:
        return limit
    in_use = next((used for name in IN_USE if (used := _number(group / name)) < math.inf), 0)
    sizes = dict(line.split(" ", 1) for line in _lines(group / "memory.stat") if " " in line)
    dropped = sum(int(next((sizes[name] for name in names if name in sizes), 0)) for names in DROPPED)
    return max(limit - max(in_use - dropped, 0), 1)


def _number(file: Path) -> float:
    """Infinity for "max", and where there is no such file."""
    said = next(iter(_lines(file)), "max")
    return int(said) if said.isdecimal() else math.inf


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
