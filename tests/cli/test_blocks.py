"""Lines become entries: a prompt of many lines is one prompt, however it arrives."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newbie.cli.blocks import Entries, Entry

DUO = """<character_1>
<appearance>blue_hair, >_<</appearance>
<position>left</position>
</character_1>

<character_2>
<appearance>blonde_hair</appearance>
</character_2>

<general_tags>
<count>2girls</count>
</general_tags>
<caption>Two girls.</caption>"""
SOLO = "<character_1>\n<appearance>red_hair</appearance>\n</character_1>"


class Typed:
    """Lines that are all there at once (a paste, a file), or come one by one (`slow`)."""

    interactive = False

    def __init__(self, chunks, *, slow=False):
        self.chunks = list(chunks)
        self.slow = slow

    def next(self, prompt):
        if not self.chunks:
            raise EOFError
        return self.chunks.pop(0)

    def waiting(self, seconds):
        return bool(self.chunks) and not self.slow

    def close(self):
        pass


def entries(*chunks, slow=False):
    reader, found = Entries(Typed(chunks, slow=slow)), []
    while True:
        try:
            found.append(reader.next())
        except EOFError:
            return found


def lines(*texts):
    return "\n".join(texts).split("\n")


def test_a_line_of_tags_is_a_prompt_at_once():
    assert entries("1girl, blue_hair, >_<", "1boy", slow=True) == [Entry("1girl, blue_hair, >_<"), Entry("1boy")]


def test_empty_lines_are_nothing():
    assert entries("", "  ", "1girl", "") == [Entry("1girl")]


def test_commands_have_a_name_and_an_argument():
    assert entries("/seed 7", "/HELP", " /set character_1.n  x y ", "/?") == [
        Entry("7", "seed"),
        Entry("", "help"),
        Entry("character_1.n  x y", "set"),
        Entry("", "?"),
    ]


def test_a_pasted_prompt_with_many_roots_and_blank_lines_is_one_prompt():
    assert entries(*lines(DUO)) == [Entry(DUO)]


def test_a_bracketed_paste_arrives_as_one_line_and_is_one_prompt():
    assert entries(DUO, slow=True) == [Entry(DUO)]


def test_prompts_one_after_another_are_several_prompts():
    assert entries(*lines(DUO, SOLO, "", DUO, "/quit")) == [Entry(DUO), Entry(SOLO), Entry(DUO), Entry("", "quit")]


def test_typed_by_hand_a_prompt_starts_when_its_tags_balance():
    assert entries(*lines(SOLO), "1girl", slow=True) == [Entry(SOLO), Entry("1girl")]


def test_a_wrapper_holds_a_typed_prompt_together():
    wrapped = f"<img>\n{SOLO}\n<general_tags>\n<count>1girl</count>\n</general_tags>\n</img>"
    assert entries(*lines(wrapped), slow=True) == [Entry(wrapped)]


def test_one_line_of_xml_is_a_prompt():
    assert entries("<character_1><n>x</n></character_1>", "1girl") == [
        Entry("<character_1><n>x</n></character_1>"),
        Entry("1girl"),
    ]


def test_an_empty_line_ends_an_unfinished_prompt():
    assert entries("<character_1>", "<n>x</n>", "", "1girl", slow=True) == [
        Entry("<character_1>\n<n>x</n>", complete=False),
        Entry("1girl"),
    ]


def test_a_command_ends_an_unfinished_prompt():
    assert entries("<character_1>", "<n>x</n>", "/quit") == [
        Entry("<character_1>\n<n>x</n>", complete=False),
        Entry("", "quit"),
    ]


def test_the_end_of_input_ends_an_unfinished_prompt():
    assert entries("<character_1>", "<n>x</n>") == [Entry("<character_1>\n<n>x</n>", complete=False)]


def test_a_blank_line_inside_a_pasted_wrapper_does_not_end_it():
    wrapped = f"<img>\n{SOLO}\n\n<general_tags><count>1girl</count></general_tags>\n</img>"
    assert entries(*lines(wrapped)) == [Entry(wrapped)]


def test_a_pasted_system_prompt_goes_with_its_prompt():
    text = "You are an assistant. <Prompt Start>\n" + DUO
    assert entries(*lines(text), "/quit") == [Entry(text), Entry("", "quit")]


def test_a_leading_style_line_goes_with_its_prompt():
    text = "<style>style of X</style>\n" + SOLO
    assert entries(*lines(text)) == [Entry(text)]


def test_a_blank_in_a_tag_name_is_understood():
    text = "<character 1>\n<n>x</n>\n</character 1>\n<general tags>\n<count>1girl</count>\n</general tags>"
    assert entries(*lines(text)) == [Entry(text)]


@pytest.mark.parametrize("face", ["<3", ":<", ">_<", "<o>_<o>", "a <b", "<>", "</", "< character_1 >"])
def test_faces_do_not_wait_for_more(face):
    assert entries(f"1girl, {face}", "1boy", slow=True)[-1] == Entry("1boy")


def test_a_block_beyond_the_limit_is_handed_over_and_not_collected_for_ever():
    found = entries("<character_1>", *["x" * 1000] * 400)
    assert len(found[0].text) > 256 * 1024


@settings(max_examples=60)
@given(
    st.lists(
        st.sampled_from(
            [
                "",
                " ",
                "<img>",
                "</img>",
                "<character_1>",
                "</character_1>",
                "<n>a</n>",
                "1girl",
                "/quit",
                "<Prompt Start>",
                "<caption>",
            ]
        ),
        max_size=12,
    ),
    st.booleans(),
)
def test_no_line_is_lost(typed, slow):
    found = entries(*typed, slow=slow)
    kept = [part for e in found for part in ([f"/{e.command}"] if e.command else e.text.split("\n")) if part.strip()]
    assert kept == [line for line in typed if line.strip()]
