"""What each rule says of its own example. `python tests/prompt/lint_golden.py` writes the files of lint/ anew: read the
difference before it is committed, for these words are what people see.
"""

from __future__ import annotations

import contextlib
import re
import tempfile
from pathlib import Path

from newbie.errors import PromptError
from newbie.prompt import Reading, read, show
from newbie.prompt.diagnostics import Rule
from newbie.prompt.lint import lint
from newbie.prompt.reuse import Ingredients, expand, read_prompt_file
from newbie.prompt.rules.subject import Audience, Encoder
from newbie.prompt.rules.table import RULES

FOLDER = Path(__file__).with_name("lint")
LIMIT = 64


class Words:
    """An encoding whose tokens are words and single signs, one special token in front."""

    def __init__(self, text: str) -> None:
        self.offsets = [(0, 0), *(match.span() for match in re.finditer(r"\w+|[^\w\s]", text))]
        self.ids = list(range(len(self.offsets)))


AUDIENCE = Audience("a small model", (Encoder("gemma", Words, LIMIT),))


def rendered(rule: Rule, text: str) -> str:
    """What is said by this rule about a text."""
    try:
        typed = read(text, name="example.xml", negative=True)
    except PromptError as error:
        return f"{error}\n" if rule.code == "NB001" else ""
    if rule.code in ("NB602", "NB603", "NB604", "NB605"):
        reading = _with_files(text)
    else:
        template = rule.code in ("NB606", "NB607", "NB608")
        reading = expand(typed, Ingredients(template=template), negative=True).reading
    found = [finding for finding in lint(reading, audience=AUDIENCE) if finding.code == rule.code]
    return "".join(f"{finding.severity}: {show(finding, reading.source)}\n" for finding in found)


def _with_files(text: str) -> Reading:
    """Read a prompt file, or one that uses the character file of an example (`<!-- in miku.xml -->`)."""
    named = re.match(r"<!-- in (\w+\.xml) -->\n", text)
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        Path("example.xml").write_text('<character_1 src="miku.xml"/>' if named else text, encoding="utf-8")
        Path("miku.xml").write_text("<clothing>dress</clothing>", encoding="utf-8")
        if named:
            Path(named[1]).write_text(text.removeprefix(named[0]), encoding="utf-8")
        return read_prompt_file("example.xml")


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for rule in RULES.values():
        (FOLDER / f"{rule.code}.txt").write_text(rendered(rule, rule.example), encoding="utf-8")


if __name__ == "__main__":
    main()
