"""`newbie inspect PATH`: what a file or a folder is, from its headers alone. Nothing is loaded."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from newbie.checkpoints import licences
from newbie.checkpoints.components import CARD, existing, read_card
from newbie.checkpoints.index import Index
from newbie.checkpoints.layouts import SPOKEN, Component, recognise, spiece, unrecognised
from newbie.checkpoints.plan import plan_load
from newbie.checkpoints.readers import open_weights
from newbie.checkpoints.save import config_json
from newbie.checkpoints.source import Opened, Source, candidates
from newbie.errors import WeightsError
from newbie.flags import Parser
from newbie.text.tokens import JSON_NAME, SPIECE_NAMES

DEPTH = 3  # folders below the one that is named


@dataclass(frozen=True)
class Held:
    """One part of a model in a checkpoint."""

    component: Component
    layout: str
    prefix: str
    has_clip: bool  # a transformer with the pooled-vector branch
    tensors: int
    parameters: int
    dtypes: dict[str, int]  # format → how many numbers
    config: dict[str, Any]
    report: list[str]  # of a load that would be made
    loadable: bool
    licence: str
    tokenizer: str
    note: str = ""  # why there is no configuration


@dataclass(frozen=True)
class Checkpoint:
    """One file, or the files that belong together."""

    name: str
    files: list[str]
    kind: str
    size: int  # bytes on disk, all files
    metadata: dict[str, str]
    parts: list[Held]
    problem: str = ""  # why it cannot be read, or what it is instead

    def lines(self) -> list[str]:
        """The checkpoint as text."""
        more = f" ({len(self.files)} files)" if len(self.files) > 1 else ""
        lines = [f"{self.name}{more}: {self.kind}, {_size(self.size)}"]
        for part in self.parts:
            formats = ", ".join(f"{name} {count:,}" for name, count in part.dtypes.items())
            more = f", prefix {part.prefix!r}" if part.prefix else ""
            more += ", with CLIP branch" if part.has_clip else ""
            lines += [
                f"  {SPOKEN[part.component]}: {part.layout} names{more}",
                f"    {part.tensors} tensors, {part.parameters:,} parameters: {formats}",
                *(f"    {line}" for line in part.report[1:]),
                f"    config: {part.note or _brief(part.config)}",
            ]
            lines += [f"    tokenizer: {part.tokenizer}"] if part.tokenizer else []
            lines += [f"    licence: {part.licence}"] if part.licence else []
        lines += [f"  metadata: {key} = {_short(value)}" for key, value in sorted(self.metadata.items())]
        return [*lines, f"  {self.problem}"] if self.problem else lines


@dataclass(frozen=True)
class Inspection:
    """What a path is: a model folder has several checkpoints, a file is one."""

    name: str
    checkpoints: list[Checkpoint]
    card: dict[str, Any] = field(default_factory=dict)

    @property
    def components(self) -> list[Component]:
        """The parts of a model that were found, in the order in which they were found."""
        return list(dict.fromkeys(part.component for one in self.checkpoints for part in one.parts))

    @property
    def parameters(self) -> int:
        return sum(part.parameters for one in self.checkpoints for part in one.parts)

    def lines(self) -> list[str]:
        """The whole as text."""
        lines = [line for one in self.checkpoints for line in one.lines()]
        if len(self.checkpoints) > 1:
            held = ", ".join(SPOKEN[component] for component in self.components)
            lines.append(f"{self.name}: {held}; {self.parameters:,} parameters")
        return lines + [f"{CARD}: {key} = {value}" for key, value in self.card.items()]


def inspect(path: Path | str, *, allow_pickle: bool = False) -> Inspection:
    """Describe a weights file, a shard index, or a folder of them, without reading weights.

    Raises:
        WeightsError: nothing there, or, for a single file, something that cannot be read at all.
    """
    place = existing(path, "path")
    if not place.is_dir():
        return Inspection(place.name, [_checkpoint((place,), place.parent, allow_pickle)])
    found = [(files, folder) for folder in _folders(place) for files in candidates(folder)]
    if not found:
        raise WeightsError(f"{place}: no weights in it", "name a model folder or a weights file")
    checkpoints = []
    for files, folder in found:
        try:
            checkpoints.append(_checkpoint(files, folder, allow_pickle))
        except WeightsError as error:
            name = str(files[0].relative_to(place))
            size = sum(file.stat().st_size for file in files)
            checkpoints.append(Checkpoint(name, [file.name for file in files], "not read", size, {}, [], str(error)))
    return Inspection(place.resolve().name, checkpoints, read_card(place))


def _checkpoint(files: tuple[Path, ...], folder: Path, allow_pickle: bool) -> Checkpoint:
    index = open_weights(files[0] if len(files) == 1 else files, allow_pickle=allow_pickle)
    name = files[0].name
    problem, parts = "", []
    try:
        found = recognise(index.shapes, name)
        parts = [_held(Source(part.component, files, folder, allow_pickle), Opened(index, part)) for part in found]
        problem = "" if found else unrecognised(index.shapes, name)[0]
    except WeightsError as error:
        problem = error.message
    size = sum(file.stat().st_size for file in index.files)
    spelled = f"{folder.name}/{name}" if name.startswith(("model", "diffusion_pytorch_model")) else name
    return Checkpoint(spelled, [f.name for f in index.files], index.kind, size, index.metadata, parts, problem)


def _held(source: Source, opened: Opened) -> Held:
    part, index = opened.part, opened.index
    mine = Index({name: index[name] for name in part.names}, index.files, index.kind)
    config: dict[str, Any] = {}
    report: list[str] = []
    loadable, note = False, ""
    try:
        plan = plan_load(source)
        config, report = config_json(part.component, plan.config), plan.report.lines()
        loadable = plan.report.complete
    except WeightsError as error:
        note = f"{error.message} ({error.hint})"
    licence = licences.of_part(opened)
    return Held(
        component=part.component,
        layout=part.layout,
        prefix=part.prefix,
        has_clip=part.has_clip,
        tensors=len(mine),
        parameters=mine.parameters,
        dtypes=mine.dtypes,
        config=config,
        report=report,
        loadable=loadable,
        licence=licence.line() if licence else "",
        tokenizer=_tokenizer(source, opened),
        note=note,
    )


def _tokenizer(source: Source, opened: Opened) -> str:
    if embedded := spiece(opened.index, opened.part):
        return f"embedded ({embedded})"
    if opened.index.spiece is not None:
        return "embedded (a list of tokens)"
    if opened.part.component not in ("text_encoder", "clip"):
        return ""
    return next((name for name in (JSON_NAME, *SPIECE_NAMES) if (source.folder / name).is_file()), "")


def _folders(root: Path, depth: int = DEPTH) -> list[Path]:
    inside = sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    return [root, *(folder for path in inside if depth for folder in _folders(path, depth - 1))]


def _brief(config: dict[str, Any]) -> str:
    return _short(json.dumps(config, ensure_ascii=False), 600)


def _short(text: str, limit: int = 120) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= limit else f"{plain[:limit]} ... ({len(text):,} characters)"


def _size(count: int) -> str:
    return f"{count / 2**30:.2f} GiB" if count >= 2**30 else f"{count / 2**20:.2f} MiB"


def main(argv: Sequence[str], say: Callable[[str], None]) -> int:
    """Print through `say`. 0, or 4 when something in the path cannot be read."""
    parser = Parser(prog="python -m newbie inspect", description=__doc__)
    parser.add_argument("path", help="a weights file, a *.index.json, or a folder")
    parser.add_argument("--allow-pickle", action="store_true", help="also read .pth files (nothing is executed)")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of text")
    options = parser.strict(argv)
    found = inspect(options.path, allow_pickle=options.allow_pickle)
    for line in [json.dumps(asdict(found), ensure_ascii=False)] if options.json else found.lines():
        say(line)
    broken = any(one.kind == "not read" for one in found.checkpoints)
    return WeightsError.exit_code if broken else 0
