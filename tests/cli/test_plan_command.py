"""`python -m newbie plan` on the bundled model, without loading its weights for a picture."""

import json

import pytest

from newbie.accel.methods import METHODS
from newbie.cli.plan import main
from newbie.errors import OutputError, UsageError


def run(*arguments):
    lines = []
    assert main(list(map(str, arguments)), lines.append) == 0
    return lines


def test_a_plan_is_made_shown_and_checked(tmp_path):
    file = tmp_path / "plan.json"
    made = run("make", "deepcache:interval=2,cooldown=1", "--output", file, "--steps", 10)
    assert run("show", file) == made
    assert json.loads(file.read_text())["step_actions"].count("skip") == 4  # 2, 4, 6, 8
    assert "fits" in run("check", file, "--steps", 10)[0]
    for flags, said in ((["--steps", 9], "steps"), (["--steps", 10, "--sampler", "heun"], "solver"), ([], "steps")):
        with pytest.raises(UsageError, match=f"plan.json is for {said}"):
            run("check", file, *flags)
    with pytest.raises(OutputError):
        run("make", "fora", "--output", file)


def test_methods_are_listed_with_all_their_parameters():
    lines = run("methods")
    assert [line.partition(":")[0] for line in lines if not line.startswith(" ")] == list(METHODS)
    for name, method in METHODS.items():
        shown = run("methods", name)
        assert shown[0] == f"{name}: {method.about}"
        assert [line.strip().partition("=")[0] for line in shown[1:]] == list(method.parameters)
        assert lines[lines.index(shown[0]) :][: len(shown)] == shown
    with pytest.raises(UsageError) as caught:
        run("methods", "dbcash")
    assert "dbcache" in caught.value.hint
    with pytest.raises(UsageError, match="plan show of what"):
        run("show")


def test_what_decides_on_the_way_is_no_plan():
    for method, said in (("fbcache", "decides while it runs"), ("fora,delta", "not one method")):
        with pytest.raises(UsageError, match=said):
            run("make", method)
