"""The FLUX autoencoder: diffusers names are ours; the original `ae.safetensors` is a table.

The original counts the decoder's levels from the picture inwards, diffusers from the latents outwards; its
attention projections are 1x1 convolutions. Very old diffusers files spell the attention differently.
"""

from __future__ import annotations

from newbie.checkpoints.rules import Rule, Squeeze, Table, rename

ANCHORS: dict[str, tuple[str, ...]] = {
    "original": ("decoder.up.0.block.0.norm1.weight",),
    "diffusers": ("decoder.up_blocks.0.resnets.0.norm1.weight",),
    "original, encoder only": ("encoder.down.0.block.0.norm1.weight",),
    "diffusers, encoder only": ("encoder.down_blocks.0.resnets.0.norm1.weight",),
}
# Another autoencoder: leaving these out would give wrong pictures.
FOREIGN = ("quant_conv.weight", "post_quant_conv.weight")

_BLOCK = ("norm1", "conv1", "norm2", "conv2")
_ATTENTION = {"to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}
_OLD_ATTENTION = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}


def original(levels: int) -> Table:
    """Rules for the original names of an autoencoder with that many levels."""
    rules: list[Rule] = []
    for half in ("encoder", "decoder"):
        rules += [rename(f"{half}.{conv}.*", f"{half}.{conv}.*") for conv in ("conv_in", "conv_out")]
        rules.append(rename(f"{half}.conv_norm_out.*", f"{half}.norm_out.*"))
        rules += _middle(half)
    for level in range(levels):
        deep = levels - 1 - level
        rules += _blocks(f"encoder.down_blocks.{level}.resnets.*", f"encoder.down.{level}.block.*")
        rules += _blocks(f"decoder.up_blocks.{level}.resnets.*", f"decoder.up.{deep}.block.*")
        rules += [
            rename(f"encoder.down_blocks.{level}.downsamplers.0.conv.*", f"encoder.down.{level}.downsample.conv.*"),
            rename(f"decoder.up_blocks.{level}.upsamplers.0.conv.*", f"decoder.up.{deep}.upsample.conv.*"),
        ]
    return tuple(rules)


def old_attention() -> Table:
    """Rules for diffusers files from before the attention was renamed; other names are today's."""
    rules: list[Rule] = []
    for half in ("encoder", "decoder"):
        base = f"{half}.mid_block.attentions.0."
        for ours, theirs in _OLD_ATTENTION.items():
            rules.append(Squeeze((f"{base}{ours}.weight",), (f"{base}{theirs}.weight",)))
            rules.append(rename(f"{base}{ours}.bias", f"{base}{theirs}.bias"))
    return tuple(rules)


def _middle(half: str) -> list[Rule]:
    ours, theirs = f"{half}.mid_block", f"{half}.mid"
    rules = _blocks(f"{ours}.resnets.0", f"{theirs}.block_1") + _blocks(f"{ours}.resnets.1", f"{theirs}.block_2")
    rules.append(rename(f"{ours}.attentions.0.group_norm.*", f"{theirs}.attn_1.norm.*"))
    for mine, other in _ATTENTION.items():
        names = f"{ours}.attentions.0.{mine}", f"{theirs}.attn_1.{other}"
        rules.append(Squeeze((f"{names[0]}.weight",), (f"{names[1]}.weight",)))
        rules.append(rename(f"{names[0]}.bias", f"{names[1]}.bias"))
    return rules


def _blocks(ours: str, theirs: str) -> list[Rule]:
    rules = [rename(f"{ours}.{part}.*", f"{theirs}.{part}.*") for part in _BLOCK]
    return [*rules, rename(f"{ours}.conv_shortcut.*", f"{theirs}.nin_shortcut.*")]
