"""Patches, positions and rotations against their definitions."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from newbie.errors import UsageError
from newbie.model.rope import rope, rotate
from newbie.model.tokens import Grid, patchify, positions, unpatchify, useful_width

CPU = torch.device("cpu")


def test_token_features_run_over_row_column_channel_of_the_patch():
    rows, columns, channels = 2, 3, 5
    latents = torch.randn(1, channels, 2 * rows, 2 * columns)
    tokens = patchify(latents, Grid(((rows, columns),), 2))
    for r in range(rows):
        for s in range(columns):
            for ph in range(2):
                for pw in range(2):
                    for c in range(channels):
                        feature = tokens[0, r * columns + s, (ph * 2 + pw) * channels + c]
                        assert feature == latents[0, c, 2 * r + ph, 2 * s + pw]


@settings(max_examples=50)
@given(
    st.lists(st.tuples(st.integers(1, 5), st.integers(1, 5)), min_size=1, max_size=4),
    st.integers(1, 3),
    st.integers(1, 3),
)
def test_unpatchify_undoes_patchify(rows, channels, patch):
    sizes = [(h * patch, w * patch) for h, w in rows]
    latents = [torch.randn(channels, *size) for size in sizes]
    grid = Grid.of(sizes, len(sizes), patch)
    tokens = patchify(latents, grid)
    assert tokens.shape == (len(rows), max(grid.counts), channels * patch**2)
    back = unpatchify(tokens, grid, like=latents)
    assert all(torch.equal(a, b) for a, b in zip(back, latents, strict=True))


def test_positions_are_those_of_the_paper():
    grid = Grid(((2, 2), (1, 3)), 2)
    places = positions([3, 1], 4, grid).tolist()
    assert places[0] == [[0, 0, 0], [1, 0, 0], [2, 0, 0], [3, 0, 0], [3, 0, 0], [3, 0, 1], [3, 1, 0], [3, 1, 1]]
    assert places[1][0] == [0, 0, 0]
    assert places[1][4:7] == [[1, 0, 0], [1, 0, 1], [1, 0, 2]]


def test_one_size_serves_all_rows_and_a_list_must_match():
    assert Grid.of((4, 6), 3, 2).rows == ((2, 3),) * 3
    with pytest.raises(UsageError, match="2 picture sizes for 3 captions"):
        Grid.of([(4, 6), (4, 6)], 3, 2)


@pytest.mark.parametrize(
    ("lengths", "width", "kept"),
    [([5, 5], 16, 5), ([5, 3], 16, 8), ([9, 3], 16, 16), ([9, 3], 12, 12), ([0, 0], 8, 0), ([16, 16], 16, 16)],
)
def test_word_columns_nobody_needs_are_dropped(lengths, width, kept):
    assert useful_width(lengths, width) == kept


def test_rotation_turns_neighbouring_pairs_by_position_times_frequency():
    place = torch.tensor([[[3, 5, 7]]])
    x = torch.randn(1, 1, 1, 10)
    turned = rotate(x, rope(place, (4, 2, 4), 10000.0, CPU))
    frequencies = [3 * 1.0, 3 * 10000 ** (-2 / 4), 5 * 1.0, 7 * 1.0, 7 * 10000 ** (-2 / 4)]
    for j, angle in enumerate(frequencies):
        pair = complex(x[0, 0, 0, 2 * j], x[0, 0, 0, 2 * j + 1]) * complex(math.cos(angle), math.sin(angle))
        assert math.isclose(turned[0, 0, 0, 2 * j], pair.real, abs_tol=1e-5)
        assert math.isclose(turned[0, 0, 0, 2 * j + 1], pair.imag, abs_tol=1e-5)


def test_rotation_keeps_lengths_and_scalar_products_see_only_distances():
    generator = torch.Generator().manual_seed(0)
    q, k = torch.randn(2, 1, 5, 2, 12, generator=generator)
    places = torch.randint(0, 50, (1, 5, 3), generator=generator)

    def product(shift):
        turn = rope(places + torch.tensor(shift), (4, 4, 4), 10000.0, CPU)
        assert torch.allclose(rotate(q, turn).norm(dim=-1), q.norm(dim=-1), atol=1e-5)
        return torch.einsum("blhd,bmhd->bhlm", rotate(q, turn), rotate(k, turn))

    torch.testing.assert_close(product([11, 7, 300]), product([0, 0, 0]), atol=2e-4, rtol=1e-4)


def test_angles_stay_exact_far_out():
    turn = rope(torch.tensor([[[100_000, 0, 0]]]), (64, 2, 2), 10000.0, CPU)
    exact = torch.tensor([100_000 * 10000 ** (-2 * k / 64) for k in range(32)], dtype=torch.float64).float()
    assert torch.equal(turn.cos[0, 0, 0, :32], exact.cos())


def test_rotation_is_computed_in_float32():
    turn = rope(torch.tensor([[[1, 2, 3]]]), (4, 4, 4), 10000.0, CPU)
    assert rotate(torch.randn(1, 1, 1, 12).bfloat16(), turn).dtype == torch.float32
