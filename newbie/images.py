"""Pictures and files: a PNG is written whole or not at all, and carries the request it was made from.

Two texts travel in it as iTXt chunks (UTF-8): `newbie`, a JSON record from which the picture can be made
again, and `parameters`, the text that other programs read. Neither holds a path or a user's name.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import json
import os
import re
import secrets
import struct
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, Any, NamedTuple

from PIL import Image, ImageChops, ImageStat
from PIL.PngImagePlugin import PngInfo

from newbie.errors import OutputError, UsageError
from newbie.request import MAX_PIXELS, Request

FORMAT = "newbie/1"  # of the record; the number rises when an older newbie could no longer read it
KEY = "newbie"
MAX_TEXT_BYTES = 8 * 2**20  # of one text chunk; the largest prompt is 256 KiB, and a record holds it three times
MAX_CHUNKS = 20_000
MAX_NAMES = 10_000
FLAT = 2.0  # standard deviation
VISIBLE = 16  # levels of 255: a change of a colour channel that an eye may see
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_USER_TEXT = {"request", "prompt", "negative", "canonical_prompt", "words"}  # kept byte for byte


class Stored(NamedTuple):
    """What a picture file says about itself: its record, the request in it, its size in pixels."""

    record: dict[str, Any]
    request: Request
    width: int
    height: int


# ---- what is stored


def pixel_hash(image: Image.Image) -> str:
    """SHA-256 of the RGB bytes, row by row from the top left, as 64 hexadecimal digits."""
    return hashlib.sha256(image.convert("RGB").tobytes()).hexdigest()


def is_blank(image: Image.Image) -> bool:
    """Whether the picture is one flat colour: no channel's values, 0 to 255, spread by more than `FLAT`."""
    return all(spread < FLAT for spread in ImageStat.Stat(image.convert("RGB")).stddev)


def complete_record(record: Mapping[str, Any], image: Image.Image) -> dict[str, Any]:
    """The record as it goes into the file: with format and pixel hash, file names instead of paths.

    `record` comes from the pipeline: "request" (complete, of this one picture), "canonical_prompt", "ran" (model,
    weights, device, dtype, attention, ...) and "versions". It holds no times: the same picture is the same file.
    """
    cleaned = {k: v if k in _USER_TEXT else _without_paths(v) for k, v in record.items()}
    return {"format": FORMAT, **cleaned, "pixels_sha256": pixel_hash(image)}


def parameters_text(record: Mapping[str, Any]) -> str:
    """The record in the layout of the `parameters` text: prompt, negative prompt, one line of settings."""
    request = record.get("request", {})
    ran, versions = record.get("ran", {}), record.get("versions", {})
    lines = [str(request.get("prompt", ""))]
    if request.get("negative"):
        lines.append(f"Negative prompt: {request['negative']}")
    pairs = {
        "Steps": request.get("steps"),
        "Sampler": request.get("sampler"),
        "Schedule type": request.get("schedule"),
        "CFG scale": request.get("cfg_scale"),
        "Seed": request.get("seed"),
        "Size": f"{request.get('width')}x{request.get('height')}",
        "Shift": request.get("shift"),
        "CFG truncation": request.get("cfg_trunc") or None,
        "CFG renormalisation": request.get("cfg_renorm") or None,
        "Model hash": str(ran.get("weights", "")).removeprefix("sha256:")[:10] or None,
        "Model": ran.get("model"),
        "Lora hashes": ", ".join(f"{a['file']}: {a['sha256'][:12]}" for a in ran.get("adapters", [])) or None,
        "Version": f"newbie {versions['newbie']}" if "newbie" in versions else None,
    }
    lines.append(", ".join(f"{k}: {_plain(v)}" for k, v in pairs.items() if v is not None))
    return "\n".join(lines)


def _plain(value: object) -> str:
    text = f"{value:g}" if isinstance(value, float) else str(value)
    # A value with a comma or a colon would be split by its readers: they expect it as a JSON string.
    return json.dumps(text, ensure_ascii=False) if any(c in text for c in ",:\n") else text


