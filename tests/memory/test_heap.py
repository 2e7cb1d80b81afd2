"""Memory that weights leave behind: measured in a process of its own, for the heap remembers what it was used for."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

MEASURE = """
import contextlib, sys
import torch
from newbie.memory.heap import apart
from newbie.memory.meter import Resident

MB = 2**20
for _ in range(2):
    torch.ones(30 * MB, dtype=torch.uint8)  # one that is freed: from now on all smaller ones come from the heap
held = []
with apart() if sys.argv[1] == "apart" else contextlib.nullcontext():
    for _ in range(32):
        held.append(torch.ones(4 * MB, dtype=torch.uint8))
before = Resident.now().own
del held[::2]
print((before - Resident.now().own) // MB)
"""


def glibc() -> bool:
    try:
        return hasattr(ctypes.CDLL(None), "gnu_get_libc_version")
    except TypeError:  # Windows
        return False


def returned(how: str) -> int:
    """MB that the system gets back when every second of 32 tensors of 4 MB goes."""
    done = subprocess.run([sys.executable, "-c", MEASURE, how], capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(not glibc(), reason="another C library has other ways")
def test_weights_that_go_leave_no_holes():
    assert returned("heap") < 16  # what this is about: 64 MB were freed
    assert returned("apart") >= 40  # a few came to where there was room in the heap
