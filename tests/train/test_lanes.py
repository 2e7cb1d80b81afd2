"""Parts of a batch on several cores: the same gradients, in the same order, whatever finishes first."""

from __future__ import annotations

import time

import pytest
import torch
from torch import Tensor

from newbie.train.lanes import Lanes


def test_results_come_in_the_order_of_the_tasks_whatever_finishes_first() -> None:
    def slow_then_quick(number: int) -> int:
        time.sleep(0.05 if number == 0 else 0)
        return number

    with Lanes(2) as lanes:
        assert list(lanes.starmap(slow_then_quick, [(i,) for i in range(8)])) == list(range(8))


def test_each_lane_has_one_core_and_the_caller_keeps_its_own() -> None:
    before = torch.get_num_threads()
    with Lanes(2) as lanes:
        assert set(lanes.starmap(lambda _: torch.get_num_threads(), [(i,) for i in range(4)])) == {1}
    assert torch.get_num_threads() == before


def test_gradients_of_parts_that_ran_together_are_those_of_parts_that_ran_in_turn() -> None:
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(32, 32, generator=generator, requires_grad=True)
    tasks = [(torch.randn(64, 32, generator=generator),) for _ in range(16)]

    def gradient(x: Tensor) -> Tensor:
        (found,) = torch.autograd.grad((x @ weight).sin().square().mean(), weight)
        return found

    with Lanes(2) as two:
        together = list(two.starmap(gradient, tasks))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        alone = [gradient(*task) for task in tasks]
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(a, b) for a, b in zip(together, alone, strict=True))


def test_an_error_in_a_lane_is_raised_where_its_result_is_asked_for() -> None:
    def work(number: int) -> int:
        if number == 2:
            raise FloatingPointError("the gradient of part 2")
        return number

    with Lanes(2) as lanes:
        results = lanes.starmap(work, [(i,) for i in range(5)])
        assert [next(results), next(results)] == [0, 1]
        with pytest.raises(FloatingPointError, match="part 2"):
            next(results)
