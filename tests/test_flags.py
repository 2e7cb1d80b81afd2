"""What a command line is answered that was not understood: the nearest flag, whatever else is wrong with it."""

import pytest

from newbie.cli.main import COMMANDS, main
from newbie.errors import UsageError
from newbie.flags import Parser

PARSED = [name for name, command in COMMANDS.items() if command.usage is None]


def parser():
    made = Parser(prog="x")
    made.add_argument("scheme", metavar="SCHEME")
    made.add_argument("--out", "-o", required=True)
    made.add_argument("--overwrite", action="store_true")
    made.add_argument("--count", type=int, default=1)
    return made


@pytest.mark.parametrize(
    ("typed", "message", "hint"),
    [
        ("nf4 --out a --overwrit", "unknown flag --overwrit", "did you mean --overwrite?"),
        ("nf4 --out a --ovrewrite=yes", "unknown flag --ovrewrite", "did you mean --overwrite?"),
        ("nf4 --uot a", "unknown flag --uot", "did you mean --out?"),  # and not only that --out is missing
        ("--shceme nf4", "unknown flag --shceme", "SCHEME is written without a flag"),
        ("nf4 --zzzzzzz", "unknown flag --zzzzzzz", "x --help lists the flags"),
        ("nf4 --out a b", "'b' stands alone: no flag takes it", "x --help lists the flags"),
        ("nf4", "the following arguments are required: --out/-o", "x --help lists the flags"),
        ("nf4 --out -- --uot", "--out/-o: expected one argument", "x --help lists the flags"),
        ("nf4 --out a --count many", "--count: invalid int value: 'many'", "x --help lists the flags"),
    ],
)
def test_what_is_not_understood_is_answered_with_what_was_probably_meant(typed, message, hint):
    with pytest.raises(UsageError) as caught:
        parser().strict(typed.split())
    assert (caught.value.message, caught.value.hint) == (message, hint)


def test_flags_are_not_abbreviated_and_what_stands_behind_two_dashes_is_none():
    with pytest.raises(UsageError, match="unknown flag --over"):
        parser().strict(["nf4", "--out", "a", "--over"])
    assert parser().strict(["--out", "a", "--", "--over"]).scheme == "--over"


@pytest.mark.parametrize("name", PARSED)
def test_every_command_answers_a_misspelt_flag_with_the_nearest(name, capsys):
    assert main([name, "--hlep"]) == UsageError.exit_code
    assert capsys.readouterr().err == "error: unknown flag --hlep\n  hint: did you mean --help?\n"
