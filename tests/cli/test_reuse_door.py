"""create.py with prompts made of parts: flags, files, choices, records, and the way back from a picture."""

import json
from pathlib import Path

import pytest

from newbie import images
from newbie.cli.args import parse
from newbie.prompt.reuse import Recipe

MIKU = "<character_1>\n<n>$character_1$</n>\n<appearance>aqua_hair</appearance>\n</character_1>\n"
PROMPT = '<character_1 src="cast/miku.xml"><position>left</position></character_1>\n<caption>A girl.</caption>\n'
COLORS = ("red", "blue", "green", "white", "pink", "black", "brown", "orange")
TEMPLATE = "1girl, {" + "|".join(COLORS) + "}_hair, __places__"


@pytest.fixture
def files(create):
    for name, text in {
        "p/stage.xml": PROMPT,
        "p/cast/miku.xml": MIKU,
        "p/wildcards/places.txt": "beach\nsnow\nnight\nforest\n",
        "p/hair.txt": TEMPLATE,
        "p/styles.toml": '[ink]\nstyle = "monochrome"\nnegative = "blurry"\n',
        "secret.xml": MIKU,
    }.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(text, encoding="utf-8")


def stored(name):
    return images.read_record(Path("outputs", name))


def words(name):
    return Recipe.from_json(stored(name).record["words"])


def prompts(ended):
    return [prompt for prompt, _ in ended.drawn]


# ---- character files


def test_a_character_file_is_put_in_and_recorded(create, files):
    ended = create("--prompt", "p/stage.xml", "--seed", 7)
    assert ended.code == 0
    request = stored("stage-7.png").request
    assert "src" not in request.prompt and "aqua_hair" in request.prompt and "left" in request.prompt
    recipe = words("stage-7.png")
    assert recipe.typed == PROMPT
    assert list(recipe.files) == ["cast/miku.xml"]
    assert "with cast/miku.xml" in ended.err


def test_the_file_tells_no_path(create, files, tmp_path):
    create("--prompt", tmp_path / "p" / "stage.xml", "--seed", 7)
    create("--prompt", tmp_path / "p" / "hair.txt", "--wildcards", tmp_path / "p" / "wildcards", "--seed", 7)
    create("--prompt", "1girl", "--style", "ink", "--style-file", tmp_path / "p" / "styles.toml", "--seed", 7)
    for picture in Path("outputs").iterdir():
        assert str(tmp_path).encode() not in picture.read_bytes()


def test_a_plain_prompt_has_no_further_record(create, files):
    create("--prompt", "1girl", "--seed", 7)
    create("--prompt", "1girl", "--seed", 7, "--expand", "-o", "outputs/expanded.png")
    assert "words" not in stored("newbie-7.png").record
    assert Path("outputs/newbie-7.png").read_bytes() == Path("outputs/expanded.png").read_bytes()


@pytest.mark.parametrize("src", ["../secret.xml", "/etc/passwd", "cast/nobody.xml", "bad.xml", "CON.xml"])
def test_nothing_is_drawn_of_a_prompt_with_errors_unless_forced(create, files, src):
    Path("p/bad.xml").write_text(f'<caption>A.</caption>\n<character_1 src="{src}"/>')
    ended = create("--prompt", "p/bad.xml", "--seed", 7)
    assert (ended.code, ended.pipeline, ended.out) == (3, None, "")
    assert "--force" in ended.err
    assert f"{Path('p/bad.xml')}:2:19: NB60" in ended.err
    forced = create("--prompt", "p/bad.xml", "--seed", 7, "--force")
    assert forced.code == 0
    assert prompts(forced) == [Path("p/bad.xml").read_text()]


def test_a_circle_of_files_names_both_ends(create, files):
    Path("p/one.xml").write_text('\n<character_1 src="two.xml"/>')
    Path("p/two.xml").write_text('<character_1 src="one.xml"/>')
    ended = create("--prompt", "p/one.xml", "--seed", 7)
    assert (ended.code, ended.drawn) == (3, [])
    assert f"{Path('p/one.xml')}:2:1: NB604 {Path('p/two.xml')}:1:19: one.xml leads back to itself" in ended.err


