"""The prompt loop, driven by a script of commands as `create.py < script` does."""

import re
from pathlib import Path

import pytest

from newbie import images

DUO = """<character_1>
<appearance>blue_hair, twintails</appearance>
</character_1>

<general_tags>
<count>1girl</count>
</general_tags>
"""


def record(name):
    return images.read_record(Path("outputs", name)).request


def test_a_line_of_tags_is_drawn_at_once_and_the_end_of_input_ends_the_loop(script):
    ended = script("1girl, blue_hair\n", "--seed", 7)
    assert ended.code == 0
    assert ended.drawn == [("1girl, blue_hair", 7)]
    assert Path("outputs/newbie-7.png").exists()


def test_a_pasted_prompt_is_one_picture(script):
    ended = script(DUO + "\n/quit\n", "--seed", 7)
    assert (ended.code, ended.drawn) == (0, [(DUO.strip(), 7)])


def test_the_model_is_loaded_once_for_all_pictures(script):
    assert len(script("1girl\n1boy\n" + DUO).drawn) == 3  # `create` fails when it is opened twice


def test_settings_hold_for_the_next_pictures(script):
    ended = script(
        "/seed 5\n/steps 3\n/size 96x64\n/cfg 2\n/negative blurry\n/sampler heun\n1girl\n/seed random\n/quit"
    )
    assert ended.code == 0
    made = record("newbie-5.png")
    assert (made.steps, made.width, made.height, made.cfg_scale) == (3, 96, 64, 2.0)
    assert (made.negative, made.sampler) == ("blurry", "heun")


def test_n_makes_several(script):
    assert [seed for _, seed in script("/seed 5\n/n 3\n1girl").drawn] == [5, 6, 7]


def test_a_preset_that_there_is_not_is_told_and_not_kept(script):
    ended = script("/plan draft\n/seed 1\n1girl")
    assert ended.err.count("newbie-fake has no preset draft") == 1
    assert record("newbie-1.png").plan == ""


def test_every_field_of_a_request_can_be_set(script):
    ended = script(
        "/schedule simple\n/shift 3\n/cfg-trunc time:0.5\n/canonical on\n/batch_size 2\n/system none\n/seed 1\n1girl"
    )
    assert ended.code == 0
    made = record("newbie-1.png")
    assert (made.schedule, made.shift, made.cfg_trunc, made.canonical) == ("simple", 3.0, "time:0.5", True)
    assert (made.batch_size, made.system_prompt) == (2, "")


def test_default_takes_a_setting_back(script):
    script("/steps 9\n/size 96\n/steps default\n/size default\n/seed 1\n1girl")
    assert (record("newbie-1.png").steps, record("newbie-1.png").width) == (4, 64)


def test_flags_are_where_the_loop_starts(script):
    script("1girl", "--seed", 3, "--steps", 2)
    assert record("newbie-3.png").steps == 2


def test_again_keeps_the_seed_and_vary_does_not(script):
    ended = script("1girl\n/again\n/vary\n/vary 2\n/again")
    seeds = [seed for _, seed in ended.drawn]
    assert seeds[0] == seeds[1]
    assert seeds[2] not in seeds[:2]
    assert seeds[3] + 1 == seeds[4]
    assert seeds[5] == seeds[3]


def test_an_element_is_changed_and_drawn_with_the_same_seed(script):
    ended = script(DUO + "\n/set character_1.appearance red_hair\n/again\n")
    assert ended.code == 0
    (first, one), (second, two) = ended.drawn
    assert one == two
    assert second == first.replace("blue_hair, twintails", "red_hair")


def test_an_element_that_is_missing_is_made(script):
    (_, (second, _)) = script(DUO + "\n/set character_1.position left\n/again\n").drawn
    assert "<position>left</position>" in second


def test_set_sets_settings_too(script):
    script("/set steps 3\n/set seed 4\n1girl")
    assert record("newbie-4.png").steps == 3


def test_the_attention_kernel_is_switched_and_switched_back(script):
    ended = script(
        "/seed 1\n1girl\n/attention tiled\n/seed 2\n1girl\n/attention default\n/seed 3\n1girl\n"
        "/set attention tiled\n/seed 4\n1girl\n/undo\n/undo\n/undo\n/seed 5\n1girl\n/show\n"
    )
    ran = [images.read_record(Path("outputs", f"newbie-{seed}.png")).record["ran"] for seed in range(1, 6)]
    assert ended.code == 0
    assert [each["attention"] for each in ran] == ["fake", "tiled", "fake", "tiled", "fake"]
    assert ended.err.count("attention tiled") == 2 + 2  # told when it is switched, and with each picture
    assert re.search(r"attention +fake", ended.out)


def test_a_kernel_that_cannot_serve_is_refused_at_once_and_changes_nothing(script):
    ended = script("/attention flashy\n/seed 1\n1girl\n/attention\n")
    assert ended.code == 2
    assert "no attention kernel 'flashy'" in ended.err and "use one of" in ended.err
    assert images.read_record(Path("outputs/newbie-1.png")).record["ran"]["attention"] == "fake"


def test_running_out_of_memory_never_loses_the_loop(script):
    ended = script(
        "/attention tiled\n/count 2\n/seed 1\nhungry_me\n/attention default\n/count 1\n/seed 3\n1girl\nhuge_me\n1boy\n"
    )
    assert ended.code == 5  # of huge_me, for which there is no leaner way
    assert [seed for _, seed in ended.drawn] == [1, 2, 3, 3]
    ran = [images.read_record(path).record["ran"] for path in sorted(Path("outputs").glob("*.png"))]
    assert sorted(each["attention"] for each in ran) == ["fake", "fake", "tiled", "tiled"]
    assert ended.err.count("from here on lean") == 1


