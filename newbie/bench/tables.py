"""Results as Markdown tables. What a table says is in the JSON file that it names, and nowhere else."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from newbie.bench.results import Result
from newbie.calibrate.fewer import MARGIN, Baseline, word
from newbie.calibrate.trial import Trial

Row = Sequence[object]


def section(result: Result, plot: str) -> str:
    """A heading, where and how it was measured, the tables, and the plot at the relative path `plot` ("" for none)."""
    about = result.about
    machine = about["device"] if about["device"] != "cpu" else f"{about['cpu']}, {about['cpu_capability']}"
    versions = ", ".join(f"{name} {number}" for name, number in about["packages"].items())
    title = TITLES[result.bench](result) + (", AVX2 only" if result.name.endswith("-avx2") else "")
    lines = [
        f"### {title}",
        "",
        f"`{about['command']}`  ",
        f"{machine}, CPU threads: {about['threads']}; {about['dtype']}, seed {about['seed']}, {about['date']}; "
        f"Python {about['python']}, {versions}. [{result.name}.json](results/{result.name}.json)",
        "",
        *TABLES[result.bench](result.values),
        *(["", f"![{title}]({plot})"] if plot else []),
    ]
    return "\n".join(lines)


def table(head: Row, rows: Iterable[Row], *, left: int = 1) -> list[str]:
    """Markdown, the first `left` columns aligned left and the others right."""
    marks = ["---" if column < left else "---:" for column in range(len(head))]
    return [_line(head), _line(marks), *(_line(row) for row in rows)]


def model(values: Mapping[str, Any]) -> list[str]:
    """Contestants, then agreement and floor in sentences."""
    contestants = values["contestants"]
    peers = {name: row["step"]["median"] for name, row in contestants.items() if name.startswith("diffusers")}
    floor, least = values["floors"].values()
    eager = min(second for name, second in peers.items() if "compiled" not in name)
    rows = [
        (
            name,
            _spread(row["step"], 1e3),
            f"{eager / row['step']['median']:.2f}",
            f"{100 * floor['shares'][name]:.0f} %",
            _spread(row["generation"]),
            figure(1e3 * row["begin"]["median"]),
        )
        for name, row in sorted(contestants.items(), key=lambda item: item[1]["step"]["median"])
    ]
    agrees = values["agreement"]
    exact = max(agrees["float32"].values(), key=lambda each: float(each["largest_difference"]))
    lines = table(
        (
            "",
            "guided step, ms",
            "times diffusers eager",
            "share of the floor",
            f"{values['steps']} steps, s",
            "once, ms",
        ),
        rows,
    )
    lines += [
        "",
        f"{values['parameters'] / 1e6:.1f} million parameters, captions of {values['size']['words'][0]} and "
        f"{values['size']['words'][1]} tokens. Floor: {figure(1e3 * floor['seconds'])} ms, of which "
        f"{figure(1e3 * floor['products']['median'])} ms products ({floor['product_tflops']:.3g} TFLOP/s) and "
        f"{figure(1e3 * floor['attention'][floor['best_attention']]['median'])} ms attention "
        f"(`{floor['best_attention']}`, {floor['attention_tflops']:.3g} TFLOP/s). What the exact savings leave of it: "
        f"{figure(1e3 * least['seconds'])} ms; `newbie` reaches {100 * least['shares']['newbie']:.0f} % of that. "
        f"That alone would be {eager / least['seconds']:.2f} times as fast as eager diffusers.",
        f"Largest difference from diffusers in float32: {exact['largest_difference']:.1e} where outputs have a "
        f"standard deviation of {exact['output_std']:.2g}.",
    ]
    for name, errors in agrees.get("rounded", {}).items():
        lines.append(
            f"Relative error of `{name}` against float32: {errors['newbie_error']:.2e}; of diffusers: "
            f"{errors['diffusers_error']:.2e}; ratio {errors['ratio']:.2f}."
        )
    first_calls = values["first_call_seconds"].items()
    compiled = [f"{name} {figure(seconds)} s" for name, seconds in first_calls if "compiled" in name]
    lines += [f"First call, compilation included: {', '.join(compiled)}."] if compiled else []
    lines += [f"Left out: {name}: {reason}." for name, reason in values["left_out"].items()]
    return lines


def attention(values: Mapping[str, Any]) -> list[str]:
    """Per length and kernel, slowest first, and the comparison of the mission's document."""
    lines: list[str] = []
    for tokens in dict.fromkeys(row["tokens"] for row in values["rows"]):
        here = sorted(
            (row for row in values["rows"] if row["tokens"] == tokens), key=lambda row: -row["seconds"]["median"]
        )
        naive = _naive(here)
        rows = [
            (
                f"`{row['kernel']}`",
                _spread(row["seconds"], 1e3),
                f"{naive / row['seconds']['median']:.2f}" if naive else "",
                f"{row['peak_bytes'] / 2**20:.1f}",
                f"{row['tflops']:.3g}",
                f"{100 * row['share_of_products']:.0f} %",
                f"{100 * row['share_of_memory']:.1f} %",
                f"{row['error']:.1e}" if row["error"] is not None else "",
            )
            for row in here
        ]
        lines += [f"**{tokens} tokens**", ""]
        head = ("", "ms", "times standard", "peak MiB", "TFLOP/s", "of products", "of memory", "error")
        lines += [*table(head, rows), ""]
    heads = values["heads"]
    lines.append(
        f"{heads['query']} query and {heads['key_value']} key/value heads of {heads['size']}, one row. Ceilings: "
        f"products {values['ceilings']['tflops']:.3g} TFLOP/s, memory {values['ceilings']['gb_per_second']:.3g} GB/s. "
        f"Peak memory: {values['memory_is']}. Error: {values['error_is']}."
    )
    for kernel, lengths in values["left_out"].items():
        lines += [f"Left out: `{kernel}` at {tokens} tokens: {reason}." for tokens, reason in lengths.items()]
    if values["refused"]:
        lines += ["", "Not available here: " + "; ".join(f"`{k}`: {why}" for k, why in values["refused"].items()) + "."]
    return lines


