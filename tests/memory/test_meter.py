"""What a process holds, as the system counts it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch

from newbie.memory.meter import Meter, Resident, highest

pytestmark = pytest.mark.skipif(not highest(), reason="this system does not tell")


def test_a_peak_that_is_gone_was_seen():
    size = 64 * 2**20
    with Meter(interval=0.001) as meter:
        torch.ones(size, dtype=torch.uint8).sum()
    assert meter.peak.own >= meter.before.own
    assert meter.highest >= meter.before.whole + size // 2  # the system misses nothing, whenever it is asked


def test_another_process_is_measured_by_its_number():
    assert Resident.now(os.getpid()).own == pytest.approx(Resident.now().own, rel=0.1)
    program = "import sys; held = bytearray(b'x' * 50_000_000); print(len(held), flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        with Meter(process=other.pid) as meter:
            pass
        other.stdin.close()
    assert 50e6 < meter.before.own < 200e6 and meter.highest >= meter.peak.whole
    assert Resident.now(other.pid) == Resident(0, 0)  # it is gone
