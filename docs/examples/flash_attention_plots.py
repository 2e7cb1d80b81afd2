"""The pictures of docs/flash-attention.md, from the numbers that flash_attention.py measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import matplotlib
from flash_attention_measure import full_tiles

matplotlib.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

NAIVE, TILED, SDPA, LEAST = "#d1495b", "#2e6f95", "#e9a23b", "#8d99ae"
COLOUR = {"reference": NAIVE, "tiled": TILED, "sdpa": SDPA}
LABEL = {"reference": "naive (reference)", "tiled": "tiled", "sdpa": "PyTorch SDPA"}
STYLE = {
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e3e6ea",
    "axes.axisbelow": True,
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
}


def draw(numbers: dict[str, Any], folder: Path) -> Iterator[Path]:
    """Every picture whose chapter is in `numbers`, as PNG files in `folder`."""
    pictures: dict[str, tuple[str, Callable[[Any], Figure]]] = {
        "tiles-idea": ("worked", lambda _: idea()),
        "training": ("train", training),
        "heads": ("train", heads),
        "clipping": ("clip", clipping),
        "traffic": ("traffic", traffic),
        "memory": ("memory", memory),
        "tile-sweep": ("tiles", tiles),
        "alignment": ("alignment", alignment),
    }
    for name, (chapter, picture) in pictures.items():
        if chapter not in numbers:
            continue
        with plt.rc_context(STYLE):
            figure = picture(numbers[chapter]["found"])
            path = folder / f"{name}.png"
            figure.savefig(path, dpi=110)
            plt.close(figure)
        yield path


def idea() -> Figure:
    """What lies in slow memory, and what only ever exists as one tile."""
    figure, (naive, tiled) = plt.subplots(1, 2, figsize=(9.6, 4.6))
    for ax, title in ((naive, "naive: all scores exist"), (tiled, "tiled: one tile exists at a time")):
        ax.set(xlim=(-3.4, 8.6), ylim=(-1.2, 11.2), aspect="equal")
        ax.axis("off")
        ax.text(4, 10.5, title, ha="center", fontsize=12)
        ax.add_patch(Rectangle((-2.0, 0), 1.4, 8, fc=LEAST, ec="none", alpha=0.3))
        ax.add_patch(Rectangle((0, 8.6), 8, 1.4, fc=LEAST, ec="none", alpha=0.3))
        ax.text(-1.3, 7, "Q", ha="center", va="center")
        ax.text(1, 9.3, "K, V", ha="center", va="center")
        ax.text(4, -0.7, "L keys", ha="center")
        ax.text(-2.7, 4, "L queries", rotation=90, va="center", ha="center")
    naive.add_patch(Rectangle((0, 0), 8, 8, fc=NAIVE, ec="none", alpha=0.35))
    naive.text(4, 5.6, "S = Q Kᵀ / √D", ha="center", fontsize=12)
    story = ("L × L numbers in slow memory:", "written as S,", "read for the softmax,", "written as P,", "read for P V")
    naive.text(4, 2.1, "\n".join(story), ha="center", fontsize=9.5, linespacing=1.4)
    for n in range(16):
        tiled.add_patch(Rectangle((n % 4 * 2, n // 4 * 2), 2, 2, fill=False, lw=0.8, ls=":", ec=LEAST))
    for n, alpha in ((0, 0.12), (2, 0.25)):
        tiled.add_patch(Rectangle((n, 4), 2, 2, fc=TILED, ec="none", alpha=alpha))
    for x, y, width, height in ((-2.0, 4, 1.4, 2), (4, 8.6, 2, 1.4), (4, 4, 2, 2)):
        tiled.add_patch(Rectangle((x, y), width, height, fc=TILED, ec="none"))
    tiled.text(-1.3, 5, "$Q_i$", ha="center", va="center", color="white")
    tiled.text(5, 9.3, "$K_j, V_j$", ha="center", va="center", color="white")
    tiled.text(5, 5, "S, P in\nfast\nmemory", ha="center", va="center", color="white", fontsize=9)
    tiled.annotate("", (7.9, 5), (6.1, 5), arrowprops={"arrowstyle": "->", "lw": 1.8, "color": TILED})
    carried = "carried from tile to tile:\nm, l and acc of these queries"
    tiled.text(4, 2.6, carried, ha="center", va="center", fontsize=9.5, bbox={"fc": "white", "ec": "none", "pad": 4})
    return figure


def training(found: dict[str, Any]) -> Figure:
    """Loss curves of the three kernels on two tasks."""
    figure, axes = plt.subplots(1, 2, figsize=(9.6, 3.8))
    titles = {"reverse": "reverse 40 digits, one head", "sort": "sort 40 digits, four heads"}
    look = {"reference": ("-", 6.0, 0.4), "tiled": ("-", 2.0, 1.0), "sdpa": ((0, (2, 2)), 2.0, 1.0)}
    for ax, (task, title) in zip(axes, titles.items(), strict=True):
        losses = found[task]["loss"]
        for name, (line, width, alpha) in look.items():
            ax.plot(losses[name], ls=line, lw=width, alpha=alpha, color=COLOUR[name], label=LABEL[name])
        pairs = [zip(losses[name], losses["reference"], strict=True) for name in ("tiled", "sdpa")]
        apart = max(abs(ours - exact) for pair in pairs for ours, exact in pair)
        ax.text(0.97, 0.6, f"largest distance: {apart:.1e}", transform=ax.transAxes, ha="right", color="#555")
        ax.set(title=title, ylim=(0, None), xlabel="training step", ylabel="loss")
    axes[0].legend()
    return figure


def heads(found: dict[str, Any]) -> Figure:
    """Where the trained heads look, and what four heads are good for."""
    figure = plt.figure(figsize=(9.6, 5.6))
    grid = figure.add_gridspec(2, 4, height_ratios=(1.1, 1))
    one, curves = figure.add_subplot(grid[0, :2]), figure.add_subplot(grid[0, 2:])
    one.imshow(found["reverse"]["at_places"][0], cmap="magma", vmin=0)
    one.set(title="reverse: the one head", ylabel="place that asks", xlabel="place it looks at")
    sort = found["sort"]
    curves.plot(sort["one_head"], color=LEAST, label="one head of 64 channels")
    curves.plot(sort["loss"]["sdpa"], color=TILED, label="four heads of 16 channels")
    curves.set(title="sort: as many weights, more heads", xlabel="training step", ylabel="loss", ylim=(0, None))
    curves.legend()
    most = max(weight for head in sort["at_digits"] for row in head for weight in row)
    for number, looks in enumerate(sort["at_digits"][:4]):
        ax = figure.add_subplot(grid[1, number])
        ax.imshow(looks, cmap="magma", vmin=0, vmax=most, aspect="auto", interpolation="nearest")
        ax.set(title=f"sort: head {number + 1}", xlabel="digit it looks at", xticks=range(10))
        ax.grid(False)
        if number == 0:
            ax.set_ylabel("place that asks")
    for ax in (one, *figure.axes[2:]):
        ax.set_yticks([0, 20, 39])
    one.set_xticks([0, 20, 39])
    one.grid(False)
    return figure


def clipping(found: dict[str, Any]) -> Figure:
    """The same training with and without a limit to the gradient's length."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.6, 3.4))
    steps = max(len(run["loss"]) for run in found.values())
    for (name, run), colour in zip(found.items(), (NAIVE, TILED), strict=True):
        left.semilogy(run["loss"], color=colour, label=name)
        right.semilogy(run["norm"], color=colour, label=name)
        if (last := len(run["loss"]) - 1) < steps - 1:
            left.plot(last, run["loss"][last], "x", color=colour, ms=8, mew=2)
            left.annotate("NaN", (last, run["loss"][last]), (6, 6), textcoords="offset points", color=colour)
    left.set(title="loss", xlabel="training step")
    right.axhline(1, color=LEAST, ls=":", lw=1.2)
    right.set(title="length of the gradient, before clipping", xlabel="training step")
    left.legend()
    return figure


