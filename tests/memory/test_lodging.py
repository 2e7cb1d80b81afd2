"""Pictures of a model that is not all in memory: the same bits as of one that is."""

from __future__ import annotations

import gc
import threading
import weakref
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

from newbie import Pipeline, Request, Settings, devices
from newbie.accel.choose import choose
from newbie.cli.args import ModelChoice
from newbie.cli.console import Console
from newbie.cli.draw import open_engine
from newbie.denoise import Denoiser
from newbie.errors import MemoryShortage, UsageError
from newbie.memory import opening
from newbie.memory.meter import Resident
from newbie.memory.opening import OFFLOAD
from newbie.memory.planner import NothingFits, forced
from newbie.model.nextdit import NextDiT

SMALL = {"width": 64, "height": 64}
REQUEST = Request(prompt="1girl, blue_hair, smile", negative="red_hair", steps=3, seed=5, **SMALL)


def opened(**settings) -> Pipeline:
    return Pipeline.open(settings=Settings(device="cpu", **settings))


def there(module: torch.nn.Module) -> bool:
    return all(tensor.device.type != "meta" for tensor in module.parameters())


@pytest.fixture(scope="module")
def resident() -> dict[str, Pipeline]:
    return {"plain": opened(leaves="plain", offload="none")}


@pytest.mark.parametrize("way", ["text", "parts", "blocks", "layers"])
def test_pictures_are_the_same_bits(resident, way):
    moved = opened(offload=way, leaves="plain")
    expected = resident["plain"].generate(REQUEST)
    for _ in range(2):  # the second time texts are known, and the parts are as the first time left them
        result = moved.generate(REQUEST)
        assert result.images[0].tobytes() == expected.images[0].tobytes()
    assert result.ran["memory"] == OFFLOAD[way].name


def test_blocks_that_come_run_on_the_leaves_of_a_cpu_too():
    moved, whole = opened(offload="blocks", leaves="cpu"), opened(leaves="cpu")
    whole = replace(whole, blocks=choose(whole.transformer, leaves="cpu", free=0))  # no weights arranged by oneDNN
    assert moved.blocks.name == "cpu"
    assert moved.generate(REQUEST).images[0].tobytes() == whole.generate(REQUEST).images[0].tobytes()


@pytest.mark.parametrize(
    "accel", ["freeze:at=0.2,deepcache:interval=2", "teacache:threshold=0.5,curve=identity", "fora"]
)
def test_blocks_that_are_skipped_are_not_read(resident, accel):
    request = replace(REQUEST, steps=8, accel=accel)
    moved = opened(offload="blocks", leaves="plain")
    expected = resident["plain"].generate(request)
    moved.generate(REQUEST)
    before = moved.lodging.stream.read
    result = moved.generate(request)
    assert result.images[0].tobytes() == expected.images[0].tobytes()
    skipped = result.ran["accel"]["skipped"]
    read, layers = moved.lodging.stream.read - before, len(moved.transformer.layers)
    assert read <= layers * (8 - skipped) + 2 * skipped  # the first block, and the one that was fetched ahead


def test_parts_are_there_only_while_they_work():
    pipeline = opened(offload="parts")
    gemma, transformer = pipeline.text.gemma.model, pipeline.transformer
    assert there(transformer) and not there(gemma)
    seen = []

    def look(event) -> None:
        seen.append((there(transformer), there(gemma)))

    pipeline.generate(REQUEST, on_step=look)
    assert seen == [(True, False)] * 3
    pipeline.text.encode([pipeline.read(Request(prompt="2girls")).rendered.positive] * 2)
    assert not there(transformer)


def test_encoders_leave_before_the_first_step_though_the_transformer_never_left():
    pipeline, seen = opened(offload="text"), []
    pipeline.generate(
        REQUEST, on_step=lambda event: seen.append([there(e.model) for e in (pipeline.text.gemma, pipeline.text.jina)])
    )
    assert seen == [[False, False]] * 3


def test_weights_that_left_are_held_by_nobody():
    pipeline = opened(offload="parts")
    pipeline.generate(REQUEST)
    weights = [weakref.ref(p.untyped_storage()) for p in pipeline.transformer.layers[0].parameters() if p.ndim > 1]
    pipeline.text.encode([pipeline.read(Request(prompt="3girls")).rendered.positive] * 2)
    gc.collect()
    assert not any(weight() for weight in weights)


def test_encoders_leave_and_come_back_for_another_prompt(resident):
    pipeline, other = opened(offload="text", leaves="plain"), Request(prompt="1boy, hat", steps=2, seed=1, **SMALL)
    pipeline.generate(REQUEST)
    again = pipeline.generate(other).images[0]
    assert again.tobytes() == resident["plain"].generate(other).images[0].tobytes()


