"""The texts that reach the tokenizers, against golden strings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from newbie.parity.folder import Golden
from newbie.parity.result import Check, Job, same_text
from newbie.prompt import read, render, render_pair

XML_PROMPT = "<character_1>\n<n>$character_1$</n>\n</character_1>"
TAG_PROMPT = "1girl, silver_hair"
AUTOMATIC = {"train_xml": XML_PROMPT, "train_tags": TAG_PROMPT}  # prompts for which these are chosen


def assembly_jobs(golden: Golden) -> Iterator[Job]:
    """Prompt, negative prompt and system prompt in each mode, to the four texts."""
    for number, about in enumerate(golden.about.get("cases", [])):
        yield f"{number} {about['mode']}", partial(_assembly_checks, about)


def string_jobs(golden: Golden) -> Iterator[Job]:
    """Every published system prompt, given and as the automatic choice; every negative prompt read unchanged."""
    for about in golden.about.get("system_prompts", []):
        yield f"system prompt {about['id']}", partial(_system_checks, about["id"], about["text"])
    for about in golden.about.get("negative_prompts", []):
        yield f"negative prompt {about['id']}", partial(_negative_checks, about["text"])


def _assembly_checks(about: Mapping[str, Any]) -> Iterator[Check]:
    prompt, negative = read(about["prompt"]), read(about["negative_prompt"])
    pair = render_pair(prompt, negative, mode=about["mode"], system_prompt=about["system_prompt"])
    for encoder, (conditional, unconditional) in about["texts"].items():
        yield same_text(f"{encoder} conditional", getattr(pair.positive, encoder).text, conditional)
        yield same_text(f"{encoder} unconditional", getattr(pair.negative, encoder).text, unconditional)


def _system_checks(name: str, text: str) -> Iterator[Check]:
    given = render(read(TAG_PROMPT), system_prompt=text)
    yield same_text("gemma", given.gemma.text, text + TAG_PROMPT)
    yield same_text("jina", given.jina.text, TAG_PROMPT)
    if name in AUTOMATIC:
        yield same_text("automatic", render(read(AUTOMATIC[name])).gemma.text, text + AUTOMATIC[name])


def _negative_checks(text: str) -> Iterator[Check]:
    rendered = render(read(text), system_prompt="")
    yield same_text("gemma", rendered.gemma.text, text)
    yield same_text("jina", rendered.jina.text, text)
