"""The number format that "auto" takes, and why."""

from __future__ import annotations

import pytest

from newbie import devices
from newbie.errors import UsageError


@pytest.mark.parametrize(
    ("native", "parameters", "value"),
    [
        (True, 6_000_000, "float32"),
        (True, 3_500_000_000, "bf16"),
        (False, 6_000_000, "float32"),
        (False, 3_500_000_000, "bf16"),
    ],
)
def test_auto_on_a_cpu_follows_the_hardware_and_the_size(monkeypatch, native, parameters, value):
    monkeypatch.setattr(devices, "native_bf16", lambda device: native)
    choice = devices.dtype("auto", "cpu", parameters)
    assert choice.value == value
    assert choice.reason


def test_fp16_on_a_cpu_is_refused_with_the_reason():
    with pytest.raises(UsageError, match="emulated"):
        devices.dtype("fp16", "cpu", 1)


def test_a_limit_on_the_instructions_of_products_counts(monkeypatch):
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    assert not devices.native_bf16("cpu")
