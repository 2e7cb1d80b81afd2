"""What cannot be read is refused: soon, with little memory, and in words that help."""

from __future__ import annotations

import gzip
import os
import time
import tracemalloc
from pathlib import Path

import pytest

from newbie.errors import PromptError
from newbie.prompt import MAX_BYTES, read, read_bytes, read_file

SECONDS = 0.05
MIB = 20

BOMB = (
    '<?xml version="1.0"?>\n<!DOCTYPE lolz [\n <!ENTITY lol "lol">\n'
    + "".join(f' <!ENTITY lol{i} "{"&lol;" * 10}">\n' for i in range(9))
    + "]>\n<caption>&lol8;</caption>"
)

HOSTILE = {
    "entity bomb": (BOMB, "2:1", "DOCTYPE is not part of a prompt"),
    "external entity": ('<caption>x</caption>\n  <!entity x SYSTEM "file:///etc/passwd">', "2:3", "ENTITY is not part"),
    "element declaration": ("<!ELEMENT a (b)>", "1:1", "ELEMENT is not part"),
    "stylesheet": ('<?xml-stylesheet href="http://x/y.xsl"?><n>a</n>', "1:1", "stylesheet"),
    "3 million elements": ("<a/>" * 3_000_000, "", "12,000,000 bytes"),
    "65,536 elements": ("<a/>" * 65_536, "1:16385", "more than 4096 tags"),
    "50,000 names": ("<n/>" * 50_000, "1:16385", "more than 4096 tags"),
    "300 levels": ("<a>" * 300 + "x" + "</a>" * 300, "1:97", "nested more than 32 deep"),
    "300 wrappers": ("<img>" * 300 + "</img>" * 300, "1:161", "nested more than 32 deep"),
    "300 wrappers left open": ("<img>" * 300, "1:161", "nested more than 32 deep"),
    "200,000 attributes": ("<n " + " ".join(f'a{i}="1"' for i in range(200_000)) + ">x</n>", "", "bytes"),
    "20,000 attributes": ("<n " + " ".join(f'a{i}="1"' for i in range(20_000)) + ">x</n>", "1:1", "64 attributes"),
    "20,000 comments": ("<!-- -->" * 20_000, "1:32769", "more than 4096 comments"),
    "20,000 open comments": ("<!--" * 20_000, "1:16385", "more than 4096 comments"),
    "10 MB": ("x" * 10_000_000, "", "10,000,000 bytes"),
    "one byte too many": ("ä" * (MAX_BYTES // 2) + "x", "", "262,145 bytes"),
    "NUL": ("1girl\nsolo\0", "2:5", "a NUL character"),
    "lone surrogate": ("1girl, \ud83d", "1:8", "U+D83D"),
}


@pytest.mark.parametrize(("text", "place", "message"), HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_prompt_is_refused_with_its_place(text: str, place: str, message: str) -> None:
    with pytest.raises(PromptError) as caught:
        read(text)
    assert message in caught.value.message
    assert f"{caught.value.line}:{caught.value.column}" == (place or "0:0")
    assert caught.value.hint and caught.value.exit_code == 3


@pytest.mark.parametrize("text", [v[0] for v in HOSTILE.values()], ids=HOSTILE)
def test_refusing_costs_little_time_and_memory(text: str) -> None:
    fastest = min(_seconds(text) for _ in range(3))
    assert fastest < SECONDS
    tracemalloc.start()
    try:
        with pytest.raises(PromptError):
            read(text)
        assert tracemalloc.get_traced_memory()[1] < MIB * 2**20
    finally:
        tracemalloc.stop()


def _seconds(text: str) -> float:
    start = time.process_time()
    with pytest.raises(PromptError):
        read(text)
    return time.process_time() - start


HALF, WHOLE = MAX_BYTES // 2, MAX_BYTES
STRANGE = {
    "less-than": "<" * WHOLE,
    "ampersands": "&" * WHOLE,
    "blanks": " " * WHOLE,
    "line ends": "\n" * WHOLE,
    "commas": "," * WHOLE,
    "open attributes": "<n a=" * (WHOLE // 5),
    "open quotes": "<n a='" * (WHOLE // 6),
    "a tag that never ends": "<n" + " " * (WHOLE - 2),
    "exclamations": "<!" * HALF,
    "open headers": "<?xml " * (WHOLE // 6),
    "markers": "<Prompt Start>" * (WHOLE // 14),
    "json braces": '{"' * (HALF - 1) + "}",
    "digits": "1" * WHOLE,
    "letters with gaps": "l o " * (WHOLE // 4),
    "ages": "12 years " * (WHOLE // 9),
    "closers": "</n>" * 4_000,
    "openers": "".join(f"<foo{i}x>" for i in range(4_000)),
    "characters": "".join(f"<character_{i}>" for i in range(4_000)),
    "general tags": "<general_tags></general_tags>" * 2_000,
    "loose text": "<n>a</n>b" * 2_000,
    "ligatures": "\ufdfa" * (WHOLE // 3),
    "control characters": "<n>" + "\x01" * (WHOLE - 3),
}


@pytest.mark.parametrize("text", STRANGE.values(), ids=STRANGE)
def test_strange_prompts_are_read_in_time_that_grows_with_their_length(text: str) -> None:
    quarter = text[: len(text) // 4]
    small, large = (min(_read_seconds(t) for _ in range(2)) for t in (quarter, text))
    assert large < 10 * small + 0.1  # four times the text; sixteen times the time would be quadratic
    assert large < 2


def _read_seconds(text: str) -> float:
    start = time.process_time()
    read(text)
    return time.process_time() - start


def test_the_longest_prompt_is_read() -> None:
    assert len(read("x" * MAX_BYTES).source.text) == MAX_BYTES


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "the file is empty"),
        (b" \n\t", "only white space"),
        (b"\xef\xbb\xbf", "is empty"),
        (gzip.compress(b"1girl", mtime=0), "gzip"),
        (b"\x89PNG\r\n\x1a\n" + bytes(40), "a PNG picture"),
        (b"PK\x03\x04" + bytes(10), "a zip archive"),
        ("1girl, 蓝发".encode("utf-16"), "UTF-16"),
        ("1girl, blue".encode("utf-16-le"), "UTF-16"),
        ("1girl, blue".encode("utf-16-be"), "UTF-16"),
        (b"1girl\0", "NUL"),
        ("蓝发, ok\n1girl, 蓝发".encode("gbk"), "is not UTF-8"),
        (b"\x80", "byte 0x80 is not UTF-8"),
        (b"x" * (MAX_BYTES + 1), "262,145 bytes"),
    ],
)
def test_bytes_that_are_no_prompt_are_named(data: bytes, message: str) -> None:
    with pytest.raises(PromptError) as caught:
        read_bytes(data, "x.txt")
    assert message in caught.value.message and caught.value.hint
    assert caught.value.message.startswith("x.txt:")


def test_the_place_of_a_wrong_byte_counts_characters() -> None:
    with pytest.raises(PromptError) as caught:
        read_bytes("a\n蓝发".encode() + b"\xff", "x.txt")
    assert (caught.value.line, caught.value.column) == (2, 3)


def test_a_file_is_read_as_text_files_are(tmp_path: Path) -> None:
    path = tmp_path / "提示 词.xml"
    path.write_bytes(b"\xef\xbb\xbf" + "1girl,\r\n蓝发\r\n".encode())
    assert read_file(path).source.text == path.read_text("utf-8-sig") == "1girl,\n蓝发\n"
    assert read_file(str(path)).source.name == str(path)


def test_directories_devices_and_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(PromptError, match="this is a directory"):
        read_file(tmp_path)
    with pytest.raises(PromptError, match="there is no such file"):
        read_file(tmp_path / "missing.xml")
    with pytest.raises(PromptError, match="cannot be read"):
        read_file("nul\0byte")
    if Path("/dev/zero").exists():
        with pytest.raises(PromptError, match="no ordinary file"):
            read_file("/dev/zero")


def test_a_huge_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.xml"
    with path.open("wb") as file:
        os.truncate(file.fileno(), 2**40)  # sparse: nothing is stored
    with pytest.raises(PromptError, match="1,099,511,627,776 bytes"):
        read_file(path)


def test_a_byte_order_mark_is_no_part_of_the_prompt() -> None:
    assert read("\ufeff1girl").source.text == "1girl"