def test_undo_takes_back_one_change_at_a_time(script):
    ended = script(DUO + "\n/set character_1.appearance red_hair\n/steps 9\n/undo\n/undo\n/again")
    assert ended.code == 0
    assert ended.drawn[0] == ended.drawn[1]
    assert "steps 4" in ended.err


def test_undo_of_nothing_is_told(script):
    ended = script("/undo")
    assert ended.code == 2
    assert "nothing to undo" in ended.err


def test_show_prints_prompt_and_settings(script):
    ended = script("/show\n/seed 9\n/negative a b\n1girl, 蓝发\n/show")
    assert "'--negative=a b' --seed=9" in ended.out
    assert "(no prompt yet)" in ended.out
    assert "1girl, 蓝发" in ended.out
    assert "newbie-9.png (seed 9)" in ended.out


def test_help_lists_every_command(script):
    from newbie.cli.repl import commands

    out = script("/help").out
    for name in commands():
        assert f"/{name}" in out
    wanted = "help show set seed steps size cfg n negative attention again vary undo save load quit"
    for name in wanted.split():
        assert f"/{name}" in out


def test_an_unknown_command_is_answered_with_the_nearest_and_not_drawn(script):
    ended = script("/sead 7\n/quti\n/xyzzy")
    assert ended.code == 2
    assert ended.drawn == []
    assert "did you mean /seed" in ended.err
    assert "did you mean /quit" in ended.err
    assert "/help lists them" in ended.err


def test_a_failure_is_told_and_the_session_goes_on(script):
    ended = script("/steps 0\nrefuse_me\nblank_me\nbug_me\n1girl")
    assert [prompt for prompt, _ in ended.drawn] == ["1girl"]
    assert ended.code == 2, "a script hears of its first failure"
    for message in ("steps 0 is out of range", "not drawn", "flat colour", "RuntimeError: a bug"):
        assert message in ended.err
    assert "Traceback" not in ended.err


def test_a_setting_that_is_refused_changes_nothing(script):
    ended = script("/seed 3\n/size 100x100\n/steps many\n1girl")
    assert record("newbie-3.png").width == 64
    assert "nearest is 96" in ended.err


def test_a_prompt_is_saved_and_loaded(script):
    ended = script(DUO + "\n/save kept.xml\n/save kept\n1boy\n/load kept.xml\n/again")
    assert Path("kept.xml").read_text() == DUO.strip()
    assert ended.drawn[-1][0] == DUO.strip()
    assert ended.code == 7, "/save kept means kept.xml, which is there already"
    assert list(Path("outputs").glob("kept-*.png")), "a loaded prompt names its pictures"


def test_the_last_picture_is_saved_under_a_name(script):
    script("/seed 3\n1girl\n/save cat.png")
    assert Path("cat.png").read_bytes() == Path("outputs/newbie-3.png").read_bytes()


def test_saving_never_overwrites_and_never_leaves_a_device_name(script):
    Path("mine.xml").write_text("mine")
    ended = script("1girl\n/save mine.xml\n/save con.xml")
    assert Path("mine.xml").read_text() == "mine"
    assert ended.code == 7
    assert Path("_con.xml").exists()


def test_a_picture_loads_its_prompt_settings_and_seed(script):
    script("/seed 3\n/steps 2\n/negative x\n1girl, 红发")
    ended = script("/load outputs/newbie-3.png\n/again")
    assert ended.drawn == [("1girl, 红发", 3)]
    assert (record("newbie-3-2.png").steps, record("newbie-3-2.png").negative) == (2, "x")


def test_a_line_that_names_a_prompt_file_draws_the_file(script):
    Path("duo.xml").write_text(DUO)
    assert script("duo.xml", "--seed", 1).drawn == [(DUO, 1)]
    assert script("dou.xml").code == 2


def test_a_dash_is_a_tag_here_and_not_standard_input(script):
    assert script("-", "--seed", 1).drawn == [("-", 1)]


def test_an_unfinished_prompt_is_drawn_with_a_warning(script):
    ended = script("<character_1>\n<appearance>blue_hair</appearance>\n\n/quit", "--seed", 1)
    assert len(ended.drawn) == 1
    assert "before all its tags were closed" in ended.err
    assert "^^^" in ended.err


@pytest.mark.parametrize(
    "command",
    [
        "/again",
        "/vary",
        "/save x.xml",
        "/set character_1.n x",
        "/save x.png",
        "/save",
        "/load",
        "/load none.xml",
        "/load none.png",
        "/set",
        "/set character_1.n",
    ],
)
def test_commands_that_cannot_be_followed_say_what_to_do(script, command):
    ended = script(command)
    assert ended.code == 2
    assert "hint:" in ended.err


def test_cancelling_a_picture_keeps_the_session(script, fake, monkeypatch):
    steps = fake.FakePipeline.steps

    def interrupted(self, request, number, on_step):
        if "slow" in request.prompt:
            raise KeyboardInterrupt
        steps(self, request, number, on_step)

    monkeypatch.setattr(fake.FakePipeline, "steps", interrupted)
    ended = script("slow\n1girl\n")
    assert [prompt for prompt, _ in ended.drawn] == ["1girl"]
    assert ended.code == 130
    assert "cancelled" in ended.err


def test_quit_leaves_the_rest_unread(script):
    assert script("/quit\n1girl").drawn == []
    assert script("/q\n1girl").drawn == []
    assert script("/exit\n1girl").drawn == []
