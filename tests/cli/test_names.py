"""Names of picture files: safe on every system, never taken from the prompt's text."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newbie.cli.names import DEFAULT_PATTERN, MAX_NAME_BYTES, Output, parse_output, safe_name
from newbie.errors import UsageError

DEVICES = {"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"} | {
    f"{d}{n}" for d in ("COM", "LPT") for n in "0123456789¹²³"
}


@given(st.text())
def test_a_safe_name_is_safe_on_every_system(text):
    name = safe_name(text)
    assert name
    assert not set(name) & set('<>:"/\\|?*')
    assert name.isprintable() or not any(ord(c) < 32 or 0x7F <= ord(c) < 0xA0 for c in name)
    assert name[-1] not in ". "
    assert name[0] not in ". "
    assert name.split(".")[0].strip().upper() not in DEVICES
    assert len(name.encode()) <= MAX_NAME_BYTES + 1
    assert safe_name(name) == name


@pytest.mark.parametrize("name", ["con", "NUL", "aux.v2", "COM1", "lpt¹", "CONIN$", "nul ."])
def test_windows_devices_are_not_names(name):
    assert safe_name(name).startswith("_")


@pytest.mark.parametrize("name", ["duo", "初音ミク", "a b", "console", "com", "communicate", "naïve"])
def test_good_names_are_kept(name):
    assert safe_name(name) == name


def test_a_long_chinese_name_is_cut_between_characters():
    assert safe_name("初" * 200) == "初" * (MAX_NAME_BYTES // 3)


def test_names_cannot_leave_their_folder():
    for name in ("../../etc/passwd", "..", "/etc", "a/../../b", "C:\\x"):
        path = Output(parse_output("out/").folder).path(name=name, seed=1, index=1, width=64, height=64)
        assert path.parent.name == "out"


@pytest.mark.parametrize(
    ("value", "folder", "pattern"),
    [
        (None, "outputs", DEFAULT_PATTERN),
        ("gallery/", "gallery", DEFAULT_PATTERN),
        ("gallery", "gallery", DEFAULT_PATTERN),
        ("a/cat.png", "a", "cat.png"),
        ("cat.PNG", ".", "cat.PNG"),
        ("a/{name}_{index:03d}", "a", "{name}_{index:03d}.png"),
        ("{seed}.PNG", ".", "{seed}.png"),
    ],
)
def test_output_is_a_file_a_folder_or_a_pattern(value, folder, pattern):
    output = parse_output(value)
    assert (str(output.folder), output.pattern) == (folder, pattern)


def test_an_existing_folder_is_a_folder_whatever_its_name(tmp_path):
    (tmp_path / "odd.png").mkdir()
    assert parse_output(str(tmp_path / "odd.png")).folder == tmp_path / "odd.png"


@pytest.mark.parametrize(
    "value", ["a.jpg", "{nmae}.png", "{name!r}.png", "{seed:q}.png", "{seed", "{name.x}", "{}", "-", ""]
)
def test_an_output_that_cannot_be_is_a_usage_error(value):
    with pytest.raises(UsageError):
        parse_output(value)


def test_a_field_in_a_folder_is_a_usage_error():
    with pytest.raises(UsageError, match="folder"):
        parse_output("{name}/a.png")


def test_a_misspelt_field_is_answered_with_the_nearest():
    with pytest.raises(UsageError) as caught:
        parse_output("{sed}.png")
    assert "{seed}" in caught.value.hint


@settings(max_examples=60)
@given(
    st.text(max_size=30),
    st.integers(0, 2**63 - 1),
    st.sampled_from([DEFAULT_PATTERN, "{name}.png", "x{index:03d}.png", "{seed}_{width}.png"]),
)
def test_the_expression_finds_what_path_names(name, seed, pattern):
    output = Output(parse_output(None).folder, pattern)
    path = output.path(name=name, seed=seed, index=12, width=64, height=32)
    numbered = path.with_name(f"{path.stem}-2.png")
    for wanted in (seed, None):
        expression = output.expression(name=name, seed=wanted, width=64, height=32)
        assert expression.fullmatch(path.name)
        assert expression.fullmatch(numbered.name)


def test_the_expression_does_not_find_other_pictures():
    expression = Output(parse_output(None).folder).expression(name="duo", seed=7, width=64, height=64)
    for name in ("duo-8.png", "duo-77.png", "trio-7.png", "duo-7.png.bak", "xduo-7.png"):
        assert not expression.fullmatch(name)
