"""Flags <-> Request and Settings. A field of either becomes a flag here; a table adds its other names and its help."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, NamedTuple

from newbie import __version__
from newbie.accel import compose
from newbie.cli import values
from newbie.cli.reuse import Reuse, add_reuse_flags, reuse_of
from newbie.errors import UsageError
from newbie.flags import Parser
from newbie.request import PROMPT_MODES, SAMPLERS, SCHEDULES, AdapterChoice, Request, Settings


class Flag(NamedTuple):
    """What a field's own name and type do not say."""

    help: str
    also: tuple[str, ...] = ()
    metavar: str = ""
    convert: Callable[[str], Any] | None = None
    joined: bool = False  # given several times, its texts are joined by commas


@dataclass(frozen=True, kw_only=True)
class ModelChoice:
    """Which weights: the keyword arguments of `Pipeline.open`."""

    model: str | None = None
    transformer: str | None = None
    text_encoder: str | None = None
    clip: str | None = None
    vae: str | None = None
    allow_pickle: bool = False
    axes_dims: tuple[int, ...] | None = None
    lora: tuple[AdapterChoice, ...] = ()
    merge_lora: bool = False


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A command line, understood. `request` holds only the fields that were typed."""

    prompts: list[list[str]] = field(default_factory=list)
    like: Path | None = None
    request: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    model: ModelChoice = ModelChoice()
    reuse: Reuse = field(default_factory=Reuse)
    output: str | None = None
    overwrite: bool = False
    metadata: bool = True
    json: bool = False
    preview: bool = False
    heatmaps: bool = False
    quiet: bool = False
    debug: bool = False
    explain: bool = False
    force: bool = False


_BY_TYPE: dict[str, Callable[[str], Any]] = {
    "int": values.whole,
    "float": values.number,
    "bool": values.switch,
    "str": str,
}

REQUEST_FLAGS = {
    "negative": Flag("what the picture should not be: text or file", ("--negative-prompt",), "TEXT|FILE"),
    "width": Flag("pixels, a multiple of 16", ("-W",)),
    "height": Flag("pixels, a multiple of 16", ("-H",)),
    "steps": Flag("steps from noise to picture", ("--num-inference-steps",)),
    "cfg_scale": Flag("how strongly the prompt guides; 1 = not at all", ("--cfg", "--guidance-scale")),
    "cfg_trunc": Flag(
        "where guidance acts: to an end, time:0.25, steps:0.5 or sigma:0.8, or between two, time:0.1-0.6",
        ("--cfg-interval",),
        metavar="UNIT:[X-]Y",
    ),
    "cfg_renorm": Flag("limit of the guided velocity relative to the unguided; 0 = none"),
    "sampler": Flag(", ".join(SAMPLERS), ("--solver",), convert=values.sampler),
    "schedule": Flag(", ".join(SCHEDULES), ("--scheduler",), convert=values.schedule),
    "shift": Flag("shift of the time grid towards noise"),
    "seed": Flag("random and printed when absent or -1", convert=values.seed),
    "count": Flag("pictures, with the seeds N, N+1, ...", ("-n", "--num-images")),
    "batch_size": Flag("pictures computed together"),
    "canonical": Flag("send our canonical layout of the prompt instead of the text as typed"),
    "system_prompt": Flag("auto, none or the text itself", convert=values.system_prompt),
    "prompt_mode": Flag("how the encoders' texts are put together: " + ", ".join(PROMPT_MODES)),
    "unescape_parentheses": Flag(r"read \( and \) as plain parentheses, as ComfyUI does"),
    "weights": Flag("(tag:1.2) weighs its words; --no-weights: it is text, as in the official code"),
    "regions": Flag(
        "keep each character's words in its own area: auto, boxes (only those that are written), off, or a strength",
        metavar="auto|boxes|off|X",
        convert=values.regions,
    ),
    "accel": Flag(
        "skip work that changes the picture a little: fbcache:threshold=0.08, fora:interval=2, delta, ...; several go "
        "together; python -m newbie plan methods lists them with their parameters",
        metavar="NAME[:KEY=X,...]",
        convert=values.accel,
        joined=True,
    ),
    "plan": Flag(
        "a plan file, or what the model's calibration recommends",
        metavar="FILE|exact|balanced|fast|draft",
        convert=values.plan,
    ),
}
SETTINGS_FLAGS = {
    "device": Flag("auto, cpu, cuda, cuda:1, mps"),
    "device_map": Flag(
        "parts on several devices: auto, or text-encoder=cpu,vae=cuda:1,...", metavar="auto|PART=DEVICE"
    ),
    "dtype": Flag("auto, float32, bf16, fp16", convert=values.dtype),
    "vae_dtype": Flag("auto, float32, bf16", convert=values.dtype),
    "attention": Flag("auto or a kernel: sdpa, tiled, flash, ...; python -m newbie doctor lists them with reasons"),
    "leaves": Flag("auto, plain, cpu, triton: how the parts of a block are computed"),
    "compile": Flag("compile them: pays after some pictures, and says after how many"),
    "cuda_graphs": Flag("NVIDIA cards: record an evaluation once and replay it"),
    "quant": Flag("weights in fewer bits: w8a8, int8, nf4, svdquant, ...; or PART=SCHEME,...", metavar="SCHEME"),
    "quant_skip": Flag("layers that stay as they are, by parts of their names", metavar="NAME,..."),
    "memory": Flag("how much may be used: the plan for it is told before loading", metavar="6GB|auto"),
    "offload": Flag("none, text, parts, blocks, layers: what is in memory only while it works; default: as fits"),
    "vae_tile": Flag("decode in tiles of so many pixels: large pictures in little memory"),
}
_EXIT_CODES = """\
exit codes: 0 fine, 2 usage, 3 prompt, 4 model or weights, 5 memory, 6 blank picture, 7 output, 130 cancelled