def steps(values: Mapping[str, Any]) -> list[str]:
    """A whole guided step by kernel."""
    left_out = [f"Left out: `{kernel}`: {reason}." for kernel, reason in values["left_out"].items()]
    lines = table(
        ("", "guided step, ms", "times standard", "peak memory, MiB"),
        [
            (
                f"`{row['kernel']}`",
                _spread(row["seconds"], 1e3),
                str(row["times_faster"]),
                f"{row['peak_bytes'] / 2**20:.0f}",
            )
            for row in values["rows"]
        ],
    )
    behind = 100 * values["auto_behind_best"]
    lines += ["", f"`auto` chooses `{values['auto']}`, which is {behind:.1f} % behind the best here."]
    return [*lines, *left_out]


def waterfall(values: Mapping[str, Any]) -> list[str]:
    """One saving more per row."""
    rows = values["rows"]
    seconds = [row["seconds"] for row in rows]

    def change(number: int, against: int) -> str:
        return f"{100 * (seconds[number] / seconds[against] - 1):+.1f} %" if number else ""

    lines = table(
        ("", "one picture, s", "text, ms", "one step, ms", "decode, ms", "against the row before", "against the first"),
        [
            (
                row["with"],
                figure(row["seconds"]),
                figure(1e3 * row["text"]),
                _spread(row["step"], 1e3),
                figure(1e3 * row["decode"]),
                change(number, number - 1),
                change(number, 0),
            )
            for number, row in enumerate(rows)
        ],
    )
    worst = max(row["difference"] for row in rows)
    return [*lines, "", f"Largest relative difference of any stage's latents from those of the first: {worst:.1e}."]


def profile(values: Mapping[str, Any]) -> list[str]:
    """Stages of a picture, parts of a step."""
    stages, parts = values["stages"], values["step_parts"]
    whole = sum(timing["median"] for timing in stages.values())
    step = sum(parts.values())
    lines = table(
        (f"one picture, {values['steps']} steps", "s", "share"),
        [(name, _spread(timing), f"{100 * timing['median'] / whole:.1f} %") for name, timing in stages.items()],
    )
    lines += ["", *table(
        ("one step", "ms", "share"),
        [(name, figure(1e3 * seconds), f"{100 * seconds / step:.0f} %") for name, seconds in parts.items()],
    )]  # fmt: skip
    if values["gpu_utilisation"] is not None:
        lines += ["", f"The card computes {100 * values['gpu_utilisation']:.0f} % of the time of a step."]
    return lines


