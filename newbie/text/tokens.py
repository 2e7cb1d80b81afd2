"""Text to token ids, each with its place in the text. Imports no torch.

Two file formats: the JSON of `tokenizers`, and the SentencePiece model, also embedded in single-file
checkpoints. Two habits: Gemma puts <bos> in front and nothing behind, Jina (XLM-RoBERTa) wraps the text in
<s> ... </s>.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from newbie.errors import PromptError, UsageError, WeightsError

if TYPE_CHECKING:
    import sentencepiece
    import tokenizers

Kind = Literal["gemma", "jina"]
Offsets = list[tuple[int, int]]
Split = Callable[[str], tuple[list[int], Offsets]]

SPECIAL: dict[Kind, tuple[str, str | None, str]] = {  # first, last, padding
    "gemma": ("<bos>", None, "<pad>"),
    "jina": ("<s>", "</s>", "<pad>"),
}
JSON_NAME = "tokenizer.json"
SPIECE_NAMES = ("tokenizer.model", "sentencepiece.bpe.model", "spiece.model")
JINA_RESERVED = {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3}


@dataclass(frozen=True)
class Encoding:
    """ids, and for each the characters [start, stop) of the text it stands for; (0, 0) for special tokens.

    `total` counts the tokens before truncation, so `total > len(ids)` means that the text did not fit.
    """

    ids: list[int]
    offsets: Offsets
    total: int


@dataclass(frozen=True)
class Tokenizer:
    """One encoder's tokenizer. Make one with `from_folder`, `from_json` or `from_spiece`."""

    kind: Kind
    split: Split
    first_id: int
    last_id: int | None
    pad_id: int
    vocab_size: int

    @classmethod
    def from_folder(cls, folder: Path | str, kind: Kind) -> Tokenizer:
        """Read tokenizer.json, or else the SentencePiece model of the folder. Raises WeightsError."""
        folder = Path(folder)
        if (folder / JSON_NAME).is_file():
            return cls.from_json((folder / JSON_NAME).read_bytes(), kind, name=f"{folder.name}/{JSON_NAME}")
        for name in SPIECE_NAMES:
            if (folder / name).is_file():
                return cls.from_spiece((folder / name).read_bytes(), kind, name=f"{folder.name}/{name}")
        raise WeightsError(
            f"no tokenizer in {folder.name}: looked for {', '.join((JSON_NAME, *SPIECE_NAMES))}",
            f"copy {JSON_NAME} of the published {kind} folder there",
        )

    @classmethod
    def from_json(cls, data: bytes | str, kind: Kind, *, name: str = JSON_NAME) -> Tokenizer:
        """Read a tokenizer.json. Its own padding, truncation and placing of special tokens are not used."""
        import tokenizers

        text = data.decode("utf-8", errors="replace") if isinstance(data, bytes) else data
        try:
            model = tokenizers.Tokenizer.from_str(text)
        except Exception as error:  # the library raises bare Exception
            raise WeightsError(f"{name} is no tokenizer file: {error}", "fetch the file again") from error
        model.no_padding()
        model.no_truncation()
        first, last, padding = SPECIAL[kind]
        found = {token: model.token_to_id(token) for token in (first, last, padding) if token}
        ids = {token: index for token, index in found.items() if index is not None}
        missing = [token for token in found if token not in ids]
        if missing:
            raise WeightsError(
                f"{name} has no token {', '.join(missing)}, which a {kind} tokenizer needs",
                "check that the file belongs to this encoder",
            )
        return cls(
            kind=kind,
            split=_json_split(model),
            first_id=ids[first],
            last_id=ids[last] if last else None,
            pad_id=ids[padding],
            vocab_size=max(model.get_vocab(with_added_tokens=True).values()) + 1,
        )

    @classmethod
    def from_spiece(cls, data: bytes, kind: Kind, *, name: str = SPIECE_NAMES[0]) -> Tokenizer:
        """Read a serialised SentencePiece model.

        XLM-RoBERTa counts its pieces one higher than the raw model does and reserves ids 0 to 3. A model
        whose piece 0 is <s> has been renumbered already; one that begins with <unk> is shifted here.
        """
        import sentencepiece

        try:
            model = sentencepiece.SentencePieceProcessor()
            model.LoadFromSerializedProto(data)
        except (RuntimeError, OSError) as error:
            raise WeightsError(f"{name} is no SentencePiece model: {error}", "fetch the file again") from error
        size = model.get_piece_size()
        if kind == "gemma":
            if model.bos_id() < 0 or model.pad_id() < 0:
                raise WeightsError(
                    f"{name} has no <bos> or no <pad> piece, which a gemma tokenizer needs",
                    "check that the file belongs to this encoder",
                )
            return cls(kind, _spiece_split(model, _same), model.bos_id(), None, model.pad_id(), size)
        if model.id_to_piece(0) == "<unk>":
            split, size = _spiece_split(model, _fairseq_shift), size + 1
        elif all(model.piece_to_id(piece) == index for piece, index in JINA_RESERVED.items()):
            split = _spiece_split(model, _same)
        else:
            raise WeightsError(
                f"{name} begins with the piece {model.id_to_piece(0)!r}; expected <s> or <unk> first",
                "check that the file is the XLM-RoBERTa model that Jina CLIP v2 uses",
            )
        return cls(kind, split, JINA_RESERVED["<s>"], JINA_RESERVED["</s>"], JINA_RESERVED["<pad>"], size)

    def encode(self, text: str, limit: int | None = None) -> Encoding:
        """Tokens of `text` with special tokens, at most `limit` of them; the one that ends a text stays.

        Raises PromptError for text that is not valid Unicode.
        """
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise PromptError(
                f"character {error.start + 1} is half of a surrogate pair, which no tokenizer can read",
                "save the prompt as UTF-8",
            ) from error
        ids, offsets = self.split(text)
        last = [] if self.last_id is None else [self.last_id]
        total = 1 + len(ids) + len(last)
        if limit is not None and total > limit:
            room = limit - 1 - len(last)
            if room < 0:
                raise UsageError(f"a limit of {limit} tokens leaves no room for text", "allow at least 8 tokens")
            ids, offsets = ids[:room], offsets[:room]
        ids = [self.first_id, *ids, *last]
        return Encoding(ids, [(0, 0), *offsets, *((0, 0) for _ in last)], total)