examples:
  python create.py                                              the prompt loop
  python create.py --prompt "1girl, blue_hair, smile" --seed 7
  python create.py --prompt prompts/duo.xml -n 4 --size 192
  python create.py --prompt prompts/ --output gallery/          every prompt file; a second run does the rest
  python create.py --like outputs/duo-7.png                     make that picture again
  python create.py --prompt "1girl, {red|blue}_hair" --expand -n 4   other words for each picture
"""


class _Convert(argparse.Action):
    """Stores a converted value; a wrong one is reported with the flag's name in front."""

    def __init__(self, *args: Any, convert: Callable[[str], Any], **options: Any) -> None:
        super().__init__(*args, **options)
        self.convert = convert

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        try:
            setattr(namespace, self.dest, self.convert(values))
        except UsageError as error:
            raise UsageError(f"{option_string}: {error.message}", error.hint) from None


class _Append(_Convert):
    """Collects converted values into a tuple."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        before = getattr(namespace, self.dest)
        super().__call__(parser, namespace, values, option_string)
        setattr(namespace, self.dest, (*before, getattr(namespace, self.dest)))


class _Join(_Convert):
    """Joins texts by commas; the whole is converted each time, so that contradictions are found."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        before = getattr(namespace, self.dest, "")
        super().__call__(parser, namespace, ",".join(filter(None, (before, values))), option_string)


def create_parser() -> Parser:
    parser = Parser(
        prog="create.py",
        description="Draw a picture from an XML prompt, tags or a sentence. Without a prompt: the prompt loop.",
        usage="create.py [--prompt FILE|TEXT|-|FOLDER ...] [flags]",
        epilog=_EXIT_CODES,
    )
    what = parser.add_argument_group("what")
    what.add_argument(
        "--prompt",
        "-p",
        action="append",
        nargs="+",
        default=[],
        metavar="PROMPT",
        help="a file, a folder of .xml and .txt files, - for standard input, or the text itself; when there are "
        "several, the model is loaded once and pictures already made are skipped",
    )
    what.add_argument(
        "--like", metavar="PICTURE", help="repeat a picture made by newbie; other flags change its request"
    )
    what.add_argument("--force", action="store_true", help="draw a prompt with errors too")
    add_reuse_flags(parser.add_argument_group("words"))
    picture = parser.add_argument_group("picture")
    add_request_flags(picture)
    add_model_flags(parser.add_argument_group("model"))
    output = parser.add_argument_group("output")
    output.add_argument(
        "--output",
        "-o",
        metavar="FILE|FOLDER|PATTERN",
        help="default outputs/{name}-{seed}.png; fields: name, seed, index, width, height",
    )
    output.add_argument("--overwrite", action="store_true", help="replace existing pictures")
    output.add_argument("--no-metadata", action="store_true", help="write pixels only")
    output.add_argument("--json", action="store_true", help="one JSON object per picture on standard output")
    output.add_argument("--preview", action="store_true", help="show the picture emerging in the terminal")
    output.add_argument(
        "--heatmaps",
        action="store_true",
        help="beside each picture NAME-heatmaps.png: where in the picture each word was heard",
    )
    output.add_argument("--quiet", "-q", action="store_true", help="print files, warnings and errors only")
    output.add_argument(
        "--explain",
        "--dry-run",
        action="store_true",
        help="print what the encoders would receive, draw nothing",
    )
    add_common_flags(parser)
    return parser


def add_request_flags(group: argparse._ArgumentGroup, only: Sequence[str] = ()) -> None:
    """A flag for every field of a Request, or for those named in `only`."""
    if not only or "size" in only:
        group.add_argument(
            "--size",
            action=_Convert,
            convert=values.size,
            default=argparse.SUPPRESS,
            metavar="WxH",
            help="width and height in one, for example 1024x768",
        )
    for name, kind in _kinds(Request).items():
        if name != "prompt" and (not only or name in only):
            _add(group, name, kind, REQUEST_FLAGS.get(name, Flag("")))