def test_a_typed_prompt_reads_no_files(create, files):
    for flags in (["--prompt", PROMPT], ["--prompt", PROMPT, "--expand"]):
        ended = create(*flags, "--seed", 7)
        assert (ended.code, ended.pipeline) == (3, None)
        assert "NB601" in ended.err


def test_an_error_in_a_character_file_names_the_place_in_it_and_the_tag_that_leads_there(create, files):
    Path("p/cast/miku.xml").write_text('\n<character_1 src="nowhere.xml"/>')
    ended = create("--prompt", "p/stage.xml", "--seed", 7)
    assert ended.code == 3
    stage, miku = Path("p/stage.xml"), Path("p/cast/miku.xml")
    assert f"{stage}:1:1: NB603 {miku}:2:19: there is no file cast/nowhere.xml" in ended.err


# ---- templates


def test_without_being_asked_nothing_is_chosen_and_that_is_said(create, files):
    ended = create("--prompt", "p/hair.txt", "--seed", 7)
    assert prompts(ended) == [TEMPLATE]
    assert "NB609" in ended.err and "--expand" in ended.err
    assert "words" not in stored("hair-7.png").record


def test_the_seed_of_the_picture_chooses_its_words(create, files):
    ended = create("--prompt", "p/hair.txt", "--expand", "--seed", 7, "-n", 6)
    first = prompts(ended)
    assert len(set(first)) > 1
    assert [seed for _, seed in ended.drawn] == [7, 8, 9, 10, 11, 12]
    assert prompts(create("--prompt", "p/hair.txt", "--expand", "--seed", 10)) == [first[3]]


def test_the_record_says_what_was_chosen(create, files):
    ended = create("--prompt", "p/hair.txt", "--expand", "--seed", 7)
    recipe = words("hair-7.png")
    assert recipe.seed == 7
    assert recipe.typed == TEMPLATE
    assert [choice.of for choice in recipe.chosen] == [TEMPLATE[7:-17], "__places__"]
    hair, place = recipe.chosen
    assert stored("hair-7.png").request.prompt == f"1girl, {hair.took}_hair, {place.took}"
    assert f"chose {place.took} of __places__" in ended.err


def test_another_seed_for_the_words_keeps_them_for_all_pictures(create, files):
    ended = create("--prompt", "p/hair.txt", "--expand-seed", 3, "--seed", 7, "-n", 4)
    assert len(set(prompts(ended))) == 1
    assert words("hair-10.png").seed == 3
    others = {prompts(create("--prompt", "p/hair.txt", "--expand-seed", n, "--seed", 7))[0] for n in range(6)}
    assert len(others) > 1


def test_values_are_given_on_the_command_line(create, files):
    ended = create("--prompt", "${who}, ${hair:red_hair}", "--var", "who=1boy", "--var", "hair=a=b", "--seed", 7)
    assert prompts(ended) == ["1boy, a=b"]
    assert words("newbie-7.png").variables == {"who": "1boy", "hair": "a=b"}


def test_a_value_nobody_asked_for_is_told(create, files):
    assert "no variable ${hiar}" in create("--prompt", "${hair:x}", "--var", "hiar=y", "--seed", 7).err


def test_lists_for_a_typed_prompt_lie_where_the_flag_says(create, files):
    ended = create("--prompt", "__places__", "--wildcards", "p/wildcards", "--seed", 7)
    assert prompts(ended)[0] in ("beach", "snow", "night", "forest")
    assert create("--prompt", "__places__", "--expand", "--seed", 7).code == 3


def test_json_holds_the_words(create, files):
    ended = create("--prompt", "p/hair.txt", "--expand", "--seed", 7, "--json")
    assert json.loads(ended.out)["words"]["seed"] == 7


