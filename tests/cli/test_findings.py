"""create.py shows what the linter finds before it spends time, goes on for warnings and stops at errors."""

from __future__ import annotations

from pathlib import Path

WARNED = "1girl, solo, long_hair, short_hair"
WRONG = "1girl, solo, (blue_hair:-3)"


def test_warnings_are_shown_and_the_picture_is_drawn(create):
    ended = create("--prompt", WARNED, "--seed", 7)
    assert ended.code == 0 and len(ended.drawn) == 1
    assert "warning: prompt:1:25: NB304 short_hair contradicts long_hair" in ended.err


def test_an_error_is_shown_and_nothing_is_loaded(create):
    ended = create("--prompt", WRONG)
    assert ended.code == 3 and ended.pipeline is None
    assert "error: prompt:1:24: NB411" in ended.err
    assert "or draw it as it is: --force" in ended.err


def test_force_draws_a_prompt_with_errors(create):
    ended = create("--prompt", WRONG, "--force")
    assert ended.code == 0 and len(ended.drawn) == 1 and "NB411" in ended.err


def test_force_never_draws_what_is_refused(create):
    ended = create("--prompt", "1girl, child, nude", "--force")
    assert ended.code == 3 and ended.pipeline is None
    ended = create("--prompt", "<!-- newbie: ignore-file NB002 -->1girl, child, nude", "--force")
    assert ended.code == 3 and ended.pipeline is None


def test_in_a_batch_the_others_are_drawn(create):
    Path("a.txt").write_text(WRONG, encoding="utf-8")
    Path("b.txt").write_text("1girl, solo", encoding="utf-8")
    ended = create("--prompt", "a.txt", "b.txt")
    assert ended.code == 3 and len(ended.drawn) == 1


def test_of_many_findings_the_worst_are_shown(create):
    tags = ", ".join(f"blue hair {i}" for i in range(20))
    ended = create("--prompt", f"1girl, solo, {tags}, long_hair, short_hair")
    assert "NB304" in ended.err and "... and 9 more: python -m newbie lint" in ended.err


def test_quiet_keeps_warnings_and_leaves_infos_out(create):
    ended = create("--prompt", f"{WARNED}, red eyes", "--quiet")
    assert "NB304" in ended.err and "NB302" not in ended.err
