"""Everything that is printed is printed here: results on standard output, everything else on standard error.

A console that cannot show a character (a legacy code page) shows its number instead; control characters in texts
from outside are shown, not obeyed. Colour is a hint on terminals only and never the only signal.
"""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TextIO

from newbie.errors import Cancelled, MemoryShortage, NewbieError, OutputError

if TYPE_CHECKING:
    from newbie.prompt import Diagnostic, Source

MAX_DIAGNOSTICS = 12  # shown of one prompt
_COLOURS = {"red": "31", "yellow": "33", "green": "32", "blue": "36", "dim": "2", "bold": "1"}
_SEVERITY = {"error": "red", "warning": "yellow", "info": "blue"}  # the worst first
_CONTROL = {c: f"\\x{c:02x}" for c in (*range(32), *range(127, 160)) if chr(c) not in "\n\t"}


class Console:
    """Where a door speaks. `quiet` leaves results and errors; `json` keeps standard output for JSON lines."""

    def __init__(
        self,
        *,
        out: TextIO | None = None,
        err: TextIO | None = None,
        quiet: bool = False,
        json: bool = False,
        debug: bool = False,
    ) -> None:
        self._out = out
        self._err = err
        self.quiet = quiet
        self.json = json
        self.debug = debug

    @property
    def out(self) -> TextIO:
        return self._out or sys.stdout

    @property
    def err(self) -> TextIO:
        return self._err or sys.stderr

    @property
    def live(self) -> bool:
        """Whether standard error is a terminal that may be drawn over."""
        return not self.quiet and is_terminal(self.err)

    # ---- results: standard output

    def result(self, text: str, colour: str = "") -> None:
        """What was asked for. Shown even when quiet."""
        self._result(text, colour)

    def exact(self, text: str) -> None:
        """A text that is the result, in UTF-8 and unchanged; a terminal gets a final line end and no control codes."""
        buffer = getattr(self.out, "buffer", None)
        if is_terminal(self.out) or buffer is None:
            self._result(text.removesuffix("\n"))
            return
        self.out.flush()
        with _told_as_output_error():
            buffer.write(text.encode())
            buffer.flush()

    def fact(self, text: str) -> None:
        """What a person wants to know about the result; it makes way for JSON."""
        if self.json:
            self.say(text)
        elif not self.quiet:
            self._result(text)

    def facts(self, pairs: Iterable[tuple[str, object]]) -> None:
        """Facts under one another, values aligned; empty values are left out."""
        rows = [(name, str(value)) for name, value in pairs if value not in (None, "")]
        width = max((len(name) for name, _ in rows), default=0)
        for name, value in rows:
            self.fact(f"{name:<{width}}  {value}")

    def object(self, value: Mapping[str, Any]) -> None:
        """One JSON object on one line, in ASCII: it passes every code page."""
        self._result(json.dumps(value, allow_nan=False))

    # ---- the rest: standard error

    def say(self, text: str) -> None:
        if not self.quiet:
            write(self.err, clean(text) + "\n")

    def warn(self, text: str) -> None:
        write(self.err, self.paint("warning:", "yellow", self.err) + " " + clean(text) + "\n")

    def error(self, error: NewbieError) -> None:
        """Two lines: what is wrong, what to do."""
        write(self.err, self.paint("error:", "red", self.err) + " " + clean(error.message) + "\n")
        if error.hint:
            write(self.err, self.paint("  hint:", "blue", self.err) + " " + clean(error.hint) + "\n")

    def finding(self, finding: Diagnostic, source: Source) -> None:
        """A finding that was asked for."""
        with _told_as_output_error():
            write(self.out, self._shown(finding, source, self.out))

    def _shown(self, finding: Diagnostic, source: Source, stream: TextIO) -> str:
        """A finding with a caret under the words it means, for a stream."""
        from newbie.prompt.diagnostics import show

        head, *rest = show(finding, source).split("\n")
        sign = self.paint(f"{finding.severity}:", _SEVERITY[finding.severity], stream)
        return "\n".join([f"{sign} {clean(head)}", *map(clean, rest)]) + "\n"

    def findings(self, found: Sequence[Diagnostic], source: Source) -> None:
        """What is odd about a prompt that is to be drawn. Where there is much, the worst is shown."""
        shown = [d for d in found if d.severity != "info" or not self.quiet]
        worst = sorted(shown, key=lambda d: list(_SEVERITY).index(d.severity))[:MAX_DIAGNOSTICS]
        for finding in sorted(worst, key=shown.index):
            write(self.err, self._shown(finding, source, self.err))
        if len(shown) > len(worst):
            self.say(f"... and {len(shown) - len(worst)} more: python -m newbie lint")

    def raw(self, text: str) -> None:
        """Text with escape sequences of our own making, for a terminal."""
        write(self.err, text)

    def paint(self, text: str, colour: str, stream: TextIO) -> str:
        return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m" if wants_colour(stream) else text

    def _result(self, text: str, colour: str = "") -> None:
        text = clean(text)
        with _told_as_output_error():
            write(self.out, (self.paint(text, colour, self.out) if colour else text) + "\n")


