"""Progress: a bar on terminals, a line now and then elsewhere, the emerging picture where asked."""

import io
import re
from types import SimpleNamespace

import pytest
from PIL import Image

from newbie.cli import progress as module
from newbie.cli.console import Console
from newbie.cli.progress import Progress, half_blocks


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self):
        return True


def event(index, count=10, picture=0, pictures=1):
    image = Image.new("RGB", (8, 8), (200, 10, 10))
    return SimpleNamespace(index=index, count=count, picture=picture, pictures=pictures, preview=lambda: image)


@pytest.fixture
def clock(monkeypatch):
    now = SimpleNamespace(time=0.0)
    monkeypatch.setattr(module.time, "monotonic", lambda: now.time)
    return now


@pytest.fixture(autouse=True)
def colourful(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")


def test_without_a_terminal_a_line_comes_now_and_then_with_the_time_left(clock):
    err = io.StringIO()
    with Progress(Console(err=err), pictures=2) as progress:
        progress.begin("duo", 2, 10)
        for picture in range(2):
            for index in range(10):
                clock.time += 1
                progress.step(event(index, picture=picture))
    assert err.getvalue().splitlines() == [
        "duo  25 %, about 15 s left",
        "duo  50 %, about 10 s left",
        "duo  75 %, about 5 s left",
        "duo  100 %",
    ]


def test_a_batch_computed_together_counts_all_its_pictures(clock):
    err = io.StringIO()
    with Progress(Console(err=err), pictures=4) as progress:
        progress.begin("duo", 4, 10)
        clock.time += 8
        progress.step(event(4, picture=0, pictures=4))
    assert err.getvalue() == "duo  50 %, about 8 s left\n"


def test_several_requests_are_one_progress(clock):
    err = io.StringIO()
    with Progress(Console(err=err), pictures=4) as progress:
        for name in "ab":
            progress.begin(name, 2, 10)
            for picture in range(2):
                clock.time += 6
                progress.step(event(9, picture=picture))
    assert err.getvalue().splitlines()[-1] == "b  100 %"
    assert "a  25 %, about 18 s left" in err.getvalue()


def test_a_quick_picture_prints_nothing_without_a_terminal():
    err = io.StringIO()
    with Progress(Console(err=err)) as progress:
        progress.begin("duo", 1, 10)
        for index in range(10):
            progress.step(event(index))
    assert err.getvalue() == ""


def test_on_a_terminal_there_is_a_bar_with_the_time_left_that_goes_away():
    err = Terminal()
    with Progress(Console(err=err), pictures=1) as progress:
        progress.begin("duo", 1, 10)
        assert re.search(r"duo +0% .* 0/10 steps", err.getvalue()), "before the first step too"
        progress.step(event(4))
        assert re.search(r"duo +50% .*5/10 steps .* left", err.getvalue())
    assert err.getvalue().endswith("\r")


def test_quiet_shows_no_progress():
    err = Terminal()
    with Progress(Console(err=err, quiet=True), preview=False) as progress:
        progress.begin("duo", 1, 10)
        progress.step(event(4))
    assert err.getvalue() == ""


def test_a_preview_is_drawn_in_place():
    err = Terminal()
    with Progress(Console(err=err), preview=True) as progress:
        progress.begin("duo", 1, 10)
        progress.step(event(0))
        progress.step(event(1))
    text = err.getvalue()
    assert text.count("step 1/10") == text.count("step 2/10") == 1
    assert "\x1b[17A" in text, "sixteen rows of picture and one of text are drawn over"
    assert "38;2;200;10;10" in text


def test_a_preview_that_cannot_be_shown_is_told():
    err = io.StringIO()
    Progress(Console(err=err), preview=True)
    assert "--preview needs a terminal" in err.getvalue()


def test_half_blocks_keep_the_proportions():
    assert len(half_blocks(Image.new("RGB", (32, 16)), columns=32)) == 8
    assert len(half_blocks(Image.new("RGB", (200, 200)), columns=40)) == 20
    image = Image.new("RGB", (1, 2))
    image.putpixel((0, 1), (1, 2, 3))
    assert half_blocks(image, columns=1) == ["\x1b[38;2;0;0;0;48;2;1;2;3m▀\x1b[0m"]
