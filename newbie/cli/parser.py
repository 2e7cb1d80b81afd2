"""A command line that complains like the rest of the program."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Sequence
from typing import Any, NoReturn

from newbie.errors import UsageError


class Parser(argparse.ArgumentParser):
    """argparse whose complaints are UsageErrors with the nearest flag."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_abbrev=False, formatter_class=_Formatter, **options)

    def error(self, message: str) -> NoReturn:
        raise UsageError(message.replace("argument ", "", 1), f"{self.prog} --help lists the flags")

    def strict(self, arguments: Sequence[str]) -> argparse.Namespace:
        """Raises UsageError, also for what is left over."""
        known, rest = self.parse_known_args(list(arguments))
        for text in rest:
            if text.startswith("-") and len(text) > 1:
                raise UsageError(f"unknown flag {text.split('=')[0]}", self._nearest(text.split("=")[0]))
            raise UsageError(f"{text!r} stands alone: no flag takes it", "a prompt is given with --prompt, in quotes")
        return known

    def _nearest(self, text: str) -> str:
        names = [name for name in self._option_string_actions if name.startswith("--")]
        close = difflib.get_close_matches(text, names, 1, 0.5)
        starts = [name for name in names if len(text) > 3 and name.startswith(text)]
        if starts or close:
            return f"did you mean {(starts or close)[0]}?"
        return f"{self.prog} --help lists the flags"


class _Formatter(argparse.RawDescriptionHelpFormatter):
    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=34, width=100)
