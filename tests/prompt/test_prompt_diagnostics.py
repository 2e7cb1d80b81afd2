"""What people see: the words are part of the interface."""

from __future__ import annotations

from newbie.prompt import Diagnostic, Source, Span, read, show
from newbie.prompt.rules.structure import NEVER_CLOSED


def shown(text: str) -> str:
    reading = read(text, name="prompts/x.xml")
    return "\n".join(show(d, reading.source) for d in reading.diagnostics)


def test_a_finding_shows_the_line_with_carets_under_the_words() -> None:
    assert shown("<character_1>\n  <apperance>blue_hair</apperance>\n</character_1>") == (
        "prompts/x.xml:2:3: NB105 <apperance> is not an element of the prompt language;"
        " it was read as a further element\n"
        "  2 |   <apperance>blue_hair</apperance>\n"
        "    |   ^^^^^^^^^^^\n"
        "  hint: did you mean <appearance>?"
    )


def test_carets_stand_below_their_words_after_chinese_and_tabs() -> None:
    source = Source("\t蓝发<n>x")
    rows = show(Diagnostic(NEVER_CLOSED, Span(3, 6), "m"), source).split("\n")
    assert rows[1] == "  1 |     蓝发<n>x"
    assert rows[2] == "    |         ^^^"  # four cells of tab, twice two of Chinese


def test_long_lines_show_the_part_around_the_finding() -> None:
    source = Source("x" * 1000 + "<n>" + "y" * 1000)
    rows = show(Diagnostic(NEVER_CLOSED, Span(1000, 1003), "m"), source).split("\n")
    assert len(rows[1]) < 120
    at = rows[1].index("<n>")
    assert rows[2][at : at + 3] == "^^^" and rows[1].endswith("…") and "… " not in rows[1]


def test_control_characters_never_reach_the_terminal() -> None:
    source = Source("a\x1b[31m\u202eb")
    assert "\x1b" not in show(Diagnostic(NEVER_CLOSED, Span(0, 1), "m"), source)
    assert "\u202e" not in show(Diagnostic(NEVER_CLOSED, Span(0, 1), "m"), source)


def test_a_finding_at_the_very_end_still_has_a_caret() -> None:
    assert show(Diagnostic(NEVER_CLOSED, Span(3, 3), "m"), Source("abc")).endswith("^")
