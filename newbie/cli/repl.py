"""The prompt loop: type a prompt, see a picture, change a word, draw again. The model stays warm.

A session is a chain of small states (prompt and settings); every change puts the state before it on a stack, which
is all that `/undo` needs.
"""

from __future__ import annotations

import dataclasses
import difflib
import inspect
import re
import shlex
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from newbie.cli import args, values, wearing
from newbie.cli.args import REQUEST_FLAGS, Asked
from newbie.cli.blocks import Entries, Entry, EntrySource
from newbie.cli.console import Console, as_newbie_error, is_terminal, report
from newbie.cli.findings import look_at, refuse
from newbie.cli.lines import StreamLines, TerminalLines
from newbie.cli.names import Output, safe_name
from newbie.cli.reuse import Reuse, Words
from newbie.cli.sources import DEFAULT_STEM, Source, negative_text, resolve
from newbie.cli.suggest import Suggestions
from newbie.errors import Cancelled, OutputError, UsageError
from newbie.request import AdapterChoice, Request, Settings

if TYPE_CHECKING:
    from newbie.cli.draw import Drawer, Engine, Made, OpenEngine

SYNONYMS = {"q": "quit", "exit": "quit", "?": "help", "h": "help"}
# Commands that set a field of the request, beside the fields' own names.
SHORT = {
    "cfg": "cfg_scale",
    "n": "count",
    "solver": "sampler",
    "scheduler": "schedule",
    "system": "system_prompt",
}


@dataclass(frozen=True)
class State:
    """What the next picture would be made of."""

    prompt: str | None = None
    stem: str = DEFAULT_STEM
    file_name: str = ""
    path: Path | None = None  # of the prompt's file: it may name character files
    reuse: Reuse = field(default_factory=Reuse)
    fields: Mapping[str, Any] = field(default_factory=dict)
    attention: str = ""  # a kernel; "": as the model was opened
    adapters: tuple[AdapterChoice, ...] = ()

    def request(self, **changes: Any) -> Request:
        return Request(prompt=self.prompt or "", **(dict(self.fields) | changes))


def start(asked: Asked, output: Output, console: Console, opener: OpenEngine | None) -> int:
    """Load the model, then read entries until the end. Exit code 0, or that of the first failure in a script."""
    from newbie.cli.draw import Drawer, open_engine

    entries = open_entries(console)
    engine = open_engine(asked.model, Settings(**asked.settings), console, opener, Request(**asked.request))
    drawer = Drawer.of(asked, engine, console, output)
    state = State(fields=asked.request, adapters=asked.model.lora, reuse=asked.reuse)
    loop = Loop(drawer, console, state, interactive=entries.interactive, force=asked.force)
    return loop.run(entries)


def open_entries(console: Console) -> EntrySource:
    """At a terminal an editor with completion, where prompt_toolkit is installed; else plain lines."""
    if not (is_terminal(sys.stdin) and is_terminal(sys.stdout)) or console.json:
        return Entries(StreamLines(sys.stdin.buffer, console, interactive=is_terminal(sys.stdin)))
    try:
        from newbie.cli import screen
    except ImportError:  # an optional extra: [loop]
        return Entries(TerminalLines(console))
    if not screen.is_usable():
        return Entries(TerminalLines(console))
    return screen.Screen(console, Suggestions(command_help()))


