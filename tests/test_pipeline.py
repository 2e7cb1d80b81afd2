"""From a prompt to pixels with the bundled model: what stays the same, what is reported, what is refused."""

from __future__ import annotations

import dataclasses
import json
import socket
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch

from newbie import Pipeline, Request, Settings
from newbie.errors import BlankPicture, Cancelled, PromptError, PromptRefused, UsageError, WeightsError
from newbie.pipeline import BUNDLED

ROOT = Path(__file__).resolve().parent.parent
DUO = (ROOT / "prompts" / "duo.xml").read_text(encoding="utf-8")
QUICK = Request(prompt=DUO, seed=11, steps=4, width=128, height=128)
SMALL = {"height": 64, "width": 64, "num_inference_steps": 2}
ROUNDING = 5  # levels of 255: the last bit of a latent may become another bfloat16 in the decoder


def pixels(result) -> list[np.ndarray]:
    return [np.asarray(image) for image in result.images]


def levels_apart(a: np.ndarray, b: np.ndarray) -> int:
    return int(np.abs(a.astype(int) - b.astype(int)).max())


@pytest.fixture(scope="module")
def alone(mini) -> list[np.ndarray]:
    return [pixels(mini.generate(dataclasses.replace(QUICK, seed=seed)))[0] for seed in range(11, 15)]


def test_pictures_of_one_request_are_those_of_single_requests(mini, alone):
    together = pixels(mini.generate(dataclasses.replace(QUICK, count=4)))
    assert all(np.array_equal(a, b) for a, b in zip(together, alone, strict=True))


def test_packed_into_one_evaluation_they_differ_by_rounding_only(mini, alone):
    packed = pixels(mini.generate(dataclasses.replace(QUICK, count=4, batch_size=4)))
    assert max(levels_apart(a, b) for a, b in zip(packed, alone, strict=True)) <= ROUNDING


def test_seeds_give_different_pictures(alone):
    assert all(levels_apart(alone[0], other) > 50 for other in alone[1:])


def test_another_number_of_threads_changes_rounding_only(mini, alone):
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1 if before > 1 else 2)
        other = pixels(mini.generate(QUICK))[0]
    finally:
        torch.set_num_threads(before)
    assert levels_apart(other, alone[0]) <= ROUNDING