def _without_paths(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: _without_paths(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_without_paths(v) for v in value]
    if isinstance(value, str):
        return _file_name(value)
    return value


def _file_name(text: str) -> str:
    if PurePosixPath(text).is_absolute() or text.startswith("~"):
        return PurePosixPath(text).name
    windows = PureWindowsPath(text)
    return windows.name if windows.drive or windows.root else text


def difference(first: Image.Image, second: Image.Image) -> Image.Image:
    """What is otherwise in two pictures of one size, four times as strong: black where nothing is."""
    change = ImageChops.difference(first.convert("RGB"), second.convert("RGB"))
    return change.point([min(4 * level, 255) for level in range(256)] * 3)


# ---- writing


def save(
    image: Image.Image,
    path: Path,
    record: Mapping[str, Any] | None = None,
    *,
    overwrite: bool = False,
    metadata: bool = True,
) -> Path:
    """Write `image` as PNG and return where it lies: at `path`, or at the next free name (`cat-2.png`).

    The bytes go to a temporary file in the same folder first; only a complete file is given its name.

    Raises:
        OutputError: the folder or the file cannot be written; nothing is left behind.
    """
    data = encode(image, record if metadata else None)
    make_folder(path.parent)
    with _writing(path):
        return _publish(data, path, overwrite=overwrite)


def encode(image: Image.Image, record: Mapping[str, Any] | None) -> bytes:
    """The bytes of the PNG file. The same picture with the same record gives the same bytes."""
    info = PngInfo()
    if record is not None:
        complete = complete_record(record, image)
        # A file name of undecodable bytes holds lone surrogates: they become \udcff, which JSON reads back.
        for key, text in (
            (KEY, json.dumps(complete, ensure_ascii=False, allow_nan=False)),
            ("parameters", parameters_text(complete)),
        ):
            info.add_itxt(key, text.encode("utf-8", "backslashreplace"))
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()


def make_folder(folder: Path) -> None:
    """Create the output folder. Raises OutputError where it cannot be made or written in."""
    with _writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK):
        raise OutputError(f"{folder} cannot be written: no permission", "choose another place with --output")


def _publish(data: bytes, path: Path, *, overwrite: bool) -> Path:
    temporary = path.parent / f".newbie-{secrets.token_hex(6)}.tmp"
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if overwrite:
            temporary.replace(path)
            return path
        for candidate in names(path):
            with contextlib.suppress(FileExistsError):
                _give_name(temporary, candidate)
                return candidate
        raise OutputError(f"{path}: {MAX_NAMES} pictures have this name", "choose another name or folder")
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def names(path: Path) -> Iterator[Path]:
    """`cat.png`, `cat-2.png`, `cat-3.png`, …"""
    yield path
    for number in range(2, MAX_NAMES + 1):
        yield path.with_name(f"{path.stem}-{number}{path.suffix}")


def _give_name(temporary: Path, final: Path) -> None:
    """Let the file appear under its name. Raises FileExistsError where another was first."""
    if os.name == "nt":
        temporary.rename(final)  # refuses an existing name
        return
    try:
        final.hardlink_to(temporary)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK):
            raise
        _give_name_without_links(temporary, final)


def _give_name_without_links(temporary: Path, final: Path) -> None:
    """For FAT and some network folders: a lock file keeps two of us from taking one name."""
    lock = final.with_name(f".{final.name}.lock")
    with lock.open("x"):
        try:
            if final.exists():
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(final))
            temporary.rename(final)
        finally:
            lock.unlink()


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        number = getattr(error, "errno", None)
        reason = os.strerror(number) if number else str(error)
        hint = "choose another place with --output"
        if number in (errno.ENOSPC, errno.EDQUOT):
            hint = "free some space, or " + hint
        elif number in (errno.EEXIST, errno.ENOTDIR):
            hint = "a file stands where a folder should be; " + hint
        raise OutputError(f"{path} cannot be written: {reason}", hint) from error


# ---- reading


