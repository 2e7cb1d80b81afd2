"""`python -m newbie fmt`: files in canonical layout, written whole, exit codes, standard input."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from newbie.cli import files
from newbie.cli.main import main

MESSY, CLEAN = "1girl,blue hair , solo\n", "1girl, blue_hair, solo\n"


@pytest.fixture
def prompt(tmp_path: Path) -> Path:
    path = tmp_path / "a.txt"
    path.write_bytes(MESSY.encode())
    return path


def fmt(*arguments: object) -> int:
    return main(["fmt", *map(str, arguments)])


def test_a_file_is_formatted_in_place_and_then_left_alone(prompt: Path, capsys: pytest.CaptureFixture[str]):
    assert fmt(prompt) == 0
    assert prompt.read_text() == CLEAN
    assert f"formatted {prompt}" in capsys.readouterr().err
    before = prompt.stat().st_mtime_ns
    assert fmt(prompt) == 0
    assert prompt.stat().st_mtime_ns == before
    assert list(prompt.parent.iterdir()) == [prompt]


def test_check_writes_nothing_and_says_by_its_exit_code(prompt: Path, capsys: pytest.CaptureFixture[str]):
    assert fmt("--check", prompt) == 1
    assert prompt.read_text() == MESSY
    assert f"would be formatted: {prompt}" in capsys.readouterr().out
    fmt(prompt)
    assert fmt("--check", prompt) == 0


def test_diff_shows_lines(prompt: Path, capsys: pytest.CaptureFixture[str]):
    assert fmt("--diff", prompt) == 1
    assert prompt.read_text() == MESSY
    assert "-1girl,blue hair , solo\n+1girl, blue_hair, solo" in capsys.readouterr().out


def test_line_ends_of_the_file_and_its_byte_order_mark_stay(tmp_path: Path):
    path = tmp_path / "a.xml"
    path.write_bytes(b"\xef\xbb\xbf<count>1girl</count>\r\n<!-- c -->\r\n")
    assert fmt(path) == 0
    assert (
        path.read_bytes() == b"\xef\xbb\xbf<general_tags>\r\n<count>1girl</count>\r\n</general_tags>\r\n<!-- c -->\r\n"
    )
    assert fmt("--check", path) == 0


def test_standard_input_goes_to_standard_output_byte_for_byte(
    monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
):
    text = "<n>蓝发\x01, >_<, \\(^o^)/</n>"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    assert fmt("-") == 0
    assert capsysbinary.readouterr().out == f"<character_1>\n{text}\n</character_1>".encode()


def test_a_text_is_formatted_too(capsys: pytest.CaptureFixture[str]):
    assert fmt("1girl,blue hair") == 0
    assert capsys.readouterr().out == "1girl, blue_hair"


def test_a_folder_is_all_its_prompts_and_one_that_cannot_be_read_does_not_stop_the_others(
    tmp_path: Path, prompt: Path, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "0.xml").write_bytes(b"\xff\xfe1")
    assert fmt(tmp_path) == 3
    assert prompt.read_text() == CLEAN
    assert "UTF-16" in capsys.readouterr().err


def test_a_negative_prompt_may_say_what_is_not_wanted(tmp_path: Path):
    path = tmp_path / "negative.txt"
    path.write_text("lowres,loli nude")
    assert fmt(path) == 3
    assert fmt("--negative", path) == 0
    assert path.read_text() == "lowres, loli_nude"


def test_permissions_stay_and_a_link_still_leads_to_the_file(tmp_path: Path, prompt: Path):
    prompt.chmod(0o640)
    link = tmp_path / "link.txt"
    link.symlink_to(prompt)
    assert fmt(link) == 0
    assert link.is_symlink() and prompt.read_text() == CLEAN
    assert prompt.stat().st_mode & 0o777 == 0o640


def test_a_full_disk_leaves_the_old_file_and_no_rest(
    prompt: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def full(self: Path, target: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.Path, "replace", full)
    assert fmt(prompt) == 7
    assert prompt.read_text() == MESSY
    assert list(prompt.parent.iterdir()) == [prompt]
    assert "No space left" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["fmt", "convert", "explain", "diff"])
def test_text_commands_start_without_torch(name: str):
    import subprocess

    code = (
        f"import sys; from newbie.cli.main import main; main(['{name}', '--help']);"
        "sys.exit(any(m in sys.modules for m in ('torch', 'transformers', 'numpy', 'PIL', 'tokenizers')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"usage: python -m newbie {name}" in done.stdout
