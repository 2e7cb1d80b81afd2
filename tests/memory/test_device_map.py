"""Parts on several devices: which, and that what travels between them arrives.

There is one device here. Fake tensors say that they are on others, and refuse to be mixed as real ones do.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import NamedTuple

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from newbie import Pipeline, Request, Settings
from newbie.checkpoints.load import put
from newbie.errors import UsageError
from newbie.memory import opening
from newbie.memory.device_map import Room, automatic, lines, parse
from newbie.pipeline.generation import Generation
from newbie.text.features import TextFeatures
from newbie.vae import Autoencoder, AutoencoderConfig

GB = 10**9
NEEDS = {"transformer": 8 * GB, "text_encoder": 8 * GB, "clip": GB, "vae": 2 * GB}


def rooms(*cards: int) -> list[Room]:
    return [*(Room(f"cuda:{i}", free * GB) for i, free in enumerate(cards)), Room("cpu", 64 * GB)]


@pytest.mark.parametrize(
    ("cards", "expected"),
    [
        ((24,), {"transformer": "cuda:0", "vae": "cuda:0", "text_encoder": "cuda:0", "clip": "cuda:0"}),
        ((12,), {"transformer": "cuda:0", "vae": "cuda:0", "text_encoder": "cpu", "clip": "cuda:0"}),
        ((8, 12), {"transformer": "cuda:1", "vae": "cuda:1", "text_encoder": "cuda:0", "clip": "cuda:1"}),
        ((9, 8, 3), {"transformer": "cuda:0", "vae": "cuda:1", "text_encoder": "cpu", "clip": "cuda:0"}),
        ((), dict.fromkeys(("transformer", "vae", "text_encoder", "clip"), "cpu")),
    ],
)
def test_parts_go_where_there_is_room(cards, expected):
    found = automatic(NEEDS, rooms(*cards))
    assert found == expected
    for room in rooms(*cards):
        assert sum(NEEDS[part] for part, place in found.items() if place == room.device) <= room.free


def test_a_transformer_that_fits_on_no_card_is_not_hidden_on_the_processor():
    with pytest.raises(UsageError, match="no card has so much free") as refused:
        automatic(NEEDS, rooms(7, 7))
    assert "--memory" in refused.value.hint


def test_a_map_names_parts_and_the_others_stay_where_they_were():
    assert parse("text-encoder=cpu, vae=cpu", "cuda:1") == {
        "transformer": "cuda:1", "text_encoder": "cpu", "clip": "cuda:1", "vae": "cpu",
    }  # fmt: skip
    assert lines({"transformer": "cuda:0", "text_encoder": "cpu"}) == "transformer cuda:0, text encoder cpu"


@pytest.mark.parametrize("bad", ["cpu", "unet=cpu", "vae=cpu,vae=cpu", "vae=tpu", "vae=", "text-encoder=cuda:99"])
def test_maps_that_make_no_sense_are_refused(bad):
    with pytest.raises(UsageError):
        parse(bad, "cpu")


@pytest.mark.parametrize("more", [{"memory": "auto"}, {"offload": "parts"}])
def test_a_map_and_a_plan_exclude_each_other(more):
    with pytest.raises(UsageError, match="every part stays"):
        Pipeline.open(settings=Settings(device_map="vae=cpu", **more))


def test_what_parts_need_covers_their_weights(parts):
    found = opening.needs(parts, Settings(dtype="float32"))
    assert found.keys() == {"transformer", "text_encoder", "clip", "vae"}
    for name, source in parts.sources().items():
        opened = source.open()
        assert found[name] > 4 * sum(opened.index[each].parameters for each in opened.part.names)


@pytest.mark.parametrize("chosen", ["auto", "text-encoder=cpu,vae=cpu"])
def test_a_map_on_one_device_draws_the_same_picture_and_is_recorded(chosen):
    request = Request(prompt="1girl", steps=2, width=64, height=64, seed=1)
    wanted = Pipeline.open(settings=Settings(device="cpu")).generate(request)
    notes = []
    device = "auto" if chosen == "auto" else "cpu"
    found = Pipeline.open(settings=Settings(device=device, device_map=chosen), on_note=notes.append).generate(request)
    if found.ran["device"] == "cpu":
        assert found.images[0].tobytes() == wanted.images[0].tobytes()
    assert found.ran["device_map"].startswith("transformer ")
    assert f"devices: {found.ran['device_map']}" in notes


class Said(NamedTuple):
    features: TextFeatures


def test_what_travels_arrives_on_the_device_where_it_is_used():
    with torch.device("meta"):
        vae = Autoencoder(AutoencoderConfig(block_out_channels=(8, 8), norm_num_groups=4, layers_per_block=1))
    shapes = {name: weight.shape for name, weight in vae.state_dict().items()}
    with FakeTensorMode(), torch.no_grad():
        hidden, pooled = torch.empty(2, 8, 32, device="cuda:1"), torch.empty(2, 16, device="cpu")
        features = TextFeatures(hidden, torch.ones(2, 8, dtype=torch.bool, device="cuda:1"), pooled)
        for name, shape in shapes.items():
            put(vae, name, torch.empty(shape, device="cuda:2"))
        pipeline = SimpleNamespace(
            text=SimpleNamespace(encode=lambda texts, reuse: Said(features)),
            savings=SimpleNamespace(text_cache=True),
            chosen={"device": SimpleNamespace(value="cuda:0")},
            settings=Settings(),
            lodging=None,
            vae=vae,
        )
        generation = Generation(pipeline, Request())
        prompt = SimpleNamespace(rendered=SimpleNamespace(positive="a", negative="b"))
        moved = generation._encoded(prompt).features
        assert {str(each.device) for each in moved} == {"cuda:0"}
        latents = torch.empty(1, 16, 8, 8, device="cuda:0")
        with pytest.raises(Exception, match="device"):
            vae.decode(latents)  # as real tensors do
        assert str(generation._decoded(latents).device) == "cuda:2"
