"""What is printed fits the console it is printed on; every failure has an exit code and two lines."""

import errno
import io
import json

import pytest

from newbie.cli.console import Console, clean, run, wants_colour
from newbie.errors import (
    BlankPicture,
    Cancelled,
    MemoryShortage,
    MissingExtra,
    NewbieError,
    OutputError,
    PromptError,
    PromptRefused,
    UsageError,
    WeightsError,
)


class Terminal(io.StringIO):
    def isatty(self):
        return True


def page(encoding):
    return io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="strict", newline="\n")


def shown(stream):
    stream.flush()
    return stream.buffer.getvalue()


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "cp936", "cp437", "utf-8", "latin-1"])
def test_every_text_can_be_printed_on_every_code_page(encoding):
    out, err = page(encoding), page(encoding)
    console = Console(out=out, err=err)
    text = "初音ミク \U0001f600 naïve \udc80 ▀ →"
    console.result(text)
    console.say(text)
    console.warn(text)
    console.error(UsageError(text, text))
    console.object({"text": text})
    assert b"\n" in shown(out)
    assert "初音" in shown(out).decode(encoding) or b"\\u521d" in shown(out)
    assert json.loads(shown(out).splitlines()[-1]) == {"text": text}


def test_control_characters_are_shown_and_not_obeyed():
    out = io.StringIO()
    Console(out=out).result("a\x1b[2Jb\x07\x9bc\nd\te")
    assert out.getvalue() == "a\\x1b[2Jb\\x07\\x9bc\nd\te\n"
    assert clean("plain") == "plain"


def test_errors_are_two_lines():
    err = io.StringIO()
    Console(err=err).error(UsageError("steps 0 is out of range", "the nearest is 1"))
    assert err.getvalue() == "error: steps 0 is out of range\n  hint: the nearest is 1\n"


def test_colour_only_on_terminals_and_never_against_no_color(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert wants_colour(Terminal())
    assert not wants_colour(io.StringIO())
    monkeypatch.setenv("NO_COLOR", "1")
    assert not wants_colour(Terminal())
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert not wants_colour(Terminal())


def test_quiet_leaves_results_warnings_and_errors():
    out, err = io.StringIO(), io.StringIO()
    console = Console(out=out, err=err, quiet=True)
    console.result("file.png")
    console.fact("seed 7")
    console.say("loading")
    console.warn("w")
    assert out.getvalue() == "file.png\n"
    assert err.getvalue() == "warning: w\n"


def test_json_has_standard_output_for_itself():
    out, err = io.StringIO(), io.StringIO()
    console = Console(out=out, err=err, json=True)
    console.fact("seed 7")
    console.object({"seed": 7})
    assert out.getvalue() == '{"seed": 7}\n'
    assert err.getvalue() == "seed 7\n"


class OutOfMemoryError(RuntimeError):
    """Named like torch's."""


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("x"), 2),
        (MissingExtra("flash_attn", "flash", "x"), 2),
        (PromptError("x", line=3, column=4), 3),
        (PromptRefused("x"), 3),
        (WeightsError("x"), 4),
        (MemoryShortage("x"), 5),
        (MemoryError(), 5),
        (OutOfMemoryError("CUDA out of memory"), 5),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory"), 5),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), 5),  # a file that could not be mapped
        (OSError(errno.EIO, "Input/output error"), 1),
        (BlankPicture("x"), 6),
        (OutputError("x"), 7),
        (Cancelled(), 130),
        (KeyboardInterrupt(), 130),
        (NewbieError("x"), 1),
        (ValueError("x\ny"), 1),
        (RecursionError(), 1),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else value,
)
def test_every_failure_has_its_exit_code_and_no_traceback(error, code, capsys):
    def main(_):
        raise error

    assert run(main, []) == code
    err = capsys.readouterr().err
    assert "Traceback" not in err
    assert 1 <= len(err.strip().splitlines()) <= 2
    assert err.startswith("error: ")


def test_debug_shows_the_traceback_first(capsys):
    def main(_):
        raise ValueError("deep down")

    assert run(main, ["--debug"]) == 1
    err = capsys.readouterr().err
    assert err.startswith("Traceback")
    assert "error: ValueError: deep down" in err


def test_a_full_standard_output_is_an_output_error(capsys, monkeypatch):
    class Full(io.StringIO):
        def write(self, _):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("sys.stdout", Full())
    assert run(lambda _: Console().result("x") or 0, []) == 7
    assert "standard output" in capsys.readouterr().err


def test_a_program_without_a_console_runs(monkeypatch):
    monkeypatch.setattr("sys.stdout", None)
    monkeypatch.setattr("sys.stderr", None)
    console = Console()
    console.result("x")
    console.warn("x")
    assert not console.live


def test_facts_are_aligned_and_empty_ones_left_out():
    out = io.StringIO()
    Console(out=out).facts([("a", 1), ("longer", "x"), ("none", None), ("empty", "")])
    assert out.getvalue() == "a       1\nlonger  x\n"
