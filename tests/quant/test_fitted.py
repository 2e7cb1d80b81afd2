"""Four bits fitted to inputs: GPTQ, AWQ, smoothing and the branch of SVDQuant keep what their papers promise."""

from __future__ import annotations

import pytest
import torch

from newbie.errors import UsageError
from newbie.quant.awq import clipped
from newbie.quant.codec import dense
from newbie.quant.fit import ROUNDINGS, fit, output_error, without_factors
from newbie.quant.four_bit import SMOOTH, FourBit, four_bits, low_rank, nearest
from newbie.quant.gptq import gptq
from newbie.quant.inputs import Inputs
from newbie.quant.nf4 import Nf4
from newbie.quant.schemes import SCHEMES


def material(tokens: int = 600, columns: int = 128, rows: int = 96, seed: int = 0):
    """Inputs that live in few directions, with a channel that stands out; weights with columns that do."""
    generator = torch.Generator().manual_seed(seed)
    mix = torch.randn(columns, columns, generator=generator) * torch.linspace(0.05, 1, columns) ** 2
    x = torch.randn(tokens, columns, generator=generator) @ mix
    x[:, 5] *= 30
    weights = torch.randn(rows, columns, generator=generator) / columns**0.5
    weights[:, 9:12] *= 8
    return x, weights


def errors(weights, stored, square, codec):
    """Mean squared error of the layer's output over all that `square` saw."""
    difference = codec.residual(stored) - weights
    return float((difference @ square * difference).sum())


def test_gptq_is_no_worse_than_rounding_to_nearest_on_what_it_saw():
    x, weights = material()
    square, codec = Inputs.of(x).square, FourBit()
    plain = errors(weights, nearest(weights, 64), square, codec)
    assert errors(weights, gptq(weights, square, 64), square, codec) < 0.8 * plain


def test_gptq_of_inputs_that_have_nothing_to_do_with_one_another_is_rounding_to_nearest():
    _, weights = material()
    ours, plain = gptq(weights, torch.eye(128), 64), nearest(weights, 64)
    assert all(torch.equal(ours[name], plain[name]) for name in plain)


def test_gptq_works_column_by_column_as_its_definition_says():
    """The textbook form: after each column, all that follow are corrected with the inverse of what is left of H."""
    x, weights = material(columns=64, rows=8)
    square = Inputs.of(x).square.double()
    damped = square + 0.01 * square.diagonal().mean() * torch.eye(64)
    left, scale = weights.double().clone(), nearest(weights, 64)["scale"].double()
    inverse = torch.linalg.inv(damped)
    wanted = torch.empty_like(left)
    for j in range(64):
        wanted[:, j] = (left[:, j] / scale[:, 0]).round().clamp(-8, 7) * scale[:, 0]
        error = (left[:, j] - wanted[:, j]) / inverse[j, j]
        left -= torch.outer(error, inverse[j])
        inverse = inverse - torch.outer(inverse[:, j], inverse[j]) / inverse[j, j]
    ours = FourBit().residual(gptq(weights, square.float(), 64)).double()
    assert ((ours - wanted).abs() > 1e-6).float().mean() < 0.01  # ties may fall otherwise in float32


def test_cutting_ranges_never_harms_what_it_looks_at():
    x, weights = material()
    square = Inputs.of(x).square
    codec, used = FourBit(), square.diagonal()
    plain, ours = codec.residual(nearest(weights, 64)), codec.residual(clipped(weights, square, 64))
    assert ((ours - weights).square() * used).sum() <= ((plain - weights).square() * used).sum()


@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize("name", ["int4", "int4-a4", "svdquant"])
def test_what_is_fitted_is_better_than_what_has_seen_nothing(name, rounding):
    x, weights = material()
    kind = SCHEMES[name]
    inputs = Inputs.of(x[:400])
    plain = kind.codec.encode(weights)
    found = fit(weights, inputs, kind.calibrated, rounding)
    new = x[400:]  # tokens it was not fitted to
    wanted = new @ weights.T
    assert output_error(kind.calibrated, found.stored, new, wanted) < output_error(kind.codec, plain, new, wanted)
    assert not kind.calibrated.problem(found.stored)


def test_svdquant_beats_normal_floats_and_plain_integers_where_channels_stand_out():
    x, weights = material()
    kind = SCHEMES["svdquant"]
    wanted = x @ weights.T
    ours = fit(weights, Inputs.of(x), kind.calibrated).error
    assert ours < output_error(Nf4(), Nf4().encode(weights), x, wanted)
    plain = SCHEMES["int4-a4"].codec
    assert ours < 0.5 * output_error(plain, plain.encode(weights), x, wanted)


@pytest.mark.parametrize("rank", [1, 8, 64])
def test_a_branch_is_the_nearest_matrix_of_its_rank(rank):
    for weights in (material()[1], material()[1].T.contiguous()):
        factors = low_rank(weights, rank)
        found = factors["up"].float() @ factors["down"].float()
        u, s, v = torch.linalg.svd(weights)
        best = u[:, :rank] * s[:rank] @ v[:rank]
        assert (weights - found).norm() <= (weights - best).norm() + 4e-3 * weights.norm()  # factors in bfloat16


def test_more_rank_is_less_error_and_full_rank_leaves_nothing():
    x, weights = material()
    wanted = x @ weights.T
    found = []
    for rank in (0, 1, 4, 16, 64, 96):
        codec = FourBit(rank=rank, inputs=16)
        found.append(output_error(codec, codec.encode(weights), x, wanted))
    assert found == sorted(found, reverse=True)
    # The branch is in bfloat16, and what that leaves is rounded to 4 bits: a tenth of what bfloat16 itself costs.
    assert found[-1] < 1e-3


def test_smoothing_alone_changes_nothing():
    x, weights = material()
    factors = torch.rand(128, generator=torch.Generator().manual_seed(8)) + 0.5
    inputs = Inputs.of(x).divided(factors)
    torch.testing.assert_close(inputs.sample @ (weights * factors).T, x @ weights.T, rtol=1e-4, atol=1e-3)
    again = Inputs.of(x / factors)
    for ours, theirs in zip(inputs, again, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_factors_that_are_all_one_are_left_out():
    _, weights = material()
    codec = FourBit(smooth=True)
    stored = codec.encode(weights)
    lighter, rest = without_factors(codec, stored)
    assert lighter == FourBit() and SMOOTH not in rest
    assert torch.equal(dense(lighter, rest, torch.float32), dense(codec, stored, torch.float32))
    stored[SMOOTH][3] = 2
    assert without_factors(codec, stored) == (codec, stored)


def test_inputs_in_four_bits_have_sixteen_values_in_each_group_of_each_token():
    x, _ = material()
    rounded = four_bits(x, 64)
    for group in rounded.unflatten(-1, (-1, 64)).flatten(0, 1)[:50]:
        assert len(group.unique()) <= 16
    step = x.unflatten(-1, (-1, 64)).abs().amax(-1, keepdim=True) / 7.5
    assert ((rounded - x).unflatten(-1, (-1, 64)).abs() <= step * 0.5001).all()


def test_unknown_roundings_are_refused():
    x, weights = material()
    with pytest.raises(UsageError, match="no rounding 'up'"):
        fit(weights, Inputs.of(x), FourBit(), "up")
