"""The texts that reach the tokenizers, against golden strings."""

from __future__ import annotations

from collections.abc import Iterator

from newbie.parity.folder import Golden
from newbie.parity.result import Case, same_text
from newbie.prompt import read, render, render_pair

XML_PROMPT = "<character_1>\n<n>$character_1$</n>\n</character_1>"
TAG_PROMPT = "1girl, silver_hair"


def assembly_cases(golden: Golden, family: str) -> Iterator[Case]:
    """Prompt, negative prompt and system prompt in each mode, to the four texts."""
    cases = golden.about.get("cases", [])
    for number, about in enumerate(cases):
        pair = render_pair(
            read(about["prompt"]),
            read(about["negative_prompt"]),
            mode=about["mode"],
            system_prompt=about["system_prompt"],
        )
        checks = [
            same_text(f"{encoder} {side}", getattr(rendered, encoder).text, expected)
            for encoder, texts in about["texts"].items()
            for side, rendered, expected in zip(
                ("positive", "negative"), (pair.positive, pair.negative), texts, strict=True
            )
        ]
        yield Case(family, f"{number} {about['mode']}", tuple(checks))


def string_cases(golden: Golden, family: str) -> Iterator[Case]:
    """Every published system prompt, given and as the automatic choice; every negative prompt read unchanged."""
    automatic = {"train_xml": XML_PROMPT, "train_tags": TAG_PROMPT}
    for about in golden.about.get("system_prompts", []):
        text = about["text"]
        given = render(read(TAG_PROMPT), system_prompt=text)
        checks = [
            same_text("gemma", given.gemma.text, text + TAG_PROMPT),
            same_text("jina", given.jina.text, TAG_PROMPT),
        ]
        if about["id"] in automatic:
            prompt = automatic[about["id"]]
            checks.append(same_text("automatic", render(read(prompt)).gemma.text, text + prompt))
        yield Case(family, f"system prompt {about['id']}", tuple(checks))
    for about in golden.about.get("negative_prompts", []):
        text = about["text"]
        rendered = render(read(text), system_prompt="")
        checks = [same_text("gemma", rendered.gemma.text, text), same_text("jina", rendered.jina.text, text)]
        yield Case(family, f"negative prompt {about['id']}", tuple(checks))
