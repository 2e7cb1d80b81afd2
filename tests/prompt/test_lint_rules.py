"""Every rule finds its own example, in the words that are written down, and leaves what it recommends alone."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from newbie.cli.lint import is_fixable
from newbie.prompt import read
from newbie.prompt.lint import fixed, lint
from newbie.prompt.rules.table import RULES

ROOT = Path(__file__).parent.parent.parent
# What they recommend needs a file that is there; tests/prompt/test_reuse_*.py have them.
NEEDS_FILES = {"NB601", "NB602", "NB603", "NB604", "NB605", "NB607", "NB608"}


@pytest.fixture(scope="module")
def golden() -> ModuleType:
    """lint_golden.py beside this file."""
    spec = importlib.util.spec_from_file_location("lint_golden", Path(__file__).with_name("lint_golden.py"))
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("code", RULES)
def test_the_example_of_a_rule_gives_its_finding_in_these_words(code: str, golden: ModuleType) -> None:
    said = golden.rendered(RULES[code], RULES[code].example)
    assert said and said == (golden.FOLDER / f"{code}.txt").read_text("utf-8")


@pytest.mark.parametrize("code", sorted(RULES.keys() - NEEDS_FILES))
def test_what_a_rule_recommends_is_not_found_by_it(code: str, golden: ModuleType) -> None:
    assert golden.rendered(RULES[code], RULES[code].instead) == ""


def test_no_golden_file_is_left_over(golden: ModuleType) -> None:
    assert {path.stem for path in golden.FOLDER.iterdir()} == set(RULES)


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_a_rule_explains_itself(rule) -> None:  # type: ignore[no-untyped-def]
    assert re.fullmatch(r"NB\d{3}", rule.code) and rule.severity in ("error", "warning", "info")
    assert 10 < len(rule.about) < 100 and rule.about[0].islower() | (rule.about[0] in "<J") and rule.about[-1] != "."
    assert len(rule.why) > 40 and rule.why.endswith((".", ".)"))
    assert rule.example != rule.instead


@pytest.mark.parametrize("code", [code for code in RULES if is_fixable(RULES[code])])
def test_a_correction_removes_its_finding_and_brings_no_other(code: str) -> None:
    before = read(RULES[code].example, negative=True)
    after = fixed(before)
    assert after.corrected > 0
    left = [finding.code for finding in lint(read(after.text, negative=True))]
    assert code not in left
    assert set(left) <= {finding.code for finding in lint(before)}


def test_the_page_has_a_row_for_every_rule() -> None:
    page = (ROOT / "docs/lint.md").read_text("utf-8")
    for rule in RULES.values():
        fix = "yes" if is_fixable(rule) else ""
        assert f"| {rule.code} | {rule.severity} | {rule.about} | {fix} |".replace("|  |", "| |") in page, rule.code
    assert len(re.findall(r"^\| NB\d", page, re.MULTILINE)) == len(RULES)


def test_the_examples_in_the_repository_are_clean_but_for_their_blanks() -> None:
    for path in sorted((ROOT / "prompts").glob("*.*")):
        found = {finding.code for finding in lint(read(path.read_text("utf-8"), name=path.name))}
        assert found <= {"NB302"}, path.name
        assert not found or path.name in ("indented.xml", "wrapper.xml")
