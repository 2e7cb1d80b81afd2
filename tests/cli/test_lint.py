"""python -m newbie lint: what it prints where, in three formats; exit codes; corrections in files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from newbie.cli.main import main

CLEAN = "<character_1>\n<n>a</n>\n<appearance>blue_hair</appearance>\n</character_1>\n"
ODD = "<character_1>\n<appearance>blue hair, red_eyes\n<clothing></clothing>\n</character_1>\n"


@pytest.fixture
def lint(capsys, tmp_path, monkeypatch):
    """lint(*arguments) -> (exit code, standard output, standard error), in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def run(*arguments):
        code = main(["lint", *map(str, arguments)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def write(name, text):
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_bytes(text.encode())
    return name


def test_a_clean_prompt_says_nothing_and_ends_with_0(lint):
    assert lint(write("a.xml", CLEAN)) == (0, "", "")


def test_findings_are_printed_with_place_caret_and_hint_and_end_with_1(lint):
    code, out, err = lint(write("a.xml", ODD))
    assert code == 1
    assert out == (
        "warning: a.xml:2:1: NB101 <appearance> is never closed; it was read up to <clothing>\n"
        "  2 | <appearance>blue hair, red_eyes\n"
        "    | ^^^^^^^^^^^^\n"
        "  hint: write </appearance> where it ends, at the latest in line 3, column 1\n"
        "info: a.xml:2:13: NB302 blanks in the tag blue hair\n"
        "  2 | <appearance>blue hair, red_eyes\n"
        "    |             ^^^^^^^^^\n"
        "  hint: write blue_hair\n"
        "info: a.xml:3:1: NB206 <clothing> is empty\n"
        "  3 | <clothing></clothing>\n"
        "    | ^^^^^^^^^^^^^^^^^^^^^\n"
        "  hint: leave it out\n"
    )
    assert err == "1 warning, 2 infos; --fix corrects 3\n"


def test_a_folder_is_every_prompt_in_it(lint):
    write("p/a.xml", ODD)
    write("p/b.txt", "1girl, solo, blue hair")
    write("p/c.md", "blue hair, blue hair")
    _, out, err = lint("p")
    assert "a.xml:2" in out and "b.txt:1" in out and "c.md" not in out
    assert err == "1 warning, 3 infos; --fix corrects 4\n"


def test_what_cannot_be_read_ends_with_3_and_the_others_are_looked_at(lint):
    write("a.xml", "<!DOCTYPE x>")
    Path("b.xml").write_bytes(b"\xff\xfe")
    code, out, err = lint("a.xml", "b.xml", "none.xml", write("c.xml", ODD))
    assert code == 3 and "c.xml:2" in out
    assert "a.xml:1:1: DOCTYPE" in err and "b.xml: this is UTF-16" in err and "none.xml: there is no such file" in err


def test_a_device_and_256_kib_and_more_are_refused(lint):
    assert lint(os.devnull)[0] == 3
    assert lint(write("a.xml", "x" * (256 * 1024 + 1)))[0] == 3


def test_a_refused_prompt_is_a_finding_with_its_place(lint):
    code, out, _ = lint(write("a.txt", "1girl, child,\nnude"), "--ignore", "NB302")
    assert code == 1 and out.startswith("error: a.txt:1:8: NB002 this prompt puts a minor")
    assert lint("a.txt", "--ignore", "NB002")[0] == 2, "it cannot be left out"
    assert lint("a.txt", "--negative")[:2] == (0, "")


def test_json_is_an_object_per_finding(lint):
    code, out, _ = lint(write("a.xml", ODD), "none.xml", "--format", "json")
    objects = [json.loads(line) for line in out.splitlines()]
    assert code == 3 and [each["code"] for each in objects] == ["NB101", "NB302", "NB206", "NB001"]
    assert objects[1] == {
        "file": "a.xml", "line": 2, "column": 13, "end_line": 2, "end_column": 22, "code": "NB302", "severity": "info",
        "message": "blanks in the tag blue hair", "hint": "write blue_hair", "fixable": True,
    }  # fmt: skip
    assert (objects[3]["line"], objects[3]["message"]) == (0, "there is no such file")
    assert out.isascii()


def test_github_gets_its_commands_with_signs_escaped(lint):
    _, out, _ = lint(write("a,b.txt", "1girl, solo, 100%\nblue hair, x"), "none.xml", "--format", "github")
    assert out.splitlines() == [
        "::notice file=a%2Cb.txt,line=2,col=1,endLine=2,endColumn=10,title=NB302::"
        "blanks in the tag blue hair%0Awrite blue_hair",
        "::error file=none.xml,title=NB001::there is no such file%0Acheck the spelling of the path",
    ]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_fix_corrects_the_file_and_keeps_its_line_ends_and_byte_order_mark(lint, end, mark):
    path = Path(write("a.xml", mark + ODD.replace("\n", end)))
    path.chmod(0o640)
    code, out, err = lint(path, "--fix")
    fixed = "<character_1>\n<appearance>blue_hair, red_eyes</appearance>\n</character_1>\n"
    assert path.read_bytes() == (mark + fixed.replace("\n", end)).encode()
    assert (code, out, err) == (0, "", "3 corrected\n")
    assert path.stat().st_mode & 0o777 == 0o640
    assert [p.name for p in Path().iterdir()] == ["a.xml"]


def test_a_file_with_different_line_ends_is_left_alone(lint):
    path = Path(write("a.xml", ODD.replace("\n", "\r\n", 1)))
    before = path.read_bytes()
    code, _, err = lint(path, "--fix")
    assert code == 7 and "end in different ways" in err and path.read_bytes() == before


def test_a_clean_file_is_not_written(lint):
    path = Path(write("a.xml", CLEAN))
    os.utime(path, ns=(1, 1))
    assert lint(path, "--fix")[0] == 0 and path.stat().st_mtime_ns == 1


def test_ignored_rules_are_neither_told_nor_corrected(lint):
    path = Path(write("a.txt", "1girl, solo, blue hair, hat, hat"))
    assert lint(path, "--fix", "--ignore", "NB302") == (0, "", "1 corrected\n")
    assert path.read_text() == "1girl, solo, blue hair, hat"


def test_standard_input_is_linted_and_its_corrected_text_printed(tmp_path):
    def ask(*flags):
        command = [sys.executable, "-m", "newbie", "lint", "-", *flags]
        return subprocess.run(command, input=ODD.encode(), capture_output=True, check=False)

    told = ask()
    assert told.returncode == 1 and told.stdout.startswith(b"warning: standard input:2:1: NB101")
    fixed = ask("--fix")
    assert fixed.returncode == 0
    assert fixed.stdout == b"<character_1>\n<appearance>blue_hair, red_eyes</appearance>\n</character_1>\n"


def test_a_rule_is_explained_with_its_example(lint):
    code, out, _ = lint("--explain", "nb302")
    assert code == 0 and out.startswith("NB302 (info): blanks in a tag")
    for part in (
        "Example:\n    1girl, solo, blue hair, smile",
        "Instead:\n    1girl, solo, blue_hair",
        "--fix corrects it.",
    ):
        assert part in out
    assert "--fix" not in lint("--explain", "NB304")[1]
    assert len(lint("--explain", "all")[1].splitlines()) > 40


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "no file"),
        (("--explain", "NB999"), "no rule NB999"),
        (("x.xml", "--ignore", "NB99"), "no rule NB99"),
        (("x.xml", "--format", "xml"), "invalid choice"),
        (("x.xml", "--vocabulary", "none.csv"), "none.csv cannot be read"),
        (("empty",), "holds no prompt"),
    ],
)
def test_wrong_usage_ends_with_2_and_says_what(lint, arguments, message):
    Path("empty").mkdir()
    code, out, err = lint(*arguments)
    assert (code, out) == (2, "") and message in err


