"""What the weights of one part of a model need, from the headers of its file: to the byte, before any of it is read."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from newbie.checkpoints.load import stays_mapped
from newbie.checkpoints.plan import Plan
from newbie.checkpoints.translate import Recipe
from newbie.quant.choice import codec_bytes
from newbie.quant.codec import ROUNDED, Codec, by_rows

FLOAT32 = 4  # bytes
ENCODING = 4  # times the numbers it is given, in float32: what a codec holds at the worst moment of rounding them
BLOCKS = "layers."
MODULATION = ".adaLN_modulation."


@dataclass(frozen=True)
class Piece:
    """What one name of a network needs on the device: bytes of its own, and bytes used where they lie in the file."""

    name: str
    own: int
    mapped: int = 0
    passing: int = 0  # more, while it is loaded
    looked_up: bool = False  # a table of which only a few rows are ever touched

    @property
    def bytes(self) -> int:
        return self.own + self.mapped


@dataclass(frozen=True)
class Weights:
    """All of one part, in the order in which it is loaded."""

    pieces: tuple[Piece, ...]

    @classmethod
    def of(cls, plan: Plan, device: torch.device, dtype: torch.dtype) -> Weights:
        """As `checkpoints.load.fill` would load the plan."""
        state = plan.module.state_dict()
        return cls(tuple(_piece(plan, name, empty, device, dtype) for name, empty in state.items()))

    @property
    def own(self) -> int:
        return sum(piece.own for piece in self.pieces)

    @property
    def mapped(self) -> int:
        """In the file, all of it: also the tables that are hardly touched."""
        return sum(piece.mapped for piece in self.pieces)

    @property
    def bytes(self) -> int:
        return self.own + self.mapped

    @property
    def touched(self) -> int:
        """What is resident after use: of tables in the file only a few rows are."""
        return sum(piece.own if piece.looked_up else piece.bytes for piece in self.pieces)

    @property
    def passing(self) -> int:
        """The most that loading one piece takes beside what stays of it."""
        return max((piece.passing for piece in self.pieces), default=0)

    @property
    def loading(self) -> int:
        """The peak of loading all, piece by piece."""
        held = peak = 0
        for piece in self.pieces:
            peak = max(peak, held + piece.bytes + piece.passing)
            held += piece.own if piece.looked_up else piece.bytes
        return max(peak, held)

    def only(self, names: frozenset[str]) -> Weights:
        """The pieces of these names."""
        return Weights(tuple(piece for piece in self.pieces if piece.name in names))

    def without(self, names: frozenset[str]) -> Weights:
        """The others."""
        return Weights(tuple(piece for piece in self.pieces if piece.name not in names))

    @property
    def largest(self) -> int:
        """Bytes of the largest piece that is not a table."""
        return max((piece.bytes for piece in self.pieces if not piece.looked_up), default=0)


def joint_blocks(plan: Plan) -> list[frozenset[str]]:
    """The names of the matrices of each joint block of a transformer, in order.

    Without its modulation, which is used before the others and by itself, and without its norms: they are small, and
    leaves keep copies of them.
    """
    blocks: dict[int, set[str]] = {}
    for name, tensor in plan.module.state_dict().items():
        if name.startswith(BLOCKS) and MODULATION not in name and tensor.ndim > 1:
            blocks.setdefault(int(name.split(".")[1]), set()).add(name)
    return [frozenset(blocks[number]) for number in sorted(blocks)]


def _piece(plan: Plan, name: str, empty: Tensor, device: torch.device, dtype: torch.dtype) -> Piece:
    recipe = plan.recipes.get(name)
    table = isinstance(plan.module.get_submodule(name.rpartition(".")[0]), nn.Embedding)
    if name in plan.compressed:
        parts = plan.compressed[name].parts.values()
        mapped = sum(part.nbytes for part in parts if part.view is not None and device.type == "cpu")
        return Piece(name, sum(part.nbytes for part in parts) - mapped, mapped, looked_up=table)
    if recipe is not None and name in plan.quantised:
        return _rounded(name, plan.quantised[name], recipe, empty.shape, device)
    size = empty.numel() * (dtype if empty.is_floating_point() else empty.dtype).itemsize
    if recipe is None:
        return Piece(name, size)
    if stays_mapped(recipe, device, dtype):
        return Piece(name, 0, size, looked_up=table)
    same = not recipe.how and recipe.entries[0].dtype == dtype and device.type == "cpu"
    passing = 0 if same or device.type != "cpu" else sum(entry.nbytes for entry in recipe.entries)
    return Piece(name, size, passing=passing + (FLOAT32 * empty.numel() if recipe.how else 0))


def _rounded(name: str, codec: Codec, recipe: Recipe, shape: torch.Size, device: torch.device) -> Piece:
    rows, columns = shape
    read = sum(entry.nbytes for entry in recipe.entries) + (FLOAT32 * rows * columns if recipe.how else 0)
    whole = device.type != "cpu" or not by_rows(codec, codec.stored(rows, columns))
    numbers = rows * columns if whole else min(max(ROUNDED, columns), rows * columns)
    return Piece(name, codec_bytes(codec, rows, columns), passing=read + ENCODING * FLOAT32 * numbers)
