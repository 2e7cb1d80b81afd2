"""The README is a contract: its tree, its links, its commands and its Python block are true."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
READMES = [ROOT / "README.md", ROOT / "README.zh.md"]
TEXT = READMES[0].read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def tree() -> set[str]:
    """The files and folders of the tree, as paths."""
    block = TEXT.split("## The tree\n\n```\n")[1].split("```")[0]
    found: set[str] = set()
    stack: list[tuple[int, str]] = []
    for line in block.splitlines():
        name = line.split()[0]
        depth = len(line) - len(line.lstrip())
        while stack and stack[-1][0] >= depth:
            stack.pop()
        path = "/".join([*(part.rstrip("/") for _, part in stack), name])
        found.add(path)
        if name.endswith("/"):
            stack.append((depth, name))
    return found


def test_the_tree_names_every_module_and_nothing_else():
    listed = {path for path in tree() if path.startswith("newbie/") and path.endswith(".py")}
    there = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "newbie").rglob("*.py")
        if path.name not in ("__init__.py", "__main__.py")
    }
    assert listed == there


@pytest.mark.parametrize("readme", READMES, ids=lambda path: path.name)
def test_relative_links_lead_somewhere(readme: Path):
    targets = re.findall(r"\]\(([^)#]+)[^)]*\)", readme.read_text(encoding="utf-8"))
    missing = [t for t in targets if "://" not in t and not (ROOT / t).exists()]
    assert not missing


@pytest.mark.parametrize("readme", READMES, ids=lambda path: path.name)
def test_nothing_is_left_to_fill_in(readme: Path):
    assert "@@" not in readme.read_text(encoding="utf-8")


def test_both_readmes_give_the_same_commands_and_code():
    assert blocks(READMES[0].read_text("utf-8"), r"\w+") == blocks(READMES[1].read_text("utf-8"), r"\w+")


def test_each_of_the_two_commands_is_one_line_and_pins_versions():
    picture, tests = blocks(TEXT, "sh")[:2]
    assert len(picture.splitlines()) == len(tests.splitlines()) == 1
    assert "-c constraints.txt" in picture and "create.py --prompt prompts/duo.xml" in picture
    assert "-c constraints.txt" in tests and "pytest" in tests
    assert tests.strip().split("&&")[1].strip() in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_flags_in_the_readme_exist():
    from newbie.cli.args import parse

    for block in blocks(TEXT, "sh")[2:]:
        for line in block.splitlines():
            words = shlex.split(line)
            assert words[:2] == ["python", "create.py"]
            assert parse(words[2:]).prompts == [["duo.xml"]]


def test_the_python_block_runs(mini, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(blocks(TEXT, "python")[0], {})
    assert (tmp_path / "picture.png").stat().st_size > 1000


def test_constraints_pin_every_dependency_exactly():
    pins = dict(
        line.split("==")
        for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
        if line and not line.startswith("#")
    )
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["test"]]
    names = {re.split(r"[>=\[]", each)[0] for each in wanted} - {"newbie"}
    assert names <= pins.keys()
    assert pins["torch"] == "2.13.0"
