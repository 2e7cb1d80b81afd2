"""The planner: what it counts, what it chooses, what it says."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from newbie.accel import cpu
from newbie.checkpoints.load import fill
from newbie.checkpoints.plan import plan_load
from newbie.errors import MemoryShortage
from newbie.memory import amount
from newbie.memory.opening import picture_of
from newbie.memory.planner import Machine, forced, make_plan
from newbie.memory.ways import EXACT, Model, Need, Part, Picture, Way, stages
from newbie.memory.weights import joint_blocks
from newbie.quant.choice import Choice
from newbie.request import Recommended, Request
from newbie.vae.tiling import Tiling

CPU = torch.device("cpu")
PICTURE = Picture(128, 128, steps=4)


@pytest.fixture(scope="module")
def weighed(parts):
    def of(scheme: str) -> Model:
        choice = Choice.parse(scheme)
        return Model(
            {
                name: Part(plan_load(source, quant=choice.rule(name)), CPU, torch.float32)
                for name, source in parts.sources().items()
            }
        )

    models = {scheme: of(scheme) for scheme in ("", "w8a8", "nf4")}
    return models.__getitem__


def machine(limit: float, before: float = 0) -> Machine:
    return Machine("cpu", int(limit), int(before), f"{limit:.0f}B")


def peaks(model: Model) -> list[int]:
    return [max(stages(model, way, PICTURE).values()) for way in EXACT]


def test_each_way_needs_less_than_the_one_before(weighed):
    model = weighed("")
    held = [sum(Need.of(p, way.of(n)).held for n, p in model.parts.items() if way.of(n) != "visits") for way in EXACT]
    assert held[:3] == sorted(held[:3], reverse=True) and held[3] > held[4]


def test_with_enough_memory_everything_stays_as_it_is(weighed):
    plan = make_plan(weighed, machine(1e12), PICTURE, schemes=("", "w8a8", "nf4"))
    assert plan.way == EXACT[0] and plan.slower == 1.0


def test_what_is_planned_fits(weighed):
    model = weighed("")
    highest, lowest = max(peaks(model)), min(peaks(model))
    for limit in torch.linspace(lowest, highest, 7).tolist():
        plan = make_plan(weighed, machine(limit + 1), PICTURE)
        assert plan.peak <= limit + 1


def test_more_memory_never_costs_time(weighed):
    model = weighed("")
    limits = torch.linspace(min(peaks(model)) + 1, 1.2 * max(peaks(model)), 9).tolist()
    times = [make_plan(weighed, machine(limit), PICTURE).slower for limit in limits]
    assert times == sorted(times, reverse=True)


def test_what_is_in_use_before_counts(weighed):
    alone = make_plan(weighed, machine(1e12), PICTURE)
    crowded = make_plan(weighed, machine(1e12, before=1e9), PICTURE)
    assert crowded.peak == alone.peak + 1e9


def test_a_limit_that_nothing_meets_says_how_much_is_needed_and_what_would_do(weighed):
    with pytest.raises(MemoryShortage) as refused:
        make_plan(weighed, machine(20e6), Picture(1024, 1024))
    assert "20.0 MB" in refused.value.message and "1024x1024" in refused.value.message
    assert "--memory" in refused.value.hint
    asked = float(refused.value.hint.split("GB")[0].split()[-1]) * 1e9
    assert make_plan(weighed, machine(asked), Picture(1024, 1024)).peak <= asked


def test_where_all_that_is_free_is_too_little_it_says_how_much_more_must_be(weighed):
    some = machine(20e6)._replace(asked="auto")
    with pytest.raises(MemoryShortage) as refused:
        make_plan(weighed, some, PICTURE)
    assert "--memory" not in refused.value.hint  # as if there were more
    more = amount.parse(refused.value.hint.split("programs: ")[1].split(" more")[0])
    assert make_plan(weighed, some._replace(limit=int(some.limit + 1.01 * more)), PICTURE).needed > some.limit


def test_a_way_that_was_asked_for_and_does_not_fit_is_told_to_be_too_much(weighed):
    def told(limit: float) -> str:
        return "\n".join(forced(weighed, EXACT[0], machine(limit), PICTURE).lines())

    needed = forced(weighed, EXACT[0], machine(1e12), PICTURE).needed
    assert "more than may be used" not in told(needed)
    assert f"that is {amount.told(5e6)} more than may be used" in told(needed - 5e6)


def test_the_hint_names_a_size_that_fits(weighed):
    small = max(stages(weighed(""), Way("", "layers", "layers", Tiling(256)), Picture(768, 768)).values())
    with pytest.raises(MemoryShortage) as refused:
        make_plan(weighed, machine(small + 1), Picture(1536, 1536))
    side = int(refused.value.hint.split("--size ")[1].split("x")[0])
    assert make_plan(weighed, machine(small + 1), Picture(side, side)).peak <= small + 1


def test_fewer_bits_are_the_last_resort_of_ways_that_are_fast_enough(weighed):
    slow = replace_speed(machine(max(peaks(weighed("w8a8"))) * 1.01), moved=1e3)
    assert make_plan(weighed, slow, PICTURE, schemes=("", "w8a8")).way.quant in ("", "w8a8")
    assert make_plan(weighed, slow, PICTURE).way.quant == ""


def replace_speed(given: Machine, *, moved: float) -> Machine:
    return given._replace(moved_per_second=moved)


def test_the_plan_is_told_part_by_part(weighed):
    lines = list(make_plan(weighed, machine(1e12), PICTURE).lines())
    text = "\n".join(lines)
    for word in ("transformer", "text encoder", "CLIP tower", "autoencoder", "expected peak", "128x128"):
        assert word in text


def test_large_pictures_are_decoded_in_tiles_where_memory_is_short(weighed):
    large = Picture(1024, 1024)
    roomy = make_plan(weighed, machine(1e12), large)
    plan = make_plan(weighed, machine(roomy.peak * 0.7), large)
    assert roomy.way.tiling is None and plan.way.tiling is not None
    assert replace(plan.way, tiling=None) in EXACT


def test_none_is_a_scheme_that_forbids_fewer_bits():
    assert Choice.parse("none").rules == {}
    assert set(Choice.parse("nf4,clip=none").rules) == {"transformer", "text_encoder"}


def test_copies_of_weights_are_counted_as_the_leaves_make_them(parts):
    module = fill(plan_load(parts.transformer), CPU, torch.float32)
    blocks = [*module.noise_refiner, *module.layers]
    made = cpu.CpuBlocks.of(blocks, arrange=True).weights.values()
    copied = sum(each.weight.nbytes for w in made for each in (w.qkv, w.out, w.w1, w.w2, w.w3))
    model = Model({"transformer": Part(plan_load(parts.transformer), CPU, torch.float32)}, "cpu")
    assert copied == pytest.approx(model.copied_bytes, rel=0.02)  # norms are small, and oneDNN rounds shapes up
    assert model.copied_bytes < model.block_bytes


def test_weights_that_are_rounded_at_every_step_cost_that_time_whoever_asked_for_it(weighed):
    """`--quant nf4 --offload layers` moves fewer bytes, and rounds them all anew at each step."""
    models = [weighed("nf4"), weighed("")]
    rounded, plain = (forced(lambda _, m=model: m, EXACT[4], machine(1e12), PICTURE) for model in models)
    moved = [model.parts["transformer"].need("layers").moved for model in models]
    assert moved[0] < moved[1] and rounded.slower > plain.slower


def test_a_plan_is_made_for_the_request_where_it_is_known():
    recommended = Recommended(width=128, height=128, steps=20)
    assert picture_of(None, recommended) == Picture(128, 128, 1, 20)
    request = Request(width=512, height=256, steps=4, count=5, batch_size=3)
    assert picture_of(request, recommended) == Picture(512, 256, 3, 4)
    assert picture_of(Request(width=512, count=2, batch_size=8), recommended) == Picture(512, 512, 2, 20)


def test_pictures_together_are_planned_for_and_where_they_do_not_fit_one_may(weighed):
    one, four = Picture(256, 256), Picture(256, 256, batch=4)
    plans = [forced(weighed, EXACT[0], machine(1e12), picture) for picture in (one, four)]
    assert plans[0].needed < plans[1].needed
    assert "expected peak for 4 pictures of 256x256 together" in "\n".join(plans[1].lines())
    leanest = forced(weighed, replace(EXACT[-1], tiling=Tiling(256)), machine(1e12), one).needed
    with pytest.raises(MemoryShortage, match="4 pictures of 256x256") as refused:
        make_plan(weighed, machine(1.02 * leanest), four)
    assert "or --batch-size 1, which" in refused.value.hint


def test_what_is_left_for_accelerations_is_what_the_steps_do_not_take(weighed):
    plan = forced(weighed, EXACT[0], machine(1e9, before=1e8), PICTURE)
    assert plan.left == 1e9 - 1e8 - plan.stages["denoising"]
    assert forced(weighed, EXACT[0], machine(1e6), PICTURE).left == 0


def test_slots_of_blocks_are_empty_until_the_first_step(parts):
    """On a CPU nothing is resident that was not written to; a card's memory is taken at once."""
    cpu, card = (Part(plan_load(parts.transformer), torch.device(name), torch.float32) for name in ("cpu", "cuda"))
    slots = 2 * max(cpu.weights.only(names).bytes for names in joint_blocks(cpu.plan))
    rest = cpu.weights.without(frozenset().union(*cpu.moving("blocks")))
    assert cpu.need("blocks").held == rest.touched + slots
    assert cpu.need("blocks").loading == rest.loading
    assert card.need("blocks").loading >= slots
    way = replace(EXACT[3], text="stays")
    model = Model({"transformer": cpu, **{n: Part(plan_load(s), CPU, torch.float32) for n, s in texts(parts).items()}})
    others = sum(model.parts[name].need("stays").held for name in texts(parts))
    assert stages(model, way, PICTURE)["loading"] < rest.touched + slots + others


def texts(parts):
    return {name: source for name, source in parts.sources().items() if name != "transformer"}