def read_record(path: Path) -> Stored:
    """The record in a PNG file. Reads the text chunks only: no pixel is decoded.

    Raises:
        UsageError: not a PNG, damaged, without a record, or with one that is not to be trusted.
    """
    with _reading(path) as file:
        width, height, text = _find_text(file, path)
    if text is None:
        raise UsageError(f"{path.name} has no newbie record", "it was made by another program, or with --no-metadata")
    try:
        record = json.loads(text)
    except (ValueError, RecursionError):
        raise UsageError(f"{path.name}: the newbie record is not JSON", "the file is damaged") from None
    if not isinstance(record, dict):
        raise UsageError(f"{path.name}: the newbie record is not an object", "the file is damaged")
    match = re.fullmatch(r"newbie/([1-9]\d{0,5})", str(record.get("format")))
    if match is None:
        raise UsageError(f"{path.name}: the newbie record has no format number", "the file is damaged")
    if int(match[1]) > int(FORMAT.split("/")[1]):
        raise UsageError(
            f"{path.name} was written by a newer newbie (record {match[0]}, this one reads {FORMAT})",
            "update newbie",
        )
    for key, kind in (("ran", dict), ("versions", dict), ("pixels_sha256", str)):
        if not isinstance(record.get(key, kind()), kind):
            raise UsageError(f"{path.name}: {key} in the newbie record is {record[key]!r:.60}", "it is damaged")
    try:
        request = Request.from_json(record.get("request"))  # type: ignore[arg-type]  # checked in there
        request.check()
    except UsageError as error:
        raise UsageError(f"{path.name}: {error.message}", error.hint) from None
    return Stored(record, request, width, height)


def read_pixels(path: Path) -> Image.Image:
    """Decode a PNG file. Raises UsageError for a damaged file or one larger than any picture made here."""
    with _reading(path) as file:
        width, height, _ = _find_text(file, path)
        if width * height > MAX_PIXELS:
            raise UsageError(f"{path.name} has {width}x{height} pixels", f"at most {MAX_PIXELS:,} are read")
        file.seek(0)
        try:
            with Image.open(file, formats=["PNG"]) as image:
                return image.convert("RGB")
        except (SyntaxError, ValueError, zlib.error, struct.error, EOFError, OSError):
            raise UsageError(f"{path.name} is a damaged PNG", "its pixels cannot be read") from None


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[IO[bytes]]:
    try:
        if not path.is_file() and path.exists():  # opening a pipe would wait for ever
            raise OSError(errno.EINVAL, "no ordinary file")
        file = path.open("rb")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"{path} cannot be read: {reason}", "give the name of a PNG file") from None
    with file:
        yield file


def _find_text(file: IO[bytes], path: Path) -> tuple[int, int, str | None]:
    """Width, height and the `newbie` text of an open PNG, skipping over everything else."""
    if file.read(8) != _SIGNATURE:
        raise UsageError(f"{path.name} is not a PNG file", "only pictures made by newbie can be repeated")
    width = height = 0
    for index in range(MAX_CHUNKS):
        header = file.read(8)
        if len(header) < 8:
            break
        length, kind = struct.unpack(">I4s", header)
        if index == 0:
            if kind != b"IHDR" or length != 13:
                break
            width, height = struct.unpack(">II", file.read(13)[:8].ljust(8, b"\0"))
            file.seek(4, os.SEEK_CUR)
        elif kind == b"IEND":
            return width, height, None
        elif kind == b"iTXt" and length <= MAX_TEXT_BYTES:
            text = _own_text(file.read(length))
            if text is not None:
                return width, height, text
            file.seek(4, os.SEEK_CUR)
        else:
            file.seek(length + 4, os.SEEK_CUR)
    raise UsageError(f"{path.name} is a damaged PNG", "it ends before its end mark")


def _own_text(data: bytes) -> str | None:
    """The text of an iTXt chunk, if it is ours.

    Layout: keyword 0 compressed? method language 0 translated keyword 0 text.
    """
    keyword, _, rest = data.partition(b"\0")
    if keyword != KEY.encode() or len(rest) < 4:
        return None
    body = rest[2:].split(b"\0", 2)[-1]
    if rest[0]:  # someone's tool has compressed it: unpack no more than we would have read
        with contextlib.suppress(zlib.error):
            return zlib.decompressobj().decompress(body, MAX_TEXT_BYTES).decode("utf-8", "replace")
        return ""
    return body.decode("utf-8", "replace")
