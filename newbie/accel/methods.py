"""The approximate accelerations that can be asked for, by name, with what can be said of each. No torch.

    --accel fbcache:threshold=0.08,in_a_row=2  --accel delta:period=2
    --accel fora:interval=2,parts=attn,delta

Parts are separated by commas: NAME, NAME:KEY=VALUE, or KEY=VALUE of the method before.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import NamedTuple

from newbie.accel.budget import CLASSES
from newbie.accel.decide import WEIGHTINGS
from newbie.accel.predict import COORDINATES, FORMS
from newbie.errors import UsageError, did_you_mean

Value = float | str
EXAMPLES = "for example fbcache:threshold=0.08 or fora:interval=2,parts=attn"


class Parameter(NamedTuple):
    """A number between two ends, whole where its default is, or one of several words, or free text."""

    default: Value
    about: str
    low: float = 0
    high: float = 1000
    words: tuple[str, ...] = ()


class Method(NamedTuple):
    """What it does in a few words, and its parameters."""

    about: str
    parameters: Mapping[str, Parameter]


_ENDS = {
    "warmup": Parameter(2, "first evaluations that are computed", 1),
    "cooldown": Parameter(-1, "last evaluations that are computed; -1: 1, or 15 % where the shift is 3 or more", -1),
}
_LIMITS = {
    "in_a_row": Parameter(0, "nothing older than so many evaluations is used; 0: however old"),
    "at_most": Parameter(0, "evaluations skipped in all; 0: any number"),
}
_ORDER = {"order": Parameter(0, "0: the last value is held; 1, 2: its course is continued", 0, 4)}
_COURSE = {
    "form": Parameter("newton", "of the polynomial", words=FORMS),
    "along": Parameter("index", "its variable: evaluations or flow time", words=COORDINATES),
}
_OUTER = {
    "front": Parameter(1, "first blocks that always run"),
    "back": Parameter(0, "last blocks that always run"),
}
_SCOPE = {
    "scope": Parameter("shared", "who decides: the prompt's rows for both, or each branch", words=("shared", "branch"))
}
# Every choice among the classes, as "reuse+window".
PRUNED = tuple("+".join(some) for count in range(1, len(CLASSES) + 1) for some in combinations(CLASSES, count))
_WEIGHT = {"weighting": Parameter("dt_floor", "of changes, by the share of the path they act on", words=WEIGHTINGS)}

METHODS: dict[str, Method] = {
    "fora": Method(
        "branches are computed in every INTERVAL-th evaluation",
        {
            "interval": Parameter(3, "1: all", 1),
            "parts": Parameter("both", "of each block", words=("both", "attn", "ffn")),
            **_ENDS,
            **_ORDER,
        },
    ),
    "deepcache": Method(
        "the middle of the stack runs in every INTERVAL-th evaluation",
        {"interval": Parameter(3, "1: all", 1), **_OUTER, **_ENDS, **_ORDER},
    ),
    "mask": Method(
        "the middle of the stack runs in the evaluations that are listed",
        {
            "steps": Parameter("ng-medium", "a name, or places such as 0+2+5+8-11"),
            **_OUTER,
            "front": Parameter(0, "first blocks that always run"),
            "order": Parameter(1, "0: the last value is held; 1, 2: its course is continued", 0, 4),
        },
    ),
    "fbcache": Method(
        "the stack runs when its first block's change has changed",
        {
            "threshold": Parameter(0.08, "of the relative change; 0: always"),
            **_ENDS,
            **_LIMITS,
            **_ORDER,
            **_COURSE,
            **_WEIGHT,
            **_SCOPE,
        },
    ),
    "dbcache": Method(
        "as fbcache, with outer blocks that always run, and limits",
        {
            "threshold": Parameter(0.1, "of the relative change; 0: always"),
            **_OUTER,
            **_ENDS,
            "warmup": Parameter(3, "first evaluations that are computed", 1),
            **_LIMITS,
            "in_a_row": Parameter(2, "nothing older than so many evaluations is used; 0: however old"),
            "total": Parameter(0.0, "changes of skipped evaluations may add up to this; 0: to anything"),
            "steps": Parameter("", "evaluations that are computed in any case, as for mask"),
            **_ORDER,
            **_COURSE,
            **_WEIGHT,
            **_SCOPE,
        },
    ),
    "teacache": Method(
        "the stack runs when its input's changes have added up",
        {
            "threshold": Parameter(0.3, "of the sum; 0: always"),
            "curve": Parameter(
                "calibrated", "input's change to output's",
                words=("calibrated", "identity", "lumina2-v1", "lumina2-v2", "flux"),
            ),
            "clamp": Parameter("yes", "no: the polynomial as it is, also where it is negative", words=("yes", "no")),
            **_ENDS,
            **_LIMITS,
            **_ORDER,
            **_COURSE,
            **_WEIGHT,
            **_SCOPE,
        },
    ),
    "magcache": Method(
        "the stack runs when the calibrated growth of its change says so",
        {
            "threshold": Parameter(0.06, "of the sum of errors; 0: always"),
            "in_a_row": Parameter(3, "evaluations skipped in a row, at most", 1),
            "retention": Parameter(0.2, "share of the evaluations that are computed first", 0, 1),
            "cooldown": _ENDS["cooldown"],
            **_ORDER,
        },
    ),
    "delta": Method(
        "the negative prompt's rows run in every PERIOD-th guided evaluation",
        {
            "period": Parameter(2, "1: in all", 1),
            "order": Parameter(1, "0: the last difference is held; 1, 2: its course is continued", 0, 2),
        },
    ),
    "freeze": Method(
        "words stand still after a part of the evaluations, and blocks run for the image alone",
        {
            "at": Parameter(0.4, "share of the evaluations before; 1: never", 0, 1),
            "refresh": Parameter(4, "words run again when what is kept is so many evaluations old; 1: always", 1),
            "cooldown": _ENDS["cooldown"],
        },
    ),
    "prune": Method(
        "heads answer for less where a few sampled queries say that it costs little",
        {
            "budget": Parameter(0.02, "relative error of a layer's attention that is allowed; 0: nothing is pruned"),
            "rows": Parameter(64, "image queries that are sampled in each layer", 1, 65536),
            "classes": Parameter("all", "cheaper answers", words=("all", *PRUNED)),
            "refresh": Parameter(4, "evaluations in a row that may reuse an answer", 1),
            "guidance": Parameter("yes", "divide the budget by what guidance makes of errors", words=("yes", "no")),
            "detail": Parameter("no", "a prompt that asks for detail halves the budget", words=("yes", "no")),
            "tile": Parameter(8, "side of a window's tiles, in image tokens", 1),
            "radius": Parameter(1, "tiles that are seen around one's own"),
            "always": Parameter("no", "go on where it costs more than it gains", words=("yes", "no")),
        },
    ),
}  # fmt: skip

# Where 28 evaluations compute. cache-dit's masks, made for even grids, and ours for a shifted one, whose end counts.
MASKS: dict[str, str] = {
    "slow": "0-7+9-11+14-16+19-20+23+27",
    "medium": "0-5+7-8+12-13+17-18+22-23+27",
    "fast": "0-5+7+11+16+22+27",
    "ultra": "0-3+6+12+19+27",
    "ng-slow": "0+2+4+6+8+10+12+14+16+18+20-27",
    "ng-medium": "0+2+5+8+11+14+17+19+21-27",
    "ng-fast": "0+5+9+12+15+18+21+24-27",
    "ng-ultra": "0+7+11+15+20+24+26+27",
}
MASKS_FOR = 28

CURVES: dict[str, tuple[float, ...]] = {  # published for TeaCache, highest power first
    "identity": (1.0, 0.0),
    "lumina2-v1": (393.76566581, -603.50993606, 209.10239044, -23.00726601, 0.86377344),
    "lumina2-v2": (225.70420198, -608.84537165, 304.18699423, 124.21267720, -1.40890669),
    "flux": (498.651651, -283.781631, 55.8554382, -3.82021401, 0.264230861),
}


@dataclass(frozen=True)
class Choice:
    """A method, every parameter set."""

    name: str
    values: Mapping[str, Value]
    typed: Mapping[str, Value] = field(default_factory=dict)

    def number(self, key: str) -> float:
        return float(self.values[key])

    def whole(self, key: str) -> int:
        return int(self.values[key])

    def word(self, key: str) -> str:
        return str(self.values[key])

    def __str__(self) -> str:
        """As it is typed."""
        said = ",".join(
            f"{key}={value}" if isinstance(value, str) else f"{key}={value:g}" for key, value in self.typed.items()
        )
        return f"{self.name}:{said}" if said else self.name


def parse(text: str) -> tuple[Choice, ...]:
    """What `--accel` says; "" is nothing.

    Raises:
        UsageError: an unknown method or parameter, a value out of range, a method twice.
    """
    typed: dict[str, dict[str, Value]] = {}
    name = ""
    for part in filter(None, (part.strip() for part in text.split(","))):
        head, colon, said = part.partition(":")
        if colon or "=" not in part:
            name, part = head.strip().lower(), said
            _require_known(name, METHODS, "acceleration")
            if name in typed:
                raise UsageError(f"acceleration {name} is named twice", "name each once")
            typed[name] = {}
        elif not name:
            raise UsageError(f"acceleration {text!r} does not begin with a name", EXAMPLES)
        if part:
            key, value = _read(name, part)
            if key in typed[name]:
                raise UsageError(f"acceleration {name}: {key} is set twice", "set each once")
            typed[name][key] = value
    return tuple(_chosen(name, said) for name, said in typed.items())


def places(text: str, count: int) -> tuple[bool, ...]:
    """For each of `count` evaluations whether a mask computes it: "ng-fast", or "0+2+5+8-11".

    Raises:
        UsageError: a mask that is not for so many evaluations, or places that cannot be read.
    """
    if text in MASKS:
        if count != MASKS_FOR:
            raise UsageError(
                f"the mask {text} is for {MASKS_FOR} evaluations, this picture takes {count}",
                f"write the evaluations to compute, for example mask:steps=0+2+4-{count - 1}",
            )
        text = MASKS[text]
    found: set[int] = set()
    for part in text.split("+"):
        first, dash, last = part.partition("-")
        if not first.isdecimal() or (dash and not (last.isdecimal() and int(last) >= int(first))):
            raise UsageError(
                f"the mask {text!r} cannot be read at {part!r}", f"a name ({', '.join(MASKS)}), or 0+2+5-9"
            )
        found.update(range(int(first), int(last or first) + 1) if int(last or first) < count else (count,))
    if max(found) >= count:
        raise UsageError(f"the mask {text} goes beyond {count} evaluations", f"evaluations are 0 to {count - 1}")
    return tuple(i in found for i in range(count))


def help_lines(only: str | None = None) -> list[str]:
    """Every method with its parameters, or one of them, for people. Raises UsageError for one that there is not."""
    if only is not None:
        _require_known(only, METHODS, "acceleration")
    lines = []
    for name, method in METHODS.items():
        if only not in (None, name):
            continue
        lines.append(f"{name}: {method.about}")
        for key, parameter in method.parameters.items():
            words = f"; one of {', '.join(parameter.words)}" if parameter.words else ""
            default = parameter.default if isinstance(parameter.default, str) else f"{parameter.default:g}"
            lines.append(f"    {key}={default or '...'}  {parameter.about}{words}")
    return lines


def _chosen(name: str, said: Mapping[str, Value]) -> Choice:
    defaults = {key: parameter.default for key, parameter in METHODS[name].parameters.items()}
    return Choice(name, defaults | dict(said), said)


def _read(name: str, part: str) -> tuple[str, Value]:
    key, equals, text = (each.strip() for each in part.partition("="))
    if not equals:
        raise UsageError(f"acceleration {name}: {part!r} sets nothing", EXAMPLES)
    key = key.lower().replace("-", "_")
    _require_known(key, METHODS[name].parameters, f"parameter of {name}")
    parameter = METHODS[name].parameters[key]
    if isinstance(parameter.default, str):
        if parameter.words:
            _require_known(text, parameter.words, f"{name}:{key}")
        return key, text
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise UsageError(f"{name}:{key}={text} is not a number", f"from {parameter.low:g} to {parameter.high:g}")
    if not parameter.low <= value <= parameter.high:
        nearest = min(max(value, parameter.low), parameter.high)
        raise UsageError(
            f"{name}:{key}={text} is out of range",
            f"from {parameter.low:g} to {parameter.high:g}; the nearest is {nearest:g}",
        )
    if isinstance(parameter.default, int) and value != int(value):
        raise UsageError(f"{name}:{key}={text} is not a whole number", f"for example {round(value)}")
    return key, int(value) if isinstance(parameter.default, int) else value


def _require_known(name: str, known: Mapping[str, object] | Sequence[str], what: str) -> None:
    if name not in known:
        hint = did_you_mean(name, known) + "choose from " + ", ".join(known)
        raise UsageError(f"unknown {what} {name!r}", hint)
