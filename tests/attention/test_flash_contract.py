"""How we call flash-attn: every rule of the package is checked by the stand-in of conftest.py."""

from __future__ import annotations

import inspect

import pytest
import torch

from newbie.attention.flash import Flash, FlashKvPacked, FlashPacked, FlashVarlen
from newbie.attention.kernel import SequenceInfo
from newbie.attention.reference import Reference

KERNELS = [Flash(), FlashPacked(), FlashKvPacked(), FlashVarlen()]
CASES = [[6, 6], [6, 2], [4, 6, 4], [6, 0, 1]]


def draw(rows, length, heads, kv_heads, head_dim=16, dtype=torch.bfloat16):
    generator = torch.Generator().manual_seed(3)
    shapes = [(rows, length, n, head_dim) for n in (heads, kv_heads, kv_heads)]
    return [torch.randn(shape, generator=generator).to(dtype) for shape in shapes]


def info(lengths, width):
    return SequenceInfo.of(torch.arange(width) < torch.tensor(lengths)[:, None])


def real(o, lengths):
    return torch.cat([row[:n] for row, n in zip(o, lengths, strict=True)])


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: kernel.name)
@pytest.mark.parametrize("lengths", CASES)
@pytest.mark.parametrize(("heads", "kv_heads"), [(3, 3), (6, 2)])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_kernel_calls_by_the_rules_and_equals_the_reference(flash_attn, kernel, lengths, heads, kv_heads, dtype):
    q, k, v = draw(len(lengths), 6, heads, kv_heads, dtype=dtype)
    seq = info(lengths, 6)
    o = kernel(q, k, v, seq)
    assert o.shape == q.shape and o.dtype == dtype
    assert {name for name, _ in flash_attn.calls} == {kernel.needs.function}
    # Both compute in float32 and round once: at most one unit in the last place apart.
    expected = real(Reference()(q, k, v, seq), lengths)
    torch.testing.assert_close(real(o, lengths), expected, atol=1e-3, rtol=torch.finfo(dtype).eps)


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: kernel.name)
def test_padding_rows_come_back_as_zeros(flash_attn, kernel):
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


@pytest.mark.parametrize("lengths", CASES)
def test_varlen_kernel_packs_all_rows_into_one_call(flash_attn, lengths):
    q, k, v = draw(len(lengths), 6, 4, 2)
    FlashVarlen()(q, k, v, info(lengths, 6))
    total = sum(lengths)
    assert flash_attn.calls == [("flash_attn_varlen_func", ((total, 4, 16), (total, 2, 16), (total, 2, 16)))]


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: kernel.name)
def test_heads_that_are_not_contiguous_are_made_so(flash_attn, kernel):
    q, k, v = (x.transpose(-1, -2).contiguous().transpose(-1, -2) for x in draw(2, 6, 4, 2))
    assert q.stride(-1) != 1
    seq = info([6, 6], 6)
    torch.testing.assert_close(kernel(q, k, v, seq), Reference()(q, k, v, seq), atol=1e-2, rtol=1e-2)


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: kernel.name)
def test_gradients_pass_through_packing(flash_attn, kernel):
    lengths, grads = [6, 2], []
    for each in (kernel, Reference()):
        q, k, v = (x.requires_grad_() for x in draw(2, 6, 4, 2, dtype=torch.float16))
        real(each(q, k, v, info(lengths, 6)), lengths).float().square().sum().backward()
        grads.append((q.grad, k.grad, v.grad))
    for ours, exact in zip(*grads, strict=True):
        torch.testing.assert_close(ours, exact, atol=2e-2, rtol=2e-2)


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


@pytest.mark.parametrize("function", HEADS)
def test_stand_in_has_the_signature_of_flash_attn_2_8(flash_attn, function):
    signature = inspect.signature(getattr(flash_attn, function))
    tail = TAIL | ({"block_table": None} if "varlen" in function else {})
    assert list(signature.parameters) == [*HEADS[function], *tail]
    assert {name: signature.parameters[name].default for name in tail} == tail
