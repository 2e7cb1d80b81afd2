"""The prompt loop completes commands, their values and files; everything else is the language's."""

import pytest

from newbie.cli.repl import all_commands, command_help
from newbie.cli.suggest import CHOICES, FILES, Suggestions
from newbie.request import SAMPLERS


@pytest.fixture(scope="module")
def offered():
    suggestions = Suggestions(command_help())

    def offered(text, asked=False):
        return [candidate.text for candidate in suggestions(text, len(text), asked=asked)]

    return offered


def test_every_command_is_offered_with_a_word_about_it(offered):
    assert set(offered("/")) == {f"/{name}" for name in all_commands()}
    assert all(about and about == about.strip() for about in command_help().values())


def test_a_command_begins_as_typed_with_hyphens_or_underscores(offered):
    assert offered("/cfg-t") == ["/cfg_trunc"]
    assert offered("/und") == ["/undo"]
    assert offered("/nothing_like_it") == []


def test_values_are_offered_where_they_are_known(offered):
    assert offered("/sampler ") == list(SAMPLERS)
    assert offered("/sampler eu") == ["euler"]
    assert offered("/steps 1") == []


def test_every_command_with_known_values_exists():
    assert set(CHOICES) | set(FILES) <= set(all_commands())


def test_files_are_offered_with_their_folders(offered, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "duo.xml").touch()
    (tmp_path / "prompts" / ".hidden").touch()
    assert offered("/load pr") == ["prompts/"]
    assert offered("/load prompts/") == ["prompts/duo.xml"]
    assert offered("/load prompts/.") == ["prompts/.hidden"]
    assert offered("/load nowhere/") == offered("/load \0") == []


def test_a_prompt_is_completed_by_the_language(offered):
    assert offered("<character_1><pos") == ["<position>"]
    assert "blue_hair" in offered("1girl, blue")
    assert offered("1girl, ", asked=False) == []