def traffic(found: dict[str, Any]) -> Figure:
    """Bytes between slow memory and the cores: by length, and by height of the tiles."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.6, 3.8))
    for name, label, colour in (
        ("naive", "naive", NAIVE),
        ("tiled", "tiled, 128 queries high", TILED),
        ("least", "q, k, v, o once", LEAST),
    ):
        left.loglog(found["lengths"], [n / 1e6 for n in found[name]], "o-", ms=3, color=colour, label=label)
    left.set_xscale("log", base=2)
    left.set_xticks(found["lengths"], [f"{n:,}" for n in found["lengths"]], rotation=35)
    left.set(title="one head of 96 channels, bf16", xlabel="tokens", ylabel="MB moved (counted)")
    left.legend()
    names = ["naive", *map(str, found["heights"]), "once"]
    values = [n / 1e6 for n in (found["image_naive"], *found["image_tiled"], found["image_least"])]
    colours = [NAIVE, *[TILED] * len(found["heights"]), LEAST]
    bars = right.bar(names, values, color=colours)
    right.bar_label(bars, [f"{value:.0f}" if value > 10 else f"{value:.1f}" for value in values], fontsize=9)
    right.set(title=f"{found['image']:,} tokens (1024 × 1024)", xlabel="queries per tile", ylabel="MB moved (counted)")
    right.grid(axis="x", visible=False)
    return figure


def memory(found: dict[str, Any]) -> Figure:
    """Measured peak memory by length, with the slopes of L and of L squared."""
    figure, axes = plt.subplots(1, 2, figsize=(9.6, 3.8), sharey=True)
    for ax, which in zip(axes, ("forward", "backward"), strict=True):
        for name, sizes in found[which].items():
            mark = "s" if name == "sdpa" else "o"
            ax.loglog(
                found["lengths"], [n / 2**20 for n in sizes], f"{mark}-", ms=4, color=COLOUR[name], label=LABEL[name]
            )
        ax.set_xscale("log", base=2)
        ax.set_xticks(found["lengths"], [f"{n:,}" for n in found["lengths"]])
        ax.set(title="forward" if which == "forward" else "forward and backward", xlabel="tokens")
    axes[0].set_ylabel("peak MiB beside q, k, v (measured)")
    axes[0].legend()
    return figure


def tiles(found: dict[str, Any]) -> Figure:
    """Time by height and width of the tiles."""
    sizes, ms = found["sizes"], found["ms"]
    table = [[ms[f"{a}x{b}"] for b in sizes] for a in sizes]
    figure, ax = plt.subplots(figsize=(7.4, 5.4))
    image = ax.imshow(table, cmap="viridis_r", norm="log", origin="lower")
    best = min(min(row) for row in table)
    for y, row in enumerate(table):
        for x, time in enumerate(row):
            dark = time > 3 * best
            text = f"{time:.0f}" if time >= 10 else f"{time:.1f}"
            ax.text(
                x,
                y,
                text,
                ha="center",
                va="center",
                fontsize=8.5,
                color="white" if dark else "black",
                weight="bold" if time == best else "normal",
            )
    ax.set_xticks(range(len(sizes)), map(str, sizes))
    ax.set_yticks(range(len(sizes)), map(str, sizes))
    ax.set(xlabel="keys per tile", ylabel="queries per tile")
    ax.set_title(
        f"milliseconds at {found['length']:,} tokens, {found['heads']} heads of {found['head_dim']}, float32\n"
        f"(naive {ms['reference']:.0f}, SDPA {ms['sdpa']:.0f})"
    )
    ax.grid(False)
    figure.colorbar(image, ax=ax, label="ms")
    return figure


def alignment(found: dict[str, Any]) -> Figure:
    """Time around a round length, around round head sizes, and what whole tiles cost on a GPU."""
    figure, (by_length, by_dim, on_gpu) = plt.subplots(1, 3, figsize=(11.4, 3.5))
    ms, lengths, dims = found["ms"], found["lengths"], found["dims"]
    for name in ("tiled", "sdpa"):
        look = {"marker": "o", "ms": 3.5, "color": COLOUR[name]}
        by_length.plot(lengths, [ms[f"{name} length {n}"] for n in lengths], label=LABEL[name], **look)
        by_dim.plot(dims, [ms[f"{name} dim {n}"] for n in dims], **look)
    by_length.set(title="milliseconds, heads of 64", xlabel="tokens", ylim=(0, None))
    by_dim.set(title=f"milliseconds, {found['length']:,} tokens", xlabel="head size", ylim=(0, None))
    by_dim.set_xticks([48, 64, 80, 96])
    for ax, marks in ((by_length, [found["length"]]), (by_dim, [48, 64, 80, 96])):
        for mark in marks:
            ax.axvline(mark, color=LEAST, ls=":", lw=1.2, zorder=0)
    by_length.legend(loc="center left")
    every = range(16, 1281)
    on_gpu.plot(every, [100 * full_tiles(n, 128) for n in every], color=TILED, lw=1.2)
    on_gpu.set(title="useful work in whole tiles of 128\n(GPU; counted)", xlabel="tokens", ylabel="%", ylim=(0, 103))
    return figure
