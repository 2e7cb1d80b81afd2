"""A pipe of commands is read ahead without losing a line."""

import io
import os
import time

import pytest

from newbie.cli import lines as lines_module
from newbie.cli.console import Console
from newbie.cli.lines import StreamLines


def test_lines_come_in_order_and_end():
    lines = StreamLines(io.BytesIO("\ufeff1girl\r\n/quit\n蓝发".encode()), Console())
    assert [lines.next("") for _ in range(3)] == ["1girl", "/quit", "蓝发"]
    with pytest.raises(EOFError):
        lines.next("")
    assert not lines.waiting(0.01)


def test_waiting_says_whether_more_is_there():
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb") as stream:
        lines = StreamLines(stream, Console())
        assert not lines.waiting(0.05)
        os.write(writer, b"1girl\n")
        assert lines.waiting(1)
        assert lines.next("") == "1girl"
        assert not lines.waiting(0.05)
        os.close(writer)
        with pytest.raises(EOFError):
            lines.next("")


def test_bytes_that_are_no_text_become_what_the_reader_refuses():
    from newbie import prompt
    from newbie.errors import PromptError

    line = StreamLines(io.BytesIO(b"1girl \xff\n"), Console()).next("")
    with pytest.raises(PromptError):
        prompt.read(line)


def test_a_line_without_end_is_cut_and_not_swallowed_whole():
    began = time.monotonic()
    lines = StreamLines(io.BytesIO(b"x" * 10_000_000), Console())
    assert len(lines.next("")) == lines_module.MAX_LINE_BYTES
    assert time.monotonic() - began < 5
