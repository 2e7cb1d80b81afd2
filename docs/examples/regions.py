"""Make the pictures of docs/regions.md: the same seeds without regions and with them, and a sheet of heat-maps.

    python docs/examples/regions.py [FOLDER]          default: outputs/regions

Each prompt describes two girls by hair and clothes and gives each a box, once in the order written and once swapped.
"""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image

from newbie import Pipeline, Request
from newbie.regions.heat_sheet import heat_sheet

PAIRS = (
    ("blue_hair", "blonde_hair"),
    ("red_hair", "green_hair"),
    ("black_hair", "pink_hair"),
    ("orange_hair", "purple_hair"),
)
LEFT, RIGHT = '<position x="0" width="0.5"/>', '<position x="0.5"/>'
GAP = 4  # pixels


def prompt(first: str, second: str, places: tuple[str, str]) -> str:
    """Two girls; the first has the first place."""
    girls = "".join(
        f"<character_{i}>\n<gender>1girl</gender>\n<appearance>{hair}, long_hair</appearance>\n"
        f"<clothing>white_shirt</clothing>\n{place}\n</character_{i}>\n"
        for i, (hair, place) in enumerate(zip((first, second), places, strict=True), 1)
    )
    return girls + "<general_tags>\n<count>2girls</count>\n<background>white_background</background>\n</general_tags>"


def page(rows: list[list[Image.Image]]) -> Image.Image:
    """Pictures of one size in rows."""
    width, height = rows[0][0].size
    whole = Image.new("RGB", (len(rows[0]) * (width + GAP) + GAP, len(rows) * (height + GAP) + GAP), "white")
    for y, row in enumerate(rows):
        for x, picture in enumerate(row):
            whole.paste(picture, (GAP + x * (width + GAP), GAP + y * (height + GAP)))
    return whole


def main(folder: Path) -> None:
    """Rows: regions off, boxes as written, boxes swapped."""
    pipeline = Pipeline.open()
    wanted = [((LEFT, RIGHT), "off"), ((LEFT, RIGHT), "boxes"), ((RIGHT, LEFT), "boxes")]
    rows = [
        [
            pipeline.generate(Request(prompt=prompt(*pair, places), seed=7 + i, regions=regions)).images[0]
            for i, pair in enumerate(PAIRS)
        ]
        for places, regions in wanted
    ]
    folder.mkdir(parents=True, exist_ok=True)
    page(rows).save(folder / "regions.png")
    text = prompt(*PAIRS[0], (LEFT, RIGHT))
    result = pipeline.generate(Request(prompt=text, seed=7), heatmaps=True)
    heat_sheet(result.images[0], result.heatmaps[0]).save(folder / "heatmaps.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("outputs/regions"))
