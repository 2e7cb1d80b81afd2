"""docs/attention.md is true: its table is what the kernels declare, its links and names exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from newbie.attention.choose import FOLDED_WORK, KERNELS

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "attention.md").read_text(encoding="utf-8")
ROWS = {
    cells[0].strip("`"): cells[1:]
    for line in TEXT.splitlines()
    if line.startswith("| `") and len(cells := [cell.strip() for cell in line.strip("|").split("|")]) == 10
}


def where(needs):
    said = ", ".join(needs.devices) or "any"
    if needs.capability > (0, 0):
        said += " ≥ " + ".".join(map(str, needs.capability))
    return said + (", < " + ".".join(map(str, needs.below)) if needs.below else "")


def yes(flag):
    return "yes" if flag else "no"


def test_the_table_lists_every_kernel_in_order():
    assert list(ROWS) == list(KERNELS)


@pytest.mark.parametrize("name", KERNELS)
def test_a_row_is_what_the_kernel_declares(name):
    needs = KERNELS[name].needs
    _, place, formats, size, grouped, unequal, *abilities = ROWS[name]
    assert place == where(needs)
    assert formats == (", ".join(str(dtype).removeprefix("torch.") for dtype in needs.dtypes) or "any")
    assert size == (f"{needs.head_multiple}·n ≤ {needs.head_limit}" if needs.head_limit else "any")
    assert grouped == ("as they are" if needs.grouped else "written out")
    assert (unequal == "key mask") == needs.key_mask
    assert abilities == [yes(needs.bias), yes(needs.window), yes(needs.backward)]


def test_the_rule_for_folded_is_the_one_that_runs():
    assert f"{FOLDED_WORK // 1_000_000} million" in TEXT
    for tokens, heads, size in ((63, 24, 96), (217, 6, 32)):
        assert tokens**2 * heads * size >= FOLDED_WORK > (tokens - 1) ** 2 * heads * size
        assert re.search(rf"from {tokens} with|from {tokens} tokens with", TEXT)