class Loop:
    """One session. Methods named `do_…` are its commands; their first docstring line is their help."""

    def __init__(
        self, drawer: Drawer, console: Console, state: State, *, interactive: bool, force: bool = False
    ) -> None:
        self.drawer = drawer
        self.opened = drawer.engine
        drawer.on_leaner = self._leaner
        self.wearing = state.adapters, drawer.engine  # what is worn, and the model that wears it
        self.first = state.adapters
        self.reuse = state.reuse
        self.force = force
        self.console = console
        self.state = state
        self.interactive = interactive
        self.before: list[State] = []
        self.last: Request | None = None
        self.shown: Made | None = None
        self.code = 0
        self.running = True

    def run(self, entries: EntrySource) -> int:
        if self.interactive:
            self.console.say("Type a prompt (XML, tags or a sentence), or /help. Ctrl-C stops a picture, Ctrl-D quits.")
        try:
            while self.running:
                try:
                    entry = entries.next()
                except EOFError:
                    if self.interactive:
                        self.console.say("")
                    break
                except KeyboardInterrupt:
                    if not self.interactive:
                        raise
                    entries.forget()
                    self.console.say("\n(/quit or Ctrl-D leaves)")
                    continue
                self.handle(entry)
        finally:
            entries.close()
        return 0 if self.interactive else self.code

    def handle(self, entry: Entry) -> None:
        """Carry out one entry; whatever goes wrong is told and the session goes on."""
        try:
            if entry.command:
                self.command(entry.command, entry.text)
            else:
                self.enter(entry)
        except (Cancelled, KeyboardInterrupt):
            self.console.say("\ncancelled; the session goes on" if self.interactive else "cancelled")
            self.code = self.code or Cancelled.exit_code
        except BrokenPipeError:
            raise
        except Exception as error:  # a bug must not end a session either: told as one, and kept as exit code
            report(error, self.console)
            self.code = self.code or as_newbie_error(error).exit_code

    def enter(self, entry: Entry) -> None:
        """A prompt: typed, or the name of a prompt file."""
        source = Source(data=entry.text)
        if "\n" not in entry.text and entry.text != "-":
            found = resolve(entry.text)
            if len(found) > 1:
                raise UsageError(f"{entry.text} holds {len(found)} prompts", "name one, or use create.py --prompt")
            source = found[0]
        if not entry.complete:
            self.console.warn("the prompt ended before all its tags were closed")
        self._take(source)
        self._draw(self.state.request())

    def command(self, name: str, argument: str) -> None:
        """Raises UsageError for an unknown command; the hint names the nearest."""
        names = commands()
        name = name.replace("-", "_")
        name = SYNONYMS.get(name, name)
        if name in names:
            names[name](self, argument)
        elif (known := SHORT.get(name, name)) in REQUEST_FLAGS:
            self._field(known, argument)
        else:
            close = difflib.get_close_matches(name, all_commands(), 1, 0.5)
            raise UsageError(
                f"there is no command /{name}", f"did you mean /{close[0]}?" if close else "/help lists them"
            )

    # ---- commands

    def do_help(self, argument: str) -> None:
        """/help                      this list"""
        for method in commands().values():
            self.console.result((inspect.getdoc(method) or "").splitlines()[0])
        self.console.result("/seed /steps /cfg /n /negative /sampler /schedule /shift ... every flag of create.py")
        self.console.result(
            "                             with a value: set it; without: show it; default: take it back"
        )

    def do_show(self, argument: str) -> None:
        """/show                      the prompt and the settings of the next picture"""
        self.console.result(self.state.prompt if self.state.prompt is not None else "(no prompt yet)")
        request = self.state.request().resolved(self.drawer.engine.recommended)
        rows = [(f.name, getattr(request, f.name)) for f in fields(request) if f.name not in ("prompt", "seed")]
        seed = self.state.fields.get("seed", -1)
        rows.append(("seed", "random" if seed == -1 else seed))
        rows.append(("attention", self.drawer.engine.describe()["attention"]))
        rows.append(("adapters", wearing.told(self.state.adapters)))
        rows.append(("as flags", shlex.join(args.to_flags(Request(**dict(self.state.fields))))))
        if self.shown is not None:
            rows.append(("last picture", f"{self.shown.path} (seed {self.shown.seed})"))
        self.console.facts(rows)

    def do_set(self, argument: str) -> None:
        """/set PATH VALUE            change an element: /set character_1.appearance red_hair, long_hair"""
        path, _, value = argument.partition(" ")
        if not value.strip():
            raise UsageError("/set needs an element and its new text", "/set character_1.appearance red_hair")
        if path == "attention":
            self.do_attention(value.strip())
            return
        if (known := SHORT.get(path, path)) in REQUEST_FLAGS:
            self._field(known, value.strip())
            return
        from newbie import prompt

        self._change(prompt=prompt.set_value(self._prompt(), path, value.strip()))
        self.console.say(f"{path} changed; /again draws it with the same seed")

    def do_size(self, argument: str) -> None:
        """/size WIDTHxHEIGHT         the size of the next pictures"""
        if argument == "default":
            kept = {k: v for k, v in self.state.fields.items() if k not in ("width", "height")}
            self._change(fields=kept)
        elif argument:
            width, height = values.size(argument)
            self._change(fields=self._checked(width=width, height=height))
        request = self.state.request().resolved(self.drawer.engine.recommended)
        self.console.say(f"size {request.width}x{request.height}")

    def do_attention(self, argument: str) -> None:
        """/attention [KERNEL]         which kernel computes attention from now on; default: as at the start"""
        if argument:
            self._change_engine(attention="" if argument == "default" else argument)
        self.console.say(f"attention {self.drawer.engine.describe()['attention']}")

    def do_lora(self, argument: str) -> None:
        """/lora [FILE[:STRENGTH]]    wear an adapter, or change its strength; off NAME: without it; none; default"""
        if argument:
            self._change_engine(adapters=wearing.changed(self.state.adapters, argument, self.first))
        self.console.say(f"adapters {wearing.told(self.state.adapters)}")

    def do_again(self, argument: str) -> None:
        """/again                     draw the prompt as it is now, with the seed of the last picture"""
        self._prompt()
        self._draw(self.state.request(seed=self.last.seed) if self.last else self.state.request())

    def do_vary(self, argument: str) -> None:
        """/vary [N]                  draw it with a new random seed, N times"""
        self._prompt()
        changes = {"count": values.whole(argument)} if argument else {}
        self._draw(self.state.request(seed=-1, **changes))

    def do_undo(self, argument: str) -> None:
        """/undo                      take back the last change of prompt or settings"""
        if not self.before:
            raise UsageError("there is nothing to undo")
        undone, self.state = self.state, self.before.pop()
        self._use(self.state)
        if undone.attention != self.state.attention:
            self.do_attention("")
        if undone.adapters != self.state.adapters:
            self.do_lora("")
        if undone.prompt != self.state.prompt:
            self.console.result(self.state.prompt if self.state.prompt is not None else "(no prompt)")
        for name in sorted(undone.fields.keys() | self.state.fields.keys()):
            if undone.fields.get(name) != self.state.fields.get(name):
                self._tell(name)

    def do_save(self, argument: str) -> None:
        """/save NAME                 keep the prompt (NAME.xml) or a copy of the last picture (NAME.png)"""
        if not argument:
            raise UsageError("/save needs a name", "/save duo.xml keeps the prompt, /save duo.png the last picture")
        path = Path(argument).expanduser()
        path = path.with_name(safe_name(path.name))
        if path.suffix.lower() == ".png":
            if self.shown is None:
                raise UsageError("there is no picture yet", "type a prompt first")
            content: bytes = self.shown.path.read_bytes()
        else:
            path = path if path.suffix else path.with_suffix(".xml")
            content = self._prompt().encode()
        self.console.say(f"saved {_write_new(path, content)}")

    def do_load(self, argument: str) -> None:
        """/load FILE                 a prompt file, or a picture: its prompt, settings and seed"""
        if not argument:
            raise UsageError("/load needs a file", "/load prompts/duo.xml")
        path = Path(argument).expanduser()
        if path.suffix.lower() == ".png":
            from newbie.cli.like import warn_of_adapters
            from newbie.images import read_record

            stored = read_record(path)
            kept = {f.name: getattr(stored.request, f.name) for f in fields(Request) if f.name != "prompt"}
            words = {"prompt": stored.request.prompt, "path": None, "reuse": Reuse()}  # they were chosen already
            self._change(stem=DEFAULT_STEM, file_name="", fields=kept, **words)
            warn_of_adapters(stored.record, self.drawer.engine.describe(), path.name, self.console)
        else:
            found = resolve(argument)
            if len(found) != 1 or found[0].path is None:
                raise UsageError(f"{argument} is not one prompt file", "/load prompts/duo.xml")
            self._take(found[0])
        self.console.say("loaded; /again draws it")

    def do_quit(self, argument: str) -> None:
        """/quit                      leave (also Ctrl-D)"""
        self.running = False

    # ---- what they share

    def _prompt(self) -> str:
        if self.state.prompt is None:
            raise UsageError("there is no prompt yet", "type one, or /load a file")
        return self.state.prompt

    def _use(self, state: State) -> None:
        """Draw with this state's kernel and adapters from now on. Raises at once where one cannot serve."""
        if self.wearing[0] != state.adapters:
            engine = self.opened
            if state.adapters != self.first:
                engine = engine.with_adapters(*state.adapters, on_note=self.console.say)
            self.wearing = state.adapters, engine
        engine = self.wearing[1]
        self.drawer.engine = engine.with_attention(state.attention) if state.attention else engine

    def _leaner(self, engine: Engine) -> None:
        """Memory ran out, and the model was opened anew; those that the session knew are empty."""
        same = self.state.adapters == self.first
        self.opened = engine if same else engine.with_adapters(*self.first)
        self.wearing = self.state.adapters, engine
        self._use(self.state)

    def _change_engine(self, **changes: Any) -> None:
        """Change what the model is used with; where that fails everything stays as it was."""
        self._use(dataclasses.replace(self.state, **changes))
        self._change(**changes)

    def _take(self, source: Source) -> None:
        words = Words.of(source, self.reuse)
        look_at(words.at(max(self.state.request().seed, 0)).reading, self.console, force=self.force)
        name = source.path.name if source.path else ""
        prompt = words.typed.source.text
        self._change(prompt=prompt, stem=source.stem, file_name=name, path=source.path, reuse=self.reuse)

    def _change(self, **changes: Any) -> None:
        self.before.append(self.state)
        self.state = dataclasses.replace(self.state, **changes)

    def _field(self, name: str, text: str) -> None:
        if text == "default":
            self._change(fields={k: v for k, v in self.state.fields.items() if k != name})
        elif text:
            self._change(fields=self._checked(**{name: self._value(name, text)}))
        self._tell(name)

    def _tell(self, name: str) -> None:
        value = getattr(self.state.request().resolved(self.drawer.engine.recommended), name)
        if name == "seed" and self.state.fields.get("seed", -1) == -1:
            value = "random"
        self.console.say(f"{name.replace('_', ' ')} {value if value != '' else 'none'}")

    def _value(self, name: str, text: str) -> Any:
        if name == "negative":
            return "" if text.lower() == "none" else negative_text(text, "/negative")
        return args.convert(name, text)

    def _checked(self, **changes: Any) -> dict[str, Any]:
        kept = dict(self.state.fields) | changes
        Request(**kept).resolved(self.drawer.engine.recommended)  # what cannot be drawn is refused now, and not kept
        return kept

    def _draw(self, request: Request) -> None:
        from newbie.prompt import read

        resolved = request.resolved(self.drawer.engine.recommended)
        self.last = resolved
        typed = read(resolved.prompt, name=str(self.state.path or "prompt"))
        words = Words.typed_text(typed, self.state.path, self.state.reuse)
        for part in words.split(resolved):
            refuse(words.at(part.seed).reading, force=self.force)
            filled, recipe = words.fill(part)
            for made in self.drawer.draw(filled, name=self.state.stem, file_name=self.state.file_name, recipe=recipe):
                self.shown = made


def commands() -> dict[str, Callable[[Loop, str], None]]:
    """Name -> method."""
    return {name[3:]: method for name, method in vars(Loop).items() if name.startswith("do_")}


def all_commands() -> list[str]:
    return [*commands(), *SHORT, *REQUEST_FLAGS]


def command_help() -> dict[str, str]:
    """Every command with what it does in half a sentence."""
    heads = {name: (inspect.getdoc(method) or "").splitlines()[0] for name, method in commands().items()}
    own = {name: re.split(r" {2,}", head, maxsplit=1)[-1] for name, head in heads.items()}
    flags = {name: flag.help for name, flag in REQUEST_FLAGS.items()}
    return own | flags | {short: flags.get(name, "") for short, name in SHORT.items()}


def _write_new(path: Path, content: bytes) -> Path:
    """Write a file that does not exist yet. Raises OutputError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file:
            file.write(content)
    except FileExistsError:
        raise OutputError(f"{path} exists already", "choose another name") from None
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror}", "choose another place") from None
    return path
