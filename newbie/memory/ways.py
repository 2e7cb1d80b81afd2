"""The ways in which a model can be in memory, and what each needs at each stage of a picture.

A part of a model stays; or visits, which is to be there only while it works; or its blocks come one by one, two at a
time in memory, the next one on its way while one computes; or its single layers do. All of these make the same picture,
bit for bit. Fewer bits for the weights make another one, and are counted here as what they cost in that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, NamedTuple

import torch
from torch import nn

from newbie.checkpoints.plan import Plan
from newbie.memory import activations
from newbie.memory.activations import Rows
from newbie.memory.weights import BLOCKS, MODULATION, Piece, Weights, joint_blocks
from newbie.quant.codec import Codec
from newbie.vae.tiling import Tiling

Stay = Literal["stays", "visits", "blocks", "layers"]
SLOTS = 2  # blocks in memory at a time
TILES = (None, Tiling(512), Tiling(256))


class Picture(NamedTuple):
    """What is to be drawn."""

    width: int
    height: int
    batch: int = 1
    steps: int = 28

    def __str__(self) -> str:
        """ "1024x1024", "4 pictures of 1024x1024 together"."""
        size = f"{self.width}x{self.height}"
        return size if self.batch == 1 else f"{self.batch} pictures of {size} together"


@dataclass(frozen=True)
class Way:
    """How the parts are in memory. The autoencoder, the smallest of them, stays in all."""

    name: str
    text: Stay
    transformer: Stay
    tiling: Tiling | None = None
    quant: str = ""  # "": the weights as they are

    def of(self, part: str) -> Stay:
        """How a part is in memory."""
        if part == "vae":
            return "stays"
        return self.transformer if part == "transformer" else self.text


EXACT = (
    Way("everything stays", "stays", "stays"),
    Way("the text encoders leave after encoding", "visits", "stays"),
    Way("one part at a time", "visits", "visits"),
    Way("block by block", "layers", "blocks"),
    Way("layer by layer", "layers", "layers"),
)


@dataclass(frozen=True)
class Part:
    """One part of a model as it would be loaded."""

    plan: Plan
    device: torch.device
    dtype: torch.dtype
    _needs: dict[str, Need] = field(default_factory=dict, repr=False, compare=False)

    def need(self, stay: Stay) -> Need:
        """What it takes when it is in memory like this."""
        if stay not in self._needs:
            self._needs[stay] = Need.of(self, stay)
        return self._needs[stay]

    @cached_property
    def weights(self) -> Weights:
        return Weights.of(self.plan, self.device, self.dtype)

    def layer_names(self) -> list[frozenset[str]]:
        """The names of each linear layer."""
        found = []
        for path, module in self.plan.module.named_modules():
            if isinstance(module, nn.Linear):
                found.append(frozenset(f"{path}.{name}" for name, _ in module.named_parameters()))
        return found

    def moving(self, stay: Stay) -> list[frozenset[str]]:
        """The groups of names that come one after another; the others are in memory as long as the part is."""
        if stay == "layers":
            return self.layer_names()
        if stay == "blocks":
            return [*joint_blocks(self.plan), *(names for names in self.layer_names() if "adaLN" in next(iter(names)))]
        return []


class Need(NamedTuple):
    """What a part takes in a way, in bytes."""

    held: int  # as long as it is there
    working: int  # more, while it works: the blocks or layers that come, decoded matrices
    loading: int  # the peak of bringing it in
    moved: int  # bytes that come in for one evaluation
    unfilled: int = 0  # of `held`, what nobody has touched when it is in: main memory that no page stands behind yet

    @classmethod
    def of(cls, part: Part, stay: Stay) -> Need:
        weights = part.weights
        groups = [weights.only(names) for names in part.moving(stay)]
        rest = weights.without(frozenset().union(*part.moving(stay))) if groups else weights
        decoded = _decoded(part)
        if stay == "blocks":
            blocks = groups[: part.plan.config.n_layers]
            slots = SLOTS * max(block.bytes for block in blocks)
            passing = max(block.passing + block.largest for block in blocks)  # read, then put into its slot
            unfilled = slots if part.device.type == "cpu" else 0
            moved = sum(block.bytes for block in blocks)
            return cls(rest.touched + slots, passing + decoded, rest.loading + slots - unfilled, moved, unfilled)
        if stay == "layers":
            largest = max(group.bytes + group.passing for group in groups)
            return cls(rest.touched, largest + decoded, rest.loading, sum(group.bytes for group in groups))
        return cls(rest.touched, decoded, rest.loading, 0)


@dataclass(frozen=True)
class Model:
    """All parts by name, as they would be loaded."""

    parts: Mapping[str, Part]
    leaves: str = "plain"  # how the transformer's blocks are computed

    @property
    def bytes(self) -> int:
        return sum(part.weights.bytes for part in self.parts.values())

    @property
    def block_bytes(self) -> int:
        """Of the transformer's blocks that run at every step."""
        return sum(piece.bytes for piece in self._block_pieces())

    @property
    def copied_bytes(self) -> int:
        """What the blocks' leaves may copy: their matrices, but for those of their modulation."""
        return sum(piece.bytes for piece in self._block_pieces() if MODULATION not in piece.name)

    def _block_pieces(self) -> Iterator[Piece]:
        pieces = self.parts["transformer"].weights.pieces
        return (piece for piece in pieces if piece.name.startswith((BLOCKS, "noise_refiner.")))