def test_explain_shows_the_words_of_every_picture(create, files, fake, monkeypatch):
    seen = []
    monkeypatch.setattr("newbie.cli.explain.explain", lambda requests, *_: seen.extend(requests))
    create("--prompt", "p/hair.txt", "--expand", "--seed", 7, "-n", 3, "--explain")
    drawn = create("--prompt", "p/hair.txt", "--expand", "--seed", 7, "-n", 3)
    assert [request.prompt for _, request in seen] == prompts(drawn)


def test_one_choice_that_is_refused_does_not_stop_the_others(create, files):
    flags = ["--prompt", "{1girl|1girl|refuse_me}", "--expand", "--seed", 0, "-n", 12]
    ended = create(*flags)
    assert ended.code == 3
    assert 4 <= len(ended.drawn) < 12


# ---- the way back


@pytest.mark.parametrize(
    "flags",
    [
        ["--prompt", "p/stage.xml"],
        ["--prompt", "p/hair.txt", "--expand"],
        ["--prompt", "p/hair.txt", "--expand-seed", "3", "--style", "ink"],
        ["--prompt", "${a:{x|y}}, ${a}", "--var", "b=c"],
    ],
    ids=str,
)
def test_a_picture_repeats_itself_without_any_of_its_files(create, files, flags):
    create(*flags, "--seed", 7, "-o", "first.png")
    for path in sorted(Path("p").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    ended = create("--like", "first.png", "-o", "second.png")
    assert "pixels identical" in ended.out
    assert Path("first.png").read_bytes() == Path("second.png").read_bytes()


def test_another_seed_of_a_picture_keeps_its_words(create, files):
    create("--prompt", "p/hair.txt", "--expand", "--seed", 7, "-o", "first.png")
    create("--like", "first.png", "--seed", 8, "-o", "second.png")
    first, second = (images.read_record(Path(name)) for name in ("first.png", "second.png"))
    assert first.request.prompt == second.request.prompt
    assert first.record["words"] == second.record["words"]


def test_the_template_chooses_the_same_again_by_the_recorded_seed(create, files):
    create("--prompt", "p/hair.txt", "--expand", "--seed", 7, "-o", "first.png")
    seed = images.read_record(Path("first.png")).record["words"]["seed"]
    create("--prompt", "p/hair.txt", "--expand-seed", seed, "--seed", 7, "-o", "second.png")
    assert Path("first.png").read_bytes() == Path("second.png").read_bytes()


def test_a_record_from_a_stranger_is_not_passed_on(create, files):
    create("--prompt", "1girl", "--seed", 7, "-o", "first.png")
    record = images.read_record(Path("first.png")).record
    kept = {key: value for key, value in record.items() if key not in ("format", "pixels_sha256")}
    Path("evil.png").write_bytes(
        images.encode(images.read_pixels(Path("first.png")), kept | {"words": {"typed": ["x"], "files": 3}})
    )
    assert create("--like", "evil.png", "-o", "second.png").code == 0
    assert "words" not in images.read_record(Path("second.png")).record


def test_a_picture_is_not_repeated_with_other_words(create, files):
    create("--prompt", "1girl", "--seed", 7, "-o", "first.png")
    for flags in (["--expand"], ["--var", "a=b"], ["--style", "ink"], ["--wildcards", "p"]):
        ended = create("--like", "first.png", *flags)
        assert ended.code == 2
        assert "--like repeats the words" in ended.err


# ---- batches


def test_finished_pictures_of_a_template_are_skipped(create, files):
    flags = ["--prompt", "p/hair.txt", "--prompt", "p/stage.xml", "--expand", "--seed", 7, "-n", 3]
    assert len(create(*flags).drawn) == 6
    assert create(*flags).drawn == []
    Path("outputs/hair-8.png").unlink()
    assert [seed for _, seed in create(*flags).drawn] == [8]


def test_finished_with_random_seeds_means_any_words_of_the_same_template(create, files):
    flags = ["--prompt", "p/hair.txt", "--prompt", "p/stage.xml", "--expand"]
    create(*flags, "-n", 2)
    assert create(*flags, "-n", 2).drawn == []
    assert len(create(*flags, "-n", 3).drawn) == 2


def test_a_character_file_that_changed_makes_other_pictures(create, files):
    flags = ["--prompt", "p/hair.txt", "--prompt", "p/stage.xml", "--expand", "-n", 1]
    create(*flags)
    Path("p/cast/miku.xml").write_text(MIKU.replace("aqua", "pink"))
    assert len(create(*flags).drawn) == 1


# ---- styles


def test_a_style_adds_words_to_both_prompts_and_is_recorded(create, files):
    create("--prompt", "p/stage.xml", "--style", "ink", "--negative", "bad_hands", "--seed", 7)
    request = stored("stage-7.png").request
    assert "<style>monochrome</style>" in request.prompt
    assert request.negative == "bad_hands, blurry"
    recipe = words("stage-7.png")
    assert recipe.styles == ("ink",)
    assert list(recipe.files) == ["cast/miku.xml", "styles.toml"]


# ---- the prompt loop


def test_the_loop_puts_character_files_into_prompts_from_files_only(script, files):
    ended = script(f"p/stage.xml\n{PROMPT}", "--seed", 7)
    assert ended.code == 3
    assert len(ended.drawn) == 1 and "aqua_hair" in ended.drawn[0][0]
    assert "NB601" in ended.err


def test_an_element_is_set_in_the_prompt_as_it_was_typed(script, files):
    Path("p/short.xml").write_text('<character_2 src="cast/miku.xml"/>')
    ended = script("/load p/short.xml\n/set character_2.clothing red_dress\n/show\n/again", "--seed", 7)
    assert ended.code == 0
    assert '<character_2 src="cast/miku.xml">' in ended.out
    assert "$character_2$" in ended.drawn[0][0] and "red_dress" in ended.drawn[0][0]


def test_again_keeps_the_words_and_vary_chooses_new_ones(script, files):
    first, again, *varied = (prompt for prompt, _ in script("p/hair.txt\n/again\n/vary 20", "--expand").drawn)
    assert first == again
    assert len({*varied}) > 1


def test_a_picture_that_is_loaded_keeps_its_words(script, files):
    script(r"\{a|b}, {x|y}", "--expand", "--seed", 7)
    words_then = stored("newbie-7.png").request.prompt
    ended = script("/load outputs/newbie-7.png\n/again", "--expand", "--style", "ink", "--style-file", "p/styles.toml")
    assert [prompt for prompt, _ in ended.drawn] == [words_then]
    assert words_then.startswith("{a|b}, ")


# ---- flags


@pytest.mark.parametrize(
    ("flags", "code", "message"),
    [
        (["--var", "hair"], 2, "NAME=VALUE"),
        (["--var", "1=2"], 2, "NAME=VALUE"),
        (["--expand-seed", "x"], 2, "not a whole number"),
        (["--expand-seed", "-5"], 2, "out of range"),
        (["--wildcards", "nowhere"], 2, "no folder nowhere"),
        (["--style", "ink"], 2, "--style-file"),
        (["--style-file", "p/styles.toml"], 2, "no --style"),
        (["--style", "inc", "--style-file", "p/styles.toml"], 2, "did you mean ink?"),
        (["--style", "ink", "--style-file", "p/nowhere.toml"], 3, "no file nowhere.toml"),
        (["--style", "ink", "--style-file", "p/stage.xml"], 3, "no TOML"),
    ],
    ids=str,
)
def test_a_flag_that_cannot_be_honoured_costs_no_model(create, files, flags, code, message):
    ended = create("--prompt", "1girl", *flags)
    assert (ended.code, ended.pipeline) == (code, None)
    assert message in ended.err


def test_each_flag_of_templates_asks_for_them():
    assert not parse(["--prompt", "x"]).reuse.template
    for flags in (["--expand"], ["--var", "a=b"], ["--expand-seed", "1"], ["--wildcards", "w"]):
        assert parse(["--prompt", "x", *flags]).reuse.template
    assert not parse(["--prompt", "x", "--style", "ink"]).reuse.template
    assert parse(["--prompt", "x", "--expand-seed", "random"]).reuse.seed is not None
