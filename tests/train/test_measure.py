"""The measurements of structure: prompts fixed beforehand, errors counted as they are defined, runs that resume."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip("skia", reason="the drawing library of the extra `train` is not installed", exc_type=ImportError)

from newbie import Request
from newbie.prompt import read
from newbie.prompt.boxes import Box
from newbie.prompt.weights import marks
from newbie.request import Recommended, Result
from newbie.train.figures import caption_full, draw, held_out
from newbie.train.measure import binding, hard, locality, main, response
from newbie.train.probe import Paired, Probe, Scores, Seen, Told, Verdict
from newbie.train.probe.labels import OF_CHARACTER, OF_PICTURE
from newbie.train.report import Task, understand

# ---- the thousand prompts


def test_the_hard_prompts_are_those_that_were_chosen() -> None:
    tasks = hard.hard()
    assert len(tasks) == hard.COUNT == 1000
    assert hard.digest(tasks) == hard.DIGEST
    assert Counter(task.name.split("-")[0] for task in tasks) == dict.fromkeys(hard.KINDS, 250)
    assert hard.hard(12) == tasks[:12]


def test_hard_prompts_say_what_they_are_judged_by_and_were_never_trained() -> None:
    for task in hard.hard(80):
        assert task.spec is not None and held_out(task.spec)
        understood = understand(read(task.prompt)).asked.figures
        assert len(understood) == len(task.asked.figures)
        for said, asked in zip(understood, task.asked.figures, strict=True):
            assert all(asked[question] == answer for question, answer in said.items())


def test_each_kind_is_hard_in_its_own_way() -> None:
    similar = {frozenset(pair) for pair in hard.SIMILAR_HAIR}
    for task in hard.hard(80):
        kind = task.name.split("-")[0]
        assert task.spec is not None
        hair = [figure.hair_color for figure in task.spec.characters]
        if kind == "similar":
            assert frozenset(hair) in similar
        elif kind == "three":
            assert any(frozenset((a, b)) in similar for i, a in enumerate(hair) for b in hair[i + 1 :])
        elif kind == "unusual":
            assert tuple(figure.position for figure in task.spec.characters) in hard.UNUSUAL
        else:
            assert sorted(map(len, task.asked.figures))[0] == len(hard.BRIEF)


# ---- binding


def verdict(*figures: dict[str, tuple[str, str]]) -> Verdict:
    """(asked, read) of each question, figure by figure."""
    told = [Told(q, n, a, r, 0.0) for n, figure in enumerate(figures, 1) for q, (a, r) in figure.items()]
    return Verdict(len(figures), tuple(told))


RIGHT = verdict({"hair_color": ("red", "red")}, {"hair_color": ("blue", "blue")})
SWAPPED = verdict({"hair_color": ("red", "blue")}, {"hair_color": ("blue", "red")})
LEAKED = verdict({"hair_color": ("red", "red")}, {"hair_color": ("blue", "red")})
WRONG = verdict({"hair_color": ("red", "pink")}, {"hair_color": ("blue", "blue")})


def test_a_binding_error_is_what_was_asked_of_another() -> None:
    assert [binding.strays(v) for v in (RIGHT, SWAPPED, LEAKED, WRONG)] == [
        [], ["hair_color", "hair_color"], ["hair_color"], [],
    ]  # fmt: skip
    same = verdict({"hair_color": ("red", "red")}, {"hair_color": ("red", "red")})
    place = verdict({"position": ("left", "right")}, {"position": ("right", "left")})
    glasses = verdict({"glasses": ("yes", "no")}, {"glasses": ("no", "yes")})
    assert not any(binding.strays(v) for v in (same, place, glasses))


def test_what_was_left_out_did_not_stray_from_anybody() -> None:
    left_out = verdict({"action": ("waving", "standing")}, {"action": ("standing", "standing")})
    strayed = verdict({"action": ("waving", "standing")}, {"action": ("standing", "waving")})
    assert binding.strays(left_out) == []
    assert binding.strays(strayed) == ["action"]


def test_only_what_a_model_can_draw_alone_counts() -> None:
    alone = [
        verdict({"hair_color": ("red", "red"), "action": ("standing", "standing"), "mouth": ("sad", read)})
        for read in ("sad", "smile")
    ] + [verdict({"action": ("waving", "standing")})]
    assert binding.able(alone) == ("hair_color",)  # mouths are right in one of two, the only action was left out
    swapped = {"similar-0000": verdict({"mouth": ("sad", "smile")}, {"mouth": ("smile", "sad")})}
    found = binding.Binding(swapped, swapped, binding.able(alone))
    assert binding.errors(found.bound()) == (0, 0) and found.by_question() == {}
    assert "figures by themselves: gender, hair_style" in binding.text(found)


def test_errors_are_compared_picture_by_picture() -> None:
    names = [f"{kind}-{i:04}" for i, kind in enumerate(["similar"] * 4 + ["three"] * 2)]
    off = dict(zip(names, [SWAPPED, LEAKED, RIGHT, WRONG, SWAPPED, RIGHT], strict=True))
    on = dict(zip(names, [RIGHT, RIGHT, SWAPPED, RIGHT, SWAPPED, RIGHT], strict=True))
    found = binding.Binding(off, on)
    assert found.bound() == Paired(both=2, first_only=1, second_only=2, neither=1)
    assert found.bound("similar") == Paired(1, 1, 2, 0)
    assert binding.errors(found.bound()) == (3, 2)
    assert binding.errors(found.whole()) == (4, 2)
    assert found.by_question() == {"hair_color": (5, 4)}
    assert "NO (3 off, 2 on)" in binding.text(found)
    assert json.loads(json.dumps(found.as_json()))["pictures with"]["all"]["a binding error"]["off"] == 3
    assert binding.examples(found) == ["similar-0000", "similar-0001", "similar-0002"]


def test_half_of_the_errors_gone_is_what_is_wanted() -> None:
    off = {f"similar-{i:04}": SWAPPED for i in range(20)}
    on = {name: RIGHT if i < 15 else SWAPPED for i, name in enumerate(off)}
    assert "yes (20 off, 5 on)" in binding.text(binding.Binding(off, on))


# ---- weights


def test_conflicts_ask_for_two_answers_and_weigh_one() -> None:
    for conflict in response.candidates(6):
        prompt = response.prompt(conflict, 1.5)
        (mark,) = marks(prompt)
        assert mark.weight == 1.5
        loud = prompt[mark.inner.start : mark.inner.stop]
        task = response.task(conflict, 1.5, 3, phase="curve")
        where = task.asked.picture if conflict.question == "background" else task.asked.figures[0]
        assert where[conflict.question] == conflict.loud
        other = response.QUESTIONS[conflict.question][1][conflict.other][0]
        assert (prompt.index(loud) < prompt.index(other)) == conflict.first
    assert len({c.name for c in response.candidates(6)}) == 6 * len(response.QUESTIONS)


def test_only_what_is_neither_always_nor_never_there_is_kept() -> None:
    conflicts = response.candidates(1)
    hits = {conflict: [i < n for i in range(10)] for n, conflict in zip((0, 2, 3, 5, 7, 8), conflicts, strict=True)}
    assert response.open_to_both(hits) == conflicts[2:5]


def test_the_curve_is_compared_with_weight_one() -> None:
    conflict = response.candidates(1)[0]
    share = {0.25: 2, 0.5: 6, 0.75: 9, 1.0: 20, 1.25: 24, 1.5: 32, 2.0: 38}
    found = response.Response({w: [(conflict, i < n) for i in range(40)] for w, n in share.items()})
    assert found.monotone
    assert found.against_one(1.5) == Paired(20, 0, 12, 8)
    told = response.text(found, 1, 9)
    assert "monotone from 0.25 to 2: yes" in told and "1.5 raises: yes" in told and "0.5 lowers: yes" in told
    flat = response.Response({w: found.hits[2.0] if w == 0.25 else hits for w, hits in found.hits.items()})
    assert not flat.monotone and "NO" in response.text(flat, 1, 9)


# ---- edits


def test_an_edit_dyes_the_hair_of_one_and_nothing_else() -> None:
    for edit in locality.edits(12):
        before, after = (read(task.prompt).scene for task in (edit.before, edit.after))
        for i, (a, b) in enumerate(zip(before.characters, after.characters, strict=True)):
            same = {name for name in a if a[name].text == b[name].text}
            assert set(a) - same == ({"appearance"} if i == edit.edited else set())
        mine, theirs = locality.areas(edit)
        assert (mine.x < theirs.x) == (edit.edited == 0)


def test_drawings_change_where_the_hair_is_dyed() -> None:
    edit = locality.edits(1)[0]
    pictures = [draw(task.spec, 64) for task in (edit.before, edit.after)]  # type: ignore[arg-type]
    own, other = (locality.changed(*pictures, box) for box in locality.areas(edit))
    assert own.mean > 5 * other.mean and own.share > other.share


def test_changes_are_compared_edit_by_edit() -> None:
    change = [locality.Change(float(mean), 0.1) for mean in (9, 8, 7, 6, 5, 4, 3, 2)]
    halved = [locality.Change(each.mean / 2, each.share) for each in change]
    found = locality.Locality({"off": change, "on": change}, {"off": change, "on": halved})
    assert found.sign_test() == (8, 0, pytest.approx(2 / 2**8))
    mean, low, high = found.gain()
    assert mean == pytest.approx(2.75) and low < mean < high and mean - low == pytest.approx(high - mean)
    assert found.means()["other"]["on"].mean == pytest.approx(5.5 / 2)
    assert "less with regions in 8 edits" in locality.text(found)


def test_pixels_outside_a_box_do_not_count() -> None:
    before, after = np.zeros((10, 20, 3), np.uint8), np.zeros((10, 20, 3), np.uint8)
    after[:, 10:] = 100
    assert locality.changed(before, after, Box(0, 0, 0.5, 1)) == locality.Change(0.0, 0.0)
    assert locality.changed(before, after, Box(0.5, 0, 0.5, 1)) == locality.Change(100.0, 1.0)


# ---- whole measurements


class Engine:
    """Writes what it was asked for into its pixels: a number for the prompt, and whether regions were on."""

    def __init__(self) -> None:
        self.recommended = Recommended(width=64, height=64, steps=2)
        self.drawn = 0
        self.prompts: list[str] = []

    def describe(self) -> dict[str, str]:
        return {"weights": "abc", "dtype": "float32"}

    def generate(self, request: Request) -> Result:
        self.drawn += 1
        if request.prompt not in self.prompts:
            self.prompts.append(request.prompt)
        assert request.height and request.width
        pixels = np.zeros((request.height, request.width, 3), np.uint8)
        pixels[0, 0] = (*divmod(self.prompts.index(request.prompt), 256), request.regions == "auto")
        record = {"format": "newbie/1", "request": request.to_json(), "ran": self.describe()}
        return Result([Image.fromarray(pixels)], [request.seed], [record], request, self.describe(), {})


class Guessing(Probe):
    """Reads at random, the same of the same pixels."""

    def __init__(self) -> None:
        super().__init__(reader=None, card={"ceiling": Scores({}).as_json()})  # type: ignore[arg-type]

    def look(self, pictures):
        def read_of(picture, size: tuple[int, ...]) -> torch.Tensor:
            number = int(picture[0, 0].astype(int) @ [65536, 256, 1])
            return torch.randn(size, generator=torch.Generator().manual_seed(number))

        pictures = list(pictures)
        log_p = {q: torch.stack([read_of(p, (len(v),)) for p in pictures]) for q, v in OF_PICTURE.items()}
        log_p |= {q: torch.stack([read_of(p, (6, len(v))) for p in pictures]) for q, v in OF_CHARACTER.items()}
        return Seen(log_p, torch.zeros(len(pictures), 16, 4))


def work(engine: Engine, out: Path) -> main.Work:
    return main.Work(engine, Request(seed=0).resolved(engine.recommended), out, lambda text: None)


def test_binding_is_measured_and_an_interrupted_run_goes_on(tmp_path: Path) -> None:
    engine = Engine()
    first = main.measure_binding(work(engine, tmp_path), Guessing(), 8, "auto")
    alone = len(main.alone_tasks(main.ALONE, 0))
    assert engine.drawn == alone + 16 and len(first.off) == len(first.on) == 8
    (tmp_path / "on" / "three-0001.png").unlink()
    again = main.measure_binding(work(engine, tmp_path), Guessing(), 8, "auto")
    assert engine.drawn == alone + 17 and again == first
    kept = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert kept["regions"] == "auto" and kept["prompts"] == hard.digest(hard.hard(8))
    assert "McNemar" in (tmp_path / "report.txt").read_text(encoding="utf-8")


def test_one_alone_is_drawn_twice_and_compared_bit_by_bit(tmp_path: Path) -> None:
    changed = main.measure_single(work(Engine(), tmp_path), 3, "auto")
    assert changed == 3  # this engine writes regions into every picture


def test_weights_are_chosen_first_and_then_measured_with_other_seeds(tmp_path: Path) -> None:
    engine = Engine()
    found = main.measure_weights(work(engine, tmp_path), Guessing(), 2, 4)
    folders = {path.name for path in tmp_path.iterdir() if path.is_dir()}
    assert "choose" in folders
    if found is not None:  # the guesses decide whether anything is open to both
        assert set(found.hits) == set(response.WEIGHTS)
        assert f"weight-{1.5:g}" in folders


def test_edits_are_measured_off_and_on(tmp_path: Path) -> None:
    engine = Engine()
    found = main.measure_locality(work(engine, tmp_path), 3, "auto")
    assert engine.drawn == 12
    assert len(found.own["off"]) == len(found.other["on"]) == 3


def test_the_command_refuses_what_cannot_be() -> None:
    from newbie.errors import UsageError

    for flags in (["binding", "--count", "0"], ["locality", "--regions", "strong"]):
        with pytest.raises(UsageError):
            main.main(flags, lambda text: None)


def test_a_prompt_of_a_spec_is_that_of_its_report() -> None:
    """Where nobody is brief and the order is kept, the hard prompts are written as all others are."""
    task = hard.hard(1)[0]
    assert task.spec is not None and task.prompt == caption_full(task.spec)
    assert isinstance(task, Task)