def stages(model: Model, way: Way, picture: Picture) -> dict[str, int]:
    """The peak of each stage, beside what the process holds before."""
    needs = {name: part.need(way.of(name)) for name, part in model.parts.items()}
    stays = sum(need.held for name, need in needs.items() if way.of(name) != "visits")
    texts = [name for name in ("text_encoder", "clip") if name in needs]

    def visiting(name: str) -> int:
        return needs[name].held if way.of(name) == "visits" else 0

    working = working_bytes(model, picture, way.tiling)
    return {
        "loading": _loading(needs, way, stays),
        "text": stays + max(visiting(name) + needs[name].working for name in texts) + working["text_encoder"],
        "denoising": stays + visiting("transformer") + needs["transformer"].working + working["transformer"],
        "decoding": stays + visiting("transformer") + working["vae"],
    }


def working_bytes(model: Model, picture: Picture, tiling: Tiling | None = None) -> dict[str, int]:
    """What each part takes beside its weights while it works; the CLIP tower no more than the larger text encoder."""
    transformer, vae, text = (model.parts[name] for name in ("transformer", "vae", "text_encoder"))
    latent = activations.latent_size(picture.width, picture.height, vae.plan.config.factor)
    rows = Rows.of(transformer.plan.config, latent, picture.batch)
    encoding = activations.of_text(text.plan.config, text.dtype)
    evaluation = activations.of_evaluation(
        transformer.plan.config, rows, transformer.dtype, leaves=model.leaves, steps=picture.steps
    )
    pixels = picture.batch * picture.width * picture.height * 3 * activations.FLOAT32
    decoding = activations.of_decoding(vae.plan.config, latent, vae.dtype, tiling, vae.device.type) + pixels
    return {"transformer": evaluation, "text_encoder": encoding, "clip": encoding, "vae": decoding}


def _loading(needs: Mapping[str, Need], way: Way, stays: int) -> int:
    """Those that stay come first, one after another; a visitor comes when all of them are there."""
    held = peak = 0
    for name, need in needs.items():
        if way.of(name) == "visits":
            peak = max(peak, stays + need.loading)
        else:
            peak = max(peak, held + need.loading)
            held += need.held - need.unfilled
    return peak


def _decoded(part: Part) -> int:
    """The largest matrix that is decoded for one product, where some are in fewer bits."""
    codecs: dict[str, Codec] = dict(part.plan.quantised)
    codecs |= {name: packed.codec for name, packed in part.plan.compressed.items()}
    own = {"w8a8", "fp8-dynamic"}  # they multiply what is stored
    shapes = part.plan.module.state_dict()
    tables = {f"{path}.weight" for path, module in part.plan.module.named_modules() if isinstance(module, nn.Embedding)}
    sizes = [shapes[name].numel() for name, codec in codecs.items() if codec.name not in own and name not in tables]
    return max(sizes, default=0) * part.dtype.itemsize


def tilings(pixels: int) -> Iterator[Tiling | None]:
    """Those that make a difference for a picture whose longer side has so many pixels, the exact one first."""
    return (tiling for tiling in TILES if tiling is None or tiling.side < pixels)
