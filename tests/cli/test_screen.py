"""The editor of the prompt loop, driven by keys through a pipe; what it draws is read from the escape sequences."""

import io
import re
import threading
import time

import pytest

pytest.importorskip("prompt_toolkit")

from prompt_toolkit.application import create_app_session
from prompt_toolkit.data_structures import Size
from prompt_toolkit.document import Document
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.layout.processors import TransformationInput
from prompt_toolkit.output import DummyOutput
from prompt_toolkit.output.vt100 import Vt100_Output

from newbie.cli import screen
from newbie.cli.blocks import Entry
from newbie.cli.console import Console
from newbie.cli.repl import command_help
from newbie.cli.suggest import Suggestions

ENTER, ALT_ENTER, TAB, CTRL_C, CTRL_D, UP = "\r", "\x1b\r", "\t", "\x03", "\x04", "\x1b[A"
CURSOR_IS_AT_THE_TOP = "\x1b[1;1R"  # what a terminal answers when it is asked
DRAW_ALL_AGAIN = "\x0c"
SECONDS = 20
PASTE = "\x1b[200~{}\x1b[201~"
SOLO = "<character_1>\n<appearance>red_hair, >_<</appearance>\n</character_1>"


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    """The history goes to a folder of the test; a pause of a paste is not waited for."""
    monkeypatch.setattr(screen, "history_file", lambda: tmp_path / "state" / "history.txt")
    monkeypatch.setattr(screen, "PASTE_SECONDS", 0.0)
    return tmp_path / "state"


class Typist:
    """Types at an editor that runs in a thread of its own, and waits for what it shows."""

    def __init__(self, output=None, console=None):
        self.result = None
        self._console = console or Console()
        self._output = output or DummyOutput()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._ready.wait(SECONDS)

    def _run(self):
        with create_pipe_input() as self.pipe, create_app_session(input=self.pipe, output=self._output):
            self.editor = screen.Screen(self._console, Suggestions(command_help()))
            self._ready.set()
            try:
                self.result = self.editor.next()
            except (EOFError, KeyboardInterrupt) as error:
                self.result = error

    def type(self, *keys):
        for each in keys:
            self.pipe.send_text(each)

    def wait(self, shown):
        """Until `shown(buffer)` holds."""
        buffer = self.editor._session.default_buffer
        end = time.monotonic() + SECONDS
        while not shown(buffer):
            assert time.monotonic() < end, f"it did not come; the text is {buffer.text!r}"
            time.sleep(0.005)

    def wait_for_offer(self, word):
        """Until the list of completions holds a word: Tab is lost while the list is being made."""
        self.wait(lambda buffer: buffer.complete_state and word in {c.text for c in buffer.complete_state.completions})

    def entry(self):
        self._thread.join(SECONDS)
        assert not self._thread.is_alive(), f"no entry; the text is {self.editor._session.default_buffer.text!r}"
        if isinstance(self.result, BaseException):
            raise self.result
        return self.result


def typed(*keys, **options):
    """The entry that the keys give."""
    typist = Typist(**options)
    typist.type(*keys)
    return typist.entry()


def test_a_line_of_tags_is_an_entry():
    assert typed("1girl, blue_hair, >_<" + ENTER) == Entry("1girl, blue_hair, >_<")


def test_a_command_is_an_entry():
    assert typed("/seed 7" + ENTER) == Entry("7", "seed")


def test_an_unfinished_prompt_goes_on_in_a_new_line():
    assert typed(SOLO.replace("\n", ENTER) + ENTER) == Entry(SOLO)


def test_alt_enter_begins_a_new_line_in_a_finished_prompt():
    caption = "<caption>A girl.</caption>"
    assert typed(SOLO.replace("\n", ENTER) + ALT_ENTER + ALT_ENTER + caption + ENTER) == Entry(f"{SOLO}\n\n{caption}")


def test_a_paste_is_one_entry_bracketed_or_not():
    text = f"{SOLO}\n\n<general_tags>\n<count>1girl</count>\n</general_tags>\n\n<caption>A girl.</caption>"
    assert typed(PASTE.format(text.replace("\n", "\r")) + ENTER) == Entry(text)
    assert typed(text.replace("\n", "\r") + ENTER) == Entry(text)


def test_an_empty_line_ends_a_prompt_that_is_not_finished():
    entry = typed("<character_1>" + ENTER, "<n>x</n>" + ENTER, ENTER)
    assert (entry.text, entry.complete) == ("<character_1>\n<n>x</n>", False)


def test_an_empty_entry_is_asked_again():
    assert typed(ENTER, "  " + ENTER, "1girl" + ENTER) == Entry("1girl")


