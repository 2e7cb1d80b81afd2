"""How we call flash-attn 2 and 3 and torch's packed kernel: every rule of theirs is checked by the stand-ins."""

from __future__ import annotations

import inspect

import pytest
import torch

from newbie.attention.choose import KERNELS as ALL
from newbie.attention.flash import Flash, FlashKvPacked, FlashPacked, FlashVarlen
from newbie.attention.flash3 import Flash3
from newbie.attention.kernel import SequenceInfo
from newbie.attention.reference import Reference
from newbie.attention.sdpa import SdpaVarlen

KERNELS = [Flash(), FlashPacked(), FlashKvPacked(), FlashVarlen(), Flash3(), SdpaVarlen()]
CASES = [[6, 6], [6, 2], [4, 6, 4], [6, 0, 1]]
SIZES = [32, 96, 120]


def draw(rows, length, heads, kv_heads, head_dim=16, dtype=torch.bfloat16):
    generator = torch.Generator().manual_seed(3)
    shapes = [(rows, length, n, head_dim) for n in (heads, kv_heads, kv_heads)]
    return [torch.randn(shape, generator=generator).to(dtype) for shape in shapes]


def info(lengths, width):
    return SequenceInfo.of(torch.arange(width) < torch.tensor(lengths)[:, None])


def real(o, lengths):
    return torch.cat([row[:n] for row, n in zip(o, lengths, strict=True)])


def called(packages, kernel):
    return packages[kernel.needs.package].calls


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: kernel.name)
@pytest.mark.parametrize("lengths", CASES)
@pytest.mark.parametrize(("heads", "kv_heads"), [(3, 3), (6, 2), (8, 1)])
def test_kernel_calls_by_the_rules_and_equals_the_reference(packages, kernel, lengths, heads, kv_heads):
    for head_dim, dtype in zip(SIZES, (torch.float16, torch.bfloat16, torch.float16), strict=True):
        q, k, v = draw(len(lengths), 6, heads, kv_heads, head_dim, dtype=dtype)
        seq = info(lengths, 6)
        o = kernel(q, k, v, seq)
        assert o.shape == q.shape and o.dtype == dtype
        # Both compute in float32 and round once: at most one unit in the last place apart.
        expected = real(Reference()(q, k, v, seq), lengths)
        torch.testing.assert_close(real(o, lengths), expected, atol=1e-3, rtol=torch.finfo(dtype).eps)
    functions = {name for name, _ in called(packages, kernel)}
    full = kernel.name == "flash3" and seq.mask is None
    assert functions == {"flash_attn_func" if full else kernel.needs.function}


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: kernel.name)
def test_padding_rows_come_back_as_zeros(packages, kernel):
    q, k, v = draw(3, 6, 4, 2)
    o = kernel(q, k, v, info([6, 0, 1], 6))
    assert not o[1].any() and not o[2, 1:].any()


def test_packed_kernel_writes_grouped_heads_out_into_three(flash_attn):
    q, k, v = draw(2, 6, 6, 2)
    FlashPacked()(q, k, v, info([6, 6], 6))
    assert flash_attn.calls == [("flash_attn_qkvpacked_func", ((2, 6, 3, 6, 16),))]


def test_kv_packed_kernel_keeps_grouped_heads(flash_attn):
    q, k, v = draw(2, 6, 6, 2)
    FlashKvPacked()(q, k, v, info([6, 6], 6))
    assert flash_attn.calls == [("flash_attn_kvpacked_func", ((2, 6, 6, 16), (2, 6, 2, 2, 16)))]


def test_rows_of_one_length_share_a_call(flash_attn):
    q, k, v = draw(5, 6, 4, 2)
    Flash()(q, k, v, info([4, 6, 4, 0, 4], 6))
    assert [shapes[0] for _, shapes in flash_attn.calls] == [(3, 4, 4, 16), (1, 6, 4, 16)]


