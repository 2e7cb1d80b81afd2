"""`python -m newbie parity FOLDER`: our arithmetic against golden data of the original programs, case by case.

Nothing about the sample data is written here: configurations, sizes, names, spellings and cases come from the
files. A case that cannot be run is a failure, since a parity that skips proves nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from newbie.attention.choose import choose
from newbie.attention.kernel import Kernel
from newbie.errors import UsageError
from newbie.parity import adapters, dit, folder, prompts, sampling, text, vae
from newbie.parity.folder import Golden, Weights
from newbie.parity.result import Case, Check, Job, Verdict, collect

__all__ = ["Case", "Check", "lines", "main", "run"]

USAGE = "python -m newbie parity FOLDER [--attention NAME] [--verbose]"
NETWORKS = ("dit", "gemma", "jina", "vae")


def run(path: Path | str, *, attention: str = "auto") -> list[Case]:
    """Run every family of golden files in a folder, in float32 on the processor.

    Raises UsageError when the folder holds no golden files or there is no such attention kernel.
    """
    path = Path(path)
    kernel(attention, {})  # a wrong name is the caller's error, not a skipped case
    files = folder.read(path)
    cases = [case for golden in files if not golden.is_weights for case in _run_file(golden, files, attention)]
    used = {golden.key for golden in files if not golden.is_weights}
    used |= {str(golden.about.get("dit_weights")) for golden in files}
    for weights in folder.weights_of(files):
        if not used & {weights.key, *(file.name for file in weights.files)}:
            cases.append(Case(weights.key, "weights", skipped="the folder has no cases for these weights"))
    for stray in folder.without_sidecar(path, files):
        cases.append(Case(stray.name, "all", skipped="it has no JSON that describes it"))
    return cases


def _run_file(golden: Golden, files: Sequence[Golden], attention: str) -> Iterator[Case]:
    """The cases of one file, on each spelling of its weights."""
    weights = folder.weights_of(files)
    if adapters.is_adapter(golden):
        yield from _adapters(golden, files, weights, attention)
    elif golden.kind == "prompts":
        yield from collect(golden.stem, prompts.string_jobs(golden))
    elif golden.kind == "prompt_assembly":
        yield from collect(golden.stem, prompts.assembly_jobs(golden))
    elif golden.kind == "comfy_sampling":
        yield from collect(golden.stem, _comfy(golden, files, weights, attention))
    elif not golden.kind.startswith(NETWORKS):
        yield Case(golden.stem, "all", skipped=f"unknown kind {golden.kind!r}")
    elif not (candidates := folder.belonging(golden, weights)):
        yield Case(golden.stem, "all", skipped="its weights are not in the folder")
    else:
        for each in candidates:
            family = f"{golden.stem} on {each.variant}" if each.variant else golden.stem
            yield from collect(family, _network(golden, each, attention))


def _network(golden: Golden, weights: Weights, attention: str) -> Iterator[Job]:
    if golden.kind.startswith("gemma"):
        yield from text.gemma_jobs(golden, weights)
    elif golden.kind.startswith("jina"):
        yield from text.jina_jobs(golden, weights)
    elif golden.kind.startswith("vae"):
        yield from vae.vae_jobs(golden, weights)
    else:
        attend = kernel(attention, golden.config or weights.config)
        if golden.runs:
            yield from sampling.trajectory_jobs(golden, weights, attend)
        elif any("cfg_scale" in about for about in golden.cases.values()):
            yield from sampling.cfg_jobs(golden, weights, attend)
        else:
            yield from dit.forward_jobs(golden, weights, attend)


def _adapters(golden: Golden, files: Sequence[Golden], weights: Sequence[Weights], attention: str) -> Iterator[Case]:
    """Every spelling of the adapter whose outputs these are."""
    if not golden.stem.endswith(adapters.OUT):
        if not any(golden in adapters.spellings(out, files) for out in files if out.stem.endswith(adapters.OUT)):
            yield Case(golden.stem, "all", skipped="the folder has no outputs with this adapter")
        return
    attend = kernel(attention, golden.about.get("dit_config") or {})
    spelled = adapters.spellings(golden, files)
    for each in spelled:
        yield from collect(each.stem, adapters.adapter_jobs(golden, each, files, weights, attend))
    if not spelled:
        yield Case(golden.stem, "all", skipped="its adapter is not in the folder")


def _comfy(golden: Golden, files: Sequence[Golden], weights: Sequence[Weights], attention: str) -> Iterator[Job]:
    wanted, source = golden.about.get("dit_weights"), golden.about.get("conditioning_and_noise_from")
    model = next((each for each in weights if wanted in {file.name for file in each.files}), None)
    conditioning = next((other for other in files if other.data.name == source), None)
    attend = kernel(attention, model.config) if model else None
    yield from sampling.comfy_jobs(golden, model, conditioning, attend)


def kernel(name: str, config: Mapping[str, Any]) -> Kernel:
    """The attention kernel for a golden configuration. Raises UsageError when there is none of that name."""
    heads = int(config.get("n_heads") or 1)
    return choose(
        name,
        device="cpu",
        dtype=torch.float32,
        head_dim=int(config.get("dim") or heads) // heads,
        n_heads=heads,
        n_kv_heads=int(config.get("n_kv_heads") or heads),
    )


def lines(cases: Sequence[Case], *, verbose: bool = False) -> list[str]:
    """One line per case: verdict, family, case, largest error beside its tolerance; then the sum of it."""
    families, names = (max((len(getattr(c, field)) for c in cases), default=0) for field in ("family", "name"))
    shown: list[str] = []
    for case in cases:
        start = f"{case.verdict:<5}  {case.family:<{families}}  {case.name:<{names}}"
        if case.worst is None or case.skipped:
            shown.append(f"{start}  {case.skipped or 'nothing to compare'}")
        else:
            chosen = case.checks if verbose else (case.worst,)
            shown += [f"{start}  {c.error:8.1e} <= {c.tolerance:.1e}  {c.what}" for c in chosen]
    counts = Counter(case.verdict for case in cases)
    words: dict[Verdict, str] = {
        "ok": "within tolerance",
        "FAIL": "beyond it",
        "SKIP": "skipped",
    }
    return [*shown, "", f"{len(cases)} cases: " + ", ".join(f"{counts[key]} {word}" for key, word in words.items())]


@contextmanager
def one_thread() -> Iterator[None]:
    """Golden tensors are tiny: a second thread would wait for the first most of the time, on a busy machine always."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def main(argv: Sequence[str], say: Callable[[str], None]) -> int:
    """Run a folder and print through `say`. Returns 1 when a case is beyond its tolerance or was skipped."""
    options, places = {"--attention": "auto"}, list(argv)
    verbose = "--verbose" in places
    places = [place for place in places if place != "--verbose"]
    if "--attention" in places[:-1]:
        at = places.index("--attention")
        options["--attention"] = places.pop(at + 1)
        places.pop(at)
    if len(places) != 1 or places[0].startswith("-"):
        raise UsageError(f"parity takes one folder, got {' '.join(argv) or 'nothing'}", USAGE)
    with one_thread():
        cases = run(Path(places[0]), attention=options["--attention"])
    for line in lines(cases, verbose=verbose):
        say(line)
    return 1 if any(case.verdict in ("FAIL", "SKIP") for case in cases) else 0