def characters(values: Mapping[str, Any]) -> list[str]:
    """Standard beside fast attention."""
    rows = values["rows"]
    lines = table(
        ("characters", "words", "standard, ms", "fast, ms", "times faster"),
        [
            (
                fast["characters"],
                fast["words"],
                _spread(standard["seconds"], 1e3),
                _spread(fast["seconds"], 1e3),
                f"{fast['times_faster']:.2f}",
            )
            for standard, fast in zip(rows[::2], rows[1::2], strict=True)
        ],
        left=0,
    )
    kernels = f"Standard: `{rows[0]['kernel']}`, fast: `{rows[1]['kernel']}`"
    return [*lines, "", f"{kernels}; {values['image_tokens']} image tokens."]


def doors(values: Mapping[str, Any]) -> list[str]:
    """What a person waits for."""
    picture = f"{values['size'][0]}x{values['size'][1]}, {values['steps']} steps"
    rows = [
        (f"from the command to the PNG ({picture})", f"{values['command_to_png_seconds']:.2f} s"),
        ("the same with one thread", f"{values['command_to_png_one_thread_seconds']:.2f} s"),
        ("the same with AVX2 instructions only", f"{values['command_to_png_avx2_seconds']:.2f} s"),
        ("each further picture in the loop", f"{values['next_picture_seconds']:.2f} s"),
        ("`create.py --help`", f"{values['help_seconds']:.2f} s"),
        ("peak memory of a picture", f"{values['peak_memory_gib']:.2f} GiB"),
    ]
    return table(("", "median"), rows)


def ditfastattn(values: Mapping[str, Any]) -> list[str]:
    """What searched plans leave of the work and of the picture: the combination by steps, then each method alone."""
    rows = list(values["rows"].values())
    together = [row for row in rows if row["methods"] == "all"]
    cases = dict.fromkeys((row["steps"], row["negative"]) for row in together)
    head = (
        "plan", "attention left", "saved", "times exact", "MiB kept", "error", "PSNR", "SSIM", "accuracy", "binding",
        "Fréchet", "inception",
    )  # fmt: skip
    lines: list[str] = []
    for steps, negative in cases:
        here = [row for row in together if (row["steps"], row["negative"]) == (steps, negative)]
        lines += [f"**{steps} steps, {'with' if negative else 'without'} a negative prompt**", ""]
        lines += [*table(head, [_plan_row(row, row["level"] or "raw") for row in here]), ""]
    if alone := [row for row in rows if row["methods"] != "all"]:
        names = [f"{row['methods']}{'' if row['residual'] else ' without residual'}, {row['level']}" for row in alone]
        lines += ["**Each method alone**", ""]
        lines += [*table(head, [_plan_row(row, name) for row, name in zip(alone, names, strict=True)]), ""]
    size = f"{values['pixels']}x{values['pixels']}"
    lines.append(
        f"{values['model']} at {size}: plans searched on {values['searched_on']} pictures, judged on "
        f"{values['pictures']} others. Attention left, saved: of the operations of the attention, and of all of the "
        "joint blocks. Error: of the final latents, relative to those without a plan; PSNR and SSIM: of the pictures. "
        "Accuracy, binding (every hair colour in its place), Fréchet distance to real drawings and inception-style "
        "score: by the probe."
    )
    return lines


def _plan_row(row: Mapping[str, Any], name: str) -> Row:
    def percent(key: str) -> str:
        return f"{100 * row[key]:.1f} %" if row.get(key) is not None else ""

    def number(key: str) -> str:
        return figure(row[key]) if row.get(key) is not None else ""

    return (
        name, percent("attention_left"), percent("saved"), number("times"), number("held_mib"), number("error"),
        number("psnr"), f"{row['ssim']:.4f}", percent("accuracy"), percent("binding"), number("frechet"),
        number("inception"),
    )  # fmt: skip


