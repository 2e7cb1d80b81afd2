"""The evaluation: prompts that were never trained, and a judge that tells obedience from chance."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip("skia", reason="the drawing library of the extra `train` is not installed", exc_type=ImportError)

from newbie import Request, images
from newbie.errors import UsageError
from newbie.prompt import read
from newbie.request import Recommended, Result
from newbie.train import evaluate
from newbie.train.figures import canvas, caption_full, has_held_out_pair, held_out, sample
from newbie.train.figures.names import NAMED
from newbie.train.figures.spec import HELD_OUT_PAIRS
from newbie.train.probe import Asked, Paired, Probe, Rate, Scores, Seen, Verdict
from newbie.train.probe.labels import OF_CHARACTER, OF_PICTURE, answers
from newbie.train.report import Report, Task, compare, draw_pictures, suites, tables, understand
from newbie.train.report.confusion import confusion_picture, matrices
from newbie.train.report.sheets import complaint, contact_sheet, worst_sheet
from newbie.train.studio import Studio


class Knowing(Probe):
    """Reads from the number in a picture's first pixel what the task of that number asks for."""

    def __init__(self, asked: list[Asked]) -> None:
        super().__init__(reader=None, card={"ceiling": Scores({}).as_json()})  # type: ignore[arg-type]
        object.__setattr__(self, "truth", answers(asked))

    def look(self, pictures):
        numbers = torch.tensor([int(picture[0, 0, 0]) for picture in pictures])
        sizes = {name: len(values) for name, values in {**OF_PICTURE, **OF_CHARACTER}.items()}
        log_p = {
            name: torch.nn.functional.one_hot(told[numbers].clamp(min=0), sizes[name]).float() * 9 - 9
            for name, told in self.truth.items()
        }
        return Seen(log_p, torch.rand(len(numbers), 16, 4, generator=torch.Generator().manual_seed(len(numbers))))


class Engine:
    """Draws a picture that holds its seed in its first pixel."""

    def __init__(self, weights: str = "abc") -> None:
        self.weights = weights
        self.recommended = Recommended(width=64, height=64, steps=2)
        self.requests: list[Request] = []

    def describe(self):
        return {"weights": self.weights, "dtype": "float32", "threads": len(self.requests)}

    def generate(self, request: Request) -> Result:
        self.requests.append(request)
        pixels = np.full((request.height, request.width, 3), request.seed % 256, np.uint8)
        record = {"format": "newbie/1", "request": request.to_json(), "ran": self.describe()}
        return Result([Image.fromarray(pixels)], [request.seed], [record], request, self.describe(), {})


def numbered(count: int) -> list[np.ndarray]:
    return [np.full((4, 4, 3), i, np.uint8) for i in range(count)]


def judged(tasks: list[Task], reads: list[Task] | None = None) -> Report:
    probe = Knowing([task.asked for task in reads or tasks])
    undrawable = [replace(task, spec=None) for task in tasks]
    return evaluate.evaluated(numbered(len(tasks)), undrawable, probe, Studio(), {"seed": 0})[0]


# ---- what is asked for


def test_every_evaluated_combination_is_held_out_and_the_seed_fixes_them():
    tasks = suites.held_out(24, seed=3)
    specs = [task.spec for task in tasks]
    assert all(spec and held_out(spec) and not has_held_out_pair(spec) for spec in specs)
    assert [len(spec.characters) for spec in specs if spec] == [1, 2, 3] * 8
    assert tasks == suites.held_out(24, seed=3) != suites.held_out(24, seed=4)


def test_each_of_the_twelve_pairs_is_asked_for_and_only_the_pair_is_judged():
    tasks = suites.pairs(3, seed=0)
    assert len(tasks) == 36
    for task in tasks:
        field_a, value_a, field_b, value_b = suites.pair_of(task.name)
        assert task.spec and has_held_out_pair(task.spec)
        judged_figures = [figure for figure in task.asked.figures if figure]
        assert judged_figures and all(f == {field_a: value_a, field_b: value_b} for f in judged_figures)
    assert {suites.pair_of(task.name) for task in tasks} == set(HELD_OUT_PAIRS)


