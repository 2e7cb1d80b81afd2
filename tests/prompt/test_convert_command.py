"""`python -m newbie convert`: the text on standard output, everything else on standard error."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from newbie.cli.main import main
from newbie.prompt.convert import DIALECTS

Capture = pytest.CaptureFixture[str]
XML = "<character_1>\n<gender>1girl</gender>\n<appearance>blue_hair</appearance>\n</character_1>"
PICTURE = (
    "1girl, (blue hair:1.2)\nNegative prompt: lowres\n"
    "Steps: 20, Sampler: Euler, CFG scale: 5.5, Seed: 1, Size: 832x1216"
)


def run(*arguments: object) -> int:
    return main(["convert", *map(str, arguments)])


def test_the_text_alone_goes_to_standard_output(capsys: Capture):
    assert run(XML, "--to", "a1111") == 0
    told = capsys.readouterr()
    assert told.out == "1girl, blue hair"
    assert "from xml to a1111" in told.err


def test_losses_are_told_even_when_quiet_and_strict_makes_them_an_exit_code(capsys: Capture):
    text = XML + "<caption>A girl.</caption>"
    assert run(text, "--to", "danbooru", "--quiet") == 0
    assert "lost: caption: A girl." in capsys.readouterr().err
    assert run(text, "--to", "danbooru", "--strict") == 1
    assert run(text, "--to", "readme", "--strict") == 0


def test_settings_are_told_as_flags(capsys: Capture):
    assert run(PICTURE, "--to", "xml") == 0
    flags = "--negative lowres --steps 20 --cfg-scale 5.5 --seed 1 --size 832x1216 --sampler euler"
    assert f"draw it with {flags}" in capsys.readouterr().err


def test_a_file_is_read_and_written(tmp_path: Path, capsys: Capture):
    source, target = tmp_path / "a.xml", tmp_path / "a.json"
    source.write_text(XML)
    assert run(source, "--to", "json", "--output", target) == 0
    assert capsys.readouterr().out == ""
    assert run(target, "--to", "xml") == 0
    assert capsys.readouterr().out == XML


def test_json_holds_all_of_it(capsys: Capture):
    assert run(PICTURE, "--to", "xml", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["from"] == "a1111" and told["to"] == "xml"
    assert "(blue_hair:1.2)" in told["text"] and any("lowres" in each for each in told["lost"])


def test_a_negative_prompt_beside_goes_into_the_web_ui(capsys: Capture):
    assert run(XML, "--to", "a1111", "--beside", "lowres") == 0
    assert capsys.readouterr().out == "1girl, blue hair\nNegative prompt: lowres"


def test_backslashes_are_kept_unless_asked_otherwise(capsys: Capture):
    text = r"<n>aris_\(blue_archive\)</n>"
    assert run(text, "--to", "a1111") == 0
    told = capsys.readouterr()
    assert told.out == r"aris_\\\(blue archive\\\)" and "--unescape-parentheses" in told.err
    assert run(text, "--to", "a1111", "--unescape-parentheses") == 0
    assert capsys.readouterr().out == r"aris \(blue archive\)"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["1girl"], 2),
        (["1girl", "--to", "yaml"], 2),
        (["missing.xml", "--to", "json"], 2),
        (['{"hair": 1}', "--to", "xml", "--from", "json"], 3),
        (["1girl", "--to", "json", "--output", "/nowhere/at/all.json"], 7),
    ],
)
def test_exit_codes(arguments: list[str], code: int, capsys: Capture):
    assert run(*arguments) == code
    assert "hint:" in capsys.readouterr().err


def test_convert_without_a_dialect_names_all_of_them(capsys: Capture):
    assert run("1girl, solo") == 2
    hint = capsys.readouterr().err
    assert "--to" in hint and all(name in hint for name in DIALECTS)
