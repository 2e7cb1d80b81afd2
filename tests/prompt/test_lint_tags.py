"""Rules about single tags: spelling, repetition, weights and markup of other programs, what an encoder cuts off."""

from __future__ import annotations

from pathlib import Path

import pytest

from newbie.prompt import read
from newbie.prompt.lint import lint
from newbie.prompt.rules.subject import Audience, Encoder

LITERALS = Path(__file__).with_name("literals")


def found(text: str, *only: str) -> dict[str, str]:
    return {d.code: d.hint for d in lint(read(text)) if not only or d.code in only}


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("blue_hiar", "blue_hair"), ("bluehair", "blue_hair"), ("twintials", "twintails"), ("smille", "smile"),
        ("bule_hiar", "blue_hair"), ("school_unifrom", "school_uniform"), ("looking_at_veiwer", "looking_at_viewer"),
        ("serefuku", "serafuku"), ("open-mouth", "open_mouth"), ("masterpeice", "masterpiece"),
        ("very_asthetic_x", ""), ("backround", "background"), ("cherry_blosoms", "cherry_blossoms"),
        ("cat ers", "cat_ears"), ("(blue_hiar:1.2)", "blue_hair"), ("hair_ribon", "hair_ribbon"),
    ],
)  # fmt: skip
def test_a_misspelt_tag_is_told_with_the_one_that_was_meant(written: str, meant: str) -> None:
    hint = found(f"1girl, solo, {written}, outdoors", "NB301").get("NB301", "")
    assert hint == (f"did you mean {meant}?" if meant else "")


# Names, rare tags and words of everyday that stand one letter from a tag of ours.
NO_SLIPS = r"""
    hatsune_miku kagamine_rin asuna rem megumin saber_alter archer_(fate) hu_tao raiden_shogun aris_\(archive\)
    sailor_moon robin march maple state party novel plain dance dancing ribbons dresses skirts clown private painting
    2000s_(style) 1990s_(style) k-on! re:zero reverse:1999 artist:someone fate/stay_night :3 >_< \(^o^)/ nier:automata
    blue_rose_petals white_hair_flower_dress golden_retriever wataame_(candy) gawr_gura ayanami_rei yor_briar ganyu
    original_concept magic_knight_rayearth kimetsu_no_yaiba one_piece spy_x_family girls_und_panzer
"""


@pytest.mark.parametrize("tag", NO_SLIPS.split())
def test_a_name_or_a_rare_tag_is_not_taken_for_a_slip(tag: str) -> None:
    assert found(f"1girl, solo, {tag}, outdoors", "NB301") == {}


def test_names_and_artists_are_nobodys_slips() -> None:
    assert found("<character_1><n>blue_hiar</n></character_1>", "NB301") == {}
    assert found("<general_tags><artists>smille</artists></general_tags>", "NB301") == {}


def test_quality_words_keep_the_blanks_they_were_trained_with() -> None:
    text = "<general_tags><quality>very aesthetic, no text</quality><style>anime style</style></general_tags>"
    assert found(text) == {"NB302": "write anime_style"}


@pytest.mark.parametrize(
    ("text", "again"),
    [
        ("1girl, solo, smile, Smile", 1),
        ("1girl, solo, blue hair, blue_hair, (blue_hair:1.2)", 2),
        ("<character_1><appearance>hat</appearance><clothing>hat</clothing></character_1>", 1),
        ("<character_1><n>a</n><clothing>hat</clothing></character_1>"
         "<character_2><n>b</n><clothing>hat</clothing></character_2>", 0),
    ],
)  # fmt: skip
def test_a_tag_is_said_once_in_a_block(text: str, again: int) -> None:
    assert sum(d.code == "NB303" for d in lint(read(text))) == again


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("((blue_hair))", "NB401"), ("[[blue_hair]]", "NB401"), ("{blue_hair}", "NB401"), ("[blue_hair]", "NB401"),
        ("blue_hair:1.2", "NB401"), ("(blue_hair:1.2", "NB401"), ("blue_hair:1.2)", "NB401"), ("(blue_hair)", "NB401"),
        ("（blue hair：1.2）", "NB401"), ("(微笑：1.2)", "NB401"), ("（微笑）", ""), ("(hat:120%)", "NB401"),
        ("(hat:1.2.3)", "NB401"), ("（16：9）", ""), ("（´ω｀）", ""), ("(hat:)", "NB401"), ("(blue hair: )", "NB401"),
        ("(x:)", ""), ("(:)", ""),
        ("(blue_hair:1.2)", ""), ("(blue_hair, smile:1.2)", ""), ("(blue_hair:-3)", "NB411"),
        ("(blue_hair:nan)", "NB411"), ("(blue_hair:1e9)", "NB411"),
        ("reverse:1999", ""), ("16:9", ""), (":3", ""), ("maccha_(mochancc)", ""),
        ("\\(blue_hair\\)", ""), ("(o_o)", ""), ("(>_<)", ""), ("BREAK", "NB402"), ("<lora:a:1>", "NB402"),
        ("embedding:easynegative", "NB402"), ("&lt;3", "NB112"), ("&amp;", "NB112"), ("<3", ""), ("tiger_&_bunny", ""),
        ("<caption", "NB112"), ("<hat", ""), ("r&b", ""),
    ],
)  # fmt: skip
def test_what_only_looks_like_markup_is_told_apart_from_tags(written: str, code: str) -> None:
    told = found(f"1girl, solo, {written}, outdoors", "NB401", "NB411", "NB402", "NB112")
    assert list(told) == ([code] if code else [])


