"""`python -m newbie parity FOLDER`: our arithmetic against golden data of the original programs, case by case.

Nothing about the sample data is written here: configurations, sizes, names, spellings and cases come from the
files. A case that cannot be run is a failure, since a parity that skips proves nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from newbie.attention.choose import choose
from newbie.attention.kernel import Kernel
from newbie.errors import NewbieError, UsageError
from newbie.parity import dit, folder, prompts, sampling, text, vae
from newbie.parity.folder import Golden, Weights
from newbie.parity.result import Case, Check, Verdict

__all__ = ["Case", "Check", "lines", "main", "run"]

USAGE = "python -m newbie parity FOLDER [--attention NAME] [--verbose]"
LATER = ("lora", "lokr")  # adapters


def run(path: Path | str, *, attention: str = "auto") -> list[Case]:
    """Run every family of golden files in a folder, in float32 on the processor.

    Raises UsageError when the folder holds no golden files or there is no such attention kernel.
    """
    path = Path(path)
    files = folder.read(path)
    cases = [case for golden in files if not golden.is_weights for case in _run_file(golden, files, attention)]
    used = {golden.key for golden in files if not golden.is_weights} | {
        str(golden.about.get("dit_weights", "")) for golden in files
    }
    for weights in folder.weights_of(files):
        if weights.key not in used and not used & {file.name for file in weights.files}:
            cases.append(Case(weights.key, "weights", skipped="the folder has no cases for these weights"))
    for stray in folder.without_sidecar(path, files):
        cases.append(Case(stray.name, "all", skipped="it has no JSON that describes it"))
    return cases


def _run_file(golden: Golden, files: Sequence[Golden], attention: str) -> Iterator[Case]:
    """The cases of one file; what cannot be loaded or read becomes a skipped case that says why."""
    if golden.kind.startswith(LATER):
        yield Case(golden.stem, "adapter", later=True)
        return
    if golden.kind == "prompts":
        yield from _safely(golden.stem, prompts.string_cases(golden, golden.stem))
        return
    if golden.kind == "prompt_assembly":
        yield from _safely(golden.stem, prompts.assembly_cases(golden, golden.stem))
        return
    everything = folder.weights_of(files)
    if golden.kind == "comfy_sampling":
        yield from _safely(golden.stem, _comfy(golden, files, everything, attention))
        return
    candidates = folder.belonging(golden, everything)
    if not candidates:
        yield Case(golden.stem, "all", skipped="its weights are not in the folder")
    for weights in candidates:
        family = f"{golden.stem} on {weights.variant}" if weights.variant else golden.stem
        yield from _safely(family, _network(golden, weights, family, attention))


def _network(golden: Golden, weights: Weights, family: str, attention: str) -> Iterator[Case]:
    if golden.kind.startswith("gemma"):
        return text.gemma_cases(golden, weights, family)
    if golden.kind.startswith("jina"):
        return text.jina_cases(golden, weights, family)
    if golden.kind.startswith("vae"):
        return vae.vae_cases(golden, weights, family)
    if not golden.kind.startswith("dit"):
        return iter([Case(family, "all", skipped=f"unknown kind {golden.kind!r}")])
    attend = kernel(attention, golden.config)
    if golden.runs:
        return sampling.trajectory_cases(golden, weights, family, attend)
    if any("cfg_scale" in about for about in golden.cases.values()):
        return sampling.cfg_cases(golden, weights, family, attend)
    return dit.forward_cases(golden, weights, family, attend)


def _comfy(golden: Golden, files: Sequence[Golden], everything: Sequence[Weights], attention: str) -> Iterator[Case]:
    wanted, source = str(golden.about.get("dit_weights")), str(golden.about.get("conditioning_and_noise_from"))
    weights = next((w for w in everything if wanted in {file.name for file in w.files}), None)
    conditioning = next((other for other in files if other.data.name == source), None)
    attend = kernel(attention, weights.config if weights else {})
    return sampling.comfy_cases(golden, weights, conditioning, golden.stem, attend)


def kernel(name: str, config: dict[str, object]) -> Kernel:
    """The attention kernel for a golden configuration."""
    import torch

    heads, dim = int(str(config.get("n_heads") or 1)), int(str(config.get("dim") or 1))
    return choose(
        name,
        device="cpu",
        dtype=torch.float32,
        head_dim=dim // heads,
        n_heads=heads,
        n_kv_heads=int(str(config.get("n_kv_heads") or heads)),
    )


def _safely(family: str, cases: Iterator[Case]) -> Iterator[Case]:
    """Cases as they come; an error ends the file and is its last case."""
    try:
        yield from cases
    except UsageError:
        raise
    except NewbieError as error:
        yield Case(family, "rest", skipped=error.message)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        yield Case(family, "rest", skipped=f"{type(error).__name__}: {error}")


def lines(cases: Sequence[Case], *, verbose: bool = False) -> list[str]:
    """One line per case: verdict, family, case, largest error beside its tolerance; then the sum of it."""
    families, names = (max((len(getattr(c, field)) for c in cases), default=0) for field in ("family", "name"))
    shown: list[str] = []
    for case in cases:
        start = f"{case.verdict:<5}  {case.family:<{families}}  {case.name:<{names}}"
        if case.later:
            shown.append(f"{start}  not yet built")
        elif case.worst is None or case.skipped:
            shown.append(f"{start}  {case.skipped or 'nothing to compare'}")
        else:
            chosen = case.checks if verbose else (case.worst,)
            shown += [f"{start}  {c.error:8.1e} <= {c.tolerance:.1e}  {c.what}" for c in chosen]
    counts = Counter(case.verdict for case in cases)
    words: dict[Verdict, str] = {
        "ok": "within tolerance",
        "FAIL": "beyond it",
        "SKIP": "skipped",
        "later": "not yet built",
    }
    return [*shown, "", f"{len(cases)} cases: " + ", ".join(f"{counts[key]} {word}" for key, word in words.items())]


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
    cases = run(Path(places[0]), attention=options["--attention"])
    for line in lines(cases, verbose=verbose):
        say(line)
    return 1 if any(case.verdict in ("FAIL", "SKIP") for case in cases) else 0