def check_vocabulary(name: str, tokenizer: Tokenizer, rows: int) -> None:
    """Raise WeightsError when a tokenizer makes ids beyond the embedding table, which has `rows` rows."""
    if tokenizer.vocab_size > rows:
        raise WeightsError(
            f"the {name} tokenizer knows {tokenizer.vocab_size} tokens, the weights only {rows}",
            "the tokenizer and the weights belong to different models: take both from one folder",
        )


def _json_split(model: tokenizers.Tokenizer) -> Split:
    def split(text: str) -> tuple[list[int], Offsets]:
        encoding = model.encode(text, add_special_tokens=False)
        return list(encoding.ids), list(encoding.offsets)

    return split


def _spiece_split(model: sentencepiece.SentencePieceProcessor, number: Callable[[int], int]) -> Split:
    def split(text: str) -> tuple[list[int], Offsets]:
        found = model.encode(text, return_type="offset_mapping")
        ids = [number(index) for index in found["ids"]]
        is_byte = [model.is_byte(index) for index in found["ids"]]
        return ids, _whole_characters([tuple(pair) for pair in found["offsets"]], is_byte)

    return split


def _same(index: int) -> int:
    return index


def _fairseq_shift(index: int) -> int:
    return JINA_RESERVED["<unk>"] if index == 0 else index + 1


def _whole_characters(offsets: Offsets, is_byte: list[bool]) -> Offsets:
    """Give every byte of a character the whole character: SentencePiece gives it to the last byte only."""
    whole = list(offsets)
    for index in range(len(whole) - 2, -1, -1):
        start, stop = whole[index]
        following = whole[index + 1]
        if is_byte[index] and is_byte[index + 1] and start == stop == following[0]:
            whole[index] = following
    return whole
