"""The doors with the bundled model: what a person does in the first five minutes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from newbie import images

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "weights" / "newbie-mini"
DUO = """<character_1>
<appearance>blue_hair, twintails</appearance>
<position>left</position>
</character_1>
<character_2>
<appearance>yellow_hair, short_hair</appearance>
<position>right</position>
</character_2>
"""

SMALL = ("--size", "96x64")

pytestmark = pytest.mark.skipif(not (MODEL / "model_index.json").exists(), reason="weights/newbie-mini is not here")


@pytest.fixture(scope="module")
def pipeline():
    from newbie import Pipeline

    return Pipeline.open(MODEL)


@pytest.fixture
def create(pipeline, capsys, tmp_path, monkeypatch):
    from newbie.cli.create import main

    monkeypatch.chdir(tmp_path)

    def run(*flags):
        code = main(list(map(str, flags)), opener=lambda *_, **__: pipeline)
        captured = capsys.readouterr()
        assert code == 0, captured.err
        return captured

    return run


def test_a_picture_repeats_itself_to_the_pixel(create):
    Path("双人.xml").write_text(DUO, encoding="utf-8")
    create("--prompt", "双人.xml", "--seed", 7, "--steps", 6, *SMALL)
    assert "pixels identical" in create("--like", "outputs/双人-7.png", "-o", "again.png").out
    assert Path("again.png").read_bytes() == Path("outputs/双人-7.png").read_bytes()


def test_the_record_says_what_ran(create, pipeline):
    out = create("--prompt", DUO, "--seed", 7, "--steps", 2, *SMALL, "--json").out
    told = json.loads(out)
    stored = images.read_record(Path(told["path"]))
    assert stored.request.prompt == DUO
    assert stored.record["ran"] | {"evaluations": 0} == pipeline.describe() | {"evaluations": 0}
    assert stored.record["ran"]["weights"]
    assert "<character_1>" in stored.record["canonical_prompt"]
    data = Path(told["path"]).read_bytes()
    assert str(ROOT).encode() not in data
    assert str(Path.home()).encode() not in data


def test_a_second_run_of_a_batch_draws_nothing(create):
    Path("prompts").mkdir()
    for name in ("a", "b"):
        Path("prompts", f"{name}.xml").write_text(DUO.replace("blue", {"a": "red", "b": "green"}[name]))
    flags = ("--prompt", "prompts", "--steps", 2, *SMALL)
    create(*flags, "--seed", 1)
    assert create(*flags, "--seed", 1).out.count("finished before") == 2
    create(*flags, "-o", "random/")
    assert create(*flags, "-o", "random/").out.count("finished before") == 2


def test_explain_shows_the_tokens_of_every_element(create):
    shown = create("--prompt", DUO, "--explain").out
    for line in ("prompt, gemma", "prompt, jina", "character_1.appearance[1]", "character_2.position"):
        assert line in shown
    told = json.loads(create("--prompt", DUO, "--explain", "--json").out)
    paths = {element["path"] for element in told["prompt texts"]["gemma"]["elements"]}
    assert {"character_1.appearance[0]", "character_2.position"} <= paths
    assert not Path("outputs").exists()


def test_a_prompt_beyond_the_encoder_is_told_element_by_element(create):
    long = DUO.replace("twintails", ", ".join(f"tag_{i}" for i in range(900)))
    assert "character_2.position" in create("--prompt", long, "--seed", 1, "--steps", 1, *SMALL).err


def test_the_loop_edits_and_draws_again(create, monkeypatch):
    import io

    script = f"{DUO}\n/steps 2\n/set character_1.appearance red_hair\n/again\n/undo\n/again\n/quit\n"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(script.encode())))
    create("--seed", 3, "--steps", 2, *SMALL)
    first, edited, undone = (images.read_pixels(Path("outputs", f"newbie-3{n}.png")) for n in ("", "-2", "-3"))
    assert first == undone
    assert first != edited


@pytest.mark.slow
def test_the_sample_runs_from_any_folder(tmp_path):
    done = subprocess.run([sys.executable, ROOT / "test.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    picture = ROOT / "success_output.png"
    assert str(picture) in done.stdout
    assert not images.is_blank(images.read_pixels(picture))
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_create_runs_from_any_folder_with_a_prompt_from_standard_input(tmp_path):
    command = [sys.executable, ROOT / "create.py", "--prompt", "-", "--steps", "2", "--seed", "1", *SMALL]
    done = subprocess.run(command, cwd=tmp_path, input=DUO.encode(), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert images.read_record(tmp_path / "outputs" / "newbie-1.png").request.prompt == DUO
