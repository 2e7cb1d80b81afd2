"""Plans as pictures: every cell has the colour of what the plan does there."""

import numpy as np
import pytest

from newbie.accel.plan import ACTIONS, BRANCHES, STEPS, Plan, Run, Stack
from newbie.accel.plan_picture import CELL, COLOURS, SMALLEST, drawn, seen, shown

RUN = Run(3, 96, 6, "euler", "official", 6.0, (True,) * 6)
ROWS = {
    (0, "attn"): ("compute", "window", "window+cfg", "cfg", "reuse", "mean_v"),
    (2, "ffn"): ("compute", "cfg", "reuse", "compute", "reuse", "compute"),
}
CACHE = Plan.of(RUN, step_actions=("compute", "skip", "forecast", "compute", "skip", "compute"), stack=Stack(1, 0, 1))


def rgb(colour):
    return tuple(bytes.fromhex(colour[1:]))


def corners(image):
    """Where the first cells of both branches are, which compute: the first whole squares of that colour."""
    same = (np.asarray(image) == rgb(COLOURS["compute"])).all(-1)
    squares = np.lib.stride_tricks.sliding_window_view(same, (CELL - 2, CELL - 2)).all((-2, -1))
    rows, columns = squares.nonzero()
    left, top = columns.min(), rows.min()
    return left, columns[columns > left + 6 * CELL].min(), top


@pytest.mark.parametrize("plan", [Plan.of(RUN, layer_actions=ROWS), CACHE], ids=["branches", "blocks"])
def test_every_cell_has_the_colour_of_its_action(plan):
    image = drawn(plan, "plan.json")
    *lefts, top = corners(image)
    pixels = np.asarray(image)
    for branch, left in zip(BRANCHES, lefts, strict=True):
        for layer in range(plan.layers):
            for i, action in enumerate(shown(plan, layer, branch)):
                pixel = pixels[top + CELL * layer + CELL // 2, left + CELL * i + CELL // 2]
                assert tuple(pixel) == rgb(COLOURS[action]), (branch, layer, i)


def test_what_is_shown_is_what_runs():
    assert seen(CACHE) == {"compute", "skip", "forecast"}
    assert [*shown(CACHE, 0, "attn")] == ["compute"] * 6  # the front always runs
    assert [*shown(CACHE, 1, "ffn")] == [*CACHE.step_actions]
    assert set(ACTIONS) | set(STEPS) == set(COLOURS) and len(set(COLOURS.values())) == len(COLOURS)


def test_the_legend_names_what_is_there_and_nothing_else():
    plain, full = drawn(Plan.of(RUN)), drawn(Plan.of(RUN, layer_actions=ROWS))
    for action, colour in COLOURS.items():
        for image, named in ((plain, {"compute"}), (full, {each for row in ROWS.values() for each in row})):
            there = rgb(colour) in {pixel for _, pixel in image.getcolors(2**16)}
            assert there == (action in named or action == "skip")  # which is as white as the page


@pytest.mark.parametrize(("layers", "steps"), [(36, 28), (60, 400), (400, 3)])
def test_large_plans_stay_pictures(layers, steps):
    image = drawn(Plan.of(Run(layers, 96, steps, "euler", "official", 6.0, (True,) * steps)))
    assert max(image.size) < 3000 and image.width > 2 * min(CELL, SMALLEST) * steps
