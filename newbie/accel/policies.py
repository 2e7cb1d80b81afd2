"""What acts on the joint blocks of a request, and the order in which it is put around them. No torch until then."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from newbie.accel.budget import Pruning
from newbie.accel.decide import Decide, Freeze
from newbie.accel.plan import BRANCHES, KEPT, Plan, WindowShape
from newbie.accel.predict import Predict
from newbie.errors import UsageError

if TYPE_CHECKING:
    from newbie.accel.runner import Attend, Feed, InOrder, Runner
    from newbie.accel.stack import Look
    from newbie.attention.window import Tiles, Windowed

# The tiles that a plan names -> attention through them, for rows of one length and the grid of the picture.
Windows = Callable[["Tiles"], "Windowed"]


@dataclass(frozen=True)
class Middle:
    """A rule for the stack: a `StackCache` without its surroundings."""

    decide: Decide
    predict: Predict
    front: int = 0
    back: int = 0
    look: Look | None = None
    apart: bool = False  # the negative prompt's rows decide for themselves


class Around(Protocol):
    """What is put around the blocks of a request: `Policies`, or something that watches."""

    @property
    def together(self) -> bool:
        """Whether both halves of a guided pair must be in one batch."""
        ...

    @property
    def apart(self) -> bool:
        """Whether each half decides for itself, and so runs by itself."""
        ...

    @property
    def padded(self) -> bool:
        """Whether rows of unequal length must lie beside each other in that batch, not behind each other."""
        ...

    def around(
        self, blocks: InOrder, *, grid: tuple[int, int], pictures: int, trim: bool, windows: Windows
    ) -> Runner: ...


@dataclass(frozen=True)
class Policies:
    """What acts on the joint blocks of a request. `around` puts it where it belongs."""

    middle: Middle | None = None
    plan: Plan | None = None  # of branches; and of the stack, if that is known before
    paired: tuple[bool, ...] = ()  # of each evaluation that a plan is for: do the negative prompt's rows run?
    freeze: Freeze | None = None
    pruning: Pruning | None = None

    @property
    def together(self) -> bool:
        return self.padded or (self.plan is not None and self.plan.shares)

    @property
    def padded(self) -> bool:
        return self.pruning is not None

    @property
    def apart(self) -> bool:
        return self.middle is not None and self.middle.apart

    @property
    def window(self) -> WindowShape:
        """What the action "window" sees."""
        return WindowShape() if self.plan is None else self.plan.window

    def refuse(self) -> None:
        """Raises UsageError where parts that go together by name do not, by what was said of them."""
        if self.freeze is not None and self.middle is not None and self.middle.back:
            raise UsageError(
                f"freeze and back={self.middle.back} do not go together: what last blocks are given has no words",
                "back=0",
            )
        if self.pruning is not None and self.apart:
            raise UsageError(
                "prune and scope=branch do not go together: heads are pruned alike in both halves of a pair",
                "scope=shared",
            )

    def around(self, blocks: InOrder, *, grid: tuple[int, int], pictures: int, trim: bool, windows: Windows) -> Runner:
        """`blocks` with these policies; `trim`: the last block runs for the image alone where that is possible."""
        from newbie.accel.freeze import TextFreeze
        from newbie.accel.last import to_the_image
        from newbie.accel.stack import StackCache

        layers = 0
        if self.plan is not None:
            blocks, layers = self._planned(blocks, self.plan, pictures, windows), self.plan.layers
        if self.pruning is not None:
            blocks, layers = self._pruned(blocks, self.pruning, pictures, windows), self.pruning.layers
        if trim or self.freeze is not None:  # a frozen evaluation has nothing but the image
            blocks = to_the_image(blocks, layers - 1)
        middle = self.middle

        def stacked(blocks: InOrder) -> Runner:
            if middle is None:
                return blocks
            given = (middle.decide, middle.predict, math.prod(grid), pictures, middle.front, middle.back, middle.look)
            return StackCache(blocks, *given, middle.apart)

        return stacked(blocks) if self.freeze is None else TextFreeze(self.freeze, blocks, stacked, pictures)

    def _planned(self, blocks: InOrder, plan: Plan, pictures: int, windows: Windows) -> InOrder:
        """`blocks` of which a plan's branches run as it says."""
        from newbie.accel.branch import BranchCache
        from newbie.accel.fastattn import FastAttention
        from newbie.attention.window import Tiles

        run_block = blocks.run_block
        cut = {branch: plan.cut(branch) for branch in BRANCHES}
        attend: Attend | None = None
        feed: Feed | None = None
        if plan.shares:
            tiles = windows(Tiles(plan.window.side, plan.window.radius))
            of_attention, of_feed = (plan.by_evaluation(branch) for branch in BRANCHES)
            fast = FastAttention(run_block.leaves, tiles, of_attention, pictures, of_feed, paired=self.paired)
            attend, feed = fast.attend, fast.feed
        else:
            if cut["attn"]:
                attend = BranchCache("attn", plan, {"compute": run_block.plain_attend})
            if cut["ffn"]:
                feed = BranchCache("ffn", plan, {"compute": run_block.plain_feed})
        run_block = replace(run_block, attend=attend, feed=feed, layers=cut["attn"] | cut["ffn"])
        return replace(blocks, run_block=run_block)

    def _pruned(self, blocks: InOrder, pruning: Pruning, pictures: int, windows: Windows) -> InOrder:
        """`blocks` in whose inner layers heads attend as pruning decides."""
        from newbie.accel.prune import PrunedHeads
        from newbie.attention.window import Tiles

        heads = PrunedHeads(blocks.run_block.leaves, windows(Tiles(pruning.tile, pruning.radius)), pictures, pruning)
        return replace(blocks, run_block=replace(blocks.run_block, attend=heads.attend, layers=pruning.inner))

    def kept(self, image: int, whole: int, words: int) -> int:
        """Bytes that will be remembered, of rows whose image tokens have `image` bytes and whose tokens `whole`, and
        whose words have keys and values of `words` bytes in all layers together."""
        found = words if self.freeze is not None else 0
        if self.middle is not None:
            found += (whole if self.middle.back else image) * self.middle.predict.tensors
            found += 2 * image * (self.middle.look is not None)
        if self.plan is not None:
            rows = list(self.plan.layer_actions.values())
            found += whole * sum(any(action in KEPT for action in row) for row in rows) * (self.plan.stack.order + 1)
            found += image * sum(any("window" in action for action in row) for row in rows)  # residuals
        if self.pruning is not None:
            each = whole * ("reuse" in self.pruning.classes) + image * ("window" in self.pruning.classes)
            found += each * len(self.pruning.inner)
        return found