def add_model_flags(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--model", "-m", metavar="PATH|ID", help="folder, file or hub id; default: newbie-mini")
    group.add_argument("--transformer", metavar="FILE", help="this part from another place")
    group.add_argument("--text-encoder", metavar="FILE", help="the Gemma part")
    group.add_argument("--clip", metavar="FILE", help="the Jina part")
    group.add_argument("--vae", metavar="FILE", help="the autoencoder")
    group.add_argument("--allow-pickle", action="store_true", help="read .pth files (tensors only, never code)")
    group.add_argument(
        "--axes-dims",
        action=_Convert,
        convert=values.axes,
        metavar="A,B,C",
        help="RoPE axes of a file that does not say them",
    )
    group.add_argument(
        "--lora",
        action=_Append,
        convert=AdapterChoice.parse,
        default=(),
        metavar="FILE[:STRENGTH]",
        help="wear a LoRA or LoKr adapter: a file or a trainer's folder; several times for several",
    )
    group.add_argument("--merge-lora", action="store_true", help="add them to the weights instead of beside them")
    for name, kind in _kinds(Settings).items():
        _add(group, name, kind, SETTINGS_FLAGS.get(name, Flag("")))


def add_common_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    parser.add_argument("--version", action="version", version=f"newbie {__version__}")


def _kinds(values: type) -> dict[str, str]:
    """Field -> "int", "float", "str" or "bool", from the annotations."""
    return {f.name: str(f.type).split(" | ")[0] for f in fields(values)}


def _add(group: argparse._ArgumentGroup, name: str, kind: str, flag: Flag) -> None:
    names = ["--" + name.replace("_", "-"), *flag.also]
    if kind == "bool":
        group.add_argument(*names, action=argparse.BooleanOptionalAction, default=argparse.SUPPRESS, help=flag.help)
        return
    group.add_argument(
        *names,
        dest=name,
        action=_Join if flag.joined else _Convert,
        convert=flag.convert or _BY_TYPE[kind],
        default=argparse.SUPPRESS,
        metavar=flag.metavar or {"int": "N", "float": "X", "str": "NAME"}[kind],
        help=flag.help,
    )


def convert(name: str, text: str) -> Any:
    """The value of a Request field from its text. Raises UsageError."""
    flag = REQUEST_FLAGS.get(name, Flag(""))
    return (flag.convert or _BY_TYPE[_kinds(Request)[name]])(text)


# ---- a command line, understood


def parse(arguments: Sequence[str]) -> Asked:
    """The command line of create.py. Raises UsageError; `--help` and `--version` raise SystemExit."""
    typed = vars(create_parser().strict(arguments))
    if typed["like"] and typed["prompt"]:
        raise UsageError("--like and --prompt exclude each other", "--like takes its prompt from the picture")
    reuse = reuse_of(typed)
    if typed["like"] and reuse.asked:
        hint = "leave out --expand, --var, --style and the like; or draw the prompt file again with --prompt"
        raise UsageError("--like repeats the words that were chosen", hint)
    if typed["json"] and typed["preview"]:
        raise UsageError("--json and --preview exclude each other", "leave one of them out")
    require_together(typed)
    return Asked(
        prompts=typed["prompt"],
        like=Path(typed["like"]) if typed["like"] else None,
        request=request_fields(typed),
        settings={f.name: typed[f.name] for f in fields(Settings) if f.name in typed},
        model=model_choice(typed),
        reuse=reuse,
        output=typed["output"],
        overwrite=typed["overwrite"],
        metadata=not typed["no_metadata"],
        json=typed["json"],
        preview=typed["preview"],
        heatmaps=typed["heatmaps"],
        quiet=typed["quiet"],
        debug=typed["debug"],
        explain=typed["explain"],
        force=typed["force"],
    )


def request_fields(typed: Mapping[str, Any]) -> dict[str, Any]:
    """The Request fields among parsed flags, `--size` taken apart, in range. Raises UsageError."""
    given = {f.name: typed[f.name] for f in fields(Request) if f.name != "prompt" and f.name in typed}
    if "size" in typed:
        for name, value in zip(("width", "height"), typed["size"], strict=True):
            if given.setdefault(name, value) != value:
                raise UsageError(f"--size says {name} {value}, --{name} says {given[name]}", "give one of them")
    Request(**given).check()
    return given


def require_together(typed: Mapping[str, Any]) -> None:
    """Raise UsageError where accelerations do not go with each other or with other flags; nothing is loaded for it."""
    wishes = {"cuda graphs": typed.get("cuda_graphs"), "heat-maps": typed.get("heatmaps")}
    besides = frozenset(name for name, wish in wishes.items() if wish)
    compose.asked(typed.get("accel", ""), typed.get("plan", ""), besides, request_fields(typed))


def model_choice(typed: Mapping[str, Any]) -> ModelChoice:
    return ModelChoice(**{f.name: typed[f.name] for f in fields(ModelChoice)})


def to_flags(request: Request) -> list[str]:
    """The flags that `parse` reads back as this request; fields at their default are left out."""
    flags = ["--prompt", request.prompt] if request.prompt else []
    plain = Request()
    for name, kind in _kinds(Request).items():
        value = getattr(request, name)
        if name == "prompt" or value == getattr(plain, name):
            continue
        flag = "--" + name.replace("_", "-")
        if kind == "bool":
            flags.append(flag if value else "--no-" + flag[2:])
        elif name == "system_prompt" and value == "":
            flags.append(f"{flag}=none")
        else:
            flags.append(f"{flag}={value}")
    return flags
