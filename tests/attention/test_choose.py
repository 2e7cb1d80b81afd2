"""Which kernel is chosen, and what is said about the others."""

from __future__ import annotations

import os
import subprocess
import sys
import types

import pytest
import torch

from newbie import devices
from newbie.attention import needs as module
from newbie.attention.choose import KERNELS, NAMES, case_of, choose, explain
from newbie.attention.needs import refusal
from newbie.errors import MissingExtra, UsageError

FLASH2 = [name for name, kernel in KERNELS.items() if kernel.needs.package == "flash_attn"]
PACKAGED = [name for name, kernel in KERNELS.items() if kernel.needs.package]
CARDS = [name for name, kernel in KERNELS.items() if kernel.needs.devices == ("cuda",)]
RELEASE = {"head_dim": 96, "n_heads": 24, "n_kv_heads": 8}
ON_CARD = {"device": "cuda", "dtype": torch.bfloat16, **RELEASE}
ON_CPU = {"device": "cpu", "dtype": torch.float32, **RELEASE}


@pytest.fixture
def no_packages(monkeypatch):
    for name in ("flash_attn", "flash_attn_interface", "xformers", "xformers.ops", "torch.nn.attention.varlen"):
        monkeypatch.setitem(sys.modules, name, None)  # what import finds where nothing is installed


def test_names_are_auto_and_each_kernel_under_its_own():
    assert NAMES == (
        "auto", "reference", "tiled", "sdpa", "sdpa-flash", "sdpa-efficient", "sdpa-cudnn", "sdpa-math", "sdpa-varlen",
        "folded", "flash", "flash-packed", "flash-kvpacked", "flash-varlen", "flash3", "xformers",
    )  # fmt: skip
    assert all(kernel.name == name for name, kernel in KERNELS.items())


# ---- auto


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("masked", [True, False])
def test_on_a_cpu_without_bf16_products_auto_means_sdpa(monkeypatch, dtype, masked):
    monkeypatch.setattr(devices, "native_bf16", lambda device: False)
    assert choose(**(ON_CPU | {"dtype": dtype}), masked=masked, length=1000).name == "sdpa"


@pytest.mark.parametrize(
    ("dtype", "length", "backward", "expected"),
    [
        (torch.bfloat16, None, False, "folded"),
        (torch.bfloat16, 63, False, "folded"),
        (torch.bfloat16, 62, False, "sdpa"),
        (torch.bfloat16, 4352, True, "sdpa"),
        (torch.float32, 4352, False, "sdpa"),
    ],
)
def test_on_a_cpu_with_bf16_products_auto_takes_them_for_long_rows(monkeypatch, dtype, length, backward, expected):
    monkeypatch.setattr(devices, "native_bf16", lambda device: True)
    monkeypatch.setattr(devices, "matrix_tiles", lambda device: False)
    assert choose(**(ON_CPU | {"dtype": dtype}), length=length, backward=backward).name == expected


@pytest.mark.parametrize("length", [None, 63, 4352])
def test_on_a_cpu_with_amx_auto_means_sdpa(monkeypatch, length):
    monkeypatch.setattr(devices, "native_bf16", lambda device: True)
    monkeypatch.setattr(devices, "matrix_tiles", lambda device: True)
    assert choose(**(ON_CPU | {"dtype": torch.bfloat16}), length=length).name == "sdpa"


@pytest.mark.parametrize(("length", "expected"), [(216, "sdpa"), (217, "folded")])
def test_small_heads_need_longer_rows_for_that(monkeypatch, length, expected):
    monkeypatch.setattr(devices, "native_bf16", lambda device: True)
    monkeypatch.setattr(devices, "matrix_tiles", lambda device: False)
    small = {"device": "cpu", "dtype": torch.bfloat16, "head_dim": 32, "n_heads": 6, "n_kv_heads": 3}
    assert choose(**small, length=length).name == expected


def test_a_processor_told_to_leave_its_bf16_products_alone_gets_sdpa():
    code = (
        "import torch; from newbie.attention.choose import choose\n"
        "case = dict(device='cpu', head_dim=96, n_heads=24, n_kv_heads=8, length=4000)\n"
        "assert all(choose(dtype=d, **case).name == 'sdpa' for d in (torch.bfloat16, torch.float32))"
    )
    limits = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"}
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ | limits)


@pytest.mark.parametrize("wanted", ["bias", "window"])
def test_auto_takes_a_kernel_that_can_do_what_is_wanted(monkeypatch, wanted):
    monkeypatch.setattr(devices, "native_bf16", lambda device: True)
    assert choose(**(ON_CPU | {"dtype": torch.bfloat16}), **{wanted: True}).name == "sdpa"


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
def test_on_a_card_auto_takes_the_flash_function_that_fits(no_packages, flash_attn, kv_heads, masked, expected):
    assert choose(**(ON_CARD | {"n_kv_heads": kv_heads}), masked=masked).name == expected


@pytest.mark.parametrize("masked", [True, False])
def test_on_a_card_auto_prefers_the_newest_flash(packages, masked):
    assert choose(**ON_CARD, masked=masked).name == "flash3"


