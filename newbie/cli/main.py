"""`python -m newbie COMMAND`: one table of commands, each imported only when it is called."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import NamedTuple

from newbie import __version__
from newbie.cli.console import Console, run
from newbie.errors import UsageError, nearest


class Command(NamedTuple):
    """`module.main(arguments[, say]) -> exit code`, and what it does in half a sentence."""

    module: str
    about: str
    is_told_how_to_say: bool = True  # its main has a second parameter: where its lines go
    usage: str | None = None  # of a command without a parser of its own


COMMANDS = {
    "lint": Command("newbie.cli.lint", "what is odd about prompts, with places and corrections", False),
    "create": Command("newbie.cli.create", "draw pictures; without a prompt, the prompt loop", False),
    "explain": Command("newbie.cli.explain", "what the encoders are given, to the token; whose words are whose", False),
    "convert": Command("newbie.cli.convert", "write a prompt in another dialect, and say what is lost", False),
    "diff": Command("newbie.cli.diff", "what two prompts say otherwise; --images: and their pictures", False),
    "fmt": Command("newbie.cli.fmt", "write prompt files in canonical layout", False),
    "schema": Command("newbie.cli.schema", "the prompt language as RELAX NG, XSD or JSON Schema, for editors"),
    "doctor": Command("newbie.doctor", "what is installed, what this machine can do", usage=""),
    "parity": Command(
        "newbie.parity",
        "compare with recorded numbers of the official code",
        usage="FOLDER [--attention NAME] [--verbose]",
    ),
    "inspect": Command("newbie.checkpoints.inspect", "what a weights file is, without loading it"),
    "lora": Command("newbie.cli.lora", "what adapters hold, whether they fit a transformer; merge them into it"),
    "convert-weights": Command("newbie.checkpoints.convert", "weights in another layout, container or number format"),
    "verify": Command("newbie.checkpoints.verify", "whether weights are whole: names, shapes, NaN, hashes"),
    "quantize": Command("newbie.calibrate.main", "put a model's weights into fewer bits, and write it"),
    "plan": Command("newbie.cli.plan", "show, check, make and search plans of accelerations"),
    "calibrate": Command("newbie.calibrate.acceleration", "measure what caches need to know of a model"),
    "tune": Command("newbie.calibrate.tune", "find how much faster a model can draw, at what cost; make presets"),
    "evaluate": Command("newbie.train.evaluate", "how well the bundled model obeys, read by a probe that sees pixels"),
    "measure": Command("newbie.train.measure.main", "whether regions and weights act: binding, response, locality"),
    "bench": Command(
        "newbie.bench.main", "measure speed, beside diffusers and the machine's limits; quality: and its cost"
    ),
    "train": Command("newbie.train.main", "train newbie-mini", False),
}


def main(argv: Sequence[str] | None = None) -> int:
    return run(_main, argv)


def _main(arguments: list[str]) -> int:
    name, *rest = arguments or ["--help"]
    if name in ("-h", "--help", "help"):
        Console().result(_help())
        return 0
    if name == "--version":
        Console().result(f"newbie {__version__}")
        return 0
    command = COMMANDS.get(name)
    if command is None:
        meant = nearest(name, COMMANDS)
        hint = f"did you mean {meant}?" if meant else "python -m newbie --help lists them"
        raise UsageError(f"there is no command {name!r}", hint)
    if command.usage is not None and {"-h", "--help"} & set(rest):
        Console().result(f"usage: python -m newbie {name} {command.usage}".rstrip() + f"\n\n{command.about}")
        return 0
    rest = [argument for argument in rest if argument != "--debug"]  # `run` has seen it
    says = [Console().result] if command.is_told_how_to_say else []
    return int(import_module(command.module).main(rest, *says))


def _help() -> str:
    width = max(map(len, COMMANDS))
    rows = [f"  {name:<{width}}  {command.about}" for name, command in COMMANDS.items()]
    return "\n".join(
        [
            "usage: python -m newbie COMMAND [flags]",
            "",
            *rows,
            "",
            "python -m newbie COMMAND --help tells the flags of a command.",
        ]
    )
