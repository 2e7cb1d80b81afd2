"""Say from names and shapes alone what a checkpoint holds: which parts of the model, in whose naming."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from newbie.checkpoints.tables import gemma, jina, nextdit, vae
from newbie.errors import WeightsError

Component = Literal["transformer", "text_encoder", "clip", "vae"]
COMPONENTS: tuple[Component, ...] = get_args(Component)

SPOKEN: dict[Component, str] = {
    "transformer": "transformer (Next-DiT)",
    "text_encoder": "text encoder (Gemma 3)",
    "clip": "CLIP model (Jina CLIP v2, text)",
    "vae": "autoencoder (VAE)",
}
ANCHORS: dict[Component, dict[str, tuple[str, ...]]] = {
    "transformer": nextdit.ANCHORS,
    "text_encoder": gemma.ANCHORS,
    "clip": jina.ANCHORS,
    "vae": vae.ANCHORS,
}
# A serialised SentencePiece model as a tensor of bytes, in single-file checkpoints.
SPIECES = {"text_encoder": ("gemma_spiece_model", "spiece_model"), "clip": ("jina_spiece_model", "spiece_model")}

_ZIMAGE = ("x_pad_token", "cap_pad_token")
# Names that give away what else people try to open, and what to say.
_OTHERS = {
    "model.diffusion_model.input_blocks.": "a Stable Diffusion checkpoint",
    "double_blocks.0.img_attn": "a FLUX transformer",
    "transformer_blocks.0.attn.to_q": "another diffusers transformer",
    "layers.0.pre_feedforward_layernorm.weight": "a Gemma 2 text encoder (Gemma 3 is needed)",
    "layers.0.self_attn.q_norm.weight": "a Qwen 3 language model",
    "layers.0.self_attn.q_proj.weight": "another language model",
    "blk.0.attn_q.weight": "another language model, in llama.cpp's names",
    "enc.blk.0.attn_q.weight": "a T5 text encoder, in llama.cpp's names",
    "encoder.block.0.layer.0.SelfAttention.q": "a T5 text encoder",
    "roberta.encoder.layer.0.attention.self": "an XLM-RoBERTa of another kind",
    "text_model.encoder.layers.0.self_attn": "another CLIP model",
    ".lora_A.": "a LoRA adapter",
    ".lora_down.": "a LoRA adapter",
    "lokr_w": "a LoKr adapter",
}


@dataclass(frozen=True)
class Part:
    """One network in a checkpoint: its naming, and the prefix that all its names carry."""

    component: Component
    layout: str
    prefix: str = ""
    names: tuple[str, ...] = ()  # full names, of tensors that this part answers for
    has_clip: bool = False  # a transformer with the pooled-vector branch: NewBie rather than Lumina-2

    def strip(self, name: str) -> str:
        return name.removeprefix(self.prefix)


def recognise(shapes: Mapping[str, tuple[int, ...]], name: str = "file") -> list[Part]:
    """The parts of the model that a checkpoint holds, usually one; empty if it holds none of them.

    Raises:
        WeightsError: a model of the same family that is not supported, or one part twice.
    """
    _refuse_zimage(shapes, name)
    found: list[Part] = []
    for component in COMPONENTS:
        for layout, anchors in ANCHORS[component].items():
            prefixes = sorted(_prefixes(shapes, anchors))
            if len(prefixes) > 1:
                spelled = ", ".join(repr(prefix) for prefix in prefixes)
                raise WeightsError(
                    f"{name}: holds the {SPOKEN[component]} {len(prefixes)} times, with the prefixes {spelled}",
                    "use a file with one set of weights",
                )
            if prefixes:
                found.append(Part(component, layout, prefixes[0]))
                break
    return [_complete(part, found, shapes, name) for part in found]


def unrecognised(shapes: Mapping[str, tuple[int, ...]], name: str) -> tuple[str, str]:
    """What to say of a checkpoint without any of our parts: what it looks like, else its first names; and a hint."""
    for fragment, what in _OTHERS.items():
        if any(fragment in tensor for tensor in shapes):
            return (
                f"{name}: looks like {what}, not a part of a NewBie model",
                "adapters are named with --lora"
                if "adapter" in what
                else "python -m newbie inspect FILE lists what a file holds",
            )
    some = ", ".join(list(shapes)[:3]) or "nothing"
    return (
        f"{name}: its {len(shapes)} tensors belong to no part of a NewBie model (first: {some})",
        "expected a Next-DiT, Gemma 3, Jina CLIP v2 or FLUX VAE checkpoint",
    )


def spiece(names: Iterable[str], part: Part) -> str | None:
    """The name of the tokenizer that is embedded beside a text encoder, if there is one."""
    wanted = SPIECES.get(part.component, ())
    present = [name for name in names if name.endswith("spiece_model")]
    for name in (part.prefix + "spiece_model", *wanted):
        if name in present:
            return name
    specific = [name for name in present if name.endswith(wanted[0])] if wanted else []
    outer = part.prefix.split(".")[:-1]
    while outer and not specific:  # the nearest one above the part's own names
        base = ".".join(outer) + "."
        specific = [name for name in present if name == base + "spiece_model"]
        outer.pop()
    return specific[0] if specific else None


def _prefixes(shapes: Mapping[str, tuple[int, ...]], anchors: tuple[str, ...]) -> set[str]:
    first, *others = anchors
    prefixes = {name.removesuffix(first) for name in shapes if name == first or name.endswith("." + first)}
    return {prefix for prefix in prefixes if all(prefix + other in shapes for other in others)}


def _complete(part: Part, found: list[Part], shapes: Mapping[str, tuple[int, ...]], name: str) -> Part:
    """The part with its names. Alone in a file it answers for every tensor, else for those with its prefix."""
    names = tuple(shapes)
    if len(found) > 1:
        inner = tuple(p.prefix for p in found if p.prefix != part.prefix and p.prefix.startswith(part.prefix))
        names = tuple(t for t in shapes if t.startswith(part.prefix) and not t.startswith(inner))
    has_clip = False
    if part.component == "transformer":
        place = part.prefix + ("time_caption_embed." if part.layout == "diffusers" else "")
        has_clip = all(place + anchor in shapes for anchor in nextdit.CLIP_NAMES)
    if part.component == "vae":
        foreign = [tensor for tensor in vae.FOREIGN if part.prefix + tensor in shapes]
        if foreign:
            raise WeightsError(
                f"{name}: the autoencoder has {foreign[0]}, which the FLUX layout does not have",
                "use the FLUX.1 autoencoder (ae.safetensors)",
            )
    return Part(part.component, part.layout, part.prefix, names, has_clip)


def _refuse_zimage(shapes: Mapping[str, tuple[int, ...]], name: str) -> None:
    padded = any(tensor.endswith(_ZIMAGE) for tensor in shapes)
    wide = any(
        tensor.endswith("layers.0.attention.q_norm.weight") and shape == (128,) for tensor, shape in shapes.items()
    ) and any(
        tensor.endswith("layers.0.attention.out.weight") and shape == (3840, 3840) for tensor, shape in shapes.items()
    )
    if padded or wide:
        raise WeightsError(
            f"{name}: is a Z-Image transformer, which is not supported",
            "NewBie and Lumina-Image 2.0 transformers are; the tensor names are alike, the networks are not",
        )
