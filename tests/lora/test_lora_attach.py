"""Adapters on and off: side by side, changed, removed, merged, on plain and on compressed layers."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from newbie import devices
from newbie.accel import choose as accel
from newbie.errors import UsageError, WeightsError
from newbie.lora import Worn, attach, merge, read_adapter
from newbie.model.adapted import AdaptedLinear
from newbie.model.swap import twin, with_modules
from newbie.quant.fp8 import Fp8
from newbie.quant.layers import CompressedLinear

from .conftest import PEFT, low_rank, pairs, random, small_model, velocity, written

EVERY = [
    name for name, module in small_model().named_modules() if isinstance(module, nn.Linear)
]  # of all three groups of blocks, and outside them


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("adapters")


@pytest.fixture(scope="module")
def everywhere(model, folder):
    return read_adapter(written(folder / "everywhere.safetensors", pairs(model, PEFT, *EVERY)), model)


@pytest.fixture(scope="module")
def lokr(model, folder):
    tensors = {}
    for seed, name in enumerate(EVERY):
        rows, columns = model.get_parameter(f"{name}.weight").shape
        flat = "lycoris_" + name.replace(".", "_")
        tensors[f"{flat}.lokr_w1"] = random(4, 4, seed=seed) / 4
        tensors[f"{flat}.lokr_w2"] = random(rows // 4, columns // 4, seed=seed + 1) / columns**0.5
    return read_adapter(written(folder / "lokr.safetensors", tensors), model)


def state(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def equal(left, right):
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("put_on", [attach, merge])
def test_wearing_leaves_the_bare_weights_bit_for_bit(everywhere, dtype, put_on):
    model = small_model(dtype)
    before, answer = state(model), velocity(model)
    adapted = put_on(model, [Worn(everywhere, 0.7)])
    assert not torch.equal(velocity(adapted), answer)
    assert equal(state(model), before)
    assert torch.equal(velocity(model), answer)


@pytest.mark.parametrize("name", ["everywhere", "lokr"])
def test_attached_and_merged_are_one(model, name, request):
    adapter = request.getfixturevalue(name)
    bare = velocity(model)
    attached, merged = (velocity(put_on(model, [Worn(adapter, 0.3)])) for put_on in (attach, merge))
    assert (merged - bare).abs().max() > 0.1
    torch.testing.assert_close(attached, merged, atol=5e-5, rtol=0)


def test_merging_adds_the_scaled_product_to_the_matrix(model, everywhere):
    merged = merge(model, [Worn(everywhere, 0.5)])
    for seed, name in enumerate(EVERY):
        down, up = low_rank(model, name, seed=10 * seed)
        wanted = model.get_parameter(f"{name}.weight").double() + 0.5 * (up.double() @ down.double())
        torch.testing.assert_close(merged.get_parameter(f"{name}.weight").double(), wanted, atol=1e-6, rtol=1e-6)


def test_several_at_once_add_up_whatever_their_order(model, everywhere, lokr):
    worn = [Worn(everywhere, 0.5), Worn(lokr, -0.25), Worn(everywhere, 0.25)]
    same = [Worn(everywhere, 0.75), Worn(lokr, -0.25)]
    for put_on in (attach, merge):
        answers = [velocity(put_on(model, list(order))) for order in (*itertools.permutations(worn), same)]
        for answer in answers[1:]:
            torch.testing.assert_close(answer, answers[0], atol=3e-4, rtol=0)


def test_strength_zero_is_the_bare_model_bit_for_bit(model, everywhere):
    for put_on in (attach, merge):
        assert torch.equal(velocity(put_on(model, [Worn(everywhere, 0.0)])), velocity(model))
    assert not any(isinstance(module, AdaptedLinear) for module in attach(model, [Worn(everywhere, 0.0)]).modules())


def test_an_adapter_and_its_opposite_cancel(model, everywhere):
    both = attach(model, [Worn(everywhere, 0.5), Worn(everywhere, -0.5)])
    torch.testing.assert_close(velocity(both), velocity(model), atol=5e-5, rtol=0)


def test_attaching_copies_no_weight(model, everywhere):
    adapted = attach(model, [Worn(everywhere)])
    ours = {tensor.data_ptr() for tensor in model.state_dict().values()}
    others = [name for name, tensor in adapted.state_dict().items() if tensor.data_ptr() not in ours]
    assert others and all(".branches." in name for name in others)


def test_merging_copies_only_what_it_changes(model, folder):
    adapter = read_adapter(written(folder / "one.safetensors", pairs(model, PEFT, EVERY[3])), model)
    merged = merge(model, [Worn(adapter)]).state_dict()
    changed = [name for name, tensor in model.state_dict().items() if merged[name].data_ptr() != tensor.data_ptr()]
    assert changed == [f"{EVERY[3]}.weight"]


def test_adapters_are_given_at_once_to_the_bare_model(model, everywhere):
    adapted = attach(model, [Worn(everywhere)])
    for put_on in (attach, merge):
        with pytest.raises(UsageError, match="wears adapters already"):
            put_on(adapted, [Worn(everywhere)])


def shifts(model, strength, put_on, tmp_path, **tensors):
    path = written(tmp_path / "s.safetensors", {name.replace("__", "."): tensor for name, tensor in tensors.items()})
    return put_on(model, [Worn(read_adapter(path, model), strength)])


@pytest.mark.parametrize("put_on", [attach, merge])
def test_norms_and_biases_are_shifted_and_the_bare_ones_stay(model, put_on, tmp_path):
    adapted = shifts(
        model, 0.5, put_on, tmp_path,
        lycoris_layers_0_attention_norm1__w_norm=random(96, seed=1),
        diffusion_model__layers__1__ffn_norm2__diff=random(96, seed=2),
        diffusion_model__x_embedder__diff_b=random(96, seed=3),
        diffusion_model__x_embedder__diff=random(96, 64, seed=4),
        diffusion_model__final_layer__linear__diff_b=random(64, seed=5),
    )  # fmt: skip
    x_embedder = adapted.x_embedder.base if put_on is attach else adapted.x_embedder
    for ours, bare, difference in (
        (adapted.layers[0].attention_norm1.weight, model.layers[0].attention_norm1.weight, random(96, seed=1)),
        (adapted.layers[1].ffn_norm2.weight, model.layers[1].ffn_norm2.weight, random(96, seed=2)),
        (x_embedder.bias, model.x_embedder.bias, random(96, seed=3)),
        (adapted.final_layer.linear.bias, model.final_layer.linear.bias, random(64, seed=5)),
    ):
        assert torch.equal(ours, bare + 0.5 * difference)
    x = random(2, 64, seed=6)
    wanted = x @ (model.x_embedder.weight + 0.5 * random(96, 64, seed=4)).T + x_embedder.bias
    torch.testing.assert_close(adapted.x_embedder(x), wanted, atol=1e-4, rtol=1e-4)


def compressed(model, names):
    """The model with some layers in 8-bit floats, and the same with what they decode to."""
    packed, decoded = {}, {}
    for name in names:
        linear = model.get_submodule(name)
        rows, columns = linear.weight.shape
        layer = CompressedLinear(columns, rows, codec := Fp8(torch.float8_e4m3fn), bias=False, dtype=torch.float32)
        for key, tensor in codec.encode(linear.weight.detach()).items():
            layer.get_buffer(key).copy_(tensor)
        packed[name] = layer
        decoded[name] = nn.Linear(columns, rows, bias=False)
        decoded[name].weight = nn.Parameter(layer.dense(), requires_grad=False)
    return with_modules(model, packed), with_modules(model, decoded)


def test_adapters_on_compressed_layers_are_those_on_what_they_decode_to(model, everywhere):
    names = [name for name in EVERY if "attention" in name or "feed_forward" in name]
    packed, decoded = compressed(model, names)
    worn = [Worn(everywhere, 0.5)]
    before = state(packed)
    torch.testing.assert_close(velocity(attach(packed, worn)), velocity(attach(decoded, worn)), atol=5e-5, rtol=0)
    assert equal(state(packed), before)
    merged = merge(packed, worn)
    assert all(type(merged.get_submodule(name)) is nn.Linear for name in names)
    torch.testing.assert_close(velocity(merged), velocity(merge(decoded, worn)), atol=5e-5, rtol=0)


def test_a_layer_that_cannot_be_decoded_takes_adapters_beside_it_only(model, everywhere):
    class Sealed(nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.inner, self.in_features, self.out_features = inner, inner.in_features, inner.out_features

        def forward(self, x):
            return self.inner(x)

    sealed = with_modules(model, {EVERY[0]: Sealed(model.get_submodule(EVERY[0]))})
    worn = [Worn(everywhere, 0.5)]
    torch.testing.assert_close(velocity(attach(sealed, worn)), velocity(attach(model, worn)))
    with pytest.raises(UsageError, match="Sealed") as error:
        merge(sealed, worn)
    assert "attach" in error.value.hint


@pytest.mark.parametrize("put_on", [attach, merge])
def test_an_adapter_too_large_for_half_precision_is_refused(model, folder, put_on):
    tensors = pairs(model, PEFT, EVERY[0])
    tensors[PEFT.format(name=EVERY[0], side="A")] *= 1e6
    adapter = read_adapter(written(folder / "large.safetensors", tensors), model)
    with pytest.raises(WeightsError, match="too large for float16") as error:
        put_on(small_model(torch.float16), [Worn(adapter)])
    assert EVERY[0] in error.value.message and "bf16" in error.value.hint


@pytest.mark.parametrize("put_on", [attach, merge])
def test_a_norm_that_becomes_too_large_for_half_precision_is_refused(model, folder, put_on):
    name = "layers.0.attention_norm1"
    tensors = {f"lycoris_{name.replace('.', '_')}.w_norm": torch.full_like(model.get_parameter(f"{name}.weight"), 6e4)}
    adapter = read_adapter(written(folder / "norm.safetensors", tensors), model)
    with pytest.raises(WeightsError, match=rf"{name}\.weight has numbers too large for float16"):
        put_on(small_model(torch.float16), [Worn(adapter, 1.5)])


def test_in_bfloat16_small_differences_live_beside_a_layer_and_die_when_merged(model, folder):
    """The reason why attaching is the default: W + d is W again where d is below half a step of W."""
    tensors = {key: tensor / 40 for key, tensor in pairs(model, PEFT, EVERY[-3]).items()}
    adapter = read_adapter(written(folder / "faint.safetensors", tensors), model)
    half = small_model(torch.bfloat16)
    base = half.get_submodule(EVERY[-3])
    delta = adapter.patches[0].delta.dense()
    x = random(64, base.in_features, seed=5)
    wanted = x @ delta.T

    def heard(layer):
        """How much of the difference is in the layer's answer: 1 all of it, 0 nothing."""
        answer = layer(x.bfloat16()).float() - F.linear(x.bfloat16().float(), base.weight.float(), base.bias.float())
        return float((answer * wanted).sum() / (wanted * wanted).sum())

    attached = attach(half, [Worn(adapter)]).get_submodule(EVERY[-3])
    merged = merge(half, [Worn(adapter)]).get_submodule(EVERY[-3])
    assert heard(attached) == pytest.approx(1, abs=0.05)
    assert heard(merged) < 0.8


