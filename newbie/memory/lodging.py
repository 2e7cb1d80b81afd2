"""The parts of a model in memory as their way says: some stay, some come when they are needed and leave for others."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from newbie.checkpoints.load import Loaded, fetch, find_tokenizer, furnished, read
from newbie.checkpoints.tokenizer_files import KINDS
from newbie.memory.carrier import carrier
from newbie.memory.fetched import Fetched
from newbie.memory.heap import apart, give_back
from newbie.memory.planner import MemoryPlan
from newbie.memory.streamed import BlockStream
from newbie.memory.ways import Part, Stay
from newbie.model.swap import with_modules


class Lodger:
    """One part. Its modules are there from the beginning; `enter` and `leave` bring and drop their weights."""

    def __init__(self, name: str, part: Part, stay: Stay) -> None:
        self.name, self.part, self.stay = name, part, stay
        self.here = False
        self.stream: BlockStream | None = None
        plan = part.plan
        self.tokenizer = find_tokenizer(plan, KINDS[name]) if name in KINDS else None  # before the long part
        network = furnished(plan, part.dtype)
        moving = part.moving(stay)
        layers = moving if stay == "layers" else moving[plan.config.n_layers :] if stay == "blocks" else []
        self.module = with_modules(network, dict(self._fetched(network, names) for names in layers))
        gone = frozenset().union(*moving)
        self._names = [name for name in plan.module.state_dict() if name not in gone]
        if stay == "blocks":
            self.stream = BlockStream(plan, self.module, part.device, part.dtype, carrier=carrier(part.device))

    def loaded(self) -> Loaded[Any, Any]:
        """As `checkpoints.load_…` gives it, whether the weights are there or not."""
        return Loaded(self.module, self.part.plan.config, self.part.plan.report, self.tokenizer)

    def enter(self) -> None:
        """Bring the weights in. Raises what loading raises."""
        if self.here:
            return
        with apart():
            fetch(self.part.plan, self.module, self._names, self.part.device, self.part.dtype)
        self.here = True

    def leave(self) -> None:
        """Drop them. Where they lay in their file, that costs nothing to undo."""
        empty(self.module)
        self.here = False

    def _fetched(self, network: nn.Module, names: frozenset[str]) -> tuple[str, nn.Module]:
        path = next(iter(names)).rpartition(".")[0]
        plan, device, dtype = self.part.plan, self.part.device, self.part.dtype

        def bring() -> Mapping[str, Tensor]:
            found = [read(plan, name, device, dtype) for name in sorted(names)]
            return {place.removeprefix(path + "."): tensor for each in found for place, tensor in each.items()}

        return path, Fetched(network.get_submodule(path), bring)


class Lodging:
    """All parts of a model by name. One picture at a time is drawn where parts come and go."""

    def __init__(self, plan: MemoryPlan) -> None:
        self.plan = plan
        self.lodgers = {name: Lodger(name, part, plan.way.of(name)) for name, part in plan.model.parts.items()}
        self._turn = threading.RLock()
        for lodger in self.lodgers.values():
            if lodger.stay != "visits":
                lodger.enter()

    def loaded(self, name: str) -> Loaded[Any, Any]:
        """A part, whether its weights are there or not."""
        return self.lodgers[name].loaded()

    def bring_encoder(self, encoder: str) -> None:
        """`bring`, by the name that a text stack gives its encoders."""
        self.bring(next(part for part, known in KINDS.items() if known == encoder))

    def stays(self, name: str) -> bool:
        """Whether a part's tensors are the same from beginning to end."""
        return self.lodgers[name].stay != "visits"

    @property
    def stream(self) -> BlockStream | None:
        """Of the transformer's blocks, where they come one by one."""
        return self.lodgers["transformer"].stream

    @property
    def settled(self) -> bool:
        """Whether everything stays."""
        return all(lodger.stay == "stays" for lodger in self.lodgers.values())

    def bring(self, name: str) -> None:
        """See to it that a part is there. Visitors other than it leave first, also where it never left."""
        for other in self.lodgers.values():
            if other.name != name and other.here and other.stay == "visits":
                other.leave()
        self.lodgers[name].enter()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """While it is open nobody else makes parts come and go."""
        if self.settled:
            yield
            return
        with self._turn:
            yield


def empty(network: nn.Module) -> None:
    """Let a network's weights go. Where nobody else holds them, the system gets their memory."""
    for module in network.modules():
        for table in (module._parameters, module._buffers):
            for name, tensor in table.items():
                if tensor is not None:
                    table[name] = _without_memory(tensor)
    give_back()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _without_memory(tensor: Tensor) -> Any:
    empty = tensor.detach().to("meta")
    return nn.Parameter(empty, requires_grad=False) if isinstance(tensor, nn.Parameter) else empty
