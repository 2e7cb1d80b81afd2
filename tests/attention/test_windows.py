"""Windows over the image: against the formula with a mask that is written out pair by pair."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as some

from newbie.attention.cpu import Folded
from newbie.attention.flash import FlashVarlen
from newbie.attention.kernel import SequenceInfo
from newbie.attention.reference import Reference
from newbie.attention.sdpa import Sdpa
from newbie.attention.window import AT_ONCE, Strip, Tiles, Windowed
from newbie.errors import UsageError


def mask_of(window, grid, words):
    """(L, L) bool with Python loops: who sees whom."""
    rows, columns = grid
    length = words + rows * columns
    sees = torch.ones(length, length, dtype=torch.bool)
    for i in range(rows * columns):
        for j in range(rows * columns):
            if isinstance(window, Tiles):
                (a, b), (c, d) = (divmod(n, columns) for n in (i, j))
                side, radius = window.side, window.radius
                near = abs(a // side - c // side) <= radius and abs(b // side - d // side) <= radius
            else:
                near = abs(i - j) <= max(round(window.share * rows * columns), 1)
            sees[words + i, words + j] = near
    return sees


def draw(batch, length, heads=4, kv_heads=2, size=8, dtype=torch.float32, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(batch, length, n, size, generator=generator).to(dtype) for n in (heads, kv_heads, kv_heads)]


def by_mask(q, k, v, sees):
    """The reference kernel, hidden pairs at -inf."""
    info = equal(len(q), k.shape[1])._replace(bias=torch.zeros(sees.shape).masked_fill(~sees, -math.inf))
    return Reference()(q.float(), k.float(), v.float(), info)


def equal(batch, length):
    return SequenceInfo.equal(batch, length, torch.device("cpu"))


GRIDS = [(8, 8), (7, 5), (12, 3), (1, 9), (9, 1), (5, 16)]
WINDOWS = [Tiles(2, 1), Tiles(3, 0), Tiles(4, 1), Tiles(1, 2), Strip(0.125), Strip(0.3, block=5)]


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("window", WINDOWS, ids=str)
@pytest.mark.parametrize("words", [0, 3])
def test_a_window_is_the_formula_with_its_mask(grid, window, words):
    length = words + grid[0] * grid[1]
    q, k, v = draw(2, length)
    ours = Windowed(Sdpa(), grid, window)(q, k, v, equal(2, length))
    torch.testing.assert_close(ours, by_mask(q, k, v, mask_of(window, grid, words)), atol=1e-6, rtol=1e-5)


@settings(max_examples=40)
@given(
    rows=some.integers(1, 10), columns=some.integers(1, 10), words=some.integers(0, 6), side=some.integers(1, 11),
    radius=some.integers(0, 3), shared=some.sampled_from([1, 2, 3]), kv_heads=some.integers(1, 3),
    batch=some.integers(1, 3),
)  # fmt: skip
def test_any_grid_any_tile_any_heads(rows, columns, words, side, radius, shared, kv_heads, batch):
    length, window = words + rows * columns, Tiles(side, radius)
    q, k, v = draw(batch, length, heads=shared * kv_heads, kv_heads=kv_heads)
    ours = Windowed(Sdpa(), (rows, columns), window)(q, k, v, equal(batch, length))
    torch.testing.assert_close(ours, by_mask(q, k, v, mask_of(window, (rows, columns), words)), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("window", WINDOWS, ids=str)
@pytest.mark.parametrize("grid", GRIDS)
def test_sees_parts_and_pairs_say_the_same(window, grid):
    image, words = grid[0] * grid[1], 3
    sees = window.sees(grid, torch.arange(image))
    assert torch.equal(sees, mask_of(window, grid, 0))
    from_parts = torch.zeros(image, image, dtype=torch.long)
    for part in window.parts(grid):
        for queries, keys in zip(part.queries, part.keys, strict=True):
            shown = torch.ones(len(queries), len(keys), dtype=torch.long)
            from_parts[queries[:, None], keys] += shown if part.hidden is None else shown * ~part.hidden
    assert torch.equal(from_parts, sees.long())  # no pair twice
    assert window.whole(grid) == bool(sees.all())
    if isinstance(window, Tiles):
        assert Windowed(Sdpa(), grid, window).pairs(words) == int(mask_of(window, grid, words).sum())


@pytest.mark.parametrize("at_once", [1, 2**30])
def test_how_many_windows_are_gathered_at_once_changes_nothing(monkeypatch, at_once):
    q, k, v = draw(2, 3 + 63)
    kernel = Windowed(Sdpa(), (7, 9), Tiles(2, 1))
    usual = kernel(q, k, v, equal(2, 66))
    monkeypatch.setitem(AT_ONCE, "cpu", at_once)
    torch.testing.assert_close(kernel(q, k, v, equal(2, 66)), usual, atol=1e-6, rtol=1e-5)


def test_bfloat16_by_the_kernel_of_products():
    grid, words, window = (10, 7), 4, Tiles(3, 1)
    q, k, v = draw(2, words + 70, size=16, dtype=torch.bfloat16)
    ours = Windowed(Folded(), grid, window)(q, k, v, equal(2, words + 70))
    assert ours.dtype == torch.bfloat16
    exact = by_mask(q, k, v, mask_of(window, grid, words))
    assert (ours - exact).norm() / exact.norm() < 8e-3  # folded alone: 4.5e-3 on such numbers


def test_rows_of_unequal_length_and_padding_of_any_content():
    grid, width, lengths, window = (5, 4), 6, (6, 2, 0), Tiles(2, 0)
    mask = torch.cat((torch.arange(width) < torch.tensor(lengths)[:, None], torch.ones(3, 20).bool()), dim=1)
    q, k, v = draw(3, width + 20)
    for x in (q, k, v):
        x[~mask] = math.nan
    ours = Windowed(Sdpa(), grid, window)(q, k, v, SequenceInfo.of(mask))
    for row, n in enumerate(lengths):
        real = [x[row, mask[row]][None] for x in (q, k, v)]
        torch.testing.assert_close(ours[row, mask[row]][None], by_mask(*real, mask_of(window, grid, n)))
    assert not ours[~mask].any()


def test_rows_do_not_meet():
    q, k, v = draw(3, 2 + 30)
    kernel = Windowed(Sdpa(), (5, 6), Tiles(2, 0))
    together = kernel(q, k, v, equal(3, 32))
    for row in range(3):
        alone = kernel(*(x[row, None] for x in (q, k, v)), equal(1, 32))
        torch.testing.assert_close(together[row, None], alone, atol=1e-6, rtol=1e-5)


def test_image_queries_alone_give_the_image_rows():
    q, k, v = draw(2, 5 + 42)
    kernel = Windowed(Sdpa(), (6, 7), Tiles(2, 1))
    whole = kernel(q, k, v, equal(2, 47))
    torch.testing.assert_close(kernel(q[:, 5:], k, v, equal(2, 47)), whole[:, 5:])


@pytest.mark.parametrize("window", [Tiles(4, 1), Tiles(8, 0), Tiles(1, 8), Strip(1.0)], ids=str)
def test_a_window_of_the_whole_picture_is_the_kernel_itself(window):
    mask = torch.ones(2, 3 + 64).bool()
    mask[1, 1:3] = False
    q, k, v = draw(2, 67)
    for info in (SequenceInfo.of(mask), equal(2, 67)):
        assert torch.equal(Windowed(Sdpa(), (8, 8), window)(q, k, v, info), Sdpa()(q, k, v, info))


def test_an_image_token_outside_the_window_has_no_influence_and_a_word_has():
    kernel, (q, k, v) = Windowed(Sdpa(), (8, 8), Tiles(2, 1)), draw(1, 2 + 64)
    usual = kernel(q, k, v, equal(1, 66))
    v[:, 65] += 100  # the last image token; the first is four tiles away
    far = kernel(q, k, v, equal(1, 66))
    assert torch.equal(far[:, 2], usual[:, 2]) and not torch.equal(far[:, 65], usual[:, 65])
    assert not torch.equal(far[:, 0], usual[:, 0])  # words see everything
    v[:, 0] += 100
    assert (kernel(q, k, v, equal(1, 66)) != far).any(-1).all()


@pytest.mark.parametrize(
    ("kind", "numbers"), [(Tiles, (0, 1)), (Tiles, (2, -1)), (Strip, (0.0,)), (Strip, (math.nan,))]
)
def test_windows_that_cannot_be(kind, numbers):
    with pytest.raises(UsageError, match="window"):
        kind(*numbers)


def test_what_a_window_refuses():
    q, k, v = draw(1, 2 + 16)
    for change in ({"bias": torch.zeros(18, 18)}, {"window": (1, 1)}):
        with pytest.raises(UsageError, match="bias"):
            Windowed(Sdpa(), (4, 4))(q, k, v, equal(1, 18)._replace(**change))
    with pytest.raises(UsageError, match="5x4 image tokens, but a row has fewer"):
        Windowed(Sdpa(), (5, 4))(q, k, v, equal(1, 18))
    with pytest.raises(UsageError, match="fewer queries"):
        Windowed(FlashVarlen(), (4, 4))
    with pytest.raises(UsageError, match="mask of a strip"):
        Windowed(Folded(), (4, 4), Strip())