def test_two_blocks_are_in_memory_and_no_more():
    pipeline = opened(offload="blocks")
    stream = pipeline.lodging.stream
    matrices = [p for b in pipeline.transformer.layers for p in b.parameters() if p.ndim > 1]
    storages = {matrix.untyped_storage().data_ptr() for matrix in matrices}
    assert storages == {slot.untyped_storage().data_ptr() for slot in stream.slots} and len(storages) == 2
    before = stream.read
    pipeline.generate(REQUEST)
    assert stream.read - before >= 3 * len(pipeline.transformer.layers) - 2


def test_a_block_whose_file_is_gone_ends_the_picture_and_not_the_stream(tmp_path, monkeypatch):
    pipeline = opened(offload="blocks")
    stream = pipeline.lodging.stream
    whole = pipeline.generate(REQUEST).images[0]
    good = stream._bring

    def broken(number, left):
        if number == 4:
            raise OSError("the disk is gone")
        good(number, left)

    monkeypatch.setattr(stream, "_bring", broken)
    with pytest.raises(OSError, match="gone"):
        pipeline.generate(REQUEST)
    monkeypatch.undo()
    assert pipeline.generate(REQUEST).images[0].tobytes() == whole.tobytes()


def test_two_threads_take_turns(resident):
    pipeline, found = opened(offload="parts", leaves="plain"), {}

    def draw(seed: int) -> None:
        request = Request(prompt=f"{seed}girls, hat", steps=2, seed=seed, **SMALL)
        found[seed] = pipeline.generate(request).images[0].tobytes()

    threads = [threading.Thread(target=draw, args=(seed,)) for seed in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for seed, picture in found.items():
        request = Request(prompt=f"{seed}girls, hat", steps=2, seed=seed, **SMALL)
        assert picture == resident["plain"].generate(request).images[0].tobytes()


def test_the_plan_is_told_before_anything_is_loaded():
    notes: list[str] = []
    Pipeline.open(settings=Settings(device="cpu", memory="auto"), on_note=notes.append)
    assert "everything stays" in notes[0] and any("expected peak" in note for note in notes)


def test_what_accelerations_remember_must_fit_into_what_is_left(resident, monkeypatch):
    """Caches are there during the steps only, so a limit that holds without them may be too small with them."""
    pipeline = resident["plain"]
    plan = pipeline.lodging.plan
    needed = plan.machine.limit - plan.left  # by the steps alone
    monkeypatch.setattr(pipeline.lodging, "plan", replace(plan, machine=plan.machine._replace(limit=needed + 1000)))
    pipeline.generate(replace(REQUEST, steps=1))
    with pytest.raises(MemoryShortage, match="are left of what may be used"):
        pipeline.generate(replace(REQUEST, steps=8, accel="deepcache:interval=2,cooldown=1"))


def test_too_little_memory_is_said_before_loading():
    with pytest.raises(MemoryShortage, match="too little"):
        opened(memory="30MB")


@pytest.mark.parametrize("bad", [{"memory": "much"}, {"memory": "-3GB"}, {"offload": "some"}, {"memory": "1e99GB"}])
def test_what_is_no_amount_is_refused(bad):
    with pytest.raises(UsageError):
        opened(**bad)


def test_merging_with_weights_that_come_and_go_is_refused(tmp_path):
    with pytest.raises(UsageError, match="cannot be merged"):
        opened(offload="blocks").with_adapters("any.safetensors", merge=True)


def test_decoding_falls_back_to_tiles_and_says_so(resident, monkeypatch):
    pipeline = resident["plain"]
    from newbie.vae import Autoencoder

    decode = Autoencoder.decode

    def small_only(self, latents):
        if latents.shape[-1] * self.config.factor > 512:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return decode(self, latents)

    monkeypatch.setattr(Autoencoder, "decode", small_only)
    result = pipeline.generate(Request(prompt="1girl", width=640, height=640, steps=1, cfg_scale=1.0, seed=1))
    assert result.images[0].size == (640, 640)
    assert "too little memory to decode at once: decoded in tiles of 512 pixels" in result.notes


def test_pictures_that_do_not_fit_together_are_drawn_fewer_at_a_time(resident, monkeypatch):
    pipeline = resident["plain"]
    request = replace(REQUEST, count=5, steps=2)
    wanted = pipeline.generate(replace(request, batch_size=2))
    velocity = Denoiser.velocity

    def two_fit(self, pictures):
        if pictures > 2:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return velocity(self, pictures)

    monkeypatch.setattr(Denoiser, "velocity", two_fit)
    found = pipeline.generate(replace(request, batch_size=5))
    assert [each.tobytes() for each in found.images] == [each.tobytes() for each in wanted.images]
    assert found.notes == [
        "too little memory for 5 pictures together: 3 at a time",
        "too little memory for 3 pictures together: 2 at a time",
    ]
    with pytest.raises(RuntimeError, match="another"):  # what is no shortage is nobody's to hide
        monkeypatch.setattr(Denoiser, "velocity", another_error)
        pipeline.generate(replace(request, batch_size=5))


def another_error(self, pictures):
    raise RuntimeError("another")


def test_each_leaner_way_draws_the_same_picture_and_takes_the_weights_with_it(resident):
    wanted = resident["plain"].generate(REQUEST).images[0].tobytes()
    pipeline, notes = opened(leaves="plain"), []
    ways = []
    while True:
        before = pipeline
        try:
            pipeline = pipeline.leaner(on_note=notes.append)
        except MemoryShortage:
            break
        assert not any(there(each) for each in (before.transformer, before.text.gemma.model, before.vae))
        ways.append(pipeline.settings.offload)
        assert pipeline.generate(REQUEST).images[0].tobytes() == wanted
    assert ways == ["text", "parts", "blocks", "layers"]
    assert [note for note in notes if "from here on" in note] == [
        f"too little memory: from here on {OFFLOAD[way].name} (--offload {way})" for way in ways
    ]


def test_a_leaner_way_keeps_adapters_bits_and_tiles(tmp_path):
    pipeline = opened(leaves="plain", quant="int8", vae_tile=256)
    name, width = "layers.0.feed_forward.w1", pipeline.transformer.config.dim
    up = torch.randn(pipeline.transformer.get_submodule(name).out_features, 2)
    save_file(
        {f"{name}.lora_A.weight": torch.randn(2, width), f"{name}.lora_B.weight": up}, tmp_path / "style.safetensors"
    )
    dressed = pipeline.with_adapters(f"{tmp_path / 'style.safetensors'}:0.5")
    bare, wanted = pipeline.generate(REQUEST).images[0].tobytes(), dressed.generate(REQUEST).images[0].tobytes()
    (tmp_path / "style.safetensors").unlink()  # it has been read
    leaner = dressed.leaner()
    assert (leaner.settings.quant, leaner.settings.vae_tile) == ("int8", 256)
    assert leaner.generate(REQUEST).images[0].tobytes() == wanted != bare
    assert leaner.describe()["adapters"] == dressed.describe()["adapters"]
    assert leaner.with_adapters().generate(REQUEST).images[0].tobytes() == bare


def test_shortage_while_loading_is_met_with_the_next_way(monkeypatch, capsys):
    tried = []

    def opener(model, *, settings, on_note):
        tried.append(settings.offload)
        if len(tried) < 3:
            raise MemoryShortage("out of memory on cpu")
        return Pipeline.open(model, settings=settings, on_note=on_note)

    engine = open_engine(
        ModelChoice(),
        Settings(device="cpu"),
        Console(),
        lambda model, **more: opener(model, settings=more["settings"], on_note=more["on_note"]),
    )
    assert tried == ["", "text", "parts"]
    assert engine.describe()["memory"] == OFFLOAD["parts"].name
    assert capsys.readouterr().err.count("from here on") == 2


def test_a_plan_that_nothing_fits_is_not_tried_again():
    with pytest.raises(MemoryShortage, match="too little"):
        open_engine(ModelChoice(), Settings(device="cpu", memory="30MB"), Console(), None)


def test_what_does_not_fit_is_planned_for_though_nobody_asked(resident, monkeypatch):
    plan, wanted = resident["plain"].lodging.plan, resident["plain"].generate(REQUEST).images[0].tobytes()
    leanest = forced(lambda _: plan.model, OFFLOAD["layers"], plan.machine, plan.picture)
    needed = [max(each.stages.values()) for each in (leanest, plan)]
    notes: list[str] = []
    monkeypatch.setattr(opening, "RESERVE", 1.0)
    for room in (1e12, needed[1] + 1e8, sum(needed) / 2):  # plenty, enough, something between
        # What counts as free has the pages of files in it that this process has in use already.
        free = room + Resident.now().mapped + opening.LIBRARIES
        monkeypatch.setattr(devices, "free_memory", lambda device="cpu", free=free: int(free))
        pipeline = Pipeline.open(settings=Settings(device="cpu", leaves="plain", quant="none"), on_note=notes.append)
        told = [note for note in notes if "all of the model would need" in note]
        assert (pipeline.lodging is None) is (room > needed[1]) is (not told)
        assert pipeline.generate(REQUEST).images[0].tobytes() == wanted
    monkeypatch.setattr(devices, "free_memory", lambda device="cpu": 1_000_000)
    tried: list[Settings] = []

    def opener(*given, settings, **more):
        tried.append(settings)
        return Pipeline.open(*given, settings=settings, **more)

    with pytest.raises(NothingFits):
        open_engine(ModelChoice(), Settings(device="cpu"), Console(), opener)
    assert len(tried) == 1  # the plan has looked at all other ways


def test_a_network_of_absent_parts_says_what_it_is():
    pipeline = opened(offload="parts", quant="int8")
    assert isinstance(pipeline.transformer, NextDiT)
    assert pipeline.describe()["quant"].keys() == {"transformer", "text_encoder", "clip"}
