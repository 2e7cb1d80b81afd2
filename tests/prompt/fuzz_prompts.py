"""Prompts nobody would type, and what must hold for each of them. The tests run some thousands; by hand, millions:

    nice -n 19 python tests/prompt/fuzz_prompts.py --count 1000000 --seed 1 --record benchmarks/results/prompt-fuzz.json

A prompt is made of pieces of the language, or is one that a person could have written with parts of it deleted,
doubled, swapped and replaced: what editors and language models do to prompts.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from newbie.errors import PromptError
from newbie.prompt import Reading, canonical_text, read, render
from newbie.prompt.convert import DIALECTS, convert
from newbie.prompt.diff import differences
from newbie.prompt.elements import elements
from newbie.prompt.explain import speakers
from newbie.prompt.format import formatted
from newbie.prompt.lint import fixed, lint
from newbie.prompt.meaning import meaning
from newbie.prompt.scan import scan
from newbie.prompt.schema import CHARACTER, ELEMENTS

NAMES = [e.name for e in ELEMENTS if e.name != CHARACTER] + [
    "character_1", "character_2", "character 1", "character", "general tags", "artist", "foo", "barbaz", "o",
]  # fmt: skip
PIECES = [
    ">_<", ":<", "<3", "tiger_&_bunny", "&amp;", " ", ", ", "，", "\n", "\r\n", "\r", "blue hair", "A girl is here.",
    "smile", "<!--", "-->", "<![CDATA[", "]]>", "<Prompt Start>", "<n", "/>", ">", "<", "</", '{"', "}", "\x0b", "蓝发",
    "<?xml version='1'?>", "她在走路。", "\u3000", "<character\n1>", '<n a="x">', "\x01", "$character_2$", "\ud7ff",
    "\U0001f600", "\u200b", "(blue hair:1.2)", "((", "))", "[", "]", "\\(", "\\", ":1.2)", "maccha_(mochancc)",
    " BREAK ", "Negative prompt: ", "Steps: 20, Seed: 1", '"caption": ', '["a", "b"]', "{a|b}", "__x__", "<!-- c -->",
    "\n- ", "\n2. ", "\nCharacter 1: ", "\n**Hair:** ", "\nScene:\n", "\nAvoid: ",
    '<position x="0.1" y=0.2/>', "<character_1 src='m.xml'/>", "1girl", "2girls", "~2",
]  # fmt: skip
REFUSED = ("<!DOCTYPE x>", "\0", "\ud800", "<?xml-stylesheet?>", "<n>" * 40)  # with a place and a hint
XML = (
    "<character_1>\n<n>$character_1$</n>\n<gender>1girl</gender>\n<appearance>blue_hair, >_<</appearance>\n"
    "</character_1>\n<general_tags>\n<count>1girl, solo</count>\n</general_tags>\n<caption>A girl.</caption>"
)
SEEDS = (
    XML,
    "<img><!-- two --><character 1><n></n><position>left</position></character 1><character_2><gender>1boy</gender>"
    "</character_2><inset_panel><caption>Far away.</caption></inset_panel></img>",
    "masterpiece, 1girl, (blue hair:1.2), ((smile)), [hat], maccha \\(mochancc\\), :3\nA girl is here.\n"
    "Negative prompt: lowres\nSteps: 20, Sampler: Euler a, Seed: 1, Size: 832x1216",
    '{"character_1": {"gender": ["1girl"], "appearance": "blue_hair, >_<"}, "caption": "A girl."}',
    "2girls, school_uniform BREAK 1girl, red_hair, left BREAK 1girl, blue_hair, right",
)


def generated(rng: random.Random) -> str:
    """A prompt made of pieces."""
    parts = []
    for _ in range(rng.randint(0, 16)):
        kind = rng.randrange(4)
        if kind < 2:
            parts.append(f"<{'/' * rng.randrange(2)}{rng.choice(NAMES)}{'/' * (rng.random() < 0.1)}>")
        elif kind == 2:
            parts.append(rng.choice(PIECES))
        else:
            parts.append("".join(chr(rng.choice((rng.randrange(32, 127), rng.randrange(1, 0x3000)))) for _ in range(3)))
    return "".join(parts)


def mutated(rng: random.Random) -> str:
    """A prompt somebody could have written, damaged."""
    text = rng.choice(SEEDS)
    for _ in range(rng.randint(1, 4)):
        a, b = sorted(rng.randrange(len(text) + 1) for _ in range(2))
        b = min(b, a + rng.choice((1, 3, 15)))
        kind = rng.randrange(5)
        if kind == 0:
            text = text[:a] + text[b:]
        elif kind == 1:
            text = text[:b] + text[a:]
        elif kind == 2:
            tag = f"<{'/' * rng.randrange(2)}{rng.choice(NAMES)}>"
            text = text[:a] + rng.choice((*PIECES, tag)) + text[a:]
        elif kind == 3:
            text = text[:a] + text[a:b][::-1] + text[b:]
        else:
            text = text[:a] + text[b:] + text[a:b]
    return text + rng.choice(REFUSED) if rng.random() < 0.01 else text


def prompts(seed: int) -> Iterator[str]:
    """An endless, seeded row of prompts: one half generated, one half mutated."""
    rng = random.Random(seed)
    while True:
        yield generated(rng)
        yield mutated(rng)


# ---- what must hold


def tried(text: str) -> Reading | None:
    """The reading, or None for a text that is refused with a place and a hint. Anything else is a failure."""
    try:
        return read(text, negative=True)
    except PromptError as error:
        assert error.hint
        return None


def check_reading(text: str) -> Reading | None:
    """The reader is total; all its places lie in the text; parse, format, parse keeps the meaning."""
    reading = tried(text)
    if reading is None:
        return None
    assert reading.system_prompt + reading.body == reading.source.text
    for element in elements(reading.scene):
        assert 0 <= element.start < element.stop <= len(reading.source.text)
    for finding in reading.diagnostics:
        assert 0 <= finding.span.start <= finding.span.stop <= len(reading.source.text)
    clean = canonical_text(reading.scene)
    again = read(clean, negative=True)
    assert meaning(again.scene) == meaning(reading.scene)
    assert canonical_text(again.scene) == clean
    assert [d.code for d in again.diagnostics if d.code in ("NB101", "NB102", "NB103", "NB104", "NB108")] == []
    return reading


def check_format(reading: Reading) -> None:
    """What `fmt` writes is read as the same prompt, has all comments, and is written the same again."""
    text = formatted(reading)
    again = read(text, negative=True)
    assert meaning(again.scene) == meaning(reading.scene)
    assert formatted(again) == text
    assert again.system_prompt == reading.system_prompt
    assert sorted(comments(again)) == sorted(comments(reading))


def comments(reading: Reading) -> list[str]:
    found = scan(reading.source).comments
    return [reading.source.text[span.start : span.stop] for span in found if span.start >= reading.body_start]


def check_sent(reading: Reading) -> None:
    """The encoders get the text as typed; only attributes that act on the picture are taken out."""
    sent = render(reading, system_prompt="", read_weights=False).gemma.text
    if "=" in reading.source.text:
        letters = iter(reading.source.text)
        assert all(letter in letters for letter in sent)  # in order: nothing was added
    else:
        assert sent == reading.source.text


def check_diff(reading: Reading) -> None:
    """A prompt does not differ from itself, nor from its canonical form."""
    assert differences(reading.scene, reading.scene) == []
    if reading.dialect == "xml":
        assert differences(reading.scene, read(canonical_text(reading.scene), negative=True).scene) == []
    assert speakers(reading.scene)


def check_lint(reading: Reading) -> None:
    """Every rule gives its findings, with places in the text; what `--fix` writes can be read."""
    for finding in lint(reading, negative=True):
        assert 0 <= finding.span.start <= finding.span.stop <= len(reading.source.text)
    assert read(fixed(reading, negative=True).text, negative=True)


def check_convert(reading: Reading, names: Iterable[str] = tuple(DIALECTS)) -> None:
    """Each dialect can be written or says why not; those that hold every scene give the meaning back."""
    try:
        whole = convert(reading, "xml", is_negative=True)
    except PromptError as error:
        assert error.hint
        return
    wanted = meaning(read(whole.text, negative=True).scene)
    for name in names:
        dialect = DIALECTS[name]
        try:
            made = convert(read(whole.text, negative=True), name, source="xml", is_negative=True)
            if dialect.whole:
                back = convert(read(made.text, negative=True), "xml", source=name, is_negative=True)
                assert meaning(read(back.text, negative=True).scene) == wanted, name
        except PromptError as error:
            assert error.hint
            assert not (dialect.whole and dialect.attributes), name


def check(text: str, number: int = 0, every: int = 4) -> bool:
    """False for a text that is refused. Every fourth is also compared, explained, linted and converted once."""
    reading = check_reading(text)
    if reading is None:
        return False
    check_format(reading)
    if number % every == 0:
        check_sent(reading)
        check_diff(reading)
        check_lint(reading)
        names = tuple(DIALECTS)
        check_convert(reading, [names[number // every % len(names)]])
    return True


# ---- by hand


def main() -> int:
    parser = argparse.ArgumentParser(description="Check seeded random prompts; exit with 1 at the first that fails.")
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after so long")
    parser.add_argument("--record", type=Path, help="keep a JSON file about the run, renewed every 10,000 prompts")
    asked = parser.parse_args()
    began = time.monotonic()
    told: Counter[str] = Counter()
    digest = hashlib.sha256()

    def about() -> str:
        return json.dumps(
            {
                "command": f"python tests/prompt/fuzz_prompts.py --count {asked.count} --seed {asked.seed}",
                "prompts": sum(told.values()),
                **told,
                "failures": 0,
                "prompts_sha256": digest.hexdigest(),
                "seconds": round(time.monotonic() - began),
                "python": sys.version.split()[0],
            },
            indent=2,
        )

    for number, text in zip(range(asked.count), prompts(asked.seed), strict=False):
        try:
            told["read" if check(text, number) else "refused"] += 1
        except Exception:
            sys.stderr.write(f"prompt {number} of seed {asked.seed} fails: {text!r}\n")
            raise
        digest.update(text.encode("utf-8", "surrogatepass"))
        if (number + 1) % 10_000 == 0:
            sys.stderr.write(f"{number + 1:,} prompts, {time.monotonic() - began:,.0f} s, {dict(told)}\n")
            if asked.record:
                asked.record.write_text(about() + "\n", encoding="utf-8")
        if time.monotonic() - began > asked.seconds:
            break
    sys.stdout.write(about() + "\n")
    if asked.record:
        asked.record.write_text(about() + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
