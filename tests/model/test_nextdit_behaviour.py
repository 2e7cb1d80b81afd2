"""What the network promises its callers: rows apart, generations apart, one seam, honest refusals."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from newbie.attention.reference import Reference
from newbie.attention.sdpa import Sdpa
from newbie.errors import UsageError
from newbie.model.nextdit import run_checkpointed

ATTEND = Sdpa()


def prepare(model, given, attend=ATTEND):
    return model.prepare(*given.text, given.size, attend=attend)


def close(a, b, tolerance=5e-6):
    torch.testing.assert_close(a, b, atol=tolerance, rtol=tolerance)


def test_runner_written_by_the_user_is_bit_equal_to_the_plain_forward(model, make_inputs):
    given = make_inputs()
    prepared = prepare(model, given)

    def my_runner(blocks, x, modulations, seq):
        for index in range(len(blocks)):
            block, m = blocks[index], modulations[index]
            q, k, v = block.qkv(x, m.scale_attn, seq)
            x = x + m.gate_attn * block.project(seq.attend(q, k, v, seq.info))
            x = x + m.gate_ffn * block.feed(x, m.scale_ffn)
        return x

    with torch.no_grad():
        plain = model(given.latents, given.t, prepared)
        assert torch.equal(model(given.latents, given.t, prepared, run_blocks=my_runner), plain)


def test_runner_sees_the_joint_blocks_only_and_decides_what_runs(model, make_inputs):
    given = make_inputs()
    prepared = prepare(model, given)
    seen = []

    def skip(blocks, x, m, seq):
        seen.append((list(blocks), tuple(x.shape), [tuple(said.gate_ffn.shape) for said in m]))
        return x

    with torch.no_grad():
        skipped = model(given.latents, given.t, prepared, run_blocks=skip)
        plain = model(given.latents, given.t, prepared)
    words = prepared.words.shape[1]
    assert seen == [(list(model.layers), (2, words + 6, 48), [(2, 1, 48)] * len(model.layers))]
    assert not torch.allclose(skipped, plain, atol=1e-2)


def test_checkpointed_runner_gives_the_same_gradients(make_model, make_inputs):
    given, grads = make_inputs(), []
    model = make_model()
    for runner in ({}, {"run_blocks": run_checkpointed}):
        model.zero_grad()
        model(given.latents, given.t, prepare(model, given), **runner).square().mean().backward()
        grads.append({name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None})
    assert grads[0].keys() == grads[1].keys()
    assert all(torch.equal(grads[0][name], grads[1][name]) for name in grads[0])


def test_every_parameter_but_norm_final_gets_a_gradient(make_model, make_inputs):
    model, given = make_model(), make_inputs()
    model(given.latents, given.t, prepare(model, given)).square().mean().backward()
    without = {name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()}
    assert without == {"norm_final.weight"}


def test_norm_final_has_no_effect(make_model, make_inputs):
    model, given = make_model(), make_inputs()
    with torch.no_grad():
        before = model(given.latents, given.t, prepare(model, given))
        model.norm_final.weight.fill_(float("nan"))
        assert torch.equal(model(given.latents, given.t, prepare(model, given)), before)


def test_interleaved_generations_equal_the_same_alone(model, make_inputs):
    one, two = make_inputs((5, 3)), make_inputs((7,), size=(6, 4), seed=9)
    times = (0.1, 0.5, 0.9)

    def generation(given):
        prepared = prepare(model, given)
        x = given.latents
        for t in times:
            x = x + 0.3 * model(x, torch.full((len(x),), t), prepared)
            yield x

    with torch.no_grad():
        alone = [list(generation(one)), list(generation(two))]
        together = list(zip(generation(one), generation(two), strict=True))
    for step, (a, b) in enumerate(together):
        assert torch.equal(a, alone[0][step]) and torch.equal(b, alone[1][step])


def test_prepared_serves_every_time(model, make_inputs):
    given = make_inputs()
    prepared = prepare(model, given)
    with torch.no_grad():
        for t in (0.0, 0.3, 1.0):
            t = torch.full((2,), t)
            assert torch.equal(model(given.latents, t, prepared), model(given.latents, t, prepare(model, given)))


@pytest.mark.parametrize("attend", [Reference(), Sdpa()], ids=lambda kernel: kernel.name)
def test_a_row_gives_the_same_alone_and_in_any_batch(model, make_inputs, attend):
    given = make_inputs((5, 16, 1))
    with torch.no_grad():
        batch = model(given.latents, given.t, prepare(model, given, attend))
        for row in range(3):
            text = (x[row : row + 1] for x in given.text)
            prepared = model.prepare(*text, given.size, attend=attend)
            alone = model(given.latents[row : row + 1], given.t[row : row + 1], prepared)
            close(batch[row], alone[0])


def test_changing_one_row_leaves_the_others_bit_for_bit(model, make_inputs):
    given, other = make_inputs((5, 3, 6)), make_inputs((5, 3, 6), seed=2)
    with torch.no_grad():
        before = model(given.latents, given.t, prepare(model, given))
        for mine, new in zip((*given.text, given.latents, given.t), (*other.text, other.latents, other.t), strict=True):
            mine[1] = new[1]
        after = model(given.latents, given.t, prepare(model, given))
    assert torch.equal(before[0], after[0]) and torch.equal(before[2], after[2])
    assert not torch.equal(before[1], after[1])


@pytest.mark.parametrize("junk", [7.0, float("nan"), float("inf")])
def test_what_padding_holds_has_no_effect(model, make_inputs, junk):
    given = make_inputs((5, 3))
    with torch.no_grad():
        before = model(given.latents, given.t, prepare(model, given))
        given.hidden[~given.mask] = junk
        assert torch.equal(model(given.latents, given.t, prepare(model, given)), before)


@pytest.mark.parametrize("more", [1, 8, 100])
def test_more_padding_has_no_effect(model, make_inputs, more):
    given = make_inputs((5, 3))
    with torch.no_grad():
        before = model(given.latents, given.t, prepare(model, given))
        given.hidden = torch.nn.functional.pad(given.hidden, (0, 0, 0, more), value=3.0)
        given.mask = torch.nn.functional.pad(given.mask, (0, more))
        close(model(given.latents, given.t, prepare(model, given)), before)


def test_captions_of_one_length_need_no_mask(model, make_inputs):
    prepared = prepare(model, make_inputs((5, 5)))
    assert prepared.words.shape[1] == 5
    assert prepared.seq.info.mask is None and prepared.image.info.mask is None


@pytest.mark.parametrize("lengths", [(0,), (0, 0), (0, 5)])
def test_caption_without_a_single_word_works(model, make_inputs, lengths):
    given = make_inputs(lengths)
    with torch.no_grad():
        batch = model(given.latents, given.t, prepare(model, given))
        given.hidden[0] = 1e3  # no word of row 0 is real
        close(batch, model(given.latents, given.t, prepare(model, given)), 0)
    assert torch.isfinite(batch).all()


def test_caption_without_a_single_word_can_be_trained_on(make_model, make_inputs):
    model, given = make_model(), make_inputs((0, 5))
    model(given.latents, given.t, prepare(model, given)).square().mean().backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


@pytest.mark.parametrize("dtype", [torch.bool, torch.int64, torch.int32, torch.uint8, torch.float32, torch.bfloat16])
def test_masks_of_any_dtype_mean_the_same(model, make_inputs, dtype):
    given = make_inputs()
    with torch.no_grad():
        expected = model(given.latents, given.t, prepare(model, given))
        given.mask = given.mask.to(dtype)
        assert torch.equal(model(given.latents, given.t, prepare(model, given)), expected)


@pytest.mark.parametrize(
    ("mask", "said"),
    [
        ([[1, 1, 0, 0], [0, 1, 1, 0]], "row 1: a valid token at 1 follows padding at 0"),
        ([[1, 0, 1, 0], [1, 1, 1, 0]], "row 0: a valid token at 2 follows padding at 1"),
    ],
)
def test_left_padding_and_holes_are_refused_with_their_place(model, mask, said):
    with pytest.raises(UsageError, match=said) as caught:
        model.prepare(torch.randn(2, 4, 20), torch.tensor(mask), torch.randn(2, 12), (4, 4), attend=ATTEND)
    assert "right" in caught.value.hint


@pytest.mark.parametrize(("size", "nearest"), [((5, 4), "4x4"), ((4, 7), "4x8"), ((0, 4), "2x4"), ((-2, 4), "2x4")])
def test_odd_latent_sizes_are_refused_with_the_nearest_good_one(model, make_inputs, size, nearest):
    given = make_inputs((5,))
    with pytest.raises(UsageError, match=f"{size[0]}x{size[1]}") as caught:
        model.prepare(*given.text, size, attend=ATTEND)
    assert nearest in caught.value.hint


def test_pictures_of_different_sizes_share_a_batch(model, make_inputs):
    given = make_inputs((5, 3, 7))
    sizes = [(4, 6), (8, 2), (2, 10)]
    latents = [torch.randn(16, *size, generator=torch.Generator().manual_seed(n)) for n, size in enumerate(sizes)]
    with torch.no_grad():
        batch = model(latents, given.t, model.prepare(*given.text, sizes, attend=ATTEND))
        assert [tuple(v.shape) for v in batch] == [(16, *size) for size in sizes]
        for row, size in enumerate(sizes):
            text = (x[row : row + 1] for x in given.text)
            prepared = model.prepare(*text, size, attend=ATTEND)
            alone = model(latents[row][None], given.t[row : row + 1], prepared)
            close(batch[row], alone[0])


def test_list_of_equal_sizes_equals_the_tensor_and_comes_back_as_a_list(model, make_inputs):
    given = make_inputs()
    prepared = prepare(model, given)
    with torch.no_grad():
        rows = model(list(given.latents), given.t, prepared)
        assert isinstance(rows, list)
        assert torch.equal(torch.stack(rows), model(given.latents, given.t, prepared))


def test_latents_of_another_size_than_prepared_are_refused(model, make_inputs):
    given = make_inputs()
    with pytest.raises(UsageError, match="prepare"):
        model(given.latents[..., :4], given.t, prepare(model, given))
    with pytest.raises(UsageError, match="prepare"):
        model(given.latents[:1], given.t, prepare(model, given))


def test_inputs_of_the_wrong_width_are_refused(model, make_inputs):
    given = make_inputs()
    with pytest.raises(UsageError, match="20"):
        model.prepare(given.hidden[..., :19], given.mask, given.pooled, (4, 4), attend=ATTEND)
    with pytest.raises(UsageError, match="mask"):
        model.prepare(given.hidden, given.mask[:, :3], given.pooled, (4, 4), attend=ATTEND)
    with pytest.raises(UsageError, match="pooled"):
        model.prepare(given.hidden, given.mask, given.pooled[:, :11], (4, 4), attend=ATTEND)
    with pytest.raises(UsageError, match="3 picture sizes for 2"):
        model.prepare(*given.text, [(4, 4)] * 3, attend=ATTEND)


def test_model_without_clip_refuses_a_pooled_vector(model, make_model, make_inputs):
    plain = make_model(replace(model.config, clip_text_dim=None))
    given = make_inputs()
    with pytest.raises(UsageError, match="CLIP"):
        prepare(plain, given)
    prepared = plain.prepare(given.hidden, given.mask, None, given.size, attend=ATTEND)
    assert prepared.pooled is None


def test_missing_pooled_vector_is_skipped_or_zero_and_these_differ(model, make_inputs):
    given = make_inputs()
    skip = model.prepare(given.hidden, given.mask, None, given.size, attend=ATTEND)
    zeros = model.prepare(given.hidden, given.mask, None, given.size, attend=ATTEND, without_pooled="zeros")
    with torch.no_grad():
        assert torch.equal(model.conditioning(given.t, skip.pooled), model.t_embedder(given.t, torch.float32))
        assert not torch.allclose(model(given.latents, given.t, skip), model(given.latents, given.t, zeros), atol=1e-2)


def test_long_captions_and_large_pictures_meet_no_table_limit(model, make_inputs):
    given = make_inputs((1500,), size=(2, 1100))  # official tables end at 1024 words and 512 token columns
    with torch.no_grad():
        assert torch.isfinite(model(given.latents, given.t, prepare(model, given))).all()


def test_forward_works_under_autocast_with_float32_weights(make_model, make_inputs):
    model, given = make_model(), make_inputs()
    with torch.no_grad():
        exact = model(given.latents, given.t, prepare(model, given))
    with torch.autocast("cpu", torch.bfloat16):
        prepared = prepare(model, given)
        velocity = model(given.latents, given.t, prepared)
    assert prepared.words.dtype == velocity.dtype == torch.float32
    velocity.square().mean().backward()
    assert model.layers[0].attention.qkv.weight.grad.dtype == torch.float32
    assert (velocity - exact).square().mean().sqrt() < 0.05 * exact.std()


def test_velocity_has_the_dtype_of_the_latents(make_model, make_inputs):
    model, given = make_model().bfloat16(), make_inputs()
    with torch.no_grad():
        prepared = prepare(model, given)
        assert prepared.words.dtype == torch.bfloat16
        assert model(given.latents, given.t, prepared).dtype == torch.float32
