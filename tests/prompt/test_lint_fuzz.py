"""The linter and its corrections on prompts nobody would type."""

from __future__ import annotations

import importlib.util
from itertools import islice
from pathlib import Path
from types import ModuleType

import pytest

from newbie.prompt import read, show
from newbie.prompt.lint import fixed, lint
from newbie.prompt.meaning import Meaning, meaning


@pytest.fixture(scope="module")
def fuzz() -> ModuleType:
    """fuzz_prompts.py beside this file."""
    spec = importlib.util.spec_from_file_location("fuzz_prompts", Path(__file__).with_name("fuzz_prompts.py"))
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def words(said: Meaning) -> list[object]:
    """What a prompt says, tag by tag, each once in its element."""
    blocks = [*((number, block) for number, block in said.characters), ("general", said.general)]
    return [
        sorted({(str(who), name, tag) for who, block in blocks for name, texts in block for t in texts
                for tag in t.split(", ")}),
        sorted(set(said.tags)),
        sorted(set(said.captions)),
        [words(panel) for panel in said.panels],
    ]  # fmt: skip


def test_findings_lie_in_the_text_and_corrections_keep_its_meaning_and_settle(fuzz: ModuleType) -> None:
    corrected = 0
    for text in islice(fuzz.prompts(77), 600):
        reading = fuzz.tried(text)
        if reading is None:
            continue
        for finding in lint(reading):
            assert 0 <= finding.span.start <= finding.span.stop <= len(text)
            assert show(finding, reading.source)
        after = fixed(reading)
        corrected += after.corrected
        again = read(after.text, negative=True)
        assert words(meaning(again.scene)) == words(meaning(reading.scene)), text
        assert fixed(again).text == after.text, text
        if not after.corrected:
            assert after.text == text
    assert corrected > 200
