"""All rules, and all checks."""

from __future__ import annotations

from newbie.prompt.diagnostics import Rule
from newbie.prompt.rules import (
    conflicts,
    elements,
    homes,
    limits,
    markup,
    numbering,
    people,
    places,
    refusal,
    regions,
    reuse,
    signs,
    spelling,
    structure,
    suppression,
    weights,
)
from newbie.prompt.rules.subject import Check

_MODULES = (
    refusal, structure, numbering, elements, people, places, spelling, homes, conflicts, markup, weights, limits,
    suppression, reuse, regions, signs,
)  # fmt: skip

RULES: dict[str, Rule] = {
    rule.code: rule for rule in sorted((r for m in _MODULES for r in m.RULES), key=lambda r: r.code)
}
CHECKS: tuple[Check, ...] = tuple(check for module in _MODULES for check in module.CHECKS)