def test_prompts_of_every_form_say_the_hairs_colour_they_are_judged_by():
    tasks = suites.forms(12, seed=0)
    assert [task.name.split("-")[1] for task in tasks[::12]] == ["tags", "english", "chinese"]
    for task in tasks[:12]:
        understood = understand(read(task.prompt))
        assert understood.asked.figures[0]["hair_color"] == task.asked.figures[0]["hair_color"]
    for task in tasks[12:24]:
        assert all(f["hair_color"].replace("blonde", "") in task.prompt.lower() for f in task.asked.figures)
        assert not any(name in task.prompt for name in NAMED)


def test_names_are_asked_for_by_nothing_but_the_name():
    tasks = suites.names(1)
    assert len(tasks) == len(NAMED)
    for task in tasks:
        (figure,) = task.asked.figures
        assert figure["hair_color"] not in task.prompt
        assert task.spec and Asked.of(task.spec).figures[0].items() >= figure.items()


# ---- people's own prompts


def test_a_full_prompt_is_understood_completely():
    for i in range(60):
        spec = sample(random.Random(f"own/{i}"))
        understood, whole = understand(read(caption_full(spec))), Asked.of(spec)
        assert understood.not_judged == []
        assert understood.asked.picture == whole.picture
        for told, figure in zip(understood.asked.figures, whole.figures, strict=True):
            assert told.items() <= figure.items()
            assert {"hair_color", "hair_style", "outfit", "outfit_color", "mouth", "position"} <= told.keys()


def test_what_cannot_be_judged_is_listed_and_the_rest_is_judged():
    understood = understand(read("1girl, solo, blue_hair, castle, night, dragon_wings"))
    assert understood.asked == Asked({"count": "1", "background": "night"}, ({"gender": "girl", "hair_color": "blue"},))
    assert understood.not_judged == ["castle", "dragon_wings"]


def test_tags_of_two_people_do_not_say_who_has_what():
    understood = understand(read("2girls, blue_hair, night"))
    assert understood.asked == Asked({"count": "2", "background": "night"})
    assert understood.not_judged == ["who looks how: blue"]


def test_sentences_are_understood_phrase_by_phrase():
    english = understand(read("A girl with red hair and green eyes in a black dress, at the beach.")).asked
    assert english.picture == {"background": "beach"}
    assert english.figures == (
        {"gender": "girl", "hair_color": "red", "eye_color": "green", "outfit": "dress", "outfit_color": "black"},
    )
    assert understand(read("蓝发双马尾的女孩，樱花")).asked.figures[0]["hair_color"] == "blue"


def test_figures_are_sorted_by_their_places_and_five_of_them_are_not_judged():
    two = "".join(
        f"<character_{i}><gender>1girl</gender><appearance>{hair}_hair</appearance><position>{at}</position>"
        f"</character_{i}>"
        for i, (hair, at) in enumerate([("red", "right"), ("blue", "left")], 1)
    )
    assert [f["hair_color"] for f in understand(read(two)).asked.figures] == ["blue", "red"]
    assert understand(read(two.replace("left", "right"))).not_judged == ["who stands where"]
    five = understand(read("<general_tags><count>5girls</count></general_tags>"))
    assert five.asked == Asked({})
    assert five.not_judged == ["5 figures"]


def test_a_folder_without_prompts_is_a_usage_error(tmp_path: Path):
    with pytest.raises(UsageError, match="no prompt"):
        suites.of_folder(tmp_path)
    with pytest.raises(UsageError, match="no folder"):
        suites.of_folder(tmp_path / "nothing")
    (tmp_path / "a.txt").write_text("1girl, castle", encoding="utf-8")
    tasks, lost = suites.of_folder(tmp_path)
    assert [task.name for task in tasks] == ["own-a"]
    assert lost == {"a.txt": ["castle"]}


# ---- drawing


def test_pictures_are_kept_and_only_missing_ones_are_drawn(tmp_path: Path):
    tasks = suites.held_out(5, seed=0)
    engine, said = Engine(), []
    first = draw_pictures(engine, tasks, Request(seed=7), folder=tmp_path)
    (tmp_path / "main-0002.png").unlink()
    (tmp_path / "main-0003.png").write_bytes((tmp_path / "main-0003.png").read_bytes()[:-40])
    again = draw_pictures(engine, tasks, Request(seed=7), folder=tmp_path, say=said.append)
    assert len(engine.requests) == 7
    assert [request.seed for request in engine.requests[5:]] == [9, 10]
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert said == ["3 of 5 pictures were there already"]
    assert images.read_record(tmp_path / "main-0004.png").request.prompt == tasks[4].prompt


