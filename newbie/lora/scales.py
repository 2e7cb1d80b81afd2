"""How strong an adapter is meant to be: scale = alpha / rank, and the four places where alpha is written.

Before all others goes the tensor `<module>.alpha`. PEFT writes alpha only into adapter_config.json beside the weights:
a loader that reads nothing but tensors runs the trainer's default (rank 8, alpha 4) at double strength. diffusers puts
the same settings into the file's metadata, others a plain `lora_alpha`. Where nothing is said, alpha is the rank.
"""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from newbie.errors import WeightsError

CONFIG = "adapter_config.json"
_DIFFUSERS, _PART = "lora_adapter_metadata", "transformer."
_METHODS = ("", "LORA", "LYCORIS")  # of `peft_type`
_LYCORIS = ("", "lora", "locon", "lokr")  # of `lycoris_type`
# The wildcards that people write into PEFT's patterns. Nothing else of a regular expression is understood, because one
# from a stranger can take for ever.
_WILDCARDS = re.compile(r"\.\*|\\d\+?|\[0-9\]\+?|\\\.|\^|[\w.-]")
_MOST_STARS = 3


@dataclass(frozen=True)
class Scales:
    """What a file's companions say of rank and alpha. `source` names the place for reports; "": nothing is said."""

    source: str = ""
    alpha: float | None = None
    rank: int | None = None  # that all modules should have; None: not said, or of a method where it means nothing
    alphas: Mapping[re.Pattern[str], float] = field(default_factory=dict)  # of modules that match
    ranks: Mapping[re.Pattern[str], float] = field(default_factory=dict)
    root: bool = False  # rank-stabilised: alpha / sqrt(rank)

    def scale(self, module: str, rank: int, own: float | None) -> float:
        """Of a module with factors of this rank; `own` is the alpha that the file has for it."""
        said = _matching(self.alphas, module)
        alpha = next((each for each in (own, said, self.alpha) if each is not None), None)
        if alpha is None:
            return 1.0
        return alpha / math.sqrt(rank) if self.root else alpha / rank

    def require_rank(self, module: str, rank: int, file: str) -> None:
        """Raise WeightsError where the settings are of another adapter, so that their alpha would be wrong."""
        said = _matching(self.ranks, module)
        wanted = self.rank if said is None else int(said)
        if wanted is not None and wanted != rank:
            raise WeightsError(
                f"{file}: {module} has rank {rank}, {self.source} says {wanted}",
                f"the settings belong to another adapter; put its own {CONFIG} beside the weights",
            )


def from_config(values: Mapping[str, Any], file: str, source: str = CONFIG) -> Scales:
    """The settings of adapter_config.json, PEFT's or the trainer's for LyCORIS.

    Raises:
        WeightsError: a method that is computed otherwise, or a setting that is no number.
    """
    method, kind = str(values.get("peft_type") or ""), str(values.get("lycoris_type") or "")
    if method.upper() not in _METHODS or kind.lower() not in _LYCORIS:
        raise WeightsError(f"{file}: {source} says it is a {kind or method} adapter", "LoRA and LoKr are supported")
    for setting, name in {"use_dora": "DoRA", "lora_bias": "LoRA with a bias", "fan_in_fan_out": "transposed"}.items():
        if values.get(setting):
            raise WeightsError(f"{file}: {source} says {setting}: {name}", "plain LoRA and LoKr are supported")
    lycoris = method.upper() == "LYCORIS"
    rank = None if lycoris else _number(values, ("r",), source, file)
    return Scales(
        source,
        _number(values, ("lora_alpha", "network_alpha"), source, file),
        None if rank is None else int(rank),
        _patterns(values, "alpha_pattern", source, file),
        {} if lycoris else _patterns(values, "rank_pattern", source, file),
        bool(values.get("use_rslora") or values.get("rs_lora")),
    )


def from_metadata(metadata: Mapping[str, str], file: str) -> Scales:
    """The settings in a safetensors file's own metadata: diffusers' JSON, or `lora_alpha`, or kohya's name for it."""
    if _DIFFUSERS in metadata:
        try:
            values = json.loads(metadata[_DIFFUSERS])
        except (ValueError, RecursionError) as error:
            raise WeightsError(f"{file}: its metadata {_DIFFUSERS} is no JSON ({error})", "save it again") from error
        if isinstance(values, dict):
            ours = {key.removeprefix(_PART): value for key, value in values.items()}
            return from_config(ours, file, "the file's metadata")
    for name in ("lora_alpha", "ss_network_alpha"):
        try:
            alpha = float(metadata[name])
        except (KeyError, ValueError):  # kohya writes words here for adapters that were resized
            continue
        if math.isfinite(alpha):
            return Scales("the file's metadata", alpha)
    return Scales()


def _matching(patterns: Mapping[re.Pattern[str], float], module: str) -> float | None:
    return next((value for pattern, value in patterns.items() if pattern.fullmatch(module)), None)


def _number(values: Mapping[str, Any], names: tuple[str, ...], source: str, file: str) -> float | None:
    for name in names:
        value = values.get(name)
        if value is None:
            continue
        # The bound also refuses NaN, infinity, and whole numbers that no float holds.
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= sys.float_info.max:
            raise WeightsError(f"{file}: {source} says {name} = {value!r:.60}, which is no number", "correct the file")
        return float(value)
    return None


def _patterns(values: Mapping[str, Any], name: str, source: str, file: str) -> dict[re.Pattern[str], float]:
    """PEFT's tables: a pattern stands for every module whose name ends in it, whole parts; ^ ties it to the start."""
    table = values.get(name) or {}
    if not isinstance(table, dict):
        raise WeightsError(f"{file}: {source} has a {name} that is no table", "correct the file")
    found = {}
    for pattern in table:
        if _WILDCARDS.sub("", pattern) or len(re.findall(r"[*+]", pattern)) > _MOST_STARS:
            raise WeightsError(
                f"{file}: the pattern {pattern[:60]!r} in {name} of {source} is not understood",
                "a pattern is a module's name, with .* or \\d+ for what varies",
            )
        value = _number(table, (pattern,), source, file)
        if value is not None:
            found[re.compile(rf"(?:.*\.)?(?:{pattern})")] = value
    return found
