"""Whose module does a key speak of? Every spelling of a name leads to a module of ours, and to rows of its output.

A key is [prefixes] module suffix: "base_model.model.layers.0.attention.qkv.lora_A.weight" (PEFT), the same behind
"diffusion_model." (ComfyUI) or "transformer." (diffusers), "lora_unet_layers_0_attention_qkv.lora_down.weight" (kohya),
"lycoris_layers_0_attention_qkv.lokr_w1" (LyCORIS). Names with underscores for dots cannot be read back, so they are
looked up among those that our own modules would get. diffusers' to_q, to_k and to_v are rows of our qkv.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from torch import nn

from newbie.checkpoints.rules import fill_in, matches
from newbie.checkpoints.tables import nextdit as table
from newbie.model.adapted import is_linear, width
from newbie.model.layers import RMSNorm
from newbie.model.nextdit import NextDiT

# What programs put before the module's name, and who does.
PREFIXES = {
    "base_model.model.": "PEFT",
    "model.diffusion_model.": "ComfyUI",
    "diffusion_model.": "ComfyUI",
    "transformer.": "diffusers",
    "lora_unet_": "kohya",
    "lora_transformer_": "kohya",
    "lycoris_": "LyCORIS",
}
_SUFFIX = re.compile(
    r"\.(?:(?P<pair>lora_A|lora_B|lora_down|lora_up|lora\.down|lora\.up)(?:\.(?P<adapter>[^.]+))?\.weight"
    r"|(?P<single>alpha|lokr_w[12](?:_[ab])?|w_norm|b_norm|diff|diff_b))$"
)
_PAIR = {
    "lora_A": "down", "lora_down": "down", "lora.down": "down", "lora_B": "up", "lora_up": "up", "lora.up": "up",
}  # fmt: skip
# Parts of methods that are computed otherwise; a file that has them means something else without them.
FOREIGN = {
    ".dora_scale": "DoRA",
    ".lora_magnitude_vector": "DoRA",
    ".hada_w": "LoHa",
    ".oft_": "OFT",
    ".boft_": "BOFT",
    ".ia3_l": "IA3",
    ".lora_embedding_": "LoRA of an embedding table",
    ".lora_mid.": "LoRA of a convolution",
    ".lokr_t2": "LoKr of a convolution",
    ".lora_B.bias": "LoRA with a bias",
}


class Target(NamedTuple):
    """Rows [start, stop) of what a module of ours puts out; of a norm, all its numbers."""

    module: str
    start: int
    stop: int


class Key(NamedTuple):
    """A key taken apart: the spelled module, which of its numbers this is, and PEFT's name of the adapter."""

    stem: str
    role: str  # down, up, alpha, lokr_w1, lokr_w1_a, ..., w_norm, b_norm, diff, diff_b
    adapter: str


def parse_key(key: str) -> Key | None:
    """None for keys that belong to no adapter of a kind that is known here."""
    found = _SUFFIX.search(key)
    if found is None:
        return None
    role = _PAIR[found["pair"]] if found["pair"] else found["single"]
    return Key(key[: found.start()], role, found["adapter"] or "")


def resolve(stem: str, targets: Mapping[str, Target]) -> tuple[Target | None, str]:
    """The target that a spelled module means, whatever prefixes it has, and who spells it so ("" without prefix)."""
    spelled = ""
    while stem not in targets:
        prefix = next((prefix for prefix in PREFIXES if stem.startswith(prefix)), None)
        if prefix is None:
            return None, spelled
        spelled = spelled or PREFIXES[prefix]
        stem = stem.removeprefix(prefix)
    return targets[stem], spelled


def targets(model: NextDiT) -> dict[str, Target]:
    """Every spelling of every module that adapters can change: our names, diffusers', both also with underscores."""
    found: dict[str, Target] = {}
    for path, module in model.named_modules():
        rows = _rows(module)
        if rows:
            found[path] = Target(path, 0, rows)
    found |= _diffusers(model, found)
    for name, target in list(found.items()):
        flat = name.replace(".", "_")
        if found.setdefault(flat, target) != target:
            raise AssertionError(f"{flat} could be {found[flat].module} or {target.module}")
    return found


def _diffusers(model: NextDiT, ours: Mapping[str, Target]) -> dict[str, Target]:
    """diffusers' names, by the table that reads its checkpoints; where it stacks several into one, by their rows."""
    config = model.config
    queries, keys = config.n_heads * config.head_dim, config.n_kv_heads * config.head_dim
    found: dict[str, Target] = {}
    for rule in table.diffusers((queries, keys, keys)):
        for name, target in ours.items():
            stars = matches(rule.ours[0], f"{name}.weight")
            if stars is None or not rule.theirs:
                continue
            sizes = getattr(rule, "sizes", ()) or (target.stop,)
            start = 0
            for pattern, size in zip(rule.theirs, sizes, strict=True):
                theirs = fill_in(pattern, stars).removesuffix(".weight")
                found[theirs] = Target(name, start, start + size)
                start += size
    return found


def _rows(module: nn.Module) -> int:
    if is_linear(module):
        return width(module)[1]
    return module.weight.numel() if isinstance(module, RMSNorm) else 0
