"""Comments that silence nothing. suppress.py finds them: it knows what was silenced."""

from __future__ import annotations

from newbie.prompt.diagnostics import Rule

USELESS = Rule(
    "NB113",
    "warning",
    "a suppression comment that silences nothing",
    "It names no rule, a rule that finds nothing there, or an error, which cannot be silenced. Left standing it would "
    "silence a mistake made later.",
    "<!-- newbie: ignore NB302 -->\n1girl, solo, blue_hair, smile",
    "<!-- newbie: ignore NB302 -->\n1girl, solo, blue hair, smile",
)

RULES = (USELESS,)
CHECKS = ()
