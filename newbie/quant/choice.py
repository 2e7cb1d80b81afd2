"""Which linear layers become what: `--quant` for one network or for all, and the layers that stay as they are.

The layers that stay by themselves are those whose errors reach everything (embedders, modulation, the last layer) and
that hardly weigh anything: 89 % of the release model's weights are in the blocks' own products.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

import torch
from torch import nn

from newbie.errors import UsageError
from newbie.model.swap import with_modules
from newbie.quant.codec import Codec
from newbie.quant.guests import GUESTS, seated
from newbie.quant.schemes import scheme

M = TypeVar("M", bound=nn.Module)

PARTS = ("transformer", "text_encoder", "clip")
SKIP = (
    "x_embedder", "t_embedder", "cap_embedder", "clip_text_pooled_proj", "time_text_embed", "final_layer",
    "adaLN_modulation",
)  # fmt: skip
NOTHING = "none"


class Rule(NamedTuple):
    """For one network: a scheme for its linear layers, but for those whose path has one of `skip` in it."""

    scheme: str
    skip: tuple[str, ...] = SKIP

    def layers(self, network: nn.Module) -> dict[str, Codec]:
        """The linear layers of a network, which may be without memory, that are to be quantised, with their codec."""
        if self.scheme in GUESTS:
            return {}  # they come when everything is loaded
        codec = scheme(self.scheme).codec
        return {path: codec for path in linears(network, self.skip) if _fits(network.get_submodule(path), codec)}

    def welcome(self, network: M) -> M:
        """A loaded network with the layers of another package where the rule asks for them, else as it is.

        Raises:
            MissingExtra: the package is not installed.
            UsageError: the package refuses.
        """
        if self.scheme not in GUESTS:
            return network
        guests: dict[str, nn.Module] = {}
        for path in linears(network, self.skip):
            linear = network.get_submodule(path)
            assert isinstance(linear, nn.Linear)
            guests[path] = seated(self.scheme, linear)
        return with_modules(network, guests)


@dataclass(frozen=True)
class Choice:
    """What was asked for, by part of the model; parts that are not named stay as they are."""

    rules: Mapping[str, Rule] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str, skip: str = "") -> Choice:
        """`SCHEME` for all networks, or `transformer=SCHEME,text-encoder=SCHEME`; `skip`: parts of layers' names.

        `skip` adds to the layers that stay by themselves; "none" at its beginning replaces them.

        Raises:
            UsageError: no such scheme or part.
        """
        patterns = tuple(word for word in skip.replace(" ", "").split(",") if word)
        patterns = patterns[1:] if patterns[:1] == (NOTHING,) else (*SKIP, *patterns)
        rules: dict[str, Rule] = {}
        for each in filter(None, text.replace(" ", "").split(",")):
            part, equals, name = each.partition("=")
            parts = [part.replace("-", "_")] if equals else PARTS
            for one in parts:
                if one not in PARTS:
                    spoken = ", ".join(known.replace("_", "-") for known in PARTS)
                    raise UsageError(
                        f"--quant names no part {part!r}", f"the parts are {spoken}; or one scheme for all"
                    )
                if (name if equals else part) == NOTHING:  # said aloud: not even where memory is short
                    rules.pop(one, None)
                    continue
                _require_known(name if equals else part)
                rules[one] = Rule(name if equals else part, patterns)
        return cls(rules)

    def rule(self, part: str) -> Rule | None:
        """What is to be done with a part; None: nothing."""
        return self.rules.get(part)


def linears(network: nn.Module, skip: tuple[str, ...] = SKIP) -> list[str]:
    """Paths of plain linear layers that are not to be skipped."""
    return [
        path
        for path, module in network.named_modules()
        if isinstance(module, nn.Linear) and not any(pattern in path for pattern in skip)
    ]


def codec_bytes(codec: Codec, rows: int, columns: int) -> int:
    """Bytes of a matrix as stored."""
    specs = codec.stored(rows, columns).values()
    return sum(torch.Size(spec.shape).numel() * spec.dtype.itemsize for spec in specs)


def _require_known(name: str) -> None:
    """Raise UsageError for a scheme that nobody has, MissingExtra for one whose package is not installed."""
    if name in GUESTS:
        GUESTS[name].require(name)
    else:
        scheme(name)


def _fits(linear: nn.Module, codec: Codec) -> bool:
    """Whether the codec can store such a matrix: some need whole groups of columns."""
    assert isinstance(linear, nn.Linear)
    try:
        codec.stored(linear.out_features, linear.in_features)
    except ValueError:
        return False
    return True