def test_on_a_card_rows_of_unequal_length_are_packed_by_whatever_is_there(no_packages, torch_varlen):
    assert choose(**ON_CARD, masked=True).name == "sdpa-varlen"
    assert choose(**ON_CARD, masked=False).name == "sdpa"


def test_on_a_card_xformers_serves_float32_and_bias(no_packages, xformers_ops):
    assert choose(**ON_CARD, masked=True).name == "xformers"
    assert choose(**(ON_CARD | {"dtype": torch.float32}), masked=True).name == "xformers"
    assert choose(**ON_CARD, masked=False, bias=True).name == "sdpa"


def test_auto_falls_back_to_sdpa_without_any_package(no_packages):
    assert choose(**ON_CARD).name == "sdpa"


def test_auto_in_float32_is_sdpa(no_packages, flash_attn, flash_attn_3, torch_varlen):
    assert choose(**(ON_CARD | {"dtype": torch.float32})).name == "sdpa"


# ---- forced


@pytest.mark.parametrize("name", [*FLASH2, "xformers"])
def test_forced_kernel_without_its_package_names_the_extra(no_packages, name):
    extra = "xformers" if name == "xformers" else "flash"
    with pytest.raises(MissingExtra) as caught:
        choose(name, **ON_CARD)
    assert caught.value.extra == extra and f"newbie[{extra}]" in caught.value.hint


@pytest.mark.parametrize(("name", "remedy"), [("flash3", "hopper"), ("sdpa-varlen", "pip install -U torch")])
def test_forced_kernel_that_no_extra_brings_says_where_it_comes_from(no_packages, name, remedy):
    with pytest.raises(UsageError, match="not installed") as caught:
        choose(name, **ON_CARD)
    assert remedy in caught.value.hint


@pytest.mark.parametrize("name", PACKAGED)
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"device": "cpu"}, "not on cpu"),
        ({"dtype": torch.float64}, "float64"),
        ({"head_dim": 100}, "head size 100"),
        ({"head_dim": 264}, "head size 264"),
    ],
)
def test_forced_kernel_that_cannot_serve_says_why_and_what_to_do(packages, name, change, said):
    with pytest.raises(UsageError, match=said) as caught:
        choose(name, **(ON_CARD | change))
    assert name in caught.value.message and caught.value.hint


@pytest.mark.parametrize("name", CARDS)
def test_kernels_for_cards_are_refused_on_a_cpu(packages, name):
    with pytest.raises(UsageError, match="runs on cuda, not on cpu") as caught:
        choose(name, **ON_CPU)
    assert "--device cuda" in caught.value.hint


def test_folded_wants_bfloat16_on_a_cpu():
    with pytest.raises(UsageError, match="float32 is none of bfloat16"):
        choose("folded", **ON_CPU)
    with pytest.raises(UsageError, match="runs on cpu, not on cuda"):
        choose("folded", **ON_CARD)


@pytest.mark.parametrize(
    ("wanted", "name", "said"),
    [
        ("bias", "flash-varlen", "adds no bias"),
        ("bias", "flash3", "adds no bias"),
        ("bias", "sdpa-varlen", "adds no bias"),
        ("window", "tiled", "has no window"),
        ("window", "folded", "has no window"),
        ("backward", "folded", "no backward pass"),
    ],
)
def test_what_a_kernel_lacks_is_refused(packages, wanted, name, said):
    place = ON_CARD if name in CARDS else ON_CPU | {"dtype": torch.bfloat16}
    with pytest.raises(UsageError, match=said) as caught:
        choose(name, **place, **{wanted: True})
    assert "sdpa" in caught.value.hint


def test_forced_kernels_that_can_are_taken():
    for name in ("reference", "tiled", "sdpa", "sdpa-flash", "sdpa-math"):
        assert choose(name, **ON_CPU).name == name
    assert choose("sdpa-flash", **ON_CPU, bias=True, window=True, backward=True).name == "sdpa-flash"


def test_unknown_name_lists_the_known_ones():
    with pytest.raises(UsageError, match="flashy") as caught:
        choose("flashy", **ON_CARD)
    assert "flash-varlen" in caught.value.hint


def test_heads_that_cannot_be_shared_are_refused():
    with pytest.raises(UsageError, match="24 query heads"):
        choose(**(ON_CARD | {"n_kv_heads": 7}))


@pytest.mark.parametrize(
    ("name", "capability", "said"),
    [
        ("flash", (7, 5), "needs compute capability 8.0, this card has 7.5"),
        ("flash", (9, 0), ""),
        ("flash3", (8, 9), "needs compute capability 9.0, this card has 8.9"),
        ("flash3", (9, 0), ""),
        ("flash3", (10, 0), "below compute capability 10.0, this one has 10.0"),
    ],
)
def test_a_card_is_judged_by_its_capability(packages, name, capability, said):
    case = case_of(**ON_CARD, masked=True)._replace(capability=capability)
    refused = refusal(KERNELS[name], case)
    assert said in (refused.reason if refused else "")
    assert (refused is None) == (said == "")


