"""Begin with what a finished model knows: its weights, and its words where both vocabularies have the same piece.

A model that has learnt what `red_hair` is, and that what is said of one character is about that character, need not
learn it again because drawings, autoencoder or vocabulary are new.
"""

from __future__ import annotations

import zlib
from pathlib import Path

import torch
from tokenizers import Tokenizer as Pieces
from torch import Tensor, nn

from newbie.checkpoints import load_gemma, load_jina, load_transformer, locate
from newbie.errors import UsageError
from newbie.train.flow import FlowRecipe, Painter

TABLES = ("embed_tokens.weight", "embeddings.word_embeddings.weight")  # a row for each piece of the vocabulary


def painter_like(folder: Path, recipe: FlowRecipe, words: Path) -> Painter:
    """A Painter that begins as the model in `folder`, for the tokenizers in `words/gemma` and `words/jina`.

    Raises:
        WeightsError: the folder holds no whole model.
        UsageError: a part of it has another shape than the recipe asks for.
    """
    parts = locate(folder)
    if parts.clip is None:
        raise UsageError(f"{folder} has no CLIP tower", "start from a model that this program has trained")
    painter = Painter(recipe)
    _take(painter.transformer, load_transformer(parts.transformer).module, {}, "transformer")
    for module, theirs, name, ours in (
        (painter.text_encoder, load_gemma(parts.text_encoder).module, "text_encoder", words / "gemma"),
        (painter.clip_model, load_jina(parts.clip).module, "clip_model", words / "jina"),
    ):
        rows = same_pieces(folder / name / "tokenizer.json", ours / "tokenizer.json")
        _take(module, theirs, rows, name)
    return painter


def same_pieces(theirs: Path, ours: Path) -> dict[int, int]:
    """{number of a piece in our vocabulary: its number in theirs}, of the pieces that are in both."""
    there, here = (Pieces.from_file(str(path)).get_vocab(with_added_tokens=True) for path in (theirs, ours))
    return {number: there[piece] for piece, number in here.items() if piece in there}


@torch.no_grad()
def _take(module: nn.Module, theirs: nn.Module, rows: dict[int, int], name: str) -> None:
    """Copy every tensor; of a table of words the rows of the pieces that both have."""
    given: dict[str, Tensor] = theirs.state_dict()
    for key, tensor in module.state_dict().items():
        if key in TABLES:
            tensor[list(rows)] = given[key][list(rows.values())].to(tensor.dtype)
        elif key in given and given[key].shape == tensor.shape:
            tensor.copy_(given[key])
        else:
            found = tuple(given[key].shape) if key in given else "missing"
            raise UsageError(
                f"{name}: {key} is {found} in the model to start from, {tuple(tensor.shape)} in the recipe",
                "give --width and --layers as that model has them, or leave --start away",
            )


def fingerprint(painter: Painter) -> int:
    """A number of its weights: rounds that follow each other must not see the same captions and noise."""
    return zlib.crc32(painter.transformer.x_embedder.weight.detach().numpy().tobytes()) % 100_000