def test_pictures_of_other_weights_or_another_request_are_drawn_again(tmp_path: Path):
    tasks = suites.held_out(2, seed=0)
    draw_pictures(Engine(), tasks, Request(seed=1), folder=tmp_path)
    other = Engine("other")
    draw_pictures(other, tasks, Request(seed=1), folder=tmp_path)
    assert len(other.requests) == 2
    draw_pictures(other, tasks, Request(seed=1, steps=3), folder=tmp_path)
    assert len(other.requests) == 4


def test_pictures_from_before_a_plan_was_written_are_drawn_again(tmp_path: Path):
    tasks, engine = suites.held_out(2, seed=0), Engine()
    draw_pictures(engine, tasks, Request(seed=1), folder=tmp_path)
    written = (tmp_path / f"{tasks[0].name}.png").stat().st_mtime
    draw_pictures(engine, tasks, Request(seed=1), folder=tmp_path, since=written - 1)
    assert len(engine.requests) == 2
    draw_pictures(engine, tasks, Request(seed=1), folder=tmp_path, since=written + 60)
    assert len(engine.requests) == 4


# ---- under acceleration


def test_accelerations_that_do_not_go_together_are_refused_before_anything_loads(tmp_path: Path):
    with pytest.raises(UsageError, match="do not go together"):
        evaluate.main(["--accel", "fora,deepcache", "--probe", str(tmp_path / "none")], print)
    with pytest.raises(UsageError, match="nothing to evaluate"):
        evaluate.main(["--count", "0", "--probe", str(tmp_path / "none")], print)
    with pytest.raises(UsageError, match="cannot be read"):
        evaluate.main(["--plan", str(tmp_path / "nowhere.json"), "--probe", str(tmp_path / "none")], print)


def test_a_report_under_acceleration_says_what_was_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    tasks = evaluate.tasks_of(["main"], 2, 0)

    class Blind(Knowing):
        """Sees the first task in every picture."""

        def look(self, pictures):
            return super().look(numbered(1) * len(list(pictures)))

    monkeypatch.setattr(evaluate, "load", lambda place, device: Blind([task.asked for task in tasks]))
    flags = ["--suites", "main", "--count=2", "--side=64", "--steps=4", "--training=0", "--workers=0", "--out"]
    reports = {}
    for accel in ("none", "deepcache:interval=2,warmup=1,cooldown=1"):
        said: list[str] = []
        folder = tmp_path / accel.partition(":")[0]
        assert evaluate.main([*flags, str(folder), "--accel", accel], said.append) == 0
        reports[accel] = json.loads((folder / "report.json").read_text()), "\n".join(said)
    (plain, _), (quick, told) = reports.values()
    assert "accelerations" not in plain and plain["request"]["accel"] == ""
    assert quick["request"]["count"] == 1  # of each prompt; --count is of prompts
    assert quick["request"]["accel"] == "deepcache:interval=2,warmup=1,cooldown=1"
    did = quick["accelerations"]
    assert did["methods"] == ["deepcache:interval=2,warmup=1,cooldown=1"]
    assert (did["evaluations"], did["computed"]) == (4, 3)  # 0, 2, and the last in any case
    assert 0.15 < did["operations saved"] < 0.25  # a quarter of the evaluations, but for the first of seven blocks
    assert "3.0 of 4.0 evaluations" in told


def test_a_picture_has_the_shape_its_spec_asks_for():
    specs = [replace(sample(random.Random(0), characters=1), shape=shape) for shape in ("square", "portrait")]
    square, portrait = draw_pictures(Engine(), specs, Request(seed=0, height=128, width=128))
    assert square.shape == (128, 128, 3)
    assert portrait.shape[:2] == canvas("portrait", 128)[::-1]


# ---- judging


def test_an_obedient_model_scores_everything_and_shuffled_prompts_do_not():
    report = judged(suites.held_out(60, seed=0))
    assert report.scores.rate("hair_color").value == 1.0
    assert report.scores.rate("all").value == 1.0
    assert report.shuffled.rate("hair_color").value < 0.3
    assert report.shuffled.rate("hair_sides").value < 0.2
    assert report.shuffled.rate("count").value == 1.0


def test_pairs_are_reported_apart_beside_the_same_attributes_in_trained_pairs():
    report = judged(suites.held_out(30, seed=0) + suites.pairs(2, seed=0))
    rates = report.pairs()
    assert len(rates) == 12
    assert all(rate.value == 1.0 and rate.total >= 2 for rate in rates.values())
    assert report.trained_pairs().value == 1.0
    assert report.scores.rate("count").total == 30


