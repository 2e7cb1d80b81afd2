"""The prompt loop's editor at a terminal: it underlines mistakes, says what they are, and completes (prompt_toolkit).

This is the only module that knows prompt_toolkit, which is an optional extra: pip install "newbie[loop]".
"""

from __future__ import annotations

import os
import select
import textwrap
from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING

from prompt_toolkit import PromptSession
from prompt_toolkit.application import get_app
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.formatted_text.utils import fragment_list_to_text
from prompt_toolkit.history import FileHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.layout.processors import Processor, Transformation, TransformationInput
from prompt_toolkit.layout.utils import explode_text_fragments
from prompt_toolkit.output import ColorDepth
from prompt_toolkit.styles import Style
from prompt_toolkit.utils import is_dumb_terminal

from newbie.cli.blocks import PASTE_SECONDS, Entry, whole
from newbie.cli.console import Console, clean, wants_colour
from newbie.cli.lines import history_file
from newbie.cli.suggest import Suggestions

if TYPE_CHECKING:
    from newbie.prompt.unfinished import Mistake

PROMPT, MORE = "newbie> ", "   ...> "
HELP = "Enter draws · Alt-Enter begins a new line · Tab completes · /help"
# Colours are hints; the underline and the words in the last line are the signal.
STYLE = Style.from_dict(
    {
        "mistake.error": "underline ansired",
        "mistake.warning": "underline ansiyellow",
        "mistake.info": "underline",
        "bottom-toolbar": "noreverse",
    }
)


def is_usable() -> bool:
    return not is_dumb_terminal()


class Screen:
    """Entries typed into an editor of several lines: an EntrySource."""

    interactive = True

    def __init__(self, console: Console, suggestions: Suggestions) -> None:
        self._session: PromptSession[str] = PromptSession(
            multiline=True,
            prompt_continuation=MORE,
            completer=_Completer(suggestions),
            complete_while_typing=True,
            input_processors=[_Underline()],
            bottom_toolbar=_told,
            key_bindings=_keys(),
            history=_History(console),
            style=STYLE,
            color_depth=None if wants_colour(console.out) else ColorDepth.MONOCHROME,
        )

    def next(self) -> Entry:
        while True:
            text = self._session.prompt(PROMPT)
            if text.strip():
                return whole(text)

    def forget(self) -> None:
        """Nothing is read ahead here."""

    def close(self) -> None:
        """The history is written entry by entry."""


# ---- keys


def _keys() -> KeyBindings:
    keys = KeyBindings()

    @keys.add("enter")
    def _enter(event: KeyPressEvent) -> None:
        """Take a completion; draw what is finished; else begin a new line."""
        buffer = event.current_buffer
        if buffer.complete_state and buffer.complete_state.current_completion:
            buffer.complete_state = None
        elif _ends(event):
            buffer.validate_and_handle()
        else:
            buffer.newline(copy_margin=False)

    @keys.add("escape", "enter")
    def _new_line(event: KeyPressEvent) -> None:
        event.current_buffer.newline(copy_margin=False)

    return keys


def _ends(event: KeyPressEvent) -> bool:
    """Whether Enter ends the entry: a command, a finished prompt, an empty line; not in the middle of a paste."""
    from newbie.prompt.scan import is_complete

    text = event.current_buffer.text
    if text.startswith("/") and "\n" not in text:
        return True
    if event.app.key_processor.input_queue or _more_is_coming(event):
        return False
    return is_complete(text) or not event.current_buffer.document.current_line.strip()


def _more_is_coming(event: KeyPressEvent) -> bool:
    """Terminals without bracketed paste type a pasted text for us, as fast as they can."""
    if os.name == "nt":
        return False
    return bool(select.select([event.app.input.fileno()], [], [], PASTE_SECONDS)[0])


# ---- what is wrong


@lru_cache(maxsize=4)
def _mistakes(text: str, cursor: int) -> tuple[Mistake, ...]:
    from newbie.prompt.unfinished import mistakes

    return () if text.startswith("/") else mistakes(text, cursor)


class _Underline(Processor):
    """Draws a line under every mistake."""

    def apply_transformation(self, transformation_input: TransformationInput) -> Transformation:
        document = transformation_input.document
        fragments: StyleAndTextTuples = explode_text_fragments(transformation_input.fragments)
        first = document.translate_row_col_to_index(transformation_input.lineno, 0)
        length = len(fragment_list_to_text(fragments))
        for mistake in _mistakes(document.text, document.cursor_position):
            for at in range(max(mistake.span.start - first, 0), min(mistake.span.stop - first, length)):
                style, char = fragments[at][:2]
                fragments[at] = (f"{style} class:mistake.{mistake.severity}", char)
        return Transformation(fragments)


def _told() -> str:
    """The last lines: the mistake at the cursor, else the first one, else the keys."""
    app = get_app()
    document = app.current_buffer.document
    found = _mistakes(document.text, document.cursor_position)
    if not found:
        return HELP
    here = (m for m in found if m.span.start <= document.cursor_position <= m.span.stop)
    mistake = next(here, found[0])
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    rows = [f"{mistake.code} {mistake.message}{more}".lstrip(), f"  hint: {mistake.hint}" if mistake.hint else ""]
    columns = app.output.get_size().columns - 1
    return "\n".join(line for row in rows for line in textwrap.wrap(clean(row), columns, drop_whitespace=False))


# ---- completion and history


class _Completer(Completer):
    def __init__(self, suggestions: Suggestions) -> None:
        self._suggestions = suggestions

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        at = document.cursor_position
        for each in self._suggestions(document.text, at, asked=complete_event.completion_requested):
            yield Completion(each.text, start_position=each.start - at, display_meta=each.about)


class _History(FileHistory):
    """A history whose file may be out of reach: said once, and no reason to stop."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._told = False
        super().__init__(str(history_file().with_name("entries.txt")))

    def load_history_strings(self) -> Iterable[str]:
        try:
            return list(super().load_history_strings())
        except OSError:
            return []

    def store_string(self, string: str) -> None:
        try:
            history_file().parent.mkdir(parents=True, exist_ok=True)
            super().store_string(string)
        except OSError as error:
            if not self._told:
                self._told = True
                self._console.say(f"the history is not kept: {error.strerror}")
