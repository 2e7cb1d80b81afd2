"""Every error a user can meet. Two lines: what is wrong and where, then what to do about it.

NewbieError                     exit code 1   (a bug of ours, or an unforeseen failure)
├── UsageError                  exit code 2   a flag, a size, a number
│   └── MissingExtra            exit code 2   an optional package is needed; the hint names the extra
├── PromptError                 exit code 3   the prompt; knows line and column
│   └── PromptRefused           exit code 3   a prompt we will not draw
├── WeightsError                exit code 4   files, tensors, configurations
├── MemoryShortage              exit code 5   the device or the machine ran out of memory
├── BlankPicture                exit code 6   NaN or a single flat colour came out
├── OutputError                 exit code 7   the picture could not be written
└── Cancelled                   exit code 130 the user stopped it
"""

from __future__ import annotations

from collections.abc import Collection


class NewbieError(Exception):
    """`message` says what and where; `hint` says what to do. Both are plain text without a final newline."""

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  hint: {self.hint}" if self.hint else self.message


class UsageError(NewbieError):
    """A flag or an argument cannot be honoured."""

    exit_code = 2


class MissingExtra(UsageError):
    """An optional package is not installed; `extra` is the name in `pip install "newbie[extra]"`."""

    def __init__(self, package: str, extra: str, what: str) -> None:
        super().__init__(
            f"{what} needs the package {package}, which is not installed",
            f'pip install "newbie[{extra}]"   (from a clone: pip install -e ".[{extra}]")',
        )
        self.package = package
        self.extra = extra


class PromptError(NewbieError):
    """The prompt cannot be read. `line` and `column` count from 1; 0 means the whole prompt."""

    exit_code = 3

    def __init__(self, message: str, hint: str = "", *, name: str = "prompt", line: int = 0, column: int = 0):
        place = f"{name}:{line}:{column}: " if line else f"{name}: "
        super().__init__(place + message, hint)
        self.name = name
        self.line = line
        self.column = column


class PromptRefused(PromptError):
    """The prompt asks for something this program does not draw. No switch changes that."""


class WeightsError(NewbieError):
    """A file, a tensor or a configuration is not what it should be. Names the file or the tensor."""

    exit_code = 4


class MemoryShortage(NewbieError):
    """The machine or the device has too little memory for what was asked."""

    exit_code = 5


class BlankPicture(NewbieError):
    """The model produced NaN or one flat colour."""

    exit_code = 6


class OutputError(NewbieError):
    """The picture could not be written."""

    exit_code = 7


class Cancelled(NewbieError):
    """The user stopped the work."""

    exit_code = 130

    def __init__(self, message: str = "cancelled", hint: str = "") -> None:
        super().__init__(message, hint)


def nearest(text: str, known: Collection[str], likeness: float = 0.6) -> str:
    """The one of `known` that was probably meant; "" where none is as much like `text`, from 0 to 1."""
    import difflib  # most command lines have no slip

    return next(iter(difflib.get_close_matches(text, known, 1, likeness)), "")


def did_you_mean(text: str, known: Collection[str]) -> str:
    """ "did you mean nf4? ", to stand at the beginning of a hint; "" where nothing is near."""
    meant = nearest(text, known)
    return f"did you mean {meant}? " if meant else ""


def require_known(text: str, known: Collection[str], what: str) -> None:
    """Raise UsageError unless `text` is one of `known`: which is nearest, and all there are. `what` it should be."""
    if text not in known:
        guess = did_you_mean(text.lower(), known)
        raise UsageError(f"there is no {what} {text!r}", f"{guess}use one of: {', '.join(known)}")
