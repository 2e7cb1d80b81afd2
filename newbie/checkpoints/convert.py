"""`newbie convert-weights SOURCE TARGET`: from any layout that is read to any that is written, in other formats.

Headers decide everything first: which parts, which files, which tensors in which formats, how large. Then one tensor at
a time goes from file to file; `stream` says what happens when that is interrupted.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from newbie.checkpoints import stream, targets, tokenizer_files
from newbie.checkpoints.components import CARD, MissingPart, existing, find_in_tree
from newbie.checkpoints.kinds import TYPES, require_type
from newbie.checkpoints.layouts import COMPONENTS, SPOKEN, Component, recognise, unrecognised
from newbie.checkpoints.outgoing import Wanted, counted
from newbie.checkpoints.plan import Plan, plan_load
from newbie.checkpoints.readers import open_weights
from newbie.checkpoints.report import listed
from newbie.checkpoints.save import MODEL_INDEX, config_json, model_index, write_bytes, write_json
from newbie.checkpoints.source import CONFIG, Source
from newbie.errors import UsageError, WeightsError, require_known
from newbie.flags import Parser
from newbie.prompt.learnt import FILE as VOCABULARY_FILE
from newbie.text.tokens import SPIECE_NAMES

TOLD = 10  # lines of progress for a file


@dataclass
class Conversion:
    """What was written. Formats are counted in bytes; `left` are tensors of the source that no file has a place for."""

    files: list[str] = field(default_factory=list)  # inside the target, if that is a folder
    sizes: list[int] = field(default_factory=list)
    formats: list[dict[str, int]] = field(default_factory=list)
    continued: list[int] = field(default_factory=list)  # tensors that an earlier run had written
    left: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """The conversion as text."""
        found = []
        for name, size, forms, before in zip(self.files, self.sizes, self.formats, self.continued, strict=True):
            spelled = ", ".join(f"{form} {count / 1e6:.2f}" for form, count in forms.items())
            found.append(f"{name}: {size / 1e6:.2f} MB ({spelled}), read back and whole")
            found += [f"  {before} tensors were there from an earlier run"] if before else []
        if self.left:
            found.append(f"left out, no part of the model: {listed(self.left)}")
        return [*found, *(f"note: {note}" for note in self.notes)]


def convert(
    source: Path | str,
    target: Path | str,
    *,
    layout: str = "",
    type: str = "keep",
    parts: Sequence[Component] = (),
    skip: Sequence[str] = (),
    overwrite: bool = False,
    allow_pickle: bool = False,
    on_progress: Callable[[str], None] | None = None,
) -> Conversion:
    """Write `source` (a file or a folder) once more: as a file (.safetensors, .gguf) or as a folder.

    `layout` is one of `targets.LAYOUTS` (default: GGUF for such a file, else official), `type` one of `kinds.TYPES`;
    `parts` are those to take (default: all there are), `skip` pieces of names that are not quantised, beside the usual.

    Raises:
        UsageError: what is asked for does not go together, or the target is there already.
        WeightsError: the source is damaged or incomplete.
        OutputError: it could not be written; what is there is used by the next run.
    """
    require_type(type)
    if layout:
        require_known(layout, targets.LAYOUTS, "layout")
    for part in parts:
        require_known(part, COMPONENTS, "part")
    place, goal = existing(source, "source"), Path(target).expanduser()
    if place.is_dir() and place.resolve() == goal.resolve():  # its configurations would be replaced
        raise UsageError(f"{place} is what is converted", "write to another place")
    say = on_progress or (lambda text: None)
    done = Conversion()
    plans = [plan_load(each) for each in _sources(place, parts, allow_pickle, done)]
    for plan in plans:
        ignored = (name for name in plan.report.ignored if name not in plan.extras)
        done.left += [*plan.report.unexpected, *ignored]
        done.notes += plan.report.notes
    files = targets.files(goal, plans, layout)
    for file in files:
        _require_free(file.path, plans, overwrite)
    if not overwrite:
        _require_no_other_model(goal, files)
    for file in files:
        tensors, fields, notes = targets.contents(file, Wanted(type, file.gguf, tuple(skip)))
        plan_ = targets.layout_of(file, tensors, fields)
        name = file.path.name if goal.suffix in targets.FILES else file.path.relative_to(goal).as_posix()

        def tell(number: int, count: int, name: str = name) -> None:
            if number * TOLD // count != (number - 1) * TOLD // count:
                say(f"{name}: {number} of {count} tensors")

        done.continued.append(stream.write(plan_, _check(file), tell))
        done.files.append(name)
        done.sizes.append(plan_.size)
        done.formats.append(counted(tensors))
        done.notes += notes if goal.suffix in targets.FILES else []  # a folder gets the tokenizers' files
    if goal.suffix not in targets.FILES:
        done.notes += beside(goal, place, files)
    return done


def _sources(place: Path, wanted: Sequence[Component], allow_pickle: bool, done: Conversion) -> list[Source]:
    """The wanted parts of the model at a path; all there are, where none is named."""
    if place.is_file():
        index = open_weights(place, allow_pickle=allow_pickle)
        held = [part.component for part in recognise(index.shapes, place.name)]
        if not held:
            raise WeightsError(*unrecognised(index.shapes, place.name))
        absent = [component for component in wanted if component not in held]
        if absent:
            spoken = ", ".join(SPOKEN[each] for each in held)
            raise WeightsError(f"{place.name}: holds no {SPOKEN[absent[0]]}", f"it holds: {spoken}")
        return [Source(each, (place,), place.parent, allow_pickle) for each in held if not wanted or each in wanted]
    found = []
    for component in dict.fromkeys(wanted or COMPONENTS):
        try:
            found.append(find_in_tree(component, place, allow_pickle=allow_pickle))
        except MissingPart as error:
            if wanted:
                raise
            done.notes.append(error.message)
    if not found:
        raise WeightsError(f"{place.name}: holds no part of a NewBie model", "name a model folder or a weights file")
    return found


def _require_free(path: Path, plans: Sequence[Plan], overwrite: bool) -> None:
    """Raise UsageError when a target is a source, or is there and not to be replaced."""
    if path.resolve() in {file.resolve() for plan in plans for file in plan.index.files}:
        raise UsageError(f"{path} is what is converted", "write to another place")
    if path.is_dir():
        raise UsageError(f"{path} is a folder, and would be a file", "give the target another name")
    if path.exists() and not overwrite:
        raise UsageError(f"{path} is there already", "--overwrite replaces it as soon as the new one is whole")


def _require_no_other_model(goal: Path, files: Sequence[targets.File]) -> None:
    """Raise UsageError when configurations would be replaced that belong to weights of another name."""
    if goal.suffix in targets.FILES:
        return
    beside = [file.path.parent / CONFIG for file in files if file.layout != "comfyui"]
    for path in [*beside, goal / MODEL_INDEX] if len(files) > 1 else beside:
        if path.exists():
            raise UsageError(
                f"{path} is there already: a model lies in that folder", "name another one; --overwrite replaces it"
            )


def _check(file: targets.File) -> Callable[[Path], None]:
    """A look at a written file by those who will read it: every part is recognised and complete."""

    def check(unfinished: Path) -> None:
        for plan in file.plans:
            config = config_json(plan.part.component, plan.config)
            again = plan_load(Source(plan.part.component, (unfinished,), unfinished.parent, config=config))
            again.report.require_complete()

    return check


def beside(goal: Path, place: Path, files: Sequence[targets.File]) -> list[str]:
    """Configurations, tokenizers and the model's card, as a folder has them; notes on what there was not."""
    notes = []
    root = place if place.is_dir() else place.parent
    tokenizers = []
    for file in files:
        (plan,) = file.plans
        component = plan.part.component
        folder = file.path.parent
        if file.layout == "comfyui":  # which has one folder for both encoders
            folder = goal / {"text_encoder": "tokenizer", "clip": "tokenizer_2"}.get(component, "")
        else:
            write_json(folder / CONFIG, config_json(component, plan.config))
        for path in tokenizer_files.files(plan):
            write_bytes(folder / path.name, path.read_bytes())
            tokenizers.append(component)
        model = tokenizer_files.embedded(plan)
        if model is None and component in tokenizer_files.BESIDE and component not in tokenizers:
            notes.append(f"there was no tokenizer of the {SPOKEN[component]}: put its files into {folder}")
        if model is not None and component not in tokenizers and not file.gguf and file.layout != "comfyui":
            write_bytes(folder / SPIECE_NAMES[0], model)
            tokenizers.append(component)
    if files[0].layout != "comfyui" and len(files) > 1:
        configs = {file.plans[0].part.component: file.plans[0].config for file in files}
        write_json(goal / MODEL_INDEX, model_index(configs, tokenizers))
    for name in (CARD, VOCABULARY_FILE):
        if (root / name).is_file() and len(files) > 1:
            write_bytes(goal / name, (root / name).read_bytes())
    return notes