# ---- packages that are there and cannot be used


def test_package_built_for_another_torch_is_reported_in_its_own_words(monkeypatch):
    def broken(name):
        raise ImportError("flash_attn_2_cuda.so: undefined symbol: _ZN3c10")

    monkeypatch.setattr(module.importlib, "import_module", broken)
    with pytest.raises(UsageError, match="undefined symbol") as caught:
        choose("flash", **ON_CARD)
    assert "reinstall" in caught.value.hint


def test_package_whose_own_requirement_is_missing_names_that_one(monkeypatch):
    def broken(name):
        raise ModuleNotFoundError("No module named 'einops'", name="einops")

    monkeypatch.setattr(module.importlib, "import_module", broken)
    with pytest.raises(UsageError, match="einops") as caught:
        choose("flash", **ON_CARD)
    assert "install einops" in caught.value.hint


def test_package_too_old_for_a_function_is_refused(monkeypatch):
    old = types.ModuleType("flash_attn")
    old.__version__ = "1.0.9"
    monkeypatch.setitem(sys.modules, "flash_attn", old)
    with pytest.raises(UsageError, match=r"1\.0\.9 has no flash_attn_varlen_func"):
        choose("flash-varlen", **ON_CARD)


class OnCpu:
    """A kernel that is tried before it is promised, and what it does when it is."""

    name = "tried"
    needs = module.Needs(bias=True, window=True, trial=True)

    def __init__(self, fails=None):
        self.fails, self.seen = fails, []

    def __call__(self, q, k, v, seq):
        self.seen.append((q, k, seq))
        if self.fails is not None:
            raise self.fails
        return q * 1


@pytest.mark.parametrize(
    "error",
    [
        NotImplementedError("No operator found for `memory_efficient_attention_forward`\n  query: shape"),
        RuntimeError("CUDA error: no kernel image is available"),
        TypeError("varlen_attn() got an unexpected keyword argument 'enable_gqa'"),
    ],
)
def test_kernel_that_fails_its_trial_is_refused_in_its_first_line(error):
    refused = refusal(OnCpu(error), case_of(**ON_CPU, masked=True))
    assert refused.reason == "it fails here: " + str(error).partition("\n")[0]
    assert "--attention auto" in refused.remedy


def test_warnings_of_a_failed_trial_are_part_of_the_reason():
    class Warns(OnCpu):
        def __call__(self, q, k, v, seq):
            import warnings

            warnings.warn("Flash attention needs sm80 (Triggered internally at x.cpp:1.)", stacklevel=1)
            raise RuntimeError("No available kernel. Aborting execution.")

    refused = refusal(Warns(), case_of(**ON_CPU, masked=True))
    assert refused.reason == "it fails here: No available kernel. Aborting execution.; Flash attention needs sm80"


def test_trial_asks_for_what_the_generation_will_ask():
    kernel = OnCpu()
    assert refusal(kernel, case_of(**ON_CPU, masked=True, bias=True, window=True, backward=True)) is None
    (q, k, seq) = kernel.seen[0]
    assert q.shape[2:] == (24, 96) and k.shape[2:] == (8, 96) and q.requires_grad
    assert seq.mask is not None and seq.bias is not None and seq.window is not None
    assert refusal(kernel, case_of(**ON_CPU, masked=False)) is None
    (q, _, seq) = kernel.seen[1]
    assert seq.mask is None and seq.bias is None and not q.requires_grad


def test_running_out_of_memory_in_a_trial_is_not_called_a_refusal():
    with pytest.raises(torch.OutOfMemoryError):
        refusal(OnCpu(torch.OutOfMemoryError("CUDA out of memory")), case_of(**ON_CPU, masked=True))


def test_back_end_that_torch_cannot_find_here_is_refused():
    from torch.nn.attention import SDPBackend

    from newbie.attention.sdpa import Sdpa

    kernel = Sdpa("sdpa-efficient", SDPBackend.EFFICIENT_ATTENTION, module.Needs(trial=True))
    assert "No viable backend" in refusal(kernel, case_of(**ON_CPU, masked=True)).reason


# ---- explain


def test_explain_has_a_reason_for_every_kernel_that_cannot_run():
    said = dict(explain(**ON_CPU))
    assert list(said) == list(KERNELS)
    assert said["reference"] == said["sdpa"] == said["tiled"] == said["sdpa-flash"] == said["sdpa-math"] == ""
    assert all("cpu" in said[name] for name in CARDS)
    assert "float32" in said["folded"]


@pytest.mark.parametrize("change", [{}, {"head_dim": 97}, {"bias": True}, {"window": True}, {"device": "cpu"}])
def test_explain_agrees_with_choose(packages, change):
    case = ON_CARD | change
    for name, reason in explain(**case):
        if reason:
            with pytest.raises(UsageError) as caught:
                choose(name, **case)
            assert reason in caught.value.message
        else:
            assert choose(name, **case).name == name