def test_a_model_without_tokenizers_is_told(lint):
    Path("m").mkdir()
    assert lint(write("a.xml", CLEAN), "--model", "m")[0] == 4


def test_a_long_prompt_is_told_what_the_encoder_cuts_off(lint):
    text = "1girl, solo, " + ", ".join(f"tag_{i}" for i in range(400))
    code, out, _ = lint(write("a.txt", text))
    assert code == 1 and "NB501 Gemma of newbie-mini reads 512 of" in out


def test_the_tags_of_a_list_are_known_and_it_is_cached(lint):
    write("tags.csv", "blue_hiar,0,1,\nzettai_unknown_tag,0,1,\n")
    write("a.txt", "1girl, solo, blue_hiar, zettai_unknwon_tag")
    assert "blue_hair?" in lint("a.txt")[1]
    for _ in range(2):
        _, out, _ = lint("a.txt", "--vocabulary", "tags.csv")
        assert "blue_hair?" not in out and "did you mean zettai_unknown_tag?" in out
    assert len(list(Path("cache").rglob("tags-*.txt"))) == 1


def test_a_character_file_is_linted_in_its_place(lint):
    write("miku.xml", "<appearance>blue hair</appearance>")
    _, out, _ = lint(write("a.xml", '<character_1 src="miku.xml"/>'))
    assert "miku.xml:1:13: NB302" in out
    _, out, _ = lint(write("b.xml", '<character_1 src="../x.xml"/>'))
    assert "error: b.xml:1:19: NB602" in out


def test_nothing_is_coloured_in_a_pipe_and_control_signs_are_shown(lint):
    _, out, _ = lint(write("a.txt", "1girl, solo, blue\x1b[31m hair, x"))
    assert "\x1b" not in out


@pytest.mark.parametrize(
    ("text", "spared"),
    [
        ("<character_1>\n<n>$character_1$</n>\n<appearance>blue hair\n</character_1>\n", ()),
        ("1girl, solo, blue_hair\n", ("lxml", "newbie.prompt.build", "newbie.prompt.wellformed")),
    ],
)
def test_linting_loads_nothing_that_a_short_prompt_can_do_without(tmp_path, text, spared):
    path = tmp_path / "a.xml"
    path.write_text(text, encoding="utf-8")
    code = (
        "import sys; from newbie.cli.main import main; main(['lint', '--quiet', sys.argv[1]]);"
        "print(*(name for name in sys.argv[2:] if name in sys.modules), file=sys.stderr)"
    )
    heavy = ("torch", "transformers", "tokenizers", "numpy", "PIL")
    ours = ("newbie.request", "newbie.prompt.reuse", "newbie.prompt.convert", "newbie.prompt.outline")
    command = [sys.executable, "-c", code, str(path), *heavy, *ours, *spared]
    assert subprocess.run(command, capture_output=True, check=True).stderr.split() == []
