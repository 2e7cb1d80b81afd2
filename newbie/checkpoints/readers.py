"""Open weights whatever they lie in: safetensors, GGUF, shards, or a pickle. Decided by content, not by name."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from pathlib import Path

from newbie.checkpoints import pickles, shards
from newbie.checkpoints.gguf import open_gguf
from newbie.checkpoints.header import open_safetensors
from newbie.checkpoints.index import Index, join
from newbie.checkpoints.quantised import with_codecs
from newbie.errors import WeightsError

PICKLE_SUFFIXES = (".pth", ".pt", ".bin", ".ckpt")
SUFFIXES = (".safetensors", ".gguf", *PICKLE_SUFFIXES)


class Content(Enum):
    """What the first bytes of a file say it is."""

    SAFETENSORS = "a safetensors file"
    ZIP = "a PyTorch file (zip)"
    PICKLE = "a pickle"
    GGUF = "a GGUF file"
    POINTER = "a git-lfs pointer: the text that stands for a file that was not downloaded"
    PAGE = "a web page"
    JSON = "a JSON file"
    EMPTY = "an empty file"
    UNKNOWN = "no format this program knows"


def content(path: Path) -> Content:
    """Recognise a file by its first bytes.

    Raises:
        WeightsError: the file does not exist or cannot be read.
    """
    if path.is_dir():
        raise WeightsError(f"{path}: is a folder, expected a file", "name one of the files in it")
    try:
        with path.open("rb") as file:
            first = file.read(64)
    except FileNotFoundError:
        raise WeightsError(f"{path}: no such file", "check the path") from None
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path}: cannot be read ({error})", "check the path and its rights") from error
    return _recognise(first)


def _recognise(first: bytes) -> Content:
    if not first:
        return Content.EMPTY
    if first[8:9] == b"{" and first[:2] != b"PK" and int.from_bytes(first[:8], "little") < 2**40:
        return Content.SAFETENSORS
    if first.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return Content.ZIP
    if first[:1] == b"\x80" and first[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return Content.PICKLE
    if first.startswith(b"GGUF"):
        return Content.GGUF
    if first.startswith(b"version https://git-lfs"):
        return Content.POINTER
    if first.lstrip()[:1] == b"<":
        return Content.PAGE
    if first.lstrip()[:1] in (b"{", b"["):
        return Content.JSON
    return Content.UNKNOWN


def open_weights(source: Path | Sequence[Path], *, allow_pickle: bool = False) -> Index:
    """The index of a weights file, a shard index (`*.index.json`), or several files that hold one checkpoint.

    Raises:
        WeightsError: damaged, refused (a pickle without `allow_pickle`), incomplete, or pointing outside.
    """
    if not isinstance(source, Path):
        return join([open_weights(path, allow_pickle=allow_pickle) for path in source])
    if source.name.endswith(shards.INDEX):
        parts = [open_weights(path, allow_pickle=allow_pickle) for path in shards.files(source)]
        shards.check(source, parts)
        return join(parts, kind=f"{parts[0].kind} shards")
    found = content(source)
    if found is Content.SAFETENSORS:
        return with_codecs(open_safetensors(source))
    if found is Content.GGUF:
        return open_gguf(source)
    if found in (Content.ZIP, Content.PICKLE):
        return _open_pickle(source, found, allow_pickle)
    if found is Content.UNKNOWN and source.suffix == ".safetensors":
        return open_safetensors(source)  # says what is wrong with the header
    raise WeightsError(f"{source}: is {found.value}, not weights", _HINTS.get(found, "download the file again"))


_HINTS = {
    Content.POINTER: "run `git lfs pull` in its folder, or download the file itself",
    Content.PAGE: "the download saved a page instead of the file; sign in or accept the terms, then try again",
    Content.UNKNOWN: "expected .safetensors, .gguf, or .pth with --allow-pickle",
}


def _open_pickle(path: Path, found: Content, allow_pickle: bool) -> Index:
    if path.suffix.lower() == ".safetensors":
        raise WeightsError(
            f"{path}: is {found.value}, although its name says safetensors; it was not opened",
            "do not trust it: such a file can run programs. Get the real file from its author",
        )
    if not allow_pickle:
        raise WeightsError(
            f"{path}: is {found.value}; pickles are only read when asked for",
            "use the safetensors file if there is one, else --allow-pickle (only tensors are read, no code is run)",
        )
    return pickles.open_pickle(path, zipped=found is Content.ZIP)
