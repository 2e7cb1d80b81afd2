"""What `test.py` runs: one picture with everything at its default, and a short report. Exit 0 means it is a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from newbie.cli.args import add_common_flags, add_model_flags, add_request_flags, model_choice, request_fields
from newbie.cli.console import Console, run
from newbie.errors import BlankPicture
from newbie.flags import Parser
from newbie.request import Request, Settings

if TYPE_CHECKING:
    from newbie.cli.draw import OpenEngine

FILE_NAME = "success_output.png"
SEED = 7  # the sample is the same for everyone


def draw(prompt: str, folder: Path, argv: Sequence[str] | None = None, *, opener: OpenEngine | None = None) -> int:
    """Draw `prompt` into `folder`/success_output.png, replacing it. Returns the exit code."""
    return run(lambda arguments: _draw(prompt, folder, arguments, opener), argv)


def _draw(prompt: str, folder: Path, arguments: list[str], opener: OpenEngine | None) -> int:
    parser = Parser(prog="test.py", description="Draw the PROMPT at the top of test.py and say what ran.")
    add_request_flags(parser.add_argument_group("picture"))
    add_model_flags(parser.add_argument_group("model"))
    add_common_flags(parser)
    values = vars(parser.strict(arguments))
    console = Console(debug=values["debug"])
    request = Request(prompt=prompt, **({"seed": SEED} | request_fields(values) | {"count": 1}))
    settings = Settings(
        **{name: values[name] for name in ("device", "dtype", "vae_dtype", "attention") if name in values}
    )

    from newbie import images
    from newbie.cli.draw import open_engine, times_line
    from newbie.cli.progress import Progress

    images.make_folder(folder)
    engine = open_engine(model_choice(values), settings, console, opener)
    resolved = request.resolved(engine.recommended)
    with Progress(console) as progress:
        progress.begin("drawing", 1, resolved.steps or 1)
        result = engine.generate(resolved, on_step=progress.step)
    image = result.images[0]
    path = images.save(image, folder / FILE_NAME, result.records[0], overwrite=True)
    if images.is_blank(image):
        raise BlankPicture(f"{FILE_NAME} is one flat colour", "python -m newbie doctor tells about this machine")
    times = {"load": engine.load_seconds, **result.seconds}
    console.facts(
        [
            ("picture", path.absolute()),
            ("size", f"{image.width}x{image.height}, seed {result.seeds[0]}, {resolved.steps} steps"),
            ("model", engine.name),
            ("device", result.ran.get("device")),
            ("dtype", result.ran.get("dtype")),
            ("vae dtype", result.ran.get("vae_dtype")),
            ("attention", result.ran.get("attention")),
            ("times", times_line(times)),
        ]
    )
    return 0
