"""The command line of every command: argparse that complains like the rest of the program."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

from newbie.errors import UsageError, nearest


class Parser(argparse.ArgumentParser):
    """argparse whose complaints are UsageErrors with the nearest flag. Flags are written out: none is abbreviated."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_abbrev=False, formatter_class=_Formatter, **options)

    def error(self, message: str) -> NoReturn:
        raise UsageError(message.replace("argument ", "", 1), self._help())

    def strict(self, arguments: Sequence[str]) -> argparse.Namespace:
        """Raises UsageError, also for what is left over."""
        try:
            known, rest = self.parse_known_args(list(arguments))
        except UsageError:
            # argparse complains first of what is missing. Who misspelt a flag would be told that it is not there.
            self._refuse(each for each in arguments if each.startswith("--") and " " not in each)
            raise
        self._refuse(each for each in rest if each.startswith("-") and len(each) > 1)
        for text in rest:
            asks = "--prompt" in self._option_string_actions
            hint = "a prompt is given with --prompt, in quotes" if asks else self._help()
            raise UsageError(f"{text!r} stands alone: no flag takes it", hint)
        return known

    def _refuse(self, arguments: Iterable[str]) -> None:
        """Raise UsageError for the first that is none of the flags; what stands behind `--` is no flag."""
        for flag in (each.partition("=")[0] for each in itertools.takewhile(lambda each: each != "--", arguments)):
            if flag not in self._option_string_actions:
                raise UsageError(f"unknown flag {flag}", self._meant(flag))

    def _meant(self, flag: str) -> str:
        names = [name for name in self._option_string_actions if name.startswith("--")]
        starts = [name for name in names if len(flag) > 3 and name.startswith(flag)]
        places = {f"--{place.lower()}": place for each in self._get_positional_actions() if (place := _shown(each))}
        meant = starts[0] if starts else nearest(flag, [*names, *places], 0.5)
        if meant in names:
            return f"did you mean {meant}?"
        return f"{places[meant]} is written without a flag" if meant else self._help()

    def _help(self) -> str:
        return f"{self.prog} --help lists the flags"


def _shown(positional: argparse.Action) -> str:
    """What help calls it."""
    return positional.metavar if isinstance(positional.metavar, str) else positional.dest


class _Formatter(argparse.RawDescriptionHelpFormatter):
    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=34, width=100)
