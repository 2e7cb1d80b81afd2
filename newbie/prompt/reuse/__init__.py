"""Prompts made of parts: character files, variables, wildcards and alternatives, style presets.

    template.py → choose.py      what is chosen, by a seed
    characters.py → merge.py     `<character_1 src="miku.xml"/>`
    styles.py                    words for the whole picture, by name
    composed.py                  which file each character of the result came from
    expand.py                    all of it, in order

docs/reuse.md describes it. No path is built from a prompt but those that folder.py keeps beneath the prompt's folder.
"""

from newbie.prompt.reuse.expand import Expanded, Ingredients, expand, read_prompt_file
from newbie.prompt.reuse.folder import Folder
from newbie.prompt.reuse.recipe import Choice, Recipe
from newbie.prompt.reuse.styles import Style, Styles, read_styles
from newbie.prompt.reuse.wildcards import Wildcards

__all__ = [
    "Choice",
    "Expanded",
    "Folder",
    "Ingredients",
    "Recipe",
    "Style",
    "Styles",
    "Wildcards",
    "expand",
    "read_prompt_file",
    "read_styles",
]
