"""What this machine says of memory that is short, and how it is said; what oneDNN keeps of shapes that come once."""

from __future__ import annotations

import errno
import os
import subprocess
import sys

import pytest
import torch

from newbie import devices
from newbie.checkpoints import load_transformer
from newbie.devices import free_memory, is_shortage, proc_sizes
from newbie.errors import MemoryShortage
from newbie.pipeline import BUNDLED
from newbie.pipeline.shortage import memory_errors

LINUX = sys.platform == "linux"

PROGRAMS = """
import sys
import torch
from newbie.devices import keep_few_programs
from newbie.memory.heap import give_back
from newbie.memory.meter import Resident

if sys.argv[1] == "few":
    keep_few_programs()
weight = torch.ops.mkldnn._reorder_linear_weight(torch.ones(768, 256), 1024)

def grown(lengths):
    before = Resident.now().own
    for length in lengths:
        torch.ops.mkldnn._linear_pointwise(torch.ones(length, 256), weight, None, "none", [], "")
    give_back()
    return Resident.now().own - before

with torch.no_grad():
    grown(range(200, 300))
    print(grown(range(300, 400)))
"""


def grown(how: str, **environment: str) -> int:
    """Bytes that a hundred products of new lengths leave behind, after another hundred."""
    # A model that was opened in this process before has left what `few` is about in its environment.
    outside = {name: value for name, value in os.environ.items() if name not in devices.PROGRAMS}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAMS, how], capture_output=True, text=True, check=True, env=outside | environment
    )
    return int(done.stdout)


@pytest.mark.skipif(not LINUX or not torch.backends.mkldnn.is_available(), reason="oneDNN, as seen by Linux")
def test_lengths_that_come_once_do_not_stay_in_memory():
    assert grown("few") < 5e6
    if devices.native_bf16("cpu"):  # AVX-512: where it was found, 0.5 MB for each length
        assert grown("usual") > 20e6


def test_what_a_person_set_stays(monkeypatch):
    monkeypatch.setenv("LRU_CACHE_CAPACITY", "7")
    monkeypatch.setenv("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "gone after the test")
    monkeypatch.delenv("ONEDNN_PRIMITIVE_CACHE_CAPACITY")
    devices.keep_few_programs()
    assert os.environ["LRU_CACHE_CAPACITY"] == "7"
    assert os.environ["ONEDNN_PRIMITIVE_CACHE_CAPACITY"] == devices.PROGRAMS["ONEDNN_PRIMITIVE_CACHE_CAPACITY"]


@pytest.mark.skipif(not LINUX, reason="as Linux tells it")
def test_no_more_is_free_than_this_process_may_have(monkeypatch):
    resource = pytest.importorskip("resource")
    assert 0 < free_memory() == pytest.approx(proc_sizes("meminfo")["MemAvailable"], rel=0.2)
    limit = proc_sizes("self/status")["VmSize"] + 2**28
    monkeypatch.setattr(resource, "getrlimit", lambda what: (limit, limit))
    assert 0 < free_memory() <= 2**28
    monkeypatch.setattr(resource, "getrlimit", lambda what: (2**20, 2**20))
    assert free_memory() == 1  # not "unknown", which is 0


def test_a_file_that_cannot_be_mapped_is_a_shortage_and_a_broken_disk_is_none():
    assert is_shortage(OSError(errno.ENOMEM, "Cannot allocate memory"))
    assert not is_shortage(OSError(errno.EIO, "can't allocate memory"))
    with pytest.raises(MemoryShortage, match="out of memory on cpu"), memory_errors("cpu"):
        raise OSError(errno.ENOMEM, "Cannot allocate memory")
    with pytest.raises(OSError, match="broken"), memory_errors("cpu"):
        raise OSError(errno.EIO, "broken")


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory"),
    ],
    ids=["mapped", "allocated"],
)
def test_a_load_that_finds_no_room_says_for_what_and_what_to_do(monkeypatch, error):
    def fails(self) -> None:
        raise error

    monkeypatch.setattr("newbie.checkpoints.translate.Recipe.read", fails)
    with pytest.raises(
        MemoryShortage, match=r"no room on cpu for the transformer \(Next-DiT\) \(0\.\d GiB\)"
    ) as caught:
        load_transformer(BUNDLED / "transformer")
    assert "--memory auto" in caught.value.hint and caught.value.exit_code == 5