def test_two_generations_at_once_equal_the_same_two_alone(mini, alone):
    found: dict[int, np.ndarray] = {}

    def draw(seed: int) -> None:
        found[seed] = pixels(mini.generate(dataclasses.replace(QUICK, seed=seed)))[0]

    workers = [threading.Thread(target=draw, args=(seed,)) for seed in (11, 12)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert np.array_equal(found[11], alone[0])
    assert np.array_equal(found[12], alone[1])


def test_steps_of_two_generations_may_alternate(mini, alone):
    """A second generation runs to its end inside a step of the first."""
    inner: list[np.ndarray] = []

    def interrupt(event) -> None:
        if event.index == 1:
            inner.append(pixels(mini.generate(dataclasses.replace(QUICK, seed=12)))[0])

    outer = pixels(mini.generate(QUICK, on_step=interrupt))[0]
    assert np.array_equal(outer, alone[0]) and np.array_equal(inner[0], alone[1])


def test_a_cancelled_generation_leaves_no_trace(mini, alone):
    def stop(event) -> None:
        if event.index == 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        mini.generate(QUICK, on_step=stop)
    assert np.array_equal(pixels(mini.generate(QUICK))[0], alone[0])


def test_the_surrounding_autocast_and_grad_mode_do_not_matter(mini, alone):
    with torch.autocast("cpu", torch.bfloat16), torch.enable_grad():
        assert np.array_equal(pixels(mini.generate(QUICK))[0], alone[0])
    with torch.no_grad():
        assert np.array_equal(pixels(mini.generate(QUICK))[0], alone[0])
    assert torch.is_grad_enabled()


def test_a_guidance_scale_of_one_needs_no_negative_prompt(mini):
    request = dataclasses.replace(QUICK, cfg_scale=1.0)
    first = pixels(mini.generate(request))[0]
    second = pixels(mini.generate(dataclasses.replace(request, negative="red_hair")))[0]
    assert np.array_equal(first, second)


def test_a_negative_prompt_changes_a_guided_picture(mini, alone):
    other = pixels(mini.generate(dataclasses.replace(QUICK, negative="blue_hair")))[0]
    assert levels_apart(other, alone[0]) > 50


def test_a_stored_request_makes_the_same_picture_again(mini, alone):
    result = mini.generate(QUICK)
    again = Request.from_json(json.loads(json.dumps(result.records[0]["request"])))
    assert np.array_equal(pixels(mini.generate(again))[0], alone[0])


def test_the_call_people_know_gives_pillow_pictures(mini):
    result = mini("1girl, red_hair", height=64, width=96, num_inference_steps=2, num_images_per_prompt=2, seed=3)
    assert [image.size for image in result.images] == [(96, 64)] * 2
    assert result.seeds == [3, 4]


def test_a_picture_without_a_size_has_that_of_the_models_card(mini):
    card = json.loads((BUNDLED / "newbie.json").read_text(encoding="utf-8"))
    result = mini.generate(Request(prompt="1girl", seed=5, steps=1, cfg_scale=1.0))
    assert result.images[0].size == (card["width"], card["height"])
    assert mini.generate(Request(prompt="1girl", seed=5, steps=1, width=64)).images[0].size == (64, 64)


def test_a_generator_stands_for_its_seed(mini):
    by_seed = mini("1girl", **SMALL, seed=5)
    by_generator = mini("1girl", **SMALL, generator=torch.Generator().manual_seed(5))
    assert np.array_equal(pixels(by_seed)[0], pixels(by_generator)[0])


def test_a_list_of_prompts_gives_the_pictures_of_each(mini):
    result = mini(["1girl, red_hair", "1girl, blue_hair"], **SMALL, seed=3)
    assert len(result.images) == 2
    assert not np.array_equal(*pixels(result))


def test_callbacks_see_every_interval_and_a_small_preview(mini):
    events = []
    sizes = []

    def look(event) -> None:
        events.append((event.index, event.count))
        sizes.append(event.preview().size)

    mini.generate(QUICK, on_step=look)
    assert events == [(i, 4) for i in range(4)]
    assert set(sizes) == {(QUICK.width // 8, QUICK.height // 8)}  # a pixel for each place of the latents


def test_what_ran_is_stored_with_the_picture(mini):
    record = mini.generate(QUICK).records[0]
    assert record["ran"]["device"] == "cpu"
    assert record["ran"]["attention"] == "sdpa"
    assert record["ran"]["evaluations"] == 4
    assert record["ran"]["weights"].startswith("sha256:")
    assert record["request"]["seed"] == 11
    assert str(ROOT) not in json.dumps(record)


def test_the_reference_kernel_draws_the_same_picture(alone):
    other = Pipeline.open(settings=Settings(device="cpu", attention="reference"))
    assert other.describe()["attention"] == "reference"
    assert levels_apart(pixels(other.generate(QUICK))[0], alone[0]) <= ROUNDING


def test_bf16_draws_nearly_the_same_picture(alone):
    other = Pipeline.open(settings=Settings(device="cpu", dtype="bf16"))
    result = other.generate(QUICK)
    assert result.ran["dtype"] == "bf16"
    difference = (pixels(result)[0].astype(float) - alone[0]) / 255
    assert 10 * np.log10(1 / np.square(difference).mean()) > 20


def test_elements_beyond_an_encoders_limit_are_named(mini):
    long = f"<general_tags>\n<other>{', '.join(f'tag_number_{i}' for i in range(400))}</other>\n</general_tags>"
    long += "\n<caption>the end</caption>"
    notes = mini.generate(dataclasses.replace(QUICK, prompt=long, steps=1)).notes
    assert any("gemma" in note and "caption" in note for note in notes)


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"steps": 0}, UsageError, "nearest is 1"),
        ({"width": 130}, UsageError, "nearest is 128"),
        ({"height": 10}, UsageError, "nearest is 32"),
        ({"width": 100_000}, UsageError, "8192"),
        ({"seed": -2}, UsageError, "-1"),
        ({"sampler": "eulr"}, UsageError, "euler"),
        ({"cfg_trunc": "furlongs:3"}, UsageError, "time"),
        ({"prompt": "<!DOCTYPE x><character_1/>"}, PromptError, "DOCTYPE"),
        ({"prompt": "nude, loli"}, PromptRefused, ""),
    ],
)
def test_bad_requests_get_one_clear_message(mini, changes, error, words):
    with pytest.raises(error) as caught:
        mini.generate(dataclasses.replace(QUICK, **changes))
    assert words in str(caught.value)


def test_a_kernel_that_cannot_serve_is_refused_while_opening():
    with pytest.raises(UsageError, match="flash"):
        Pipeline.open(settings=Settings(device="cpu", attention="flash"))


def test_weights_that_produce_nan_are_an_error_not_a_black_picture(mini):
    broken = dataclasses.replace(mini, transformer=_Broken(mini.transformer))
    with pytest.raises(BlankPicture, match="NaN"):
        broken.generate(QUICK)


class _Broken:
    """A transformer whose every answer is NaN."""

    def __init__(self, inner) -> None:
        self.inner = inner

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def __call__(self, latents, t, prepared, **options):
        return torch.full((len(t), *latents.shape[1:]), float("nan"))


def test_a_missing_model_names_what_was_looked_for(tmp_path):
    with pytest.raises(WeightsError, match="transformer"):
        Pipeline.open(tmp_path)


def test_drawing_opens_no_socket(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    Pipeline.open(settings=Settings(device="cpu")).generate(dataclasses.replace(QUICK, steps=1))


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of a process is read from Linux's /proc")
def test_one_picture_needs_less_than_a_gigabyte():
    # Not `getrusage`: a child begins with its parent's peak there, and a test run is larger than the program.
    code = (
        "import re; from pathlib import Path; from newbie import Pipeline;"
        "Pipeline.open()('1girl, red_hair', num_inference_steps=2);"
        "print(int(re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text())[1]) / 2**20)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)
    assert float(done.stdout) < 1.0