@pytest.mark.parametrize("kernel", [FlashVarlen(), Flash3(), SdpaVarlen()], ids=lambda kernel: kernel.name)
@pytest.mark.parametrize("lengths", [[6, 2], [4, 6, 4], [6, 0, 1]])
def test_varlen_kernel_packs_all_rows_into_one_call(packages, kernel, lengths):
    q, k, v = draw(len(lengths), 6, 4, 2)
    kernel(q, k, v, info(lengths, 6))
    total = sum(lengths)
    assert called(packages, kernel) == [(kernel.needs.function, ((total, 4, 16), (total, 2, 16), (total, 2, 16)))]


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: kernel.name)
def test_heads_that_are_not_contiguous_are_made_so(packages, kernel):
    q, k, v = (x.transpose(-1, -2).contiguous().transpose(-1, -2) for x in draw(2, 6, 4, 2))
    assert q.stride(-1) != 1
    seq = info([6, 6], 6)
    torch.testing.assert_close(kernel(q, k, v, seq), Reference()(q, k, v, seq), atol=1e-2, rtol=1e-2)


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: kernel.name)
def test_gradients_pass_through_packing(packages, kernel):
    lengths, grads = [6, 2], []
    for each in (kernel, Reference()):
        q, k, v = (x.requires_grad_() for x in draw(2, 6, 4, 2, dtype=torch.float16))
        real(each(q, k, v, info(lengths, 6)), lengths).float().square().sum().backward()
        grads.append((q.grad, k.grad, v.grad))
    for ours, exact in zip(*grads, strict=True):
        torch.testing.assert_close(ours, exact, atol=2e-2, rtol=2e-2)


@pytest.mark.parametrize("lengths", [[6, 6], [6, 2]])
def test_older_builds_of_flash_3_that_also_give_sums_are_understood(flash_attn_3, lengths):
    q, k, v = draw(2, 6, 4, 2)
    expected = Flash3()(q, k, v, info(lengths, 6))
    flash_attn_3.with_sums = True
    assert torch.equal(Flash3()(q, k, v, info(lengths, 6)), expected)


def test_stand_in_refuses_what_the_package_refuses(flash_attn):
    q, k, v = draw(1, 6, 4, 2)
    seq = info([6], 6)
    with pytest.raises(RuntimeError, match="fp16 and bf16"):
        Flash()(q.float(), k.float(), v.float(), seq)
    with pytest.raises(RuntimeError, match="multiple of 8"):
        Flash()(q[..., :12], k[..., :12], v[..., :12], seq)
    flash_attn.device = "cuda"
    with pytest.raises(RuntimeError, match="wants cuda"):
        Flash()(q, k, v, seq)


# ---- the signatures, as published

TAIL = {
    "dropout_p": 0.0,
    "softmax_scale": None,
    "causal": False,
    "window_size": (-1, -1),
    "softcap": 0.0,
    "alibi_slopes": None,
    "deterministic": False,
    "return_attn_probs": False,
}
LENGTHS = ["cu_seqlens_q", "cu_seqlens_k", "max_seqlen_q", "max_seqlen_k"]
HEADS = {
    "flash_attn_func": ["q", "k", "v"],
    "flash_attn_kvpacked_func": ["q", "kv"],
    "flash_attn_qkvpacked_func": ["qkv"],
    "flash_attn_varlen_func": ["q", "k", "v", *LENGTHS],
}
TAIL_3 = {
    "softmax_scale": None,
    "causal": False,
    "qv": None,
    "q_descale": None,
    "k_descale": None,
    "v_descale": None,
    "window_size": (-1, -1),
    "attention_chunk": 0,
    "softcap": 0.0,
    "num_splits": 1,
    "pack_gqa": None,
    "deterministic": False,
    "sm_margin": 0,
    "return_attn_probs": False,
}


@pytest.mark.parametrize("function", HEADS)
def test_stand_in_has_the_signature_of_flash_attn_2_8(flash_attn, function):
    signature = inspect.signature(getattr(flash_attn, function))
    tail = TAIL | ({"block_table": None} if "varlen" in function else {})
    assert list(signature.parameters) == [*HEADS[function], *tail]
    assert {name: signature.parameters[name].default for name in tail} == tail


@pytest.mark.parametrize("function", ["flash_attn_func", "flash_attn_varlen_func"])
def test_stand_in_has_the_signature_of_flash_attn_3(flash_attn_3, function):
    signature = inspect.signature(getattr(flash_attn_3, function))
    tail = ({"seqused_q": None, "seqused_k": None} if "varlen" in function else {}) | TAIL_3
    assert list(signature.parameters) == [*HEADS[function], *tail]
    assert {name: signature.parameters[name].default for name in tail} == tail


def test_stand_in_has_the_signature_of_this_torch(stand_ins):
    varlen = pytest.importorskip("torch.nn.attention.varlen")
    ours, theirs = (
        [(p.name, p.kind, p.default) for p in inspect.signature(f).parameters.values()]
        for f in (stand_ins.TorchVarlen("cpu").varlen_attn, varlen.varlen_attn)
    )
    assert ours == theirs


def test_every_kernel_of_a_package_is_tried_before_it_is_promised():
    assert all(kernel.needs.trial for kernel in ALL.values() if kernel.needs.package)