@pytest.mark.parametrize("names", [EVERY, [n for n in EVERY if "qkv" in n], [n for n in EVERY if "w1" in n]])
@pytest.mark.parametrize("arrange", [True, False])
def test_leaves_for_a_cpu_compute_adapters_too(model, names, arrange, folder):
    if accel.choose(model).runner is None:
        pytest.skip("no leaves for this processor")
    adapter = read_adapter(written(folder / "some.safetensors", pairs(model, PEFT, *names)), model)
    adapted = attach(model, [Worn(adapter, 0.5)])
    blocks = accel.choose(adapted, free=2**40 if arrange else 0)
    assert blocks.name == "cpu"
    torch.testing.assert_close(run(adapted, blocks), velocity(adapted), atol=1e-4, rtol=0)


@pytest.mark.skipif(not devices.native_bf16("cpu"), reason="this processor has no bfloat16 in hardware")
def test_leaves_for_a_cpu_compute_adapters_in_bfloat16(everywhere):
    half = small_model(torch.bfloat16)
    adapted = attach(half, [Worn(everywhere, 0.2)])
    truth = velocity(attach(small_model(), [Worn(everywhere, 0.2)]))
    errors = [
        (velocity(adapted).float() - truth).abs().mean(),
        (run(adapted, accel.choose(adapted)) - truth).abs().mean(),
    ]
    assert errors[1] < 1.2 * errors[0]


