"""`python -m newbie plan search`: from a command line to a plan that draws, gone on with after a kill, and refusals."""

import json

import pytest

import newbie
from newbie import Request
from newbie.accel.plan import Plan
from newbie.calibrate.plans import window_for
from newbie.cli.plan import main
from newbie.errors import NewbieError, OutputError, PromptError, UsageError

QUICK = ["--size", "64", "--steps", "3", "--pictures", "1", "--shift", "2"]  # 16 image tokens


class Killed(Exception):
    pass


@pytest.fixture
def opened(mini, monkeypatch):
    """How often weights were loaded; they are those of the session."""
    count = []
    monkeypatch.setattr(newbie.Pipeline, "open", lambda *given, **more: count.append(1) or mini)
    return count


def run(*arguments, say=None):
    lines = []
    assert main(["search", *map(str, arguments)], say or lines.append) == 0
    return lines


def test_a_plan_is_searched_for_and_draws(opened, mini, tmp_path):
    file = tmp_path / "plan.json"
    told = run("--threshold", 1, "--feed-forward", "--output", file, *QUICK)
    plan = Plan.read(file)
    assert not plan.empty and plan.resolution == (64, 64) and plan.weights == mini.weights_hash
    starts = [line.partition(":")[0] for line in told if "evaluation " in line]
    assert starts == [f"threshold 1, evaluation {n} of 3" for n in (1, 2, 3)]
    assert any("s left" in line for line in told) and not (tmp_path / "plan.json.search").exists()
    drawn = mini.generate(Request(prompt="1girl", width=64, height=64, steps=3, shift=2, seed=1, plan=str(file)))
    done = drawn.records[0]["accel"]
    assert drawn.ran["caches"] == ["plan plan.json"] and done
    lines = []
    assert main(["check", str(file), *QUICK[:4], "--shift", "2"], lines.append) == 0 and "fits" in lines[0]


@pytest.mark.parametrize(
    ("levels", "size", "steps", "name", "until"),
    [(["--threshold", "1"], 64, 3, "threshold 1", 2), (["--level", "all", "--objective", "ratio"], 32, 2, "D5", 1)],
    ids=["one", "all"],
)
def test_after_a_kill_the_same_command_goes_on(opened, tmp_path, levels, size, steps, name, until):
    many, quick = "all" in levels, [*QUICK[2:], "--size", size, "--steps", steps]
    whole, killed = (tmp_path / name for name in (("a", "b") if many else ("a.json", "b.json")))
    first = [line for line in run(*levels, "--output", whole, *quick) if "evaluation " in line]
    told = []

    def kill(line):
        told.append(line)
        if line.startswith(f"{name}, evaluation {until} "):
            raise Killed

    with pytest.raises(Killed):
        run(*levels, "--output", killed, *quick, say=kill)
    assert not [*tmp_path.glob("b*.json"), *tmp_path.glob("b/*.json")]  # no half a plan
    again = run(*levels, "--output", killed, *quick)
    searched = [line for line in (*told, *again) if "evaluation " in line]
    assert len(searched) == len(first)  # nothing that was told was searched twice
    assert f"{name}: {until} of {steps} evaluations were searched before" in again
    names = [f"d{n}.json" for n in range(1, 7)] if many else ["."]
    for each in names:
        mine, other = (json.loads((place / each).read_text()) for place in (whole, killed))
        assert mine == other
    assert not [*tmp_path.glob("**/*.search")]
    with pytest.raises(OutputError, match="exists already"):
        run(*levels, "--output", killed, *quick)


