"""Stand-ins for the attention packages, importable during one test, working on CPU tensors."""

from __future__ import annotations

import importlib.util
import sys
import types
from pathlib import Path

import pytest

SOURCE = Path(__file__).with_name("stand_ins.py")


@pytest.fixture(scope="session")
def stand_ins() -> types.ModuleType:
    """The module of stand-ins."""
    spec = importlib.util.spec_from_file_location("attention_stand_ins", SOURCE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["attention_stand_ins"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def flash_attn(stand_ins, monkeypatch):
    module = stand_ins.FlashAttn("cpu")
    monkeypatch.setitem(sys.modules, "flash_attn", module)
    return module


@pytest.fixture
def flash_attn_3(stand_ins, monkeypatch):
    module = stand_ins.FlashAttn3("cpu")
    monkeypatch.setitem(sys.modules, "flash_attn_interface", module)
    return module


@pytest.fixture
def torch_varlen(stand_ins, monkeypatch):
    module = stand_ins.TorchVarlen("cpu")
    monkeypatch.setitem(sys.modules, "torch.nn.attention.varlen", module)
    return module


@pytest.fixture
def xformers_ops(stand_ins, monkeypatch):
    module = stand_ins.XFormersOps("cpu")
    package = types.ModuleType("xformers")
    package.__path__ = []
    monkeypatch.setitem(sys.modules, "xformers", package)
    monkeypatch.setitem(sys.modules, "xformers.ops", module)
    return module


@pytest.fixture
def packages(flash_attn, flash_attn_3, torch_varlen, xformers_ops):
    """All of them, by the name that is imported."""
    return {
        "flash_attn": flash_attn,
        "flash_attn_interface": flash_attn_3,
        "torch.nn.attention.varlen": torch_varlen,
        "xformers.ops": xformers_ops,
    }
