"""Which kernel is chosen, and what is said about the others."""

from __future__ import annotations

import sys
import types

import pytest
import torch

from newbie.attention import choose as module
from newbie.attention.choose import KERNELS, NAMES, Case, choose, explain, refusal
from newbie.errors import MissingExtra, UsageError

FLASH = [name for name in NAMES if name.startswith("flash")]
RELEASE = {"head_dim": 96, "n_heads": 24, "n_kv_heads": 8}
ON_CARD = {"device": "cuda", "dtype": torch.bfloat16, **RELEASE}


@pytest.fixture
def no_flash(monkeypatch):
    monkeypatch.setitem(sys.modules, "flash_attn", None)  # what import finds where nothing is installed


def test_names_are_the_six_kernels_and_auto():
    assert NAMES == (
        "auto",
        "reference",
        "sdpa",
        "flash",
        "flash-packed",
        "flash-kvpacked",
        "flash-varlen",
    )
    assert all(kernel.name == name for name, kernel in KERNELS.items())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("masked", [True, False])
def test_on_a_cpu_auto_means_sdpa(dtype, masked):
    assert choose(device="cpu", dtype=dtype, masked=masked, **RELEASE).name == "sdpa"


@pytest.mark.parametrize(
    ("kv_heads", "masked", "expected"),
    [
        (24, False, "flash-packed"),
        (8, False, "flash"),
        (24, True, "flash-varlen"),
        (8, True, "flash-varlen"),
        (8, [40, 256], "flash-varlen"),
        (24, [40, 40], "flash-packed"),
    ],
)
def test_on_a_card_auto_takes_the_flash_function_that_fits(flash_attn, kv_heads, masked, expected):
    assert choose(**(ON_CARD | {"n_kv_heads": kv_heads}), masked=masked).name == expected


def test_auto_falls_back_to_sdpa_without_the_package(no_flash):
    assert choose(**ON_CARD).name == "sdpa"


def test_auto_in_float32_is_sdpa(flash_attn):
    assert choose(**(ON_CARD | {"dtype": torch.float32})).name == "sdpa"


@pytest.mark.parametrize("name", FLASH)
def test_forced_flash_without_the_package_names_the_extra(no_flash, name):
    with pytest.raises(MissingExtra) as caught:
        choose(name, **ON_CARD)
    assert caught.value.extra == "flash" and "newbie[flash]" in caught.value.hint


@pytest.mark.parametrize("name", FLASH)
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"device": "cpu"}, "not on cpu"),
        ({"dtype": torch.float32}, "float32"),
        ({"head_dim": 100}, "head size 100"),
        ({"head_dim": 264}, "head size 264"),
    ],
)
def test_forced_kernel_that_cannot_serve_says_why_and_what_to_do(flash_attn, name, change, said):
    with pytest.raises(UsageError, match=said) as caught:
        choose(name, **(ON_CARD | change))
    assert name in caught.value.message and caught.value.hint


def test_unknown_name_lists_the_known_ones():
    with pytest.raises(UsageError, match="flashy") as caught:
        choose("flashy", **ON_CARD)
    assert "flash-varlen" in caught.value.hint


def test_heads_that_cannot_be_shared_are_refused():
    with pytest.raises(UsageError, match="24 query heads"):
        choose(**(ON_CARD | {"n_kv_heads": 7}))


def test_an_old_card_is_refused_by_its_capability(flash_attn):
    case = Case(torch.device("cuda"), torch.float16, 96, 24, 8, True, (7, 5))
    refused = refusal(KERNELS["flash"].needs, case)
    assert "8.0" in refused.reason and "7.5" in refused.reason
    assert refusal(KERNELS["flash"].needs, case._replace(capability=(9, 0))) is None


def test_explain_has_a_reason_for_every_kernel_that_cannot_run():
    said = dict(explain(device="cpu", dtype=torch.float32, **RELEASE))
    assert list(said) == list(KERNELS)
    assert said["reference"] == said["sdpa"] == ""
    assert all("cpu" in said[name] for name in FLASH)


def test_explain_agrees_with_choose(flash_attn):
    case = ON_CARD | {"head_dim": 97}
    for name, reason in explain(**case):
        if reason:
            with pytest.raises(UsageError, match=reason):
                choose(name, **case)
        else:
            assert choose(name, **case).name == name


def test_package_built_for_another_torch_is_reported_in_its_own_words(monkeypatch):
    def broken(name):
        raise ImportError("flash_attn_2_cuda.so: undefined symbol: _ZN3c10")

    monkeypatch.setattr(module.importlib, "import_module", broken)
    with pytest.raises(UsageError, match="undefined symbol") as caught:
        choose("flash", **ON_CARD)
    assert "reinstall" in caught.value.hint


def test_package_too_old_for_a_function_is_refused(monkeypatch):
    old = types.ModuleType("flash_attn")
    old.__version__ = "1.0.9"
    monkeypatch.setitem(sys.modules, "flash_attn", old)
    with pytest.raises(UsageError, match=r"1\.0\.9 has no flash_attn_varlen_func"):
        choose("flash-varlen", **ON_CARD)