def test_ctrl_c_and_ctrl_d_are_told():
    with pytest.raises(KeyboardInterrupt):
        typed("1girl" + CTRL_C)
    with pytest.raises(EOFError):
        typed(CTRL_D)


def test_tab_completes_elements_and_end_tags():
    typist = Typist()
    typist.type("<character_1><app")
    typist.wait_for_offer("<appearance>")
    typist.type(TAB)
    typist.wait(lambda buffer: buffer.text == "<character_1><appearance>")
    typist.type("twintails</")
    typist.wait_for_offer("</appearance>")
    typist.type(TAB)
    typist.wait(lambda buffer: buffer.text.endswith("twintails</appearance>"))
    typist.type("</character_1>" + ENTER)
    assert typist.entry().complete


def test_enter_takes_a_chosen_completion_and_the_next_enter_draws():
    typist = Typist()
    typist.type("1girl, twintai")
    typist.wait_for_offer("twintails")
    typist.type(TAB)
    typist.wait(lambda buffer: buffer.text == "1girl, twintails")
    typist.type(ENTER)
    typist.wait(lambda buffer: buffer.complete_state is None)
    typist.type(ENTER)
    assert typist.entry() == Entry("1girl, twintails")


def test_the_history_comes_back_line_by_line_and_from_one_session_to_the_next():
    typed(SOLO.replace("\n", ENTER) + ENTER)
    assert typed(UP * 3 + ENTER) == Entry(SOLO)


def test_a_history_that_cannot_be_written_is_told_once_and_stops_nothing(state):
    state.write_text("a file where the folder should be")
    err = io.StringIO()
    assert typed("1girl" + ENTER, console=Console(err=err)) == Entry("1girl")
    assert err.getvalue().count("the history is not kept") == 1


# ---- what is drawn


def drawn(text, pattern):
    """What the terminal is sent for a text, up to where the pattern is found."""
    out = io.StringIO()
    typist = Typist(Vt100_Output(out, lambda: Size(rows=30, columns=120), term="xterm"))
    typist.type(CURSOR_IS_AT_THE_TOP, text)
    typist.wait(lambda buffer: buffer.text == text)
    typist.type(DRAW_ALL_AGAIN, CURSOR_IS_AT_THE_TOP)  # else only what changed is sent, letter by letter
    typist.wait(lambda buffer: re.search(pattern, out.getvalue()))
    typist.type(CTRL_C)
    with pytest.raises(KeyboardInterrupt):
        typist.entry()
    return out.getvalue()


def underlined(text, cursor=None):
    """The underlined words of each line, with their styles."""
    document = Document(text, len(text) if cursor is None else cursor)
    found = []
    for number, line in enumerate(document.lines):
        given = TransformationInput(None, document, number, lambda i: i, [("", line)], 120, 30)
        fragments = screen._Underline().apply_transformation(given).fragments
        assert "".join(char for _, char, *_ in fragments) == line
        words = re.findall(r"1+", "".join("1" if "mistake" in style else "0" for style, *_ in fragments))
        at = 0
        marks = "".join("1" if "mistake" in style else "0" for style, *_ in fragments)
        for word in words:
            at = marks.index(word, at)
            found.append((number, line[at : at + len(word)], fragments[at][0].split("mistake.")[1]))
            at += len(word)
    return found


def test_a_mistake_is_underlined_where_it_stands():
    text = "<character_1>\n<apperance>blue_hair</apperance>\n<position>left</position>\n"
    assert underlined(text) == [(1, "<apperance>", "warning")]


def test_a_mistake_of_two_lines_is_underlined_in_both():
    text = "<caption>a</caption>\nwords that go on\nand on</n>\n<caption>b</caption>\n"
    assert {number for number, _, _ in underlined(text)} >= {1, 2}


def test_good_prompts_faces_and_commands_are_not_underlined():
    for text in (SOLO, "1girl, blue_hair, >_<, ", "/set bleu_hair, x", "A girl smiles."):
        assert underlined(text) == []


WRONG = "<caption>a</caption><apperance>x</apperance>, "


def test_the_terminal_shows_the_underline_and_the_last_line_says_what_is_wrong():
    shown = drawn(WRONG, r"hint: did you mean <appearance>\?")
    assert re.search(r"\x1b\[[\d;]*4m<apperance>", shown)


def test_without_a_mistake_the_last_line_tells_the_keys():
    drawn("1girl, blue_hair", "Alt-Enter")


@pytest.mark.parametrize(("colour", "style"), [(True, "0;33;4"), (False, "0;4")])
def test_without_colours_the_underline_stays(monkeypatch, colour, style):
    monkeypatch.setattr(screen, "wants_colour", lambda stream: colour)
    shown = drawn(WRONG, r"m<apperance>")
    assert set(re.findall(r"\x1b\[([\d;]*)m<apperance>", shown)) == {style}
