"""Which leaves serve where, and what is said when they cannot."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from newbie import devices
from newbie.accel import choose as accel
from newbie.errors import UsageError

from .conftest import draw_velocity, small_model


def test_on_a_cpu_auto_takes_the_leaves_made_for_it_and_says_so():
    assert accel.choose(small_model()).name == "cpu"


def test_plain_is_the_models_own_loop():
    assert accel.choose(small_model(), leaves="plain").runner is None
    assert accel.choose(small_model(), leaves="plain").name == "plain"


def test_bfloat16_without_hardware_for_it_runs_plainly_and_is_refused_by_name(monkeypatch):
    monkeypatch.setattr(devices, "native_bf16", lambda device: False)
    model = small_model(dtype=torch.bfloat16)
    assert accel.choose(model).runner is None
    with pytest.raises(UsageError, match="no bfloat16 in hardware"):
        accel.choose(model, leaves="cpu")


def test_other_kinds_of_linear_layers_run_plainly():
    class Odd(nn.Linear):
        pass

    model = small_model()
    linear = model.layers[1].feed_forward.w2
    odd = Odd(linear.in_features, linear.out_features, bias=False)
    model.layers[1].feed_forward.w2 = odd
    assert accel.choose(model).runner is None
    with pytest.raises(UsageError, match=r"feed_forward\.w2 is a Odd"):
        accel.choose(model, leaves="cpu")


def test_where_memory_is_short_no_weight_is_copied_and_the_numbers_stay():
    model = small_model()
    short, ample = accel.choose(model, free=0), accel.choose(model, free=2**40)
    weight = model.layers[0].attention.qkv.weight
    arranged = short.runner.run_block.leaves.qkv.__self__.weights[model.layers[0]]
    assert arranged.qkv.weight.data_ptr() == weight.data_ptr()
    torch.testing.assert_close(
        draw_velocity(model, short.runner), draw_velocity(model, ample.runner), atol=1e-4, rtol=0
    )


def test_unknown_leaves_are_refused_with_the_known_ones():
    with pytest.raises(UsageError, match="no leaves 'fast'") as caught:
        accel.choose(small_model(), leaves="fast")
    assert "plain, cpu, triton" in caught.value.hint


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a card here")
def test_triton_without_a_card_is_refused_with_the_reason():
    with pytest.raises(UsageError, match="made for cuda, not for cpu"):
        accel.choose(small_model(), leaves="triton")
