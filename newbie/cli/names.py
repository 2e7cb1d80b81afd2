"""What picture files are called: from the prompt file's name and the seed, never from the prompt's text."""

from __future__ import annotations

import difflib
import os
import re
import string
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from newbie.errors import OutputError, UsageError

FIELDS = ("name", "seed", "index", "width", "height")
DEFAULT_FOLDER = "outputs"
DEFAULT_PATTERN = "{name}-{seed}.png"
MAX_NAME_BYTES = 150  # of the 255 a file name may have: numbers and suffixes come on top
_FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f-\x9f\ud800-\udfff]')
_RESERVED = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])", re.IGNORECASE)


@dataclass(frozen=True)
class Output:
    """Where pictures go. `pattern` holds fields in braces; without any it is one name, numbered when repeated."""

    folder: Path
    pattern: str = DEFAULT_PATTERN

    def path(self, *, name: str, seed: int, index: int, width: int, height: int) -> Path:
        """The planned file of the picture with this number (`index` counts from 1 through the whole run)."""
        values = {"name": safe_name(name), "seed": seed, "index": index, "width": width, "height": height}
        return self.folder / self.pattern.format(**values)

    def expression(self, *, name: str, seed: int | None, width: int, height: int) -> re.Pattern[str]:
        """Matches the file names that pictures of this prompt may have got; seed None is any seed."""
        known = {"name": safe_name(name), "seed": seed, "width": width, "height": height}
        parts = []
        for literal, field, spec, _ in string.Formatter().parse(self.pattern.removesuffix(".png")):
            parts.append(re.escape(literal))
            if field is not None:
                value = known.get(field)
                parts.append(r"\d+" if value is None else re.escape(format(value, spec or "")))
        return re.compile("".join(parts) + r"(-\d+)?\.png")


def parse_output(value: str | None) -> Output:
    """What `--output` means: a file (.png), a pattern with fields in braces, or else a folder.

    Raises:
        UsageError: another kind of picture, or a field that does not exist.
        OutputError: a name that Windows keeps for itself, on Windows.
    """
    if value is None:
        return Output(Path(DEFAULT_FOLDER))
    if value in ("", "-"):
        raise UsageError(f"--output {value!r} is no file", "give a file, a folder or a pattern such as a/{name}.png")
    path = Path(value).expanduser()
    if path.is_dir() or value.endswith(("/", "\\")):
        return Output(path)
    if "{" in str(path.parent):
        raise UsageError(f"--output {value}: a field stands in a folder's name", "fields belong in the file name")
    if "{" in path.name:
        return Output(path.parent, _checked_pattern(path.name))
    suffix = path.suffix.lower()
    if suffix == ".png":
        if os.name == "nt" and _RESERVED.fullmatch(path.name.split(".")[0].strip()):
            raise OutputError(f"{path.name} is a device on Windows, not a file", "choose another name")
        return Output(path.parent, path.name)
    if suffix in (".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".avif", ".jxl"):
        raise UsageError(f"pictures are written as PNG, not {suffix}", f"--output {path.with_suffix('.png')}")
    return Output(path)


def _checked_pattern(pattern: str) -> str:
    pattern = (pattern[:-4] if pattern.lower().endswith(".png") else pattern) + ".png"
    try:
        for _, field, _, conversion in string.Formatter().parse(pattern):
            if field is not None and (field not in FIELDS or conversion):
                close = difflib.get_close_matches(field, FIELDS, 1)
                guess = f"did you mean {{{close[0]}}}? " if close else ""
                raise UsageError(
                    f"--output knows no field {{{field}}}",
                    guess + "fields: " + ", ".join(f"{{{f}}}" for f in FIELDS),
                )
        pattern.format(name="a", seed=1, index=1, width=1, height=1)
    except (ValueError, KeyError, IndexError) as error:
        raise UsageError(f"--output {pattern!r}: {error}", "for example {name}-{seed}-{index:03d}.png") from None
    return pattern


def safe_name(text: str) -> str:
    """`text` as a file name on every system: no separators, no trailing dots, no Windows device, not too long."""
    name = _FORBIDDEN.sub("_", unicodedata.normalize("NFC", text)).strip(". ")
    name = name.encode()[:MAX_NAME_BYTES].decode(errors="ignore").rstrip(". ")
    if _RESERVED.fullmatch(name.split(".")[0].strip()):
        name = f"_{name}"
    return name or "newbie"