def test_searches_of_other_settings_are_not_gone_on_with(opened, tmp_path):
    def kill(line):
        if "evaluation 2" in line:
            raise Killed

    with pytest.raises(Killed):
        run("--level", "D2", "--output", tmp_path / "plan.json", *QUICK, say=kill)
    opened.clear()
    for change, what in ((["--loss", "official_signed"], "loss"), (["--seed", 7], "request"),
                         (["--prompt", "1girl, smile"], "prompts")):  # fmt: skip
        quick = QUICK if "--prompt" not in change else QUICK[:4] + QUICK[6:]
        with pytest.raises(UsageError, match=f"with other settings: {what}"):
            run("--level", "D2", "--output", tmp_path / "plan.json", *quick, *change)
    (tmp_path / "plan.json.search").write_text("{")
    with pytest.raises(UsageError, match="no search can be read"):
        run("--level", "D2", "--output", tmp_path / "plan.json", *QUICK)
    assert not opened


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ([], "needs the loss"),
        (["--level", "D1", "--threshold", "0.1"], "needs the loss"),
        (["--level", "D7"], "no level 'D7'"),
        (["--threshold", "nan"], "threshold nan"),
        (["--threshold", "-0.1"], "threshold -0.1"),
        (["--threshold", "inf"], "threshold inf"),
        (["--threshold", "much"], "much is not a number"),
        (["--level", "D1", "--loss", "l2"], "no --loss l2"),
        (["--level", "D1", "--objective", "luck"], "no --objective luck"),
        (["--level", "D1", "--weighting", "sigma"], "no --weighting sigma"),
        (["--level", "D1", "--patience", "0"], "--patience 0"),
        (["--level", "D1", "--pictures", "0"], "--pictures 0"),
        (["--level", "D1", "--radius", "-1"], "--radius -1"),
        (["--level", "D1", "--size", "128", "--tile", "8"], "show all of 8x8"),
        (["--level", "D1", "--steps", "1"], "one evaluation"),
        (["--level", "D1", "--steps", "0"], "steps 0"),
        (["--level", "D1", "--size", "100"], "width 100"),
        (["--level", "D1", "--pictures", "2", "--prompt", "1girl"], "exclude each other"),
        (["--level", "D1", "--prompt", "missing.xml"], "no such prompt file"),
        (["--level", "D1", "--model", "nowhere"], "nowhere"),
        (["--level", "D1", "--wide"], "unknown flag --wide"),
    ],
    ids=lambda each: " ".join(each) if isinstance(each, list) else "",
)
def test_what_makes_no_sense_is_told_before_weights_load(opened, tmp_path, flags, said):
    with pytest.raises(NewbieError, match=said):
        run("--output", tmp_path / "plan.json", *flags)
    assert not opened and not [*tmp_path.iterdir()]


def test_places_that_cannot_be_written_and_prompts_that_cannot_be_read_are_told_first(opened, tmp_path):
    (tmp_path / "there.json").write_text("{}")
    for flags, said in ((["--level", "D1", "--output", tmp_path / "there.json"], "exists already"),
                        (["--level", "D1", "--output", tmp_path], "is a folder"),
                        (["--level", "D1", "--output", tmp_path / "no" / "plan.json"], "no folder"),
                        (["--level", "all", "--output", tmp_path / "there.json"], "exists already")):  # fmt: skip
        with pytest.raises(OutputError, match=said):
            run(*flags)
    (tmp_path / "bad.xml").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(PromptError):
        run("--level", "D1", "--output", tmp_path / "plan.json", "--prompt", tmp_path / "bad.xml")
    assert not opened


def test_windows_that_would_hide_nothing_are_not_tried(opened, tmp_path):
    assert window_for((1, 1)) is None and window_for((64, 64)).side == 8 and window_for((16, 24)).side == 4
    told = run("--threshold", 1, "--size", "32", *QUICK[2:], "--output", tmp_path / "plan.json")
    assert "the picture is too small for windows: they are not tried" in told
    assert not Plan.read(tmp_path / "plan.json").used() & {"window", "window+cfg"}


def test_prompts_with_weights_are_refused(opened, tmp_path):
    with pytest.raises(UsageError, match="has weights"):
        run("--level", "D1", "--output", tmp_path / "plan.json", "--prompt", "1girl, (smile:1.3)", *QUICK[:4])
    assert not opened
