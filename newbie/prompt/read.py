"""Read a prompt: text, bytes or a file in, a Reading out. Bad structure is reported, only bad files are errors."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from newbie.errors import PromptError
from newbie.prompt import diagnostics, dialect, safety
from newbie.prompt.diagnostics import Diagnostic
from newbie.prompt.rules import structure
from newbie.prompt.scan import Scanned, scan
from newbie.prompt.scene import Dialect, Scene, cut, words
from newbie.prompt.source import Source, Span
from newbie.prompt.unknown import misspelt

MAX_BYTES = 256 * 1024

# What people hand over by mistake, by its first bytes.
_SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"\x1f\x8b", "gzip-compressed"),
    (b"PK\x03\x04", "a zip archive"),
    (b"BZh", "bzip2-compressed"),
    (b"\xfd7zXZ", "xz-compressed"),
    (b"\x28\xb5\x2f\xfd", "zstd-compressed"),
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"%PDF", "a PDF document"),
)
_UTF8_HINT = "save it as UTF-8"


@dataclass(frozen=True)
class Reading:
    """A prompt that was read. The text itself stays as it was typed; `scene` is what we understood."""

    scene: Scene
    source: Source
    diagnostics: tuple[Diagnostic, ...]
    body_start: int = 0  # offset at which a pasted system prompt ends

    @property
    def dialect(self) -> Dialect:
        return self.scene.dialect

    @property
    def system_prompt(self) -> str:
        """A system prompt pasted in front, <Prompt Start> included; "" without one."""
        return self.source.text[: self.body_start]

    @property
    def body(self) -> str:
        """What follows the system prompt, byte for byte."""
        return self.source.text[self.body_start :]


def read(text: str, *, name: str = "prompt", negative: bool = False) -> Reading:
    """Read a prompt. The empty string is a prompt too: the unconditional picture.

    Args:
        text: the prompt; a byte order mark in front is dropped, everything else is kept.
        name: what to call it in messages.
        negative: this is a negative prompt, which names what is *not* wanted.

    Raises:
        PromptError: too long, lone surrogates, NUL, a DTD, too many tags or attributes, nested too deep.
        PromptRefused: the prompt sexualises minors (not asked of a negative prompt).
    """
    return read_source(Source(text.removeprefix("\ufeff") if len(text) <= MAX_BYTES else text, name), negative=negative)


def read_source(source: Source, *, negative: bool = False) -> Reading:
    """Read a text that knows its places itself, such as one put together from several files. Errors as in `read`."""
    _check_text(source)
    reading = _understand(source)
    if not negative:
        safety.check(source.text, source.name)
    return reading


def read_bytes(data: bytes, name: str = "prompt", *, negative: bool = False) -> Reading:
    """Read the bytes of a file or of standard input: UTF-8, line ends as in text files (CR LF becomes LF).

    Raises:
        PromptError: empty, too long, not UTF-8 (UTF-16, compressed files and pictures are named), or as `read`.
        PromptRefused: as `read`.
    """
    if len(data) > MAX_BYTES:
        raise _too_long(name, len(data))
    text = decode(data, name).replace("\r\n", "\n").replace("\r", "\n")
    if not text.strip():
        what = "holds only white space" if text else "is empty"
        hint = "write a prompt into it; the picture without any prompt is --prompt ''"
        raise PromptError(f"the file {what}", hint, name=name)
    return read(text, name=name, negative=negative)


def read_file(path: str | os.PathLike[str], *, negative: bool = False) -> Reading:
    """Read a prompt file. The size is looked at before anything is read.

    Raises:
        PromptError: missing, a directory, a device, or as `read_bytes`.
        PromptRefused: as `read`.
    """
    path = Path(path)
    name = str(path)
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise PromptError("this is a directory", "name a file in it", name=name)
        if not stat.S_ISREG(status.st_mode):
            raise PromptError("this is no ordinary file", "name a text file; use - for standard input", name=name)
        if status.st_size > MAX_BYTES:
            raise _too_long(name, status.st_size)
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)  # a file may grow after we looked
    except FileNotFoundError:
        raise PromptError("there is no such file", "check the spelling of the path", name=name) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise PromptError(f"the file cannot be read: {reason}", "check its path and permissions", name=name) from None
    return read_bytes(data, name, negative=negative)


def _understand(source: Source) -> Reading:
    text = source.text
    scanned = scan(source)
    json = dialect.is_json(scanned.view)
    first = next((t.start for t in scanned.tags if t.known), len(text))
    start = 0 if json else dialect.split_system_prompt(scanned.view, first)
    scanned = scanned._replace(tags=[t for t in scanned.tags if t.start >= start])
    if first < len(text) and not json:
        from newbie.prompt.build import build  # these bring lxml along; lists of tags need none of it
        from newbie.prompt.wellformed import document

        doc = document(source, scanned, start)
        scene, found = build(doc)
        found = [*doc.found, *found]
    else:
        scene = _plain(scanned, start, json=json)
        found = [*scanned.found, *misspelt([tag for tag in scanned.tags if tag.known is None])]
        if json:
            note = "this JSON is sent as it stands, braces and all"
            hint = "python -m newbie convert --to xml takes the prompt out of it"
            at = scanned.view.index("{")
            found.append(Diagnostic(structure.JSON_WRAPPER, Span(at, at + 1), note, hint))
    if not json and (inside := dialect.marker_inside(scanned.view, start)):
        note = "<Prompt Start> stands inside the prompt"
        hint = "it ends a system prompt; put it in front of everything"
        found.append(Diagnostic(structure.MARKER_INSIDE, Span(*inside), note, hint))
    return Reading(scene, source, diagnostics.sort(found), start)


def _plain(scanned: Scanned, start: int, *, json: bool) -> Scene:
    """A prompt without tags of the language."""
    body = cut(scanned.view, start, len(scanned.view))
    json = json or dialect.is_json(body.text)  # behind a system prompt
    if not json and not scanned.tags and "\n" in body.text:
        from newbie.prompt.outline import outline

        listed = outline(scanned.view, start)
        if listed and listed.scene:
            return listed.scene
        if listed and listed.is_tags:
            return Scene(tags=tuple(tag for line in listed.items for tag in line.items), dialect="tags")
    kind: Dialect = "text" if json else dialect.plain_dialect(body.text)
    if kind == "tags":
        return Scene(tags=words(body) if dialect.is_booru_list(body.text) else body.items, dialect=kind)
    return Scene(captions=() if kind == "empty" else (body,), dialect=kind)


def _check_text(source: Source) -> None:
    text = source.text
    size = len(text)
    if size <= MAX_BYTES:
        try:
            size = len(text.encode())
        except UnicodeEncodeError as error:
            raise source.error(
                f"a lone surrogate (U+{ord(text[error.start]):04X}), half of a character",
                "delete it, or type the character again",
                error.start,
            ) from None
    if size > MAX_BYTES:
        raise _too_long(source.name, size)
    if (nul := text.find("\0")) >= 0:
        raise source.error("a NUL character", "delete it; prompts are plain text", nul)


def decode(data: bytes, name: str) -> str:
    """The text of a file in UTF-8, a byte order mark left out. Raises PromptError, which names what it is instead."""
    for signature, what in _SIGNATURES:
        if data.startswith(signature):
            raise PromptError(f"this is {what}, not a text", "name the text file itself", name=name)
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) or _looks_like_utf16(data):
        raise PromptError("this is UTF-16, not UTF-8", _UTF8_HINT, name=name)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        before = data[data.rfind(b"\n", 0, error.start) + 1 : error.start]
        column = len(before.decode("utf-8", errors="replace")) + 1
        what = f"byte 0x{data[error.start]:02X} is not UTF-8"
        raise PromptError(what, _UTF8_HINT, name=name, line=line, column=column) from None


def _looks_like_utf16(data: bytes) -> bool:
    """Without a byte order mark: every other byte of the beginning is NUL."""
    head = data[:64]
    return len(head) >= 4 and len(head) % 2 == 0 and (not any(head[::2]) or not any(head[1::2]))


def _too_long(name: str, size: int) -> PromptError:
    return PromptError(
        f"the prompt is {size:,} bytes long; at most {MAX_BYTES:,} are read",
        "shorten it: the encoders read some 500 tokens, about 2,000 characters",
        name=name,
    )