@contextlib.contextmanager
def _told_as_output_error() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(f"standard output cannot be written: {error.strerror}") from error


def write(stream: TextIO | None, text: str) -> None:
    """Write and flush; what the stream's encoding lacks appears as its code (`\\u4f60`)."""
    if stream is None:  # a program without a console
        return
    try:
        stream.write(text)
    except UnicodeEncodeError:
        encoding = stream.encoding or "ascii"
        stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
    stream.flush()


def clean(text: str) -> str:
    """Control characters other than tab and newline made visible."""
    return text.translate(_CONTROL)


def is_terminal(stream: TextIO | None) -> bool:
    try:
        return stream is not None and stream.isatty()
    except ValueError:  # closed
        return False


def wants_colour(stream: TextIO) -> bool:
    """A terminal, unless NO_COLOR is set (no-color.org) or the terminal says it is a simple one."""
    # The environment is otherwise read by newbie.devices, which needs torch; a console must not.
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or os.name == "nt"
    return not plain and is_terminal(stream)


def run(main: Callable[[list[str]], int], argv: Sequence[str] | None = None) -> int:
    """Call `main` with the arguments and turn whatever it raises into an exit code and two lines."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    console = Console(debug="--debug" in arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):  # for what other packages print, such as argparse's help
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        try:
            return main(arguments)
        except BrokenPipeError:
            raise
        except SystemExit as end:  # argparse, after --help or after its own complaint
            return end.code if isinstance(end.code, int) else int(end.code is not None)
        except (Exception, KeyboardInterrupt) as error:
            return report(error, console)
    except BrokenPipeError:
        _drop_output()  # the reader of our pipe has left: nobody to tell
        return OutputError.exit_code


def report(error: BaseException, console: Console) -> int:
    """Print an exception as two lines (its traceback first, under --debug); its exit code."""
    known = as_newbie_error(error)
    if console.debug:
        import traceback

        write(console.err, "".join(traceback.format_exception(error)))
    console.error(known)
    return known.exit_code


def as_newbie_error(error: BaseException) -> NewbieError:
    """The error as one of ours: running out of memory and Ctrl-C have their own, the rest is a bug of ours."""
    if isinstance(error, NewbieError):
        return error
    if isinstance(error, KeyboardInterrupt):
        return Cancelled()
    if _is_memory(error):
        return MemoryShortage(
            f"out of memory: {_first_line(error)}" if str(error) else "out of memory",
            "a smaller --size, --batch-size 1 or --dtype bf16 needs less",
        )
    return NewbieError(f"{type(error).__name__}: {_first_line(error)}", "--debug shows the traceback")


def _is_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    if isinstance(error, OSError):  # a file that could not be mapped
        return error.errno == errno.ENOMEM
    # torch has no type of its own for an allocation that fails on the CPU: its text is all there is.
    return isinstance(error, RuntimeError) and "DefaultCPUAllocator" in str(error)


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines() or [""]
    return lines[0] if len(lines[0]) <= 300 else lines[0][:300] + "..."


def _drop_output() -> None:
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stdout.close()
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
