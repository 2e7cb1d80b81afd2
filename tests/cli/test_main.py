"""`python -m newbie` and the cost of asking for help."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from newbie.cli.main import COMMANDS, main

ROOT = Path(__file__).parents[2]


def python(*arguments, **options):
    return subprocess.run(
        [sys.executable, *map(str, arguments)], capture_output=True, text=True, encoding="utf-8", check=False, **options
    )


def test_help_lists_the_commands(capsys):
    for arguments in ([], ["--help"], ["help"]):
        assert main(arguments) == 0
        out = capsys.readouterr().out
        for name in COMMANDS:
            assert f"  {name}" in out


def test_an_unknown_command_is_answered_with_the_nearest(capsys):
    assert main(["docter"]) == 2
    assert "did you mean doctor?" in capsys.readouterr().err


def test_a_command_without_a_parser_has_help_too(capsys):
    assert main(["parity", "--help"]) == 0
    assert "parity FOLDER" in capsys.readouterr().out


def test_version(capsys):
    from newbie import __version__

    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"newbie {__version__}\n"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_home(name):
    path = ROOT / COMMANDS[name].module.replace(".", "/")  # importing it would load torch
    assert path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def test_a_command_gets_its_arguments_and_a_place_to_speak(capsys, monkeypatch):
    import types

    def spoken(argv, say):
        say(" ".join(argv))
        return 5

    monkeypatch.setitem(sys.modules, "newbie.doctor", types.SimpleNamespace(main=spoken))
    assert main(["doctor", "a", "--debug", "b"]) == 5
    assert capsys.readouterr().out == "a b\n"


def test_the_complaint_of_a_commands_own_parser_is_a_usage_error(capsys, monkeypatch):
    import argparse
    import types

    parser = argparse.ArgumentParser(prog="x", description="→ 中")
    module = types.SimpleNamespace(main=lambda argv, say: parser.parse_args(argv) and 0)
    monkeypatch.setitem(sys.modules, "newbie.doctor", module)
    assert main(["doctor", "--what"]) == 2
    assert main(["doctor", "--help"]) == 0
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["create.py", "--help"], ["-m", "newbie", "--help"], ["test.py", "--help"]])
def test_help_imports_neither_torch_nor_pillow_nor_numpy(arguments):
    code = (
        "import runpy, sys; sys.argv = sys.argv[1:]\n"
        "try: runpy.run_path(sys.argv[0], run_name='__main__') if sys.argv[0] != '-m' else "
        "runpy.run_module(sys.argv.pop(1), run_name='__main__')\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "heavy = {'torch', 'numpy', 'PIL', 'transformers', 'lxml', 'tqdm'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = python("-c", code, *arguments, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert "usage:" in done.stdout


@pytest.mark.skipif(os.name == "nt", reason="needs resource")
def test_help_takes_less_than_half_a_second():
    import resource

    def spent():  # processor time of our children: another program on this machine does not count
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    before = spent()
    assert python("create.py", "--help", cwd=ROOT).returncode == 0
    assert spent() - before < 0.5


def test_a_bad_prompt_is_refused_without_torch():
    code = (
        "import sys; from newbie.cli.create import main\n"
        "assert main(['--prompt', 'a\\0b']) == 3\n"
        "assert 'torch' not in sys.modules"
    )
    done = python("-c", code)
    assert done.returncode == 0, done.stderr
    assert "NUL" in done.stderr


def test_help_on_a_legacy_code_page_does_not_fail():
    for encoding in ("cp1252", "cp936", "ascii"):
        done = python("create.py", "--help", cwd=ROOT, env=os.environ | {"PYTHONIOENCODING": f"{encoding}:strict"})
        assert done.returncode == 0, done.stderr


def test_a_chinese_prompt_on_a_legacy_console_is_drawn(fake_door, tmp_path):
    (tmp_path / "双人.xml").write_text("<character_1><n>初音</n></character_1>", encoding="utf-8")
    environment = os.environ | {"PYTHONIOENCODING": "cp1252:strict"}
    done = python(fake_door, "--prompt", "双人.xml", "--seed", 1, cwd=tmp_path, env=environment)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "outputs" / "双人-1.png").exists()
    assert "\\u53cc" in done.stdout


@pytest.mark.skipif(os.name == "nt", reason="pipes of POSIX")
def test_a_reader_that_leaves_is_no_traceback(fake_door, tmp_path):
    command = (
        f"'{sys.executable}' '{fake_door}' --prompt a --prompt b -n 200 --json | head -n 1; exit ${{PIPESTATUS[0]}}"
    )
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 7
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_standard_output_is_told(fake_door, tmp_path):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, fake_door, "--prompt", "a"], cwd=tmp_path, stdout=full, stderr=-1, text=True, check=False
        )
    assert done.returncode == 7
    assert "standard output cannot be written" in done.stderr
    assert "Traceback" not in done.stderr
