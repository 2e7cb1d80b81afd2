"""`python -m newbie schema`: the schemas of the prompt language, for editors and other programs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from newbie.cli.files import write_whole
from newbie.errors import OutputError
from newbie.flags import Parser

_EPILOG = """\
examples:
  python -m newbie schema                         RELAX NG, on standard output
  python -m newbie schema --format json
  python -m newbie schema --write docs/schema     all three, as files

docs/schema/README.md tells how editors use them.
"""


def main(arguments: Sequence[str], say: Callable[[str], None]) -> int:
    """Print one schema, or write all of them into a folder. Raises UsageError, OutputError."""
    from newbie.prompt.schemas import FORMATS

    parser = Parser(
        prog="python -m newbie schema",
        description="Print the prompt language as RELAX NG, W3C XML Schema or JSON Schema.",
        epilog=_EPILOG,
    )
    parser.add_argument("--format", choices=FORMATS, default="rng", help="rng (the default), xsd or json")
    parser.add_argument("--write", type=Path, metavar="FOLDER", help="write all of them, under their published names")
    typed = parser.strict(arguments)
    if typed.write is None:
        say(FORMATS[typed.format].text().rstrip("\n"))
        return 0
    try:
        typed.write.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{typed.write} cannot be written: {error.strerror}", "choose another folder") from None
    for each in FORMATS.values():
        write_whole(typed.write / each.file, each.text().encode())
        say(str(typed.write / each.file))
    return 0