def run(model, blocks):
    """`velocity` by these leaves."""
    from .conftest import question

    latents, t, prepared = question(model)
    runner = blocks.runner

    def joint(stack, x, m, seq):
        return runner(None, stack, x, m, seq)

    return model(latents, t, prepared, joint, runner.refine)


def test_leaves_that_serve_compressed_layers_compute_adapters_too(model, everywhere):
    packed, decoded = compressed(model, ["layers.0.attention.qkv", "layers.1.feed_forward.w1"])
    worn = [Worn(everywhere, 0.5)]
    adapted = attach(packed, worn)
    blocks = accel.choose(adapted)
    if blocks.runner is None:
        pytest.skip("compressed layers run in the model's own loop here")
    torch.testing.assert_close(run(adapted, blocks), velocity(attach(decoded, worn)), atol=1e-4, rtol=0)


def test_a_replaced_module_leaves_the_first_network_alone(model):
    other = nn.Identity()
    changed = with_modules(model, {"layers.0.attention.qkv": other, "final_layer": other})
    assert changed.layers[0].attention.qkv is other and changed.final_layer is other
    assert model.layers[0].attention.qkv is not other and model.final_layer is not other
    assert changed.layers[1] is model.layers[1] and changed.layers[0].feed_forward is model.layers[0].feed_forward
    with pytest.raises(AttributeError):
        with_modules(model, {"layers.9.attention": other})


def test_a_twin_has_tables_of_its_own(model):
    copy = twin(model.layers[0])
    copy.extra = nn.Identity()
    copy.register_forward_hook(lambda *_: None)
    assert not hasattr(model.layers[0], "extra") and not model.layers[0]._forward_hooks
    assert copy.attention is model.layers[0].attention
