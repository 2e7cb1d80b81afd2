"""`newbie verify PATH`: whether weights are whole. Names, shapes, shards, tokenizers, NaN, hashes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch

from newbie.checkpoints.components import MissingPart, existing, find_in_tree
from newbie.checkpoints.hashes import file_hash, hash_sources
from newbie.checkpoints.index import Entry
from newbie.checkpoints.layouts import COMPONENTS, SPOKEN, Component, recognise, unrecognised
from newbie.checkpoints.load import find_tokenizer, is_finite
from newbie.checkpoints.plan import Plan, plan_load, require_fit
from newbie.checkpoints.readers import open_weights
from newbie.checkpoints.report import listed
from newbie.checkpoints.save import MODEL_INDEX
from newbie.checkpoints.source import Source
from newbie.checkpoints.tokenizer_files import KINDS
from newbie.errors import NewbieError, WeightsError
from newbie.flags import Parser
from newbie.text.tokens import check_vocabulary


class Finding(NamedTuple):
    """One thing that was looked at. `hint` says what to do where it is not in order."""

    what: str
    fine: bool
    detail: str
    hint: str = ""


@dataclass(frozen=True)
class Verification:
    """All findings about a path; `hashes` holds the SHA-256 of each file that was read to its end."""

    name: str
    findings: tuple[Finding, ...]
    hashes: dict[str, str]
    weights_hash: str

    @property
    def problems(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if not finding.fine)

    @property
    def ok(self) -> bool:
        return not self.problems

    def require(self) -> None:
        """Raise WeightsError for the first problem."""
        for problem in self.problems:
            raise WeightsError(f"{problem.what}: {problem.detail}", problem.hint)

    def lines(self) -> list[str]:
        """The findings as text, the verdict last."""
        lines = []
        for finding in self.findings:
            lines.append(f"{'ok  ' if finding.fine else 'BAD '}{finding.what}: {finding.detail}")
            lines += [f"      hint: {finding.hint}"] if finding.hint and not finding.fine else []
        lines += [f"sha256 {value}  {name}" for name, value in self.hashes.items()]
        lines += [f"weights {self.weights_hash}"] if self.weights_hash else []
        return [*lines, str(self)]

    def __str__(self) -> str:
        if self.ok:
            return f"{self.name} is whole: {len(self.findings)} checks passed"
        return f"{self.name} is NOT sound: {len(self.problems)} of {len(self.findings)} checks failed"


def verify(
    path: Path | str,
    *,
    quick: bool = False,
    allow_pickle: bool = False,
    on_progress: Callable[[str], None] | None = None,
) -> Verification:
    """Check a weights file or a model folder. `quick` reads headers only: no NaN, no hashes of files.

    What is wrong with the weights is a finding, not an error.

    Raises:
        WeightsError: there is nothing at the path.
    """
    place = existing(path, "path")
    say = on_progress or (lambda text: None)
    findings: list[Finding] = []
    sources = _sources(place, allow_pickle, findings)
    plans: dict[Component, Plan] = {}
    for source in sources:
        say(f"{source.name}: names and shapes")
        plan = _headers(source, findings)
        if plan is not None:
            plans[source.component] = plan
            _tokenizer(plan, findings)
    if "transformer" in plans:
        _fit(plans, findings)
    hashes: dict[str, str] = {}
    if not quick:
        for plan in plans.values():
            say(f"{plan.source.name}: numbers")
            _numbers(plan, findings)
        for file in dict.fromkeys(file for plan in plans.values() for file in plan.index.files):
            say(f"{file.parent.name}/{file.name}: hash")
            _hash(file, place, hashes, findings)
    sound = sources and len(plans) == len(sources)
    return Verification(place.resolve().name, tuple(findings), hashes, hash_sources(sources) if sound else "")


def _sources(place: Path, allow_pickle: bool, findings: list[Finding]) -> list[Source]:
    """The parts at a path. In a folder with a transformer, or a model index, every part must be there."""
    if place.is_file():
        return _in_file(place, allow_pickle, findings)
    found: dict[Component, Source] = {}
    missing: list[tuple[Component, WeightsError]] = []
    for component in COMPONENTS:
        try:
            found[component] = find_in_tree(component, place, allow_pickle=allow_pickle)
        except MissingPart as error:
            missing.append((component, error))
        except WeightsError as error:
            findings.append(_bad(SPOKEN[component], error))
    whole = "transformer" in found or (place / MODEL_INDEX).is_file()
    for component, absence in missing:
        needless = component == "clip" and "transformer" in found and not found["transformer"].open().part.has_clip
        if (whole and not needless) or not (found or findings):
            findings.append(_bad(SPOKEN[component], absence))
    return list(found.values())


def _in_file(path: Path, allow_pickle: bool, findings: list[Finding]) -> list[Source]:
    try:
        index = open_weights(path, allow_pickle=allow_pickle)
        parts = recognise(index.shapes, path.name)
    except WeightsError as error:
        findings.append(_bad("file", error))
        return []
    if not parts:
        findings.append(Finding("file", False, *unrecognised(index.shapes, path.name)))
    return [Source(part.component, (path,), path.parent, allow_pickle) for part in parts]


def _headers(source: Source, findings: list[Finding]) -> Plan | None:
    try:
        plan = plan_load(source)
        plan.report.require_complete()
    except WeightsError as error:
        findings.append(_bad(f"{SPOKEN[source.component]}, names and shapes", error))
        return None
    report = plan.report
    more = f"; unexpected, not used: {listed(report.unexpected)}" if report.unexpected else ""
    detail = f"{report.total} tensors of {source.name} ({report.layout} names){more}"
    findings.append(Finding(f"{SPOKEN[source.component]}, names and shapes", True, detail))
    return plan


def _tokenizer(plan: Plan, findings: list[Finding]) -> None:
    component = plan.part.component
    if component not in KINDS:
        return
    what = f"{SPOKEN[component]}, tokenizer"
    try:
        tokenizer = find_tokenizer(plan, KINDS[component])
        check_vocabulary(SPOKEN[component], tokenizer, plan.config.vocab_size)
    except NewbieError as error:
        findings.append(_bad(what, error))
    else:
        findings.append(Finding(what, True, f"{tokenizer.vocab_size:,} tokens"))


def _fit(plans: dict[Component, Plan], findings: list[Finding]) -> None:
    try:
        require_fit({component: plan.config for component, plan in plans.items()})
    except WeightsError as error:
        findings.append(_bad("parts", error))
    else:
        if len(plans) > 1:
            findings.append(Finding("parts", True, "have the widths that the transformer was trained with"))


def _numbers(plan: Plan, findings: list[Finding]) -> None:
    """Every number of the part, also of tensors that are not used."""
    what = f"{SPOKEN[plan.part.component]}, numbers"
    try:
        bad = [name for name in plan.part.names if not _finite(plan.index[name])]
    except WeightsError as error:
        findings.append(_bad(what, error))
        return
    if bad:
        hint = "the file is damaged; download it again"
        findings.append(Finding(what, False, f"NaN or infinity in {len(bad)} tensors: {listed(bad)}", hint))
    else:
        findings.append(Finding(what, True, f"{len(plan.part.names)} tensors without NaN or infinity"))


def _finite(entry: Entry) -> bool:
    if entry.packed is None:
        return is_finite(entry.read())
    return not entry.packed.codec.problem(entry.packed.read(torch.device("cpu")))


def _hash(file: Path, place: Path, hashes: dict[str, str], findings: list[Finding]) -> None:
    """The SHA-256 of a file; the hub's cache calls a large file by it, so there it can be compared."""
    name = str(file.relative_to(place)) if place in file.parents else file.name
    hashes[name] = file_hash(file)
    target = file.readlink() if file.is_symlink() else file
    if target.parent.name == "blobs" and re.fullmatch("[0-9a-f]{64}", target.name):
        same = hashes[name] == target.name
        detail = "is what the hub has" if same else f"should have the SHA-256 {target.name}"
        findings.append(Finding(f"{name}, hash", same, detail, "delete the file and download it again"))


def _bad(what: str, error: NewbieError) -> Finding:
    return Finding(what, False, error.message, error.hint)


def main(argv: Sequence[str], say: Callable[[str], None]) -> int:
    """Print through `say`. 0 when everything is in order, else 4."""
    parser = Parser(prog="python -m newbie verify", description=__doc__)
    parser.add_argument("path", help="a weights file, a *.index.json, or a model folder")
    parser.add_argument("--quick", action="store_true", help="headers only: names and shapes, no NaN, no hashes")
    parser.add_argument("--allow-pickle", action="store_true", help="also read .pth files (nothing is executed)")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of text")
    options = parser.strict(argv)
    found = verify(
        options.path,
        quick=options.quick,
        allow_pickle=options.allow_pickle,
        on_progress=None if options.json else lambda text: say(f"checking {text}"),
    )
    for line in [json.dumps(_as_object(found), ensure_ascii=False)] if options.json else found.lines():
        say(line)
    return 0 if found.ok else WeightsError.exit_code


def _as_object(found: Verification) -> dict[str, Any]:
    return {
        "name": found.name,
        "ok": found.ok,
        "findings": [finding._asdict() for finding in found.findings],
        "hashes": found.hashes,
        "weights_hash": found.weights_hash,
    }
