"""Other modules in the place of some: the only surgery on a network.

The network that is given stays as it is. The new one has its own containers along the way to each replaced module and
shares everything else with the old one, weights included, so both can be used and neither costs a second set of them.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TypeVar

from torch import nn

M = TypeVar("M", bound=nn.Module)


def with_modules(root: M, replaced: Mapping[str, nn.Module]) -> M:
    """`root` with the module at each path replaced, for example {"layers.0.attention.qkv": other}.

    Raises:
        AttributeError: there is no module at a path.
    """
    below: dict[str, dict[str, nn.Module]] = {}
    for path, module in replaced.items():
        child, _, rest = path.partition(".")
        below.setdefault(child, {})[rest] = module
    new = twin(root)
    for child, inner in below.items():
        old = root.get_submodule(child)
        new._modules[child] = inner[""] if "" in inner else with_modules(old, inner)
    return new


def twin(module: M) -> M:
    """The same module once more, with the same parameters, buffers and children, in tables of its own."""
    new = copy.copy(module)
    for name, table in vars(module).items():
        if isinstance(table, dict):
            new.__dict__[name] = table.copy()
    return new
