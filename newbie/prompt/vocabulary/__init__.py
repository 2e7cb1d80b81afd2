"""The words of prompts: some thousands of common tags in groups, written by hand, with the names people also use.

    from newbie.prompt.vocabulary import bundled
    bundled().find("blond hair")            Tag(name="blonde_hair", group="hair colour", element="appearance")

The groups are text in people.py, hair.py, ...; groups.py says how they are written."""

from newbie.prompt.vocabulary.groups import Tag
from newbie.prompt.vocabulary.words import Vocabulary, bundled, plain

__all__ = ["Tag", "Vocabulary", "bundled", "plain"]
