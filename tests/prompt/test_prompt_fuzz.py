"""Any string gives a Reading or a PromptError, and the invariants hold for all of them."""

from __future__ import annotations

import importlib.util
from functools import partial
from pathlib import Path
from types import ModuleType

from hypothesis import example, given, settings
from hypothesis import strategies as st

from newbie.errors import PromptError
from newbie.prompt import Reading, read_bytes


def shared() -> ModuleType:
    """fuzz_prompts.py beside this file: the same checks by hand, a million times."""
    spec = importlib.util.spec_from_file_location("fuzz_prompts", Path(__file__).with_name("fuzz_prompts.py"))
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


fuzz = shared()
check = partial(fuzz.check, number=1)  # reading and formatting; the rest is asked of the seeded prompts
tags = st.builds(
    "{}{}{}".format, st.sampled_from(["<", "</"]), st.sampled_from(fuzz.NAMES), st.sampled_from([">", "/>"])
)
prompts = st.lists(tags | st.sampled_from(fuzz.PIECES) | st.text(max_size=5), max_size=16).map("".join)


@settings(max_examples=1500)
@given(prompts)
@example("<n</expression>><expression>")
@example("<![CDATA[<!--</gender>]]><n>")
@example("<bar><foo></bar><n>x</n></foo>")
@example("<n>a</n><?xml ve<!-- c -->rsion='1'?>")
def test_every_prompt_keeps_the_invariants(text: str) -> None:
    check(text)


@settings(max_examples=500)
@given(st.text(max_size=60))
def test_every_text_keeps_the_invariants(text: str) -> None:
    check(text)


@settings(max_examples=1000)
@given(st.binary(max_size=80) | prompts.map(lambda t: t.encode("utf-8", "replace")))
def test_every_byte_string_is_a_reading_or_a_prompt_error(data: bytes) -> None:
    try:
        assert isinstance(read_bytes(data, negative=True), Reading)
    except PromptError as error:
        assert error.hint


def test_thousands_of_seeded_prompts_keep_the_invariants() -> None:
    """Half made of pieces, half what editors and language models do to prompts. With the tests above 10,000."""
    for number, text in zip(range(7_000), fuzz.prompts(20240), strict=False):
        fuzz.check(text, number, every=16)