def test_weights_and_boxes_out_of_range_are_errors() -> None:
    text = '<character_1><n>a</n><position x="0.9" width="0.9">left</position></character_1>'
    assert [(d.code, d.severity) for d in lint(read(text))] == [("NB701", "error")]
    assert [d.severity for d in lint(read("1girl, (hat:nan), solo"))] == ["error"]


@pytest.mark.parametrize("name", ["angles.txt", "colons.txt"])
def test_literal_tags_are_no_slips_no_contradictions_and_no_errors(name: str) -> None:
    for tag in (LITERALS / name).read_text("utf-8").splitlines():
        told = {d.code for d in lint(read(f"1girl, {tag}, outdoors", negative=True), negative=True)}
        assert told <= {"NB106", "NB108", "NB112", "NB302", "NB401", "NB402"}, tag


class Letters:
    """An encoding with a token for each character."""

    def __init__(self, text: str) -> None:
        self.offsets = [(0, 0), *((i, i + 1) for i in range(len(text)))]
        self.ids = list(range(len(self.offsets)))


def test_what_is_cut_off_is_named_with_the_numbers_of_each_encoder() -> None:
    text = "<character_1>\n<appearance>blue_hair, smile</appearance>\n</character_1>\n<caption>A girl.</caption>"
    audience = Audience("m", (Encoder("gemma", Letters, 40), Encoder("jina", Letters, 1000)), system_prompt="")
    (finding,) = lint(read(text), audience=audience)
    assert finding.code == "NB501"
    assert finding.message == f"Gemma of m reads 40 of {len(text) + 1} tokens; lost: character_1.appearance[1], caption"
    assert text[finding.span.start : finding.span.stop] == "smile"
    assert finding.hint == f"shorten the prompt by {len(text) + 1 - 40} tokens"


def test_nothing_is_said_of_limits_that_nobody_reaches_or_nobody_knows() -> None:
    audience = Audience("m", (Encoder("gemma", Letters, 500),), system_prompt="")
    assert lint(read("1girl, solo"), audience=audience) == ()
    assert lint(read("1girl, solo, a_tag " * 300)) != ()
    assert "NB501" not in found("1girl, solo, " + "hat, " * 500)


def test_the_work_stays_bounded_for_a_prompt_full_of_words_nobody_knows() -> None:
    asked = []

    class Counting(dict):  # type: ignore[type-arg]
        def get(self, key, default=None):  # type: ignore[no-untyped-def]
            asked.append(key)
            return super().get(key, default)

    from newbie.prompt.vocabulary import Vocabulary, bundled

    words = Vocabulary(Counting(bundled().tags), bundled().aliases)
    text = ", ".join(f"zzq{i}_unknown_thing" for i in range(12_000))[:250_000]
    lint(read(text), vocabulary=words)
    assert len(asked) < 2_000_000


def test_what_a_sentence_says_of_two_people_is_not_said_twice():
    two = "左侧是白发的少女，举起双手，右边是棕发的女孩，蓝眼，举起双手"
    assert "NB303" not in {each.code for each in lint(read(two))}
    twice = "左侧是白发的少女，举起双手，蓝眼，举起双手"
    assert "NB303" in {each.code for each in lint(read(twice))}
