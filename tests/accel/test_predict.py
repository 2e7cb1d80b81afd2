"""Values that are not computed: what polynomials through the last ones give, and what a solver makes of it."""

from __future__ import annotations

import pytest
import torch

from newbie.accel.apart import Part
from newbie.accel.decide import Every
from newbie.accel.predict import AsPlanned, Hold, Taylor
from newbie.accel.stack import StackCache
from newbie.sampling import solvers, times
from newbie.sampling.guidance import Delta, Guidance, Velocity
from newbie.step import Memory, Step

SOME = torch.tensor([1.0, -2.0, 0.25], dtype=torch.float64)


def guesses(predict, values, computed, wanted):
    """What is guessed at `wanted` after learning `values(i)` at the evaluations `computed`."""
    memory = Memory()
    for i in computed:
        predict.learn(Step(i, 99, i / 10, memory), "slot", values(i))
    return [predict.guess(Step(i, 99, i / 10, memory), "slot") for i in wanted]


@pytest.mark.parametrize(
    "predict", [Hold(), Taylor(0), Taylor(1), Taylor(2), Taylor(2, "taylor"), Taylor(1, along="t")]
)
def test_what_does_not_change_is_exact_to_the_bit(predict):
    for guess in guesses(predict, lambda i: SOME, (0, 3, 4, 9), (9, 10, 14)):
        assert torch.equal(guess, SOME)


@pytest.mark.parametrize("predict", [Taylor(1), Taylor(1, "taylor"), Taylor(2), Taylor(1, along="t")])
def test_what_changes_evenly_is_exact_at_order_one(predict):
    for i, guess in zip((5, 9, 12), guesses(predict, lambda i: (2 * i - 7) * SOME, (0, 1, 4), (5, 9, 12)), strict=True):
        torch.testing.assert_close(guess, (2 * i - 7) * SOME, rtol=1e-12, atol=1e-12)


def test_the_newton_form_is_exact_for_squares_at_uneven_places_and_the_published_one_is_not():
    def square(i):
        return (0.5 * i * i - 3 * i + 2) * SOME

    computed, wanted = (0, 1, 4, 6), (7, 9, 12)
    for i, guess in zip(wanted, guesses(Taylor(2), square, computed, wanted), strict=True):
        torch.testing.assert_close(guess, square(i), rtol=1e-10, atol=1e-10)
    published = guesses(Taylor(2, "taylor"), square, computed, wanted)
    assert all((guess - square(i)).abs().max() > 0.1 for i, guess in zip(wanted, published, strict=True))


def test_the_place_where_it_learnt_gives_back_what_it_learnt():
    values = {i: torch.randn(5, generator=torch.Generator().manual_seed(i)) for i in (2, 3, 7)}
    (guess,) = guesses(Taylor(2), values.__getitem__, (2, 3, 7), (7,))
    assert torch.equal(guess, values[7])


def test_two_stages_at_one_time_do_not_divide_by_nothing():
    memory, predict = Memory(), Taylor(1, along="t")
    for i, t in enumerate((0.1, 0.2, 0.2)):  # Heun's second stage and the next interval's first
        predict.learn(Step(i, 9, t, memory), "slot", SOME * i)
    assert torch.equal(predict.guess(Step(3, 9, 0.3, memory), "slot"), SOME * 2)


def test_a_plan_may_hold_in_one_evaluation_and_extrapolate_in_another():
    predict = AsPlanned(Taylor(1), ("compute", "compute", "skip", "forecast"))
    held_, forecast = guesses(predict, lambda i: i * SOME, (0, 1), (2, 3))
    assert torch.equal(held_, SOME)
    assert torch.equal(forecast, 3 * SOME)


def test_bytes_of_parts_are_counted_too():
    memory, part = Memory(), Memory()
    Hold().learn(Step(0, 1, 0.0, memory), "a", torch.zeros(10))
    Hold().learn(Step(0, 1, 0.0, part), "a", torch.zeros(3))
    memory["parts"] = [Part(slice(0, 1), 0, None, part)]
    memory["where tokens stand"] = (torch.zeros(9),)  # no policy's
    assert memory.nbytes == 52


class Field:
    """Blocks that change the image by what the evaluation says."""

    last = None

    def __init__(self, change):
        self.change, self.runs = change, 0

    def begin(self, x):
        return x

    def some(self, step, blocks, x, m, seq, layers):
        self.runs += len(layers)
        return x + sum(self.change(step.index) for _ in layers)


class Seq:
    image = slice(0, None)


@pytest.mark.parametrize(
    ("predict", "change"),
    [(Hold(), lambda i: SOME), (Taylor(1), lambda i: (i + 1) * SOME), (Taylor(2), lambda i: (i * i - i) * SOME)],
    ids=["constant", "linear", "square"],
)
@pytest.mark.parametrize("solver", ["euler", "heun", "dpmpp_2m"])
def test_fields_of_the_predictors_order_are_solved_exactly(predict, change, solver):
    grid = times.schedule("official", 12, shift=6.0, sampler=solver)
    count, drawn = solvers.evaluations(solver, 12), []
    for interval in (1, 3):
        field, memory, index = Field(change), Memory(), iter(range(count))
        cache = StackCache(field, Every(interval=interval, warmup=3), predict, image=1, pictures=1, front=1)

        def velocity(x, t, cache=cache, memory=memory, index=index):
            step = Step(next(index), count, t, memory)
            return cache(step, [None] * 4, torch.zeros(1, 1, 3, dtype=torch.float64), [None] * 4, Seq())[0, 0]

        drawn.append(solvers.SOLVERS[solver](velocity, torch.zeros(3), grid))
        assert (field.runs < 4 * count) == (interval > 1)
    torch.testing.assert_close(*drawn, rtol=1e-5, atol=1e-5)


def test_guidance_that_changes_evenly_is_reused_exactly_and_u_never():
    """The velocities themselves are wild, their difference is a straight line in the evaluations."""
    calls = []

    def model(latents, t, prepared, **options):
        rows, i = len(t), len(calls)
        calls.append(rows)
        wild = torch.full((1, 3, 1, 1), float((-1) ** i * i * i))
        return wild if rows == 1 else torch.cat((wild, wild - (2 + 0.5 * i)))

    def make(delta):
        calls.clear()
        return Velocity(
            model, Guidance(4.0, delta=delta), pair=lambda: None, alone=lambda: None,
            steps=9, evaluations=9, times=[i / 9 for i in range(9)],
        )  # fmt: skip

    x = torch.zeros(1, 3, 1, 1)
    plain = [make(None), [None]][0]
    expected = [plain(x, i / 9) for i in range(9)]
    reused = make(Delta(2, Taylor(1)))
    got = [reused(x, i / 9) for i in range(9)]
    assert calls == [2, 1, 2, 1, 2, 1, 2, 1, 2]
    assert reused.book.guidance == ["computed", "reused"] * 4 + ["computed"]
    for i, (one, two) in enumerate(zip(got, expected, strict=True)):
        if i != 1:  # nothing but one difference is known then
            torch.testing.assert_close(one, two)
