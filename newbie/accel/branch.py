"""One branch of a block, attention or feed-forward, that does in each evaluation what a plan says for its layer.

"reuse" takes what the branch gave last and "forecast" where it was going: FORA (Selvaraju et al. 2024, arXiv
2407.01425) and TaylorSeer are plans of these. What is kept is the branch's answer after its second norm and before the
gate, so that gates are always those of now. Other actions are other ways to compute the branch, each a callable of the
branch's form; their answers can be reused like any other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from newbie.accel.plan import KEPT, Plan
from newbie.accel.predict import AsPlanned, Taylor, knows
from newbie.model.block import Block
from newbie.step import Step

Way = Callable[..., Tensor]  # an `Attend`, or a `Feed`


@dataclass(frozen=True)
class BranchCache:
    """An `Attend` or a `Feed`.

    Args:
        branch: "attn" or "ffn".
        ways: action -> how the branch is computed then; "compute" must be among them.
    """

    branch: str
    plan: Plan
    ways: Mapping[str, Way]

    def __call__(self, step: Step | None, layer: int, block: Block, x: Tensor, scale: Tensor, *seq: Any) -> Tensor:
        """x (B, L, dim) -> (B, L, dim), before the gate."""
        assert step is not None  # policies act on the joint blocks only
        actions = self.plan.actions(layer, self.branch)
        action, slot = actions[step.index], (self.branch, layer)
        if action in KEPT and not knows(step, slot):
            action = "compute"  # rows began to lie otherwise in their batch, as where regions end
            step.book.forced += 1
        step.book.layers[layer, self.branch, step.index] = action
        if action in KEPT:
            held = tuple("skip" if each == "reuse" else each for each in actions)
            return AsPlanned(Taylor(self.plan.stack.order), held).guess(step, slot)
        y = self.ways[action](step, layer, block, x, scale, *seq)
        if any(later in KEPT for later in actions[step.index + 1 :]):
            Taylor(self.plan.stack.order).learn(step, slot, y)
        return y
