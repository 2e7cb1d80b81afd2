"""Draw the pictures of docs/prompt-language.md: the example of each element, for one seed without it and with it.

    python docs/examples/prompt_elements.py                     all of them, into docs/images/elements
    python docs/examples/prompt_elements.py --only appearance --model path/to/weights --seed 3

The page is the source: an example is the first XML block in the section of its element, and its picture goes below the
mark `<!-- picture: NAME -->`, which stays. Running it again replaces the pictures.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

from newbie import Pipeline, Request

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "prompt-language.md"
FOLDER = ROOT / "docs" / "images" / "elements"
GAP = 4  # pixels between the two pictures
_EXAMPLE = re.compile(
    r"^### `(?P<title>[^`]+)`.*?^```xml\n(?P<prompt>.*?)\n```\n\n<!-- picture: (?P<name>\w+) -->$",
    re.MULTILINE | re.DOTALL,
)


class Example(NamedTuple):
    """`name` is the element that the second picture has and the first has not."""

    title: str
    name: str
    prompt: str

    @property
    def without(self) -> str:
        """The prompt without the element; a wrapper loses its tags only."""
        if self.name == "img":
            return re.sub(r"</?(?:img|custom_section)>\n?", "", self.prompt)
        return re.sub(rf"<{self.name}\b[^>]*>.*?</{self.name}>\n?", "", self.prompt, flags=re.DOTALL).strip()


def examples(page: str) -> list[Example]:
    """The examples of the page, in its order."""
    return [Example(m["title"], m["name"], m["prompt"]) for m in _EXAMPLE.finditer(page)]


def pair(pipeline: Any, example: Example, seed: int) -> Image.Image:
    """Without and with the element, side by side."""
    pictures = [
        pipeline.generate(Request(prompt=prompt, seed=seed)).images[0] for prompt in (example.without, example.prompt)
    ]
    width, height = pictures[0].size
    both = Image.new("RGB", (2 * width + GAP, height), "white")
    both.paste(pictures[0], (0, 0))
    both.paste(pictures[1], (width + GAP, 0))
    return both


def with_pictures(page: str, names: Sequence[str], folder: str) -> str:
    """The page with the pictures of these names below their marks; those that are there are replaced."""
    for name in names:
        mark = f"<!-- picture: {name} -->"
        picture = f"![without and with {name}]({folder}/{name}.webp)"
        page = re.sub(rf"{mark}(\n!\[[^\n]*\))?", lambda _, new=f"{mark}\n{picture}": new, page)
    return page


def main(arguments: Sequence[str], pipeline: Any = None, page: Path = PAGE, folder: Path = FOLDER) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", help="default: newbie-mini")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--only", action="append", metavar="NAME", help="this element; may be given several times")
    typed = parser.parse_args(arguments)
    text = page.read_text(encoding="utf-8")
    chosen = [each for each in examples(text) if not typed.only or each.name in typed.only]
    pipeline = pipeline or Pipeline.open(typed.model)
    folder.mkdir(parents=True, exist_ok=True)
    for each in chosen:
        pair(pipeline, each, typed.seed).save(folder / f"{each.name}.webp", quality=85, method=6)
        print(folder / f"{each.name}.webp")
    shown = with_pictures(text, [each.name for each in chosen], folder.relative_to(page.parent).as_posix())
    page.write_text(shown, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main(sys.argv[1:])
