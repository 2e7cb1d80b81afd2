"""The whole benchmark on a tiny model: every file, every field that a table or a plot reads, and the README."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import torch

from newbie.accel.savings import Savings
from newbie.bench import main as bench
from newbie.bench import model, report, tables
from newbie.bench.contestants import Ours, with_graphs
from newbie.bench.plots import PLOTS
from newbie.bench.race import Contestant, race
from newbie.bench.results import FORMAT, Result, read, read_all, write
from newbie.bench.sizes import build, given
from newbie.bench.step_kernels import time_grid
from newbie.bench.tables import TABLES
from newbie.cli.main import main
from newbie.errors import OutputError, UsageError

ROOT = Path(__file__).parents[2]
FLAGS = "all --quick --device cpu --dtype float32 --sizes tiny --lengths 5,16 --steps 3 --threads 1 --no-compile"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """All benches, once."""
    folder = tmp_path_factory.mktemp("bench")
    said: list[str] = []
    assert bench.main([*FLAGS.split(), "--out", str(folder / "results")], said.append) == 0
    assert sum(line.startswith("measured: ") for line in said) == len(list((folder / "results").iterdir()))
    return folder


@pytest.fixture(scope="module")
def results(folder):
    return {result.bench: result for result in read_all(folder / "results")}


def test_all_writes_a_result_of_every_bench(results):
    elsewhere = {"doors", "attention-mix", "ditfastattn", "quality"}  # by scripts, or with flags of their own
    assert results.keys() == TABLES.keys() - elsewhere
    assert PLOTS.keys() <= TABLES.keys()


def test_nothing_is_begun_when_the_time_is_up(tmp_path):
    said: list[str] = []
    assert bench.main([*FLAGS.split(), "--minutes", "1e-9", "--out", str(tmp_path)], said.append) == 0
    assert said and all(line.startswith("left out, 0 minutes have passed") for line in said)
    assert not list(tmp_path.iterdir())


def test_every_result_says_where_when_and_how(results):
    for result in results.values():
        about = result.about
        assert about["command"] == f"python -m newbie bench {FLAGS}"  # and no folder of anybody's
        assert about["threads"] == 1 and about["seed"] == 0 and about["dtype"] == "float32" and about["cpu"]
        assert {"torch", "diffusers"} <= about["packages"].keys()


def test_our_outputs_agree_with_those_of_diffusers(results):
    agreement = results["model"].values["agreement"]
    for ours in agreement["float32"].values():
        assert ours["largest_difference"] <= 1e-5 and ours["output_std"] > 0.1
    assert all(error < 1e-4 for error in agreement["generations"].values())


def test_every_contestant_has_a_time_and_a_share_of_the_floor(results):
    values = results["model"].values
    assert {"newbie", "diffusers, one call", "diffusers, two calls"} <= values["contestants"].keys()
    for record in values["contestants"].values():
        assert all(record[part]["median"] > 0 for part in ("begin", "step", "generation"))
    assert len(values["floors"]) == 2
    for floor in values["floors"].values():
        assert floor["seconds"] >= floor["products"]["median"] > 0
        assert floor["shares"].keys() == values["contestants"].keys()


def test_kernels_are_judged_at_every_length_or_left_out_with_a_reason(results):
    values = results["attention"].values
    seen = {(row["kernel"], row["tokens"]) for row in values["rows"]}
    assert {("reference", 5), ("reference", 16), ("sdpa", 5), ("sdpa", 16)} <= seen
    assert all(row["error"] < 1e-5 and row["peak_bytes"] > 0 for row in values["rows"])
    assert "CUDA" in values["refused"]["flash"] or "cuda" in values["refused"]["flash"]


def test_the_parts_of_a_step_are_at_least_what_was_measured(results):
    values = results["profile"].values
    assert set(values["stages"]) == {"text", "denoise", "decode"}
    assert set(values["step_parts"]) == {"products", "attention", "element-wise", "Python and dispatch"}
    assert min(values["step_parts"].values()) >= 0 and values["step_parts"]["products"] > 0
    assert values["step_parts"]["attention"] > 0 and values["gpu_utilisation"] is None


def test_every_saving_has_its_stage_and_leads_to_the_same_latents(results):
    rows = results["waterfall"].values["rows"]
    names = [field.name.replace("_", " ") for field in dataclasses.fields(Savings)]
    assert [row["with"] for row in rows] == ["nothing saved", *(f"+ {name}" for name in names), "+ fast blocks"]
    assert all(row["difference"] < 1e-4 for row in rows)
    assert all(row["seconds"] == pytest.approx(row["text"] + row["denoise"] + row["decode"], rel=1e-3) for row in rows)


def test_more_characters_have_longer_captions(results):
    rows = results["characters"].values["rows"]
    words = [row["words"] for row in rows if row["attention"] == "fast"]
    assert len(words) == 6 and words == sorted(words) and len(set(words)) == 6


def test_report_fills_the_readme_and_draws_a_picture_per_result(folder, results):
    readme = folder / "README.md"
    readme.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n", encoding="utf-8")
    said: list[str] = []
    assert bench.main(["report", "--out", str(folder / "results"), "--readme", str(readme)], said.append) == 0
    text = readme.read_text(encoding="utf-8")
    assert text.startswith("before\n") and text.endswith("after\n") and "\nold\n" not in text
    for result in results.values():
        assert f"results/{result.name}.json" in text
        if result.bench in PLOTS:
            assert f"plots/{result.name}.svg" in text
            assert "<svg" in (folder / "plots" / f"{result.name}.svg").read_text(encoding="utf-8")
    bench.main(["report", "--out", str(folder / "results"), "--readme", str(readme)], said.append)
    assert readme.read_text(encoding="utf-8") == text


def test_the_committed_tables_are_those_of_the_committed_results():
    readme = ROOT / "benchmarks" / "README.md"
    found = report.ordered(read_all(ROOT / "benchmarks" / "results"))
    drawn = {path.stem: f"plots/{path.name}" for path in (readme.parent / "plots").glob("*.svg")}
    assert set(drawn) == {result.name for result in found if result.bench in PLOTS}
    text = readme.read_text(encoding="utf-8")
    assert report.filled(text, found, drawn) == text


def test_a_compiler_that_fails_is_told_and_spoils_nothing(options, monkeypatch):
    class Peer:
        """Fails when it is called, as a compiled model does."""

        def parameters(self):
            return iter([torch.zeros(1)])

        def __call__(self, *args, **options):
            raise RuntimeError("no C++ compiler\nmore")

    monkeypatch.setattr("newbie.bench.model.compiled_peer", lambda model: Peer())
    monkeypatch.setattr("newbie.accel.choose.broken", lambda *_: "no C++ compiler")
    made = dataclasses.replace(options(), compiled=True, repeats=1)
    values = model.measure(made.sizes[0], made, lambda text: None)
    own, name = values["left_out"]
    assert own == "newbie, compiled" and "no C++ compiler" in values["left_out"][own]
    assert name.startswith("diffusers") and name.endswith("compiled")
    assert values["left_out"][name] == "RuntimeError: no C++ compiler"
    assert not {own, name} & values["contestants"].keys() and "newbie" in values["contestants"]
    assert any("RuntimeError: no C++ compiler" in line for line in tables.model(values))


def test_a_contestant_with_graphs_settles_in_two_evaluations_and_ends_where_it_does_without(options):
    made = options()
    size = made.sizes[0]
    network, material = build(size.config, made.device, made.dtype, 0), given(size, made.device, 0)
    plain = Ours("newbie", network, size, material, time_grid(4))
    recorded = []

    def twice(run):
        recorded.append(run)
        return run

    graphed = dataclasses.replace(plain, record=twice)
    with torch.no_grad():
        model._settle(graphed, material.noise, 0.5)
        assert len(recorded) == 1
        records, _ = race(
            [Contestant("plain", plain.begin), Contestant("graphed", graphed.begin)],
            material.noise,
            time_grid(4),
            generations=1,
            seed=0,
        )
    assert torch.equal(records["plain"].final, records["graphed"].final)
    assert with_graphs([plain]) == []  # no card here


def test_where_time_is_short_only_the_slower_forms_stay_out(options):
    seconds = {"newbie, plain blocks": 2.0, "newbie": 1.0, "diffusers, one call": 3.0, "diffusers, two calls": 4.0}
    made = dataclasses.replace(options(), steps=50, repeats=1)
    assert model._too_long({name: each / 10 for name, each in seconds.items()}, made) == {}
    left_out = model._too_long(seconds | {"diffusers, one call, compiled": 3.5}, made)
    assert left_out.keys() == {"newbie, plain blocks", "diffusers, two calls"}
    assert "4 s" in left_out["diffusers, two calls"]


def test_a_result_survives_the_file_and_lists_of_numbers_take_one_line(tmp_path):
    result = Result("x", "model", {"seed": 1}, {"samples": [1.5, 2.0, 3.25], "bad": float("nan"), "text": "[a, b]"})
    path = write(result, tmp_path)
    assert "[1.5, 2.0, 3.25]" in path.read_text(encoding="utf-8")
    again = read(path)
    assert again is not None and again.values == {"samples": [1.5, 2.0, 3.25], "bad": "nan", "text": "[a, b]"}


def test_a_result_that_is_too_large_is_refused(tmp_path):
    with pytest.raises(OutputError, match="more than 16"):
        write(Result("x", "model", {}, {"long": "x" * 2**25}), tmp_path)


def test_other_json_is_no_result_and_broken_json_is_an_error(tmp_path):
    (tmp_path / "other.json").write_text(json.dumps({"format": f"not {FORMAT}"}))
    assert read(tmp_path / "other.json") is None
    with pytest.raises(UsageError, match="holds no results"):
        read_all(tmp_path)
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(UsageError, match=r"broken\.json"):
        read_all(tmp_path)


def test_a_readme_without_marks_is_refused(tmp_path):
    (tmp_path / "README.md").write_text("nothing\n")
    write(Result("x", "a bench without a table", {}, {}), tmp_path)
    with pytest.raises(UsageError, match="has no lines"):
        report.run(tmp_path, tmp_path / "README.md", print)


def test_the_command_is_listed_and_refuses_what_it_does_not_know(capsys):
    assert main(["--help"]) == 0 and "bench" in capsys.readouterr().out
    assert main(["bench", "model", "--sizes", "huge"]) == 2
    assert "huge" in capsys.readouterr().err
