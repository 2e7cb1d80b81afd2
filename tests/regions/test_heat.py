"""Heat-maps against attention written out; the sheet and the sketch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from newbie.attention.choose import KERNELS
from newbie.attention.kernel import SequenceInfo
from newbie.prompt.boxes import Box
from newbie.prompt.elements import Element
from newbie.prompt.tokens import EncoderInput, TokenSpan
from newbie.regions import heat
from newbie.regions.heat import Heat, Watch, Watched
from newbie.regions.heat_sheet import heat_sheet, lit, shown
from newbie.regions.sketch import sketch

WORDS, GRID, HEADS, SIZE = 5, (2, 3), 4, 8
IMAGE = GRID[0] * GRID[1]
GIVEN = EncoderInput(
    "blue_hair, hat", (1, 2, 3, 4, 5), (TokenSpan("tags[0]", 1, 3), TokenSpan("tags[1]", 4, 5)), (), 5, 9,
    (Element("tags[0]", 0, 9), Element("tags[1]", 11, 14)),
)  # fmt: skip


def drawn(rows: int, length: int, heads: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(rows, length, heads, SIZE, generator=torch.Generator().manual_seed(seed))


def by_formula(q: torch.Tensor, k: torch.Tensor, added: torch.Tensor) -> torch.Tensor:
    """(B, N, words): q (B, L, H, D), k (B, L, K, D), one query at a time."""
    k = k.repeat_interleave(HEADS // k.shape[2], 2)
    found = torch.zeros(len(q), IMAGE, WORDS)
    for row in range(len(q)):
        for place in range(IMAGE):
            at = q.shape[1] - IMAGE + place
            for head in range(HEADS):
                scores = k[row, :, head] @ q[row, at, head] / SIZE**0.5 + added[row, at]
                found[row, place] += scores.softmax(0)[:WORDS] / HEADS
    return found


@pytest.mark.parametrize("chunk", [heat.CHUNK, 64])
@pytest.mark.parametrize("biased", [False, True])
def test_what_was_heard_is_the_softmax_averaged_over_heads_and_calls(
    monkeypatch: pytest.MonkeyPatch, chunk: int, biased: bool
) -> None:
    monkeypatch.setattr(heat, "CHUNK", chunk)
    length = WORDS + IMAGE
    added = drawn(1, length, length, 7)[..., 0].expand(2, -1, -1) if biased else torch.zeros(2, length, length)
    seq = SequenceInfo.of(torch.ones(2, length, dtype=torch.bool))
    seq = seq._replace(bias=added[0]) if biased else seq
    watch = Watch(WORDS, GRID)
    watch.begin(2)
    kernel, expected = Watched(KERNELS["reference"], watch), torch.zeros(2, IMAGE, WORDS)
    for call in range(3):
        q, k, v = (drawn(2, length, heads, call + i) for i, heads in enumerate((HEADS, 2, 2)))
        q = q[:, -IMAGE:] if call == 2 else q  # the last block
        assert torch.equal(kernel(q, k, v, seq), KERNELS["reference"](q, k, v, seq))
        expected += by_formula(q if call < 2 else torch.cat((torch.zeros(2, WORDS, HEADS, SIZE), q), 1), k, added) / 3
    for row, maps in enumerate(watch.maps(GIVEN)):
        torch.testing.assert_close(maps["tags[0]"].share.flatten(), expected[row, :, 1:3].sum(1))
        torch.testing.assert_close(maps["tags[1]"].share.flatten(), expected[row, :, 4])
        assert maps["tags[0]"].words == "blue_hair" and maps["tags[0]"].share.shape == GRID


def test_only_the_prompt_s_rows_of_joint_blocks_are_watched() -> None:
    watch = Watch(WORDS, GRID)
    watch.begin(1)
    for lengths in ((WORDS,), (IMAGE,), (WORDS + IMAGE + 3,)):  # the refiners; the negative prompt by itself
        mask = torch.ones(1, lengths[0], dtype=torch.bool)
        q, k = drawn(1, lengths[0], HEADS), drawn(1, lengths[0], 2)
        watch.see(q, k, SequenceInfo.of(mask))
    assert watch.calls == 0


def test_padding_is_not_heard() -> None:
    length = WORDS + 3 + IMAGE  # the negative prompt is three words longer
    mask = torch.ones(2, length, dtype=torch.bool)
    mask[0, WORDS : WORDS + 3] = False
    q, k = drawn(2, length, HEADS), drawn(2, length, 2)
    watch, alone = Watch(WORDS, GRID), Watch(WORDS, GRID)
    watch.begin(1)
    watch.see(q, k, SequenceInfo.of(mask))
    alone.begin(1)
    real = mask[0]
    alone.see(q[:1, real], k[:1, real], SequenceInfo.of(torch.ones(1, WORDS + IMAGE, dtype=torch.bool)))
    torch.testing.assert_close(watch.total, alone.total)


def test_the_sheet_shows_wholes_and_tags_and_lights_what_was_heard() -> None:
    share = torch.zeros(4, 4)
    share[0, 0] = 0.1
    names = ("character_1", "character_1.appearance", "character_1.appearance[0]", "general_tags", "tags[0]")
    heats = {path: Heat("blue_hair 蓝发", share) for path in names}
    assert list(shown(heats)) == ["character_1", "general_tags", "character_1.appearance[0]", "tags[0]"]
    picture = Image.fromarray(np.full((64, 96, 3), 200, np.uint8))
    glow = np.asarray(lit(picture, heats["character_1"])).astype(int)
    assert glow[5, 5].sum() > 2 * glow[-5, -5].sum()
    page = heat_sheet(picture, heats)
    assert page.width > 5 * 192 and page.height > 128


def test_a_sheet_has_bounded_size() -> None:
    heats = {f"tags[{i}]": Heat("", torch.rand(2, 2)) for i in range(300)}
    assert heat_sheet(Image.new("RGB", (32, 32)), heats).height < 5000


def test_areas_are_drawn_with_their_numbers() -> None:
    areas = {"character_1": Box(0, 0, 0.5, 1), "character_2": Box(0.25, 0.5, 0.75, 0.5, explicit=True)}
    lines = sketch(areas, shape=1.0, columns=8)
    assert lines[:4] == ["1111····", "1111····", "11++2222", "11++2222"]
    assert lines[4] == "1  character_1: x 0.00 to 0.50, y 0.00 to 1.00"
    assert lines[5].endswith("y 0.50 to 1.00, written")
    assert sketch({}, columns=4)[0] == "····"
