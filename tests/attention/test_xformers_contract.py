"""How we call xFormers: its rules for shapes, grouped heads, packed rows and bias tensors, checked by the stand-in."""

from __future__ import annotations

import inspect

import pytest
import torch

from newbie.attention.kernel import SequenceInfo
from newbie.attention.reference import Reference
from newbie.attention.xformers import XFormers

KERNEL = XFormers()


def draw(rows, length, heads, kv_heads, head_dim=16, dtype=torch.bfloat16):
    generator = torch.Generator().manual_seed(3)
    shapes = [(rows, length, n, head_dim) for n in (heads, kv_heads, kv_heads)]
    return [torch.randn(shape, generator=generator).to(dtype) for shape in shapes]


def info(lengths, width):
    return SequenceInfo.of(torch.arange(width) < torch.tensor(lengths)[:, None])


def kinds(package):
    return [type(bias).__name__ for bias in package.biases]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize(("heads", "kv_heads"), [(3, 3), (6, 2), (8, 1)])
@pytest.mark.parametrize("lengths", [[6, 6], [6, 2], [4, 6, 4], [6, 0, 1]])
def test_kernel_calls_by_the_rules_and_equals_the_reference(xformers_ops, dtype, heads, kv_heads, lengths):
    q, k, v = draw(len(lengths), 6, heads, kv_heads, dtype=dtype)
    seq = info(lengths, 6)
    ours, exact = KERNEL(q, k, v, seq), Reference()(q, k, v, seq)
    assert ours.dtype == dtype
    for row, n in enumerate(lengths):
        close = {"atol": 1e-3, "rtol": torch.finfo(dtype).eps} if dtype != torch.float32 else {"atol": 2e-6, "rtol": 0}
        torch.testing.assert_close(ours[row, :n], exact[row, :n], **close)
        assert not ours[row, n:].any()


def test_full_rows_need_no_mask_and_no_copy_of_grouped_heads(xformers_ops):
    KERNEL(*draw(2, 6, 6, 2), info([6, 6], 6))
    assert xformers_ops.biases == [None]
    assert xformers_ops.calls == [("memory_efficient_attention", ((2, 6, 2, 3, 16),) * 3)]


def test_equal_heads_stay_as_they_are(xformers_ops):
    KERNEL(*draw(2, 6, 4, 4), info([6, 6], 6))
    assert xformers_ops.calls == [("memory_efficient_attention", ((2, 6, 4, 16),) * 3)]


def test_rows_of_unequal_length_are_packed_into_one_with_block_diagonal_mask(xformers_ops):
    KERNEL(*draw(3, 6, 6, 2), info([6, 0, 2], 6))
    assert xformers_ops.calls == [("memory_efficient_attention", ((1, 8, 2, 3, 16),) * 3)]
    assert kinds(xformers_ops) == ["BlockDiagonalMask"] and xformers_ops.biases[0].q_seqlen == [6, 2]


def test_window_is_a_local_mask_and_its_missing_limit_the_whole_row(xformers_ops):
    KERNEL(*draw(2, 6, 4, 2), info([6, 6], 6)._replace(window=(2, -1)))
    assert kinds(xformers_ops) == ["LocalAttentionFromBottomRightMask"]
    assert (xformers_ops.biases[0].window_left, xformers_ops.biases[0].window_right) == (2, 6)


@pytest.mark.parametrize("width", [5, 8, 13])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_bias_is_written_out_in_full_and_aligned(xformers_ops, width, dtype):
    bias = torch.randn(width, width, generator=torch.Generator().manual_seed(1))
    seq = info([width, 3], width)._replace(bias=bias)
    ours = KERNEL(*draw(2, width, 4, 2, dtype=dtype), seq)
    (tensor,) = xformers_ops.biases
    assert tensor.shape == (2, 4, width, width) and tensor.stride(-2) == -(-width // 8) * 8
    assert tensor[1, :, :, 3:].isneginf().all()
    assert torch.isfinite(ours).all()


def test_gradients_write_grouped_heads_out(xformers_ops):
    grads = []
    for kernel in (KERNEL, Reference()):
        q, k, v = (x.requires_grad_() for x in draw(2, 6, 4, 2, dtype=torch.float32))
        kernel(q, k, v, info([6, 6], 6)).square().sum().backward()
        grads.append((q.grad, k.grad, v.grad))
    assert xformers_ops.calls == [("memory_efficient_attention", ((2, 6, 4, 16),) * 3)]
    for ours, exact in zip(*grads, strict=True):
        torch.testing.assert_close(ours, exact, atol=2e-6, rtol=1e-5)


def test_package_that_has_no_operator_here_says_so_in_its_words(xformers_ops):
    xformers_ops.device = "cuda"
    with pytest.raises(NotImplementedError, match="No operator found"):
        KERNEL(*draw(1, 6, 4, 2), info([6], 6))


def test_stand_in_has_the_signature_of_xformers_0_0_35(xformers_ops):
    published = "(query, key, value, attn_bias=None, p=0.0, scale=None, *, op=None, output_dtype=None)"
    assert str(inspect.signature(xformers_ops.memory_efficient_attention)) == published
    attn_bias = xformers_ops.fmha.attn_bias
    assert str(inspect.signature(attn_bias.BlockDiagonalMask.from_seqlens)) == (
        "(q_seqlen, kv_seqlen=None, *, device=None)"
    )
    assert list(inspect.signature(attn_bias.LocalAttentionFromBottomRightMask).parameters) == [
        "window_left", "window_right"
    ]  # fmt: skip