def test_a_model_that_cannot_combine_loses_the_pairs_only():
    tasks = suites.held_out(12, seed=0) + suites.pairs(1, seed=0)
    reads = [
        replace(task, asked=Asked(task.asked.picture, tuple({} for _ in task.asked.figures)))
        if task.name.startswith("pairs")
        else task
        for task in tasks
    ]
    report = judged(tasks, reads)
    assert report.trained_pairs().value == 1.0
    assert sum(rate.hits for rate in report.pairs().values()) < 6
    assert "untrained pairs: points lost" in tables.goals(report)
    assert " NO" in tables.goals(report)


def test_real_drawings_of_the_same_specs_are_the_ceiling():
    tasks = suites.held_out(3, seed=0)
    seen: list[int] = []

    class Counting(Knowing):
        def look(self, pictures):
            listed = list(pictures)
            seen.append(len(listed))
            return super().look(numbered(len(listed)))

    report, _ = evaluate.evaluated(numbered(3), tasks, Counting([task.asked for task in tasks]), Studio(0, 64), {})
    assert seen == [3, 3]
    assert report.best.rate("hair_color", 3) == Rate(3, 3)


def test_a_report_survives_its_folder_and_a_damaged_one_is_refused(tmp_path: Path):
    report = judged(suites.held_out(6, seed=0) + suites.names(1) + suites.forms(2, seed=0))
    report.save(tmp_path)
    again = Report.load(tmp_path)
    assert again.scores == report.scores
    assert again.shuffled == report.shuffled
    assert tables.text(again) == tables.text(report)
    assert json.loads((tmp_path / "report.json").read_text())["names"]["hair_color"]["value"] == 1.0
    (tmp_path / "verdicts.jsonl").write_text("{")
    with pytest.raises(UsageError, match="no whole report"):
        Report.load(tmp_path)


def test_the_table_quotes_intervals_and_goals():
    report = judged(suites.held_out(24, seed=0))
    text = tables.text(replace(report, real=report.model))
    for part in ("axis, %", "binding", "3 figures, %", "hair_sides", "100.0 [ 67.6, 100.0]", "wanted"):
        assert part in text


# ---- two reports


def test_two_reports_are_compared_picture_by_picture():
    tasks = suites.held_out(40, seed=0)
    good = judged(tasks)
    bad = judged(tasks, [tasks[(i + 3) % 40] if i < 20 else task for i, task in enumerate(tasks)])
    found = compare(good, bad)["hair_color"]
    assert found.total == 40
    assert found.both >= 20 and found.second_only == 0
    assert found.difference == -found.first_only / 40 < 0
    assert found.interval[0] < found.difference < found.interval[1] < 0
    assert compare(good, good)["all"] == Paired(40, 0, 0, 0)


def test_reports_on_other_prompts_cannot_be_compared():
    with pytest.raises(UsageError, match="no prompt in common"):
        compare(judged(suites.held_out(3, seed=0)), judged(suites.held_out(3, seed=1)))


# ---- pictures of a report


def verdicts_of(count: int) -> list[Verdict]:
    tasks = suites.held_out(count, seed=0)
    return list(judged(tasks, list(reversed(tasks))).model.values())


def test_confusion_matrices_count_what_was_read_for_what_was_asked():
    found = verdicts_of(9)
    table = matrices(found)["hair_color"]
    assert sum(map(sum, table)) == sum(len(verdict.hits()["hair_color"]) for verdict in found)
    told = next(t for verdict in found for t in verdict.told if t.question == "background")
    places = OF_PICTURE["background"].index(told.asked), OF_PICTURE["background"].index(told.read)
    assert matrices(found)["background"][places[0]][places[1]] > 0
    assert confusion_picture(found).height > 600


def test_sheets_show_pictures_of_all_shapes_and_say_what_is_wrong():
    pictures = [np.full((8 + i, 12, 3), 9 * i, np.uint8) for i in range(9)]
    assert contact_sheet(pictures).width == 8 * 196 + 4
    found = verdicts_of(9)
    assert worst_sheet(pictures, found, most=4).height < worst_sheet(pictures, found, most=6).height
    wrong = next(verdict for verdict in found if verdict.wrong)
    assert ", not " in complaint(wrong)
    assert complaint(wrong).count("\n") == 4
