"""Results as pictures (SVG): the only file here that imports matplotlib."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from newbie.bench import tables
from newbie.bench.results import Result
from newbie.errors import MissingExtra

OURS, THEIRS, GREY = "#1f6feb", "#d1752b", "#8b949e"
# Of Okabe and Ito (2008): told apart by people who do not see all colours.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#7f7f7f")
MARKERS = "osD^vPX*"
STYLE: dict[Any, Any] = {
    "svg.hashsalt": "newbie",  # the same file for the same numbers
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "figure.titlesize": 11,
    "legend.frameon": False,
    "figure.facecolor": "white",
}


def draw_all(results: Sequence[Result], folder: Path) -> list[Path]:
    """One SVG per result, named like it. Raises MissingExtra without matplotlib."""
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        raise MissingExtra("matplotlib", "plots", "drawing the plots") from None
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for result in results:
        if (draw := PLOTS.get(result.bench)) is None:
            continue
        with matplotlib.rc_context(STYLE):
            figure = Figure(figsize=(8, 4.2), layout="constrained")
            draw(figure, result)
            figure.suptitle(f"{tables.TITLES[result.bench](result)}\n{_where(result)}", x=0.01, ha="left")
            path = folder / f"{result.name}.svg"
            figure.savefig(path, metadata={"Date": None})
        paths.append(path)
    return paths


def model(figure: Any, result: Result) -> None:
    """Seconds per guided step of every contestant, with quartiles, and the floor."""
    axes = figure.subplots()
    rows = sorted(result.values["contestants"].items(), key=lambda row: -row[1]["step"]["median"])
    names = [name for name, _ in rows]
    medians = [1e3 * record["step"]["median"] for _, record in rows]
    colours = [OURS if name.startswith("newbie") else THEIRS for name in names]
    axes.barh(names, medians, xerr=_whiskers([record["step"] for _, record in rows]), color=colours, height=0.62)
    for place, value in enumerate(medians):
        axes.annotate(
            f"{tables.figure(value)} ms", (0, place), (6, 0), textcoords="offset points", va="center", color="white"
        )
    axes.margins(y=0.12)
    floor = 1e3 * result.values["floors"]["same shapes"]["seconds"]
    axes.axvline(floor, color=GREY, linestyle="--")
    axes.annotate(
        f"floor {tables.figure(floor)} ms", (floor, 1.0), (0, 2), xycoords=("data", "axes fraction"),
        textcoords="offset points", color=GREY, ha="left" if floor < max(medians) / 8 else "center",
    )  # fmt: skip
    axes.set_xlabel("milliseconds per guided step (median; whiskers: quartiles)")
    axes.set_xlim(left=0)


def attention(figure: Any, result: Result) -> None:
    """Speed and peak memory by sequence length."""
    speed, memory = figure.subplots(1, 2)
    ceiling = result.values["ceilings"]["tflops"]
    scale, unit = (1, "TFLOP/s") if ceiling >= 1 else (1e3, "GFLOP/s")
    kernels = list(dict.fromkeys(row["kernel"] for row in result.values["rows"]))
    for number, kernel in enumerate(kernels):
        rows = [row for row in result.values["rows"] if row["kernel"] == kernel]
        look = {"color": COLOURS[number % 8], "marker": MARKERS[number % 8], "markersize": 5, "linewidth": 1.4}
        tokens = [row["tokens"] for row in rows]
        speed.plot(tokens, [scale * row["tflops"] for row in rows], label=kernel, **look)
        memory.plot(tokens, [max(row["peak_bytes"], 1) / 2**20 for row in rows], label=kernel, **look)
    speed.axhline(scale * ceiling, color=GREY, linestyle="--")
    speed.annotate(
        "matrix products", (0.02, scale * ceiling), (0, -3),
        xycoords=("axes fraction", "data"), textcoords="offset points", color=GREY, va="top",
    )  # fmt: skip
    speed.set_ylim(bottom=0)
    memory.set_yscale("log")
    ticks = sorted({row["tokens"] for row in result.values["rows"]})
    for axes, label, title in ((speed, unit, "Speed"), (memory, "MiB", "Peak memory")):
        axes.set_xscale("log", base=2)
        axes.set_xticks(ticks, [str(tick) for tick in ticks])
        axes.minorticks_off()
        axes.set_xlabel("tokens")
        axes.set_ylabel(label)
        axes.set_title(title)
        axes.grid(alpha=0.25)
    figure.legend(*speed.get_legend_handles_labels(), loc="outside lower center", ncols=6)


def waterfall(figure: Any, result: Result) -> None:
    """Seconds per picture as one saving after another is switched on."""
    axes = figure.subplots()
    rows = result.values["rows"]
    names, first = [row["with"] for row in rows], rows[0]["seconds"]
    left = [0.0] * len(rows)
    for part, colour in (("text", COLOURS[2]), ("denoise", OURS), ("decode", COLOURS[4])):
        widths = [row[part] for row in rows]
        axes.barh(names, widths, left=left, color=colour, height=0.7, label=part)
        left = [a + b for a, b in zip(left, widths, strict=True)]
    for place, row in enumerate(rows):
        change = f"   {100 * (row['seconds'] / first - 1):+.1f} %" if place else ""
        axes.annotate(
            f"{tables.figure(row['seconds'])} s{change}", (row["seconds"], place), (4, 0),
            textcoords="offset points", va="center", fontsize=9,
        )  # fmt: skip
    axes.invert_yaxis()
    axes.set_xlim(right=1.25 * max(row["seconds"] for row in rows))
    axes.set_xlabel("seconds per picture; percent: against the first row")
    axes.legend(loc="lower right")


def profile(figure: Any, result: Result) -> None:
    """Stages of a picture, and parts of a step, as two stacked bars with a legend each."""
    stages = {name: timing["median"] for name, timing in result.values["stages"].items()}
    bars = (("One picture", stages), ("One step", result.values["step_parts"]))
    for axes, (title, parts) in zip(figure.subplots(2, 1), bars, strict=True):
        total, left = sum(parts.values()), 0.0
        for number, (name, seconds) in enumerate(parts.items()):
            share = 100 * seconds / total
            axes.barh(0, share, left=left, color=COLOURS[number], height=0.8, label=f"{name} {_duration(seconds)}")
            if share > 4:
                axes.annotate(f"{share:.0f} %", (left + share / 2, 0), ha="center", va="center", color="white")
            left += share
        axes.set_axis_off()
        axes.set_title(f"{title}, {_duration(total)}")
        axes.set_xlim(0, 100)
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, 0.0), ncols=4, handlelength=1.0, columnspacing=1.2)
    used = result.values["gpu_utilisation"]
    if used is not None:
        figure.supxlabel(f"the card computes {100 * used:.0f} % of the time of a step", fontsize=10)


def characters(figure: Any, result: Result) -> None:
    """Seconds per step by number of characters."""
    axes = figure.subplots()
    for kind, colour, marker in (("standard", THEIRS, "s"), ("fast", OURS, "o")):
        rows = [row for row in result.values["rows"] if row["attention"] == kind]
        axes.errorbar(
            [row["characters"] for row in rows],
            [1e3 * row["seconds"]["median"] for row in rows],
            yerr=_whiskers([row["seconds"] for row in rows]),
            label=f"{kind} attention ({', '.join(dict.fromkeys(row['kernel'] for row in rows))})",
            color=colour, marker=marker, capsize=3,
        )  # fmt: skip
    words = {row["characters"]: row["words"] for row in result.values["rows"]}
    axes.set_xticks(list(words), [f"{characters}\n({n} words)" for characters, n in words.items()])
    axes.set_xlabel("characters in the picture (words of the caption)")
    axes.set_ylabel("milliseconds per guided step")
    axes.set_ylim(bottom=0)
    axes.grid(axis="y", alpha=0.25)
    axes.legend()


def quality(figure: Any, result: Result) -> None:
    """Error by speed, and by evaluations: a mark per setting, a colour per method, plain fewer steps as a line."""
    by_speed, by_work = figure.subplots(1, 2, sharey=True)
    trials = [each for each in result.values["trials"] if each["error"] > 0]
    families: dict[str, list[Mapping[str, Any]]] = {}
    for each in trials:
        families.setdefault(_family(each), []).append(each)
    fewer = sorted(result.values["fewer"], key=lambda each: each["work"])
    for axes, key, label in ((by_speed, "speed", "times as fast"), (by_work, "work", "evaluations")):
        axes.plot([each[key] for each in fewer], [each["error"] for each in fewer], color=GREY, marker=".",
                  label="fewer steps, best shift")  # fmt: skip
        for number, (family, of) in enumerate(families.items()):
            axes.scatter([each[key] for each in of], [each["error"] for each in of], s=24, label=family,
                         color=COLOURS[number % len(COLOURS)], marker=MARKERS[number % len(MARKERS)])  # fmt: skip
        axes.set_xlabel(label)
        axes.set_yscale("log")
        axes.grid(alpha=0.25)
    by_work.invert_xaxis()
    by_speed.set_ylabel("relative error of the latents")
    figure.legend(*by_speed.get_legend_handles_labels(), loc="outside lower center", ncols=6)


def _family(trial: Mapping[str, Any]) -> str:
    """What a setting is a setting of: the names of its methods."""
    if "peer" in trial:
        return "cache-dit"
    setting = trial["setting"]
    names = [
        part.partition(":")[0] for part in setting.get("accel", "").split(",") if "=" not in part.partition(":")[0]
    ]
    names += ["preset"] if setting.get("plan") else []
    names += ["fewer steps"] if "steps" in setting else []
    return " + ".join(names) or "exact"


def _whiskers(timings: Sequence[Mapping[str, Any]], scale: float = 1e3) -> list[list[float]]:
    """Distances from the median to the quartiles."""
    return [
        [scale * (t["median"] - t["quartiles"][0]) for t in timings],
        [scale * (t["quartiles"][1] - t["median"]) for t in timings],
    ]


def _duration(seconds: float) -> str:
    return f"{seconds:.3g} s" if seconds >= 1 else f"{1e3 * seconds:.3g} ms"


def _where(result: Result) -> str:
    about = result.about
    if about["device"] != "cpu":
        return str(about["device"])
    return f"{about['cpu']} ({about['cpu_capability']}), CPU threads: {about['threads']}"


PLOTS: dict[str, Callable[[Any, Result], None]] = {
    "model": model,
    "attention": attention,
    "waterfall": waterfall,
    "profile": profile,
    "characters": characters,
    "quality": quality,
}
