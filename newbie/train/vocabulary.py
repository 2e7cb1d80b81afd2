"""Two small tokenizers from our own captions: one byte-fallback BPE, with Gemma's and with Jina's special tokens.

Tags of the prompt language are cut out before merging, so a token never straddles an element and its text, and the
span of an element is a span of whole tokens. Outside tags an underscore reads as a space: `blue_kimono` and
`blue kimono` are the same two words. (With underscores kept, each pair of colour and garment became one token of its
own; after 70,000 samples the model obeyed hair colours, ten tokens, and ignored clothes, seventy.)
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

GEMMA_SPECIALS = ("<pad>", "<eos>", "<bos>", "<unk>")
JINA_SPECIALS = ("<s>", "<pad>", "</s>", "<unk>")
_BYTES = tuple(f"<0x{value:02X}>" for value in range(256))
# A closing or opening tag with the line break behind it; a comma with its space; a word with the space before it.
_PIECES = Regex(r"</?[A-Za-z_][\w ]{0,30}>\n?|, ?| ?\w+|[^\w\s]|\s+")
# An underscore that no closing > follows soon is not part of a tag's name. Bounded, so that reading stays linear.
_WORD_SPACE = normalizers.Replace(Regex(r"_(?![^<>\n]{0,40}>)"), " ")


def train_tokenizers(captions: Iterable[str], size: int, gemma: Path, jina: Path) -> None:
    """Write `tokenizer.json` into the two folders; both give the same pieces the same numbers from 260 on."""
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>"))
    tokenizer.normalizer = _WORD_SPACE
    tokenizer.pre_tokenizer = pre_tokenizers.Split(_PIECES, "isolated")
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=[*GEMMA_SPECIALS, *_BYTES],
        show_progress=False,
        initial_alphabet=[chr(code) for code in range(32, 127)] + ["\n"],
    )
    tokenizer.train_from_iterator(captions, trainer)
    model = tokenizer.get_vocab()
    merges = _merges(tokenizer)
    for folder, specials in ((gemma, GEMMA_SPECIALS), (jina, JINA_SPECIALS)):
        vocabulary = {piece: number for piece, number in model.items() if number >= len(specials)}
        vocabulary |= {piece: number for number, piece in enumerate(specials)}
        written = Tokenizer(models.BPE(vocabulary, merges, byte_fallback=True, unk_token="<unk>"))
        written.normalizer = _WORD_SPACE
        written.pre_tokenizer = pre_tokenizers.Split(_PIECES, "isolated")
        written.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
        written.add_special_tokens([AddedToken(piece, special=True) for piece in specials])
        folder.mkdir(parents=True, exist_ok=True)
        written.save(str(folder / "tokenizer.json"))


def _merges(tokenizer: Tokenizer) -> list[tuple[str, str]]:
    return [tuple(pair) for pair in json.loads(tokenizer.to_str())["model"]["merges"]]
