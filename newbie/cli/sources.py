"""Where prompts come from: `--prompt FILE|TEXT|-|FOLDER`, several of them, and globs where no shell expands them."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from newbie.errors import PromptError, UsageError

if TYPE_CHECKING:
    from newbie.prompt import Reading

SUFFIXES = (".xml", ".txt")
MAX_PROMPT_BYTES = 256 * 1024
DEFAULT_STEM = "newbie"


@dataclass(frozen=True)
class Source:
    """One prompt that has not been read yet. `stem` names its picture and is never taken from its text."""

    stem: str = DEFAULT_STEM
    path: Path | None = None
    data: bytes | str = ""
    listed: bool = False  # found in a folder or by a pattern: part of a batch, even alone

    @property
    def label(self) -> str:
        """How messages call it."""
        if self.path is not None:
            return str(self.path)
        return "prompt" if isinstance(self.data, str) else "standard input"

    def read(self, *, negative: bool = False) -> Reading:
        """Raises PromptError, PromptRefused (not for a negative prompt)."""
        from newbie import prompt

        if self.path is not None:
            return prompt.read_file(self.path, negative=negative)
        if isinstance(self.data, bytes):
            return prompt.read_bytes(self.data, self.label, negative=negative)
        return prompt.read(self.data, name=self.label, negative=negative)


def resolve(value: str) -> list[Source]:
    """The prompts that one value of `--prompt` means.

    An existing file is that file, an existing folder every .xml and .txt file in it, `-` standard input, a value
    that ends like a prompt file a file that should be there, everything else is the prompt itself.

    Raises:
        UsageError: a file that does not exist (the hint names the nearest), a folder without prompts.
    """
    if value == "-":
        return [Source(data=read_stdin())]
    if _is_text(value):
        return [Source(data=value)]
    path = Path(value).expanduser()
    if path.is_dir():
        return _folder(path)
    if path.exists():
        return [Source(stem=path.stem, path=path)]
    if "*" in value or "?" in value:
        found = sorted(p for p in path.parent.glob(path.name) if p.is_file() and not _hidden(p))
        if not found:
            raise UsageError(f"no file fits {value}", "check the folder and the pattern")
        return [Source(stem=p.stem, path=p, listed=True) for p in found]
    raise UsageError(f"no such prompt file: {value}", _nearest(path))


def resolve_all(values: Sequence[Sequence[str]]) -> list[Source]:
    """The prompts of every `--prompt`, in order. Several values after one flag must all be files or folders.

    Raises:
        UsageError: as `resolve`; or words of one prompt were typed without quotes.
    """
    sources: list[Source] = []
    for group in values:
        if len(group) > 1:
            for value in group:
                if _is_text(value):
                    raise UsageError(
                        f"--prompt got {len(group)} values, and {value!r} is not a file",
                        'put quotes around the prompt: --prompt "1girl, blue_hair"',
                    )
        for value in group:
            sources += resolve(value)
    return sources


def negative_text(value: str, what: str = "--negative") -> str:
    """The negative prompt, given as text or as a file. Raises UsageError, PromptError."""
    sources = resolve(value) if value else []
    if not sources:
        return ""
    if len(sources) > 1:
        raise UsageError(f"{what} is one text, and {value} is {len(sources)}", "name one file")
    return sources[0].read(negative=True).source.text


def read_stdin(stream: BinaryIO | None = None) -> bytes:
    """Standard input up to one byte more than a prompt may have, so that the reader can refuse it."""
    source = stream or getattr(sys.stdin, "buffer", None)
    if source is None:
        raise PromptError("there is no standard input", "give a file or a text to --prompt", name="standard input")
    return bytes(source.read(MAX_PROMPT_BYTES + 1))


def _is_text(value: str) -> bool:
    """Whether a value is a prompt and not the name of a file, existing or missing."""
    if value in ("", "-") or "\n" in value or "<" in value or "\0" in value or len(value) > 4096:
        return value != "-"
    try:
        if Path(value).expanduser().exists():
            return False
    except (OSError, RuntimeError):  # a name too long, a home that is not known: no file
        return True
    return not (value.lower().endswith(SUFFIXES) or value.endswith(("/", "\\")))


def _folder(path: Path) -> list[Source]:
    try:
        files = sorted(p for p in path.iterdir() if p.suffix.lower() in SUFFIXES and p.is_file() and not _hidden(p))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", "check its permissions") from None
    if not files:
        raise UsageError(f"the folder {path} holds no prompt", "prompt files end in .xml or .txt")
    return [Source(stem=p.stem, path=p, listed=True) for p in files]


def _hidden(path: Path) -> bool:
    return path.name.startswith(".")


def _nearest(path: Path) -> str:
    try:
        there = [p.name for p in path.parent.iterdir() if p.suffix.lower() in SUFFIXES]
    except OSError:
        return f"there is no folder {path.parent}"
    close = difflib.get_close_matches(path.name, there, 1)
    if close:
        return f"did you mean {path.parent / close[0]}?"
    return "check the folder and the spelling; what ends in .xml, .txt or / is taken for a file, not for a prompt"