def attention_mix(values: Mapping[str, Any]) -> list[str]:
    """The time of fixed plans beside their share of the scores; or a whole network with one."""
    return _network(values) if "network" in values else _mix(values)


def _mix(values: Mapping[str, Any]) -> list[str]:
    plans, heads = values["attention"]["plans"], values["attention"]["heads"]
    shares = ("published", "attention_left", "scores_left", "time_left")
    lines = table(
        ("as the paper's", "published", "operations left", "scores left", "time left", "time / scores"),
        [
            (level, *(f"{100 * row[name]:.1f} %" for name in shares), f"{row['time_per_share']:.2f}")
            for level, row in plans.items()
        ],
    )
    took = {name: statistics.median(seconds) for name, seconds in values["attention"]["seconds"].items()}
    shapes = f"{heads['query']} query and {heads['key_value']} key/value heads of {heads['size']}"
    seconds = ", ".join(f"{name} {figure(each)}" for name, each in took.items())
    return [
        *lines,
        "",
        f"{values['image_tokens']:,} image tokens and {values['words']} words in both rows of a pair, {shapes} by "
        f"`{values['attention']['kernel']}`; processor seconds: {seconds}. Operations left are those of the 3.5B "
        "model's attention with projections.",
    ]


def _network(values: Mapping[str, Any]) -> list[str]:
    whole = values["network"]
    exact, plan, share = whole["seconds"]["exact"], whole["seconds"]["plan"], whole["attention_share_of_time"]
    time_left = 1 - (exact - plan) / (exact * share)  # the rest of the network takes what it takes
    return [
        *table(
            ("attention's share of the time", "operations left of it", "time left of it", "predicted", "measured"),
            [
                (
                    *(f"{100 * each:.1f} %" for each in (share, whole["attention_left"], time_left)),
                    *(f"{whole[name]:.2f} times" for name in ("predicted", "measured")),
                )
            ],
            left=0,
        ),
        "",
        f"{values['image_tokens']:,} image tokens, {whole['layers']} layers of width {whole['width']}, "
        f"{whole['heads']} query heads to one key/value head, {whole['evaluations']} evaluations by the plan of "
        f"{whole['level']}: "
        f"{figure(exact)} processor seconds without it, {figure(plan)} with it.",
    ]


def quality(values: Mapping[str, Any]) -> list[str]:
    """Methods, the greatest error first, each beside plain fewer steps; then these, and what did not fit."""
    known = baseline(values)
    judged = values["exact"].get("accuracy") is not None
    learnt = any(each["lpips"] is not None for each in values["trials"])
    head = ["", "speed", "evaluations", "FLOPs saved", "error (median)", "PSNR", "SSIM", *(["LPIPS"] if learnt else [])]
    head += ["attributes, %", "eyes", "binding", "lost at most, points"] if judged else []
    rows = []
    for each in sorted(values["trials"], key=lambda each: -each["error"]):
        trial = Trial.from_json(each)
        rival = known.beside(trial)
        row = [*_cost(f"`{each['told']}`" if "peer" not in each else each["told"], each, trial, learnt, judged)]
        if "peer" in each:
            rows.append((*row, "", "", "", "by others, beside their own exact pictures"))
            continue
        other = "" if rival.trial is None else f"{rival.trial.setting.steps}, shift {rival.trial.setting.shift:g}"
        rows.append((*row, other, _times(rival.factor), _times(rival.factor_in_time), word(rival)))
    against = ("fewer steps", "times less error", "at equal time", "")
    lines = table((*head, *against), rows)
    plain = [_cost(f"{each['setting']['steps']} steps, shift {each['setting']['shift']:g}", each, Trial.from_json(each),
                   learnt, judged) for each in values["fewer"]]  # fmt: skip
    grid = values["grid"]
    said = (
        f"{values['pictures']} prompts; {grid['steps']} exact steps at shift {grid['shift']:g}, against which speed, "
        f"error, PSNR and SSIM are. *Recommended* is what has at least {MARGIN:g} times less error than fewer steps, "
        f"at equal evaluations and at equal time ({values['clock']} clock)."
    )
    if judged:
        exact = values["exact"]["accuracy"]
        said += f" Exact pictures: {_percent(exact['attributes'])} of attributes, {_percent(exact['eyes'])} of eyes, "
        said += f"{_percent(exact['binding'])} with everything in its place."
    lines += ["", said, "", "Plain fewer steps, each number at its own best shift:", "", *table(head, plain)]
    if values["refused"]:
        lines += ["", "Not tried: " + "; ".join(f"`{name}` ({why})" for name, why in values["refused"].items()) + "."]
    return lines


