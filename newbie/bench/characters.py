"""`bench characters`: a step with one to six characters in the picture, standard against fast attention.

Every character is another block of words, and words stand in the same sequence as the image.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from newbie.bench import floor
from newbie.bench.contestants import kernel_for
from newbie.bench.options import Options
from newbie.bench.sizes import Size, build
from newbie.bench.step_kernels import guided_step, naive_kernel, time_grid
from newbie.bench.timing import interleave

Say = Callable[[str], None]
MOST = 6
LOOKS = (
    ("blue_hair, twintails, green_eyes, smile", "white_serafuku, blue_skirt", "far_left"),
    ("blonde_hair, ponytail, red_eyes, blush", "red_dress, black_pantyhose", "left"),
    ("black_hair, bob_cut, brown_eyes, glasses", "school_uniform, pleated_skirt", "center_left"),
    ("pink_hair, long_hair, purple_eyes, hairband", "kimono, obi, floral_print", "center_right"),
    ("silver_hair, braid, blue_eyes, open_mouth", "hoodie, denim_shorts", "right"),
    ("brown_hair, short_hair, yellow_eyes, cat_ears", "sweater, long_skirt", "far_right"),
)
EMPTY = 24  # tokens of the unconditional row


def prompt(count: int) -> str:
    """An XML prompt with this many characters."""
    blocks = [
        f"<character_{n}>\n<gender>1girl</gender>\n<appearance>{looks}</appearance>\n<clothing>{clothes}</clothing>\n"
        f"<position>{place}</position>\n</character_{n}>"
        for n, (looks, clothes, place) in enumerate(LOOKS[:count], start=1)
    ]
    people = f"{count}girl{'s' if count > 1 else ''}"
    general = f"<general_tags>\n<count>{people}</count>\n<background>cherry_blossoms</background>\n</general_tags>"
    return "\n".join([*blocks, general])


def token_counts() -> list[int]:
    """Words of each prompt as the bundled model's tokenizer counts them; Gemma's own counts are of the same order."""
    from newbie import Pipeline, Request

    pipeline = Pipeline.open()
    readings = [pipeline.read(Request(prompt=prompt(count), canonical=True)) for count in range(1, MOST + 1)]
    return [pipeline.text.inputs([each.rendered.positive])[0]["gemma"].total for each in readings]


def measure(size: Size, options: Options, say: Say) -> dict[str, Any]:
    """Seconds per guided step, by number of characters and kernel, all in one run."""
    device, dtype = options.device, options.dtype
    model = build(size.config, device, dtype, options.seed)
    grid = time_grid(options.steps)
    counts = token_counts()
    naive = naive_kernel(floor.serving(size.config, device, dtype, masked=True))
    steps: dict[str, Callable[[], object]] = {}
    rows: list[dict[str, Any]] = []
    for characters, words in enumerate(counts, start=1):
        captioned = size._replace(words=(words, EMPTY))
        fast = kernel_for("auto", model, captioned.tokens[:1]).name
        for kind, kernel in (("standard", naive), ("fast", fast)):
            name = f"{characters} {kind}"
            steps[name] = guided_step(model, captioned, grid, kernel, options)
            rows.append({"characters": characters, "words": words, "attention": kind, "kernel": kernel, "name": name})
    say(f"{size.name}: {MOST} captions of {counts[0]} to {counts[-1]} tokens")
    timings = interleave(steps, rounds=options.repeats, seed=options.seed, device=device)
    for row in rows:
        row["seconds"] = timings[row.pop("name")].to_json()
    for standard, fast_row in zip(rows[::2], rows[1::2], strict=True):
        fast_row["times_faster"] = round(standard["seconds"]["median"] / fast_row["seconds"]["median"], 3)
        say(f"{size.name}: {fast_row['characters']} characters: {fast_row['times_faster']:.2f} times faster")
    return {
        "size": {"name": size.name, "about": size.about, "side": size.side},
        "image_tokens": size.image_tokens,
        "unconditional_words": EMPTY,
        "rows": rows,
        "prompts": [prompt(count) for count in (1, MOST)],
    }
