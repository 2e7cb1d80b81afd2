"""What a container leaves: the files of made-up systems, laid out as the kernel lays them out."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from newbie import cgroup, devices
from newbie.doctor import memory_rows
from newbie.memory import opening
from newbie.memory.meter import Resident
from newbie.request import Settings

GB = 10**9
OWN = "25 30 0:26 {shown} /sys/fs/cgroup rw,nosuid - {kind} cgroup rw{options}\n"
V1_UNLIMITED = 9223372036854771712


def system(root: Path, own: str, mounts: str, groups: dict[str, dict[str, object]]) -> Path:
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(own)
    (root / "proc/self/mountinfo").write_text(f"22 1 8:1 / / rw shared:1 - ext4 /dev/sda1 rw\n{mounts}")
    for path, files in groups.items():
        folder = root / "sys/fs/cgroup" / path
        folder.mkdir(parents=True, exist_ok=True)
        for name, value in files.items():
            (folder / f"memory.{name}").write_text(f"{value}\n")
    return root


def v2(root: Path, own: str, groups: dict[str, dict[str, object]], shown: str = "/") -> Path:
    return system(root, f"0::{own}\n", OWN.format(shown=shown, kind="cgroup2", options=""), groups)


def test_a_container_leaves_its_limit_less_what_is_in_use_but_for_files(tmp_path):
    stat = "anon 700\nfile 900\nshmem 100\ninactive_file 500\nactive_file 300\nslab_reclaimable 50\nunevictable 0"
    root = v2(tmp_path, "/", {"": {"max": 4000, "high": "max", "current": 1700, "stat": stat}})
    assert cgroup.left(root) == 4000 - (1700 - 500 - 300 - 50)


@pytest.mark.parametrize(
    ("outer", "inner", "expected"),
    [
        ({"max": 4000, "current": 3000}, {"max": 8000, "current": 100}, 1000),
        ({"max": 8000, "current": 3000}, {"max": 4000, "current": 100}, 3900),
        ({"max": 8000, "current": 3000}, {"max": 6000, "high": 500, "current": 100}, 400),
        ({"max": "max", "current": 3000}, {"max": "max", "high": "max", "current": 100}, math.inf),
        ({"max": 4000, "current": 3000}, {}, 1000),  # the inner one cannot be seen
        ({"max": 4000, "current": 4100}, {"max": "max"}, 1),  # not "unknown", which is 0
    ],
)
def test_of_groups_inside_groups_the_one_that_leaves_least_holds(tmp_path, outer, inner, expected):
    root = v2(tmp_path, "/batch.slice/job/step", {"batch.slice": outer, "batch.slice/job/step": inner})
    assert cgroup.left(root) == expected
    folders = [folder.relative_to(root).as_posix() for folder in cgroup.groups(root)]
    assert folders == [
        f"sys/fs/cgroup{end}" for end in ("/batch.slice/job/step", "/batch.slice/job", "/batch.slice", "")
    ]


@pytest.mark.parametrize(
    ("shown", "own"),
    [
        ("/docker/abc", "/docker/abc"),  # what is mounted is the group itself
        ("/docker/abc", "/"),  # with names of its own
        ("/", "/../elsewhere"),  # moved out of what it can see
        ("/docker/abc", "/kubepods/pod"),
    ],
)
def test_a_container_finds_its_own_group_whatever_the_system_outside_calls_it(tmp_path, shown, own):
    assert cgroup.left(v2(tmp_path, own, {"": {"max": 4000, "current": 1000}}, shown)) == 3000


def test_the_first_version_is_read_too_with_what_is_inside(tmp_path):
    own = "5:devices:/wrong\n4:cpu,memory:/job/step\n1:name=systemd:/wrong\n0::/wrong\n"
    mounts = OWN.format(shown="/", kind="cgroup", options=",devices").replace("cgroup rw,nosuid", "cgroup/devices rw")
    mounts += OWN.format(shown="/", kind="cgroup", options=",cpu,memory").replace("/cgroup rw,", "/cgroup/memory rw,")
    stat = "inactive_file 1\nactive_file 1\ntotal_inactive_file 400\ntotal_active_file 100"
    groups = {
        "memory/job": {"limit_in_bytes": 4000, "usage_in_bytes": 2000, "stat": stat},
        "memory/job/step": {"limit_in_bytes": V1_UNLIMITED, "usage_in_bytes": 1000, "stat": stat},
        "devices/wrong": {"limit_in_bytes": 10, "usage_in_bytes": 0},
    }
    assert cgroup.left(system(tmp_path, own, mounts, groups)) == 4000 - (2000 - 500)


@pytest.mark.parametrize("broken", ["", "max max", "-1", "12 MB", "\ufffd"])
def test_where_nothing_can_be_read_there_is_no_limit(tmp_path, broken):
    assert cgroup.left(tmp_path) == math.inf
    assert cgroup.left(v2(tmp_path, "/a", {"a": {"max": broken, "current": broken, "stat": broken}})) == math.inf


def test_this_system_can_be_asked():
    assert cgroup.left() >= 1


def test_a_container_of_4_gb_on_a_machine_of_64_is_planned_for_with_4(tmp_path, monkeypatch):
    in_use = Resident.now().own  # as if this process were alone in it
    stat = f"inactive_file {GB}\nactive_file 0"
    root = v2(tmp_path, "/job", {"job": {"max": 4 * GB, "current": in_use + GB, "stat": stat}})
    sizes = devices.proc_sizes
    monkeypatch.setattr(
        devices, "proc_sizes", lambda name: {"MemAvailable": 60 * GB} if name == "meminfo" else sizes(name)
    )
    cpu = torch.device("cpu")
    assert opening._machine(Settings(), cpu).limit > 50 * GB
    monkeypatch.setattr(cgroup, "left", lambda left=cgroup.left: left(root))
    assert devices.free_memory() == 4 * GB - in_use
    assert opening._machine(Settings(), cpu).limit == pytest.approx(4 * GB * opening.RESERVE, rel=0.01)


def test_the_doctor_says_what_a_container_leaves(tmp_path):
    (tmp_path / "meminfo").write_text("MemTotal: 67108864 kB\nMemAvailable: 62914560 kB\n")
    told = memory_rows(tmp_path / "meminfo", lambda: 3.5 * 2**30)[0].value
    assert told == "64.0 GiB, 60.0 GiB of it free; this container or service may take 3.5 more"
    assert memory_rows(tmp_path / "meminfo", lambda: math.inf)[0].value == "64.0 GiB, 60.0 GiB of it free"
