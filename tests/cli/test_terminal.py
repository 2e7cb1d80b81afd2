"""The doors on a real (pseudo) terminal: Ctrl-C, pastes, history, colour."""

import contextlib
import os
import re
import signal
import sys
import time

import pytest

pty = pytest.importorskip("pty", reason="pseudo terminals are POSIX")

PROMPT = "<character_1>\n<n>x</n>\n</character_1>\n\n<general_tags>\n<count>1girl</count>\n</general_tags>"
WHERE_IS_THE_CURSOR, CURSOR_IS_AT_THE_TOP = "\x1b[6n", "\x1b[1;1R"


class Session:
    """A program on a pseudo terminal: type to it, wait for what it says."""

    def __init__(self, arguments, folder, **environment):
        home = {"HOME": str(folder), "XDG_STATE_HOME": str(folder / "state"), "TERM": "xterm", "COLUMNS": "100"}
        self.process, self.terminal = pty.fork()
        if self.process == 0:
            os.chdir(folder)
            os.execve(sys.executable, [sys.executable, *map(str, arguments)], os.environ | home | environment)
        self.seen = ""
        self.from_here = 0

    def type(self, text):
        os.write(self.terminal, text.encode())

    def wait_for(self, pattern, seconds=60):
        """Read until the pattern appears behind what was waited for before."""
        import select

        end = time.monotonic() + seconds
        while not (found := re.compile(pattern).search(self.seen, self.from_here)):
            left = end - time.monotonic()
            assert left > 0, f"{pattern!r} did not come; the terminal shows:\n{self.seen}"
            if select.select([self.terminal], [], [], left)[0]:
                try:
                    read = os.read(self.terminal, 65536).decode(errors="replace")
                    self.seen += read
                    self.type(CURSOR_IS_AT_THE_TOP * read.count(WHERE_IS_THE_CURSOR))
                except OSError:
                    assert re.compile(pattern).search(self.seen, self.from_here), self.seen
        self.from_here = found.end()
        return found

    def end(self, seconds=60):
        """The exit code, once the program ends by itself."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            done, status = os.waitpid(self.process, os.WNOHANG)
            with contextlib.suppress(OSError):
                os.set_blocking(self.terminal, False)
                while data := os.read(self.terminal, 65536):
                    self.seen += data.decode(errors="replace")
            if done:
                self.process = 0
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.02)
        raise AssertionError(f"still running; the terminal shows:\n{self.seen}")

    def close(self):
        if self.process:
            os.kill(self.process, signal.SIGKILL)
            os.waitpid(self.process, 0)
        os.close(self.terminal)


@pytest.fixture
def session(fake_door, tmp_path):
    opened = []

    def start(*flags, **environment):
        opened.append(Session([fake_door, *flags], tmp_path, **environment))
        return opened[-1]

    yield start
    for each in opened:
        each.close()


@pytest.fixture(params=["editor", "plain lines"])
def prompt_loop(request, session, tmp_path):
    """The prompt loop with prompt_toolkit, and where it is not installed."""
    if request.param == "editor":
        pytest.importorskip("prompt_toolkit")
        return session
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "prompt_toolkit.py").write_text("raise ImportError")

    def start(*flags, **environment):
        path = os.pathsep.join(filter(None, [str(hidden), os.environ.get("PYTHONPATH")]))
        return session(*flags, PYTHONPATH=path, **environment)

    return start


def test_ctrl_c_cancels_the_picture_and_not_the_session_and_ctrl_d_quits(prompt_loop, tmp_path):
    loop = prompt_loop(FAKE_STEP_SECONDS="0.3")
    loop.wait_for("newbie>")
    loop.type("/steps 200\n1girl\n")
    loop.wait_for("steps 200")
    loop.wait_for(r"\d+/200 steps")
    loop.type("\x03")
    loop.wait_for("cancelled; the session goes on")
    loop.wait_for("newbie>")
    assert not list(tmp_path.glob("outputs/*"))
    loop.type("/steps 1\n1boy\n")
    loop.wait_for(r"newbie-\d+\.png")
    loop.wait_for("newbie>")
    loop.type("\x04")
    assert loop.end() == 0
    assert len(list(tmp_path.glob("outputs/*.png"))) == 1


def test_ctrl_c_at_the_prompt_drops_the_line_and_stays(prompt_loop):
    loop = prompt_loop()
    loop.wait_for("newbie>")
    loop.type("1gir")
    loop.wait_for("1gir")
    # CPython 3.11's readline misses an interrupt that comes between two keys, until the next key or interrupt.
    for seconds in (3, 10, 60):
        time.sleep(0.2)
        loop.type("\x03")
        with contextlib.suppress(AssertionError):
            loop.wait_for("leaves", seconds)
            break
    else:
        pytest.fail(f"Ctrl-C was not heard; the terminal shows:\n{loop.seen}")
    loop.wait_for("newbie>")
    loop.type("/quit\n")
    assert loop.end() == 0


def test_ctrl_c_ends_a_one_shot_run_with_130_and_no_picture(session, tmp_path):
    run = session("--prompt", "1girl", "--steps", "200", FAKE_STEP_SECONDS="0.3")
    run.wait_for(r"\d+/200 steps")
    run.type("\x03")
    assert run.end() == 130
    assert "cancelled" in run.seen
    assert "Traceback" not in run.seen
    assert not list(tmp_path.glob("outputs/*"))


@pytest.mark.parametrize("bracketed", [True, False])
def test_a_pasted_prompt_is_one_picture(prompt_loop, tmp_path, bracketed):
    loop = prompt_loop("--seed", "7")
    loop.wait_for("newbie>")
    paste = PROMPT.replace("\n", "\r")
    loop.type(f"\x1b[200~{paste}\x1b[201~\r" if bracketed else paste + "\r")
    loop.wait_for(r"newbie-7\.png")
    loop.wait_for("newbie>")
    loop.type("/quit\r")
    assert loop.end() == 0
    pictures = list(tmp_path.glob("outputs/*.png"))
    assert len(pictures) == 1
    from newbie import images

    assert images.read_record(pictures[0]).request.prompt == PROMPT


def test_typed_line_by_line_a_prompt_starts_when_its_tags_balance(prompt_loop):
    loop = prompt_loop("--seed", "7")
    loop.wait_for("newbie>")
    for line in ("<character_1>", "<n>x</n>"):
        loop.type(line + "\r")
        loop.wait_for(r"\.\.\.>")
    loop.type("</character_1>\r")
    loop.wait_for(r"newbie-7\.png")


def test_history_is_kept_between_sessions(prompt_loop, tmp_path):
    first = prompt_loop()
    first.wait_for("newbie>")
    first.type("/seed 4321\r")
    first.wait_for("seed 4321")
    first.wait_for("newbie>")
    first.type("/quit\r")
    assert first.end() == 0
    second = prompt_loop()
    second.wait_for("newbie>")
    second.type("\x1b[A\x1b[A\r")
    second.wait_for("seed 4321")


def test_errors_are_coloured_on_a_terminal_and_plain_with_no_color(session):
    loud = session("--steps", "0")
    assert loud.end() == 2
    assert "\x1b[31merror:\x1b[0m" in loud.seen
    plain = session("--steps", "0", NO_COLOR="1")
    assert plain.end() == 2
    assert "\x1b[31m" not in plain.seen


def test_the_picture_emerges_in_the_terminal(session):
    run = session("--prompt", "1girl", "--preview", "--seed", "7")
    assert run.end() == 0
    assert "▀" in run.seen
    assert "newbie-7.png" in run.seen


def test_a_mistake_is_told_with_the_picture_and_by_the_editor_while_it_is_typed(prompt_loop, request):
    loop = prompt_loop("--seed", "7")
    loop.wait_for("newbie>")
    loop.type("<caption>a</caption><apperance>x</apperance>, ")
    loop.wait_for("apperance")
    if "[editor]" in request.node.name:
        loop.wait_for("did you mean <appearance>")
    loop.type("\r")
    loop.wait_for("NB105")  # now it is told in either case
    loop.wait_for(r"newbie-7\.png")


def test_a_terminal_that_can_do_nothing_gets_plain_lines(session):
    loop = session("--seed", "7", TERM="dumb")
    loop.wait_for("newbie>")
    loop.type("1girl\r")
    loop.wait_for(r"newbie-7\.png")
    assert "\x1b" not in loop.seen