def main(argv: Sequence[str], say: Callable[[str], None]) -> int:
    """Print through `say`. 0 when everything was written and read back."""
    parser = Parser(prog="python -m newbie convert-weights", description=__doc__.split("\n")[0])
    parser.add_argument("source", help="a weights file, a *.index.json, or a model folder")
    parser.add_argument("target", help="a file that ends in .safetensors or .gguf, or a folder")
    parser.add_argument("--layout", default="", metavar="LAYOUT", help=f"whose names: {', '.join(targets.LAYOUTS)}")
    parser.add_argument("--type", default="keep", metavar="TYPE", help=f"one of: {', '.join(TYPES)}")
    parser.add_argument(
        "--part", action="append", default=[], metavar="PART", help=f"take this part only: {', '.join(COMPONENTS)}"
    )
    parser.add_argument("--skip", action="append", default=[], metavar="TEXT", help="do not quantise names with it")
    parser.add_argument("--overwrite", action="store_true", help="replace files that are there")
    parser.add_argument("--allow-pickle", action="store_true", help="also read .pth files (nothing is executed)")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of text")
    options = parser.strict(argv)
    done = convert(
        options.source,
        options.target,
        layout=options.layout,
        type=options.type,
        parts=[part.replace("-", "_") for part in options.part],  # as --device-map and --quant spell them
        skip=options.skip,
        overwrite=options.overwrite,
        allow_pickle=options.allow_pickle,
        on_progress=None if options.json else say,
    )
    for line in [json.dumps(asdict(done), ensure_ascii=False)] if options.json else done.lines():
        say(line)
    return 0
