"""Flags become a Request and back; a wrong one is answered with the nearest right one."""

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newbie.cli.args import parse, request_fields, to_flags
from newbie.errors import UsageError
from newbie.request import PROMPT_MODES, SAMPLERS, SCHEDULES, Request, Settings

side = st.integers(2, 512).map(lambda n: 16 * n).filter(lambda n: n <= 4096)
number = st.floats(0, 100, allow_nan=False)
text = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20)


@settings(max_examples=60)
@given(
    st.builds(
        Request,
        negative=text,
        width=st.none() | side,
        height=st.none() | side,
        steps=st.none() | st.integers(1, 1000),
        cfg_scale=st.none() | number,
        cfg_trunc=st.none() | st.sampled_from(["time:0.25", "steps:0.5", "sigma:0.1-1"]),
        cfg_renorm=st.none() | number,
        sampler=st.none() | st.sampled_from(SAMPLERS),
        schedule=st.none() | st.sampled_from(SCHEDULES),
        shift=st.none() | st.floats(0.01, 100),
        seed=st.integers(-1, 2**63 - 1),
        count=st.integers(1, 10_000),
        batch_size=st.integers(1, 10_000),
        canonical=st.none() | st.booleans(),
        system_prompt=st.none() | text.filter(lambda t: t.lower() not in ("auto", "none")),
        prompt_mode=st.sampled_from(PROMPT_MODES),
        unescape_parentheses=st.booleans(),
        weights=st.booleans(),
        regions=st.none() | st.sampled_from(["auto", "boxes", "off", "1.5", "auto@0.3"]),
        accel=st.sampled_from(["", "delta", "fbcache:threshold=0.05", "fora:interval=2,parts=attn,delta:period=3"]),
    )
)
def test_every_request_survives_its_flags(request):
    asked = parse(to_flags(request))
    assert Request(**asked.request) == request


def test_every_field_of_request_and_settings_has_a_flag():
    values = {"int": "32", "float": "1.5", "str": "cpu"}
    for kind in (Request, Settings):
        for field in dataclasses.fields(kind):
            if field.name == "prompt":
                continue
            flag = "--" + field.name.replace("_", "-")
            type_name = str(field.type).split(" | ")[0]
            if field.name in ("sampler", "schedule", "prompt_mode", "regions", "accel", "plan"):
                continue  # only their own words: the test above
            asked = parse([flag] if type_name == "bool" else [flag, values[type_name]])
            given = asked.request if kind is Request else asked.settings
            assert field.name in given


@pytest.mark.parametrize(
    ("flags", "field", "value"),
    [
        (["--negative-prompt", "x"], "negative", "x"),
        (["--num-inference-steps", "9"], "steps", 9),
        (["--guidance-scale", "2"], "cfg_scale", 2.0),
        (["--cfg", "2"], "cfg_scale", 2.0),
        (["-n", "3"], "count", 3),
        (["--num-images", "3"], "count", 3),
        (["-W", "64"], "width", 64),
        (["-H", "64"], "height", 64),
        (["--solver", "DPM++ 2M"], "sampler", "dpmpp_2m"),
        (["--sampler", "dpmpp-2m"], "sampler", "dpmpp_2m"),
        (["--scheduler", "sgm-uniform"], "schedule", "sgm_uniform"),
        (["--seed", "random"], "seed", -1),
        (["--seed", "-1"], "seed", -1),
        (["--system-prompt", "none"], "system_prompt", ""),
        (["--system-prompt", "auto"], "system_prompt", None),
        (["--no-canonical"], "canonical", False),
    ],
)
def test_usual_names_are_understood(flags, field, value):
    assert parse(flags).request[field] == value


@pytest.mark.parametrize("text", ["128x96", "128X96", "128×96", "128 x 96", "128*96"])
def test_a_size_is_width_first(text):
    assert parse(["--size", text]).request == {"width": 128, "height": 96}


def test_one_number_is_a_square():
    assert parse(["--size", "128"]).request == {"width": 128, "height": 128}


@pytest.mark.parametrize(("name", "ours"), [("bfloat16", "bf16"), ("fp32", "float32"), ("HALF", "fp16")])
def test_dtypes_have_many_names(name, ours):
    assert parse(["--dtype", name]).settings == {"dtype": ours}


def test_the_model_flags_become_the_arguments_of_open():
    asked = parse(
        [
            "-m",
            "a",
            "--transformer",
            "b",
            "--text-encoder",
            "c",
            "--clip",
            "d",
            "--vae",
            "e",
            "--allow-pickle",
            "--axes-dims",
            "16,24,24",
            "--lora",
            "f:0.5",
            "--merge-lora",
            "--lora",
            "g",
        ]
    )
    assert dataclasses.asdict(asked.model) == {
        "model": "a",
        "transformer": "b",
        "text_encoder": "c",
        "clip": "d",
        "vae": "e",
        "allow_pickle": True,
        "axes_dims": (16, 24, 24),
        "lora": (("f", 0.5), ("g", 1.0)),
        "merge_lora": True,
    }


@pytest.mark.parametrize(
    ("flags", "message", "hint"),
    [
        (["--stpes", "3"], "unknown flag --stpes", "--steps"),
        (["--outpt=x"], "unknown flag --outpt", "--output"),
        (["--guidance", "3"], "unknown flag --guidance", "--guidance-scale"),
        (["--xyzzy"], "unknown flag --xyzzy", "--help"),
        (["1girl"], "stands alone", "--prompt"),
        (["--steps", "x"], "--steps: x is not a whole number", "20"),
        (["--steps", "9" * 5000], "--steps", "digits"),
        (["--steps", "0"], "steps 0 is out of range", "nearest is 1"),
        (["--steps"], "expected one argument", "--help"),
        (["--cfg", "much"], "--cfg: much is not a number", "3.5"),
        (["--cfg", "nan"], "nan is not a number", "between 0 and 100"),
        (["--width", "100"], "width 100 is not a multiple of 16", "nearest is 96"),
        (["--width", "99999"], "width 99999 is out of range", "nearest is 8192"),
        (["--size", "8192x8192"], "pixels", "at most"),
        (["--size", "wide"], "--size: wide is not a size", "1024x768"),
        (["--size", "64", "--width", "128"], "--size says width 64, --width says 128", "one"),
        (["--seed", "-2"], "seed -2 is out of range", "nearest is -1"),
        (["--sampler", "eular"], "unknown sampler 'eular'", "did you mean euler"),
        (["--axes-dims", "1,2"], "--axes-dims", "32,32,32"),
        (["--like", "a.png", "--prompt", "x"], "exclude each other", "--like"),
        (["--json", "--preview"], "exclude each other", "one"),
    ],
    ids=str,
)
def test_a_wrong_flag_is_answered_with_what_to_write(flags, message, hint):
    with pytest.raises(UsageError) as caught:
        parse(flags)
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_only_what_was_typed_is_in_the_request():
    assert request_fields({"steps": 3, "model": "x"}) == {"steps": 3}
    assert parse([]).request == {}