def baseline(values: Mapping[str, Any]) -> Baseline:
    """Fewer steps, of a result of `bench quality`."""
    tried = tuple(Trial.from_json(each) for each in values["fewer"])
    return Baseline(tried, values["grid"]["steps"], values["exact"]["work"])


def _cost(name: str, each: Mapping[str, Any], trial: Trial, learnt: bool, judged: bool) -> list[str]:
    """The cells that a method and fewer steps have in common."""
    cells = [name, f"{trial.speed:.2f}x", f"{trial.work:.1f}", "-" if trial.saved is None else _percent(trial.saved)]
    cells += [f"{trial.error:.3f} ({trial.median_error:.3f})", f"{trial.psnr:.1f}", f"{trial.ssim:.3f}"]
    if learnt:
        cells.append("-" if trial.lpips is None else f"{trial.lpips:.3f}")
    if judged:
        found = each["accuracy"] or {}
        cells += [_percent(found.get(name)) for name in ("attributes", "eyes", "binding")]
        lost = found.get("lost_at_most")
        cells.append("-" if lost is None else f"{100 * lost:.1f} ({found['lost_of']})")
    return cells


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f} %"


def _times(factor: float) -> str:
    return "-" if math.isnan(factor) else f"{factor:.2f}" if factor < 100 else "> 100"


def _naive(rows: Sequence[Mapping[str, Any]]) -> float | None:
    """Seconds of standard attention among these rows."""
    by_name = {row["kernel"]: row["seconds"]["median"] for row in rows}
    return by_name.get("sdpa-math", by_name.get("reference"))


def _spread(timing: Mapping[str, Any], scale: float = 1.0) -> str:
    """The median, and the quartiles where there are several samples."""
    low, high = timing["quartiles"]
    middle = figure(scale * timing["median"])
    return middle if low == high else f"{middle} ({figure(scale * low)}–{figure(scale * high)})"


def figure(value: float) -> str:
    """Three significant digits, or more where whole numbers have more: 0.0123, 12.3, 1,234."""
    return f"{value:.3g}" if abs(value) < 999.5 else f"{value:,.0f}"


def _title(what: str, result: Result) -> str:
    return f"{what}: {result.values['size']['about']}, {result.about['dtype']}"


def _line(cells: Row) -> str:
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


TITLES: dict[str, Callable[[Result], str]] = {
    "doors": lambda result: "How long a person waits",
    "model": lambda result: _title("Beside diffusers", result),
    "attention": lambda result: f"Attention kernels, {result.about['dtype']}",
    "steps": lambda result: _title("A whole step by kernel", result),
    "waterfall": lambda result: _title("Exact savings, one after another", result),
    "profile": lambda result: _title("Where the time goes", result),
    "quality": lambda result: f"What speed costs: {result.values['model']}, {result.about['dtype']}",
    "characters": lambda result: _title("One to six characters", result),
    "attention-mix": lambda result: (
        f"{'A network drawn' if 'network' in result.values else 'Attention'} by plans as in the DiTFastAttn paper, "
        f"{result.about['dtype']}"
    ),
    "ditfastattn": lambda result: f"DiTFastAttn's tables at {result.values['pixels']} pixels, {result.about['dtype']}",
}
TABLES: dict[str, Callable[[Mapping[str, Any]], list[str]]] = {
    "doors": doors,
    "model": model,
    "attention": attention,
    "steps": steps,
    "waterfall": waterfall,
    "profile": profile,
    "quality": quality,
    "characters": characters,
    "attention-mix": attention_mix,
    "ditfastattn": ditfastattn,
}
