"""One evaluation of our Next-DiT beside diffusers' Lumina2Transformer2DModel, same weights, same inputs, float32.

Our words are refined once per generation (`prepare`), theirs in every call; both views are given.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch
from common import write
from diffusers import Lumina2Transformer2DModel

from newbie.attention.sdpa import Sdpa
from newbie.checkpoints.save import save_table
from newbie.checkpoints.translate import untranslate
from newbie.model.config import NextDiTConfig
from newbie.model.init import initialise
from newbie.model.nextdit import NextDiT

CONFIG = NextDiTConfig(
    dim=384, n_layers=8, n_heads=12, n_kv_heads=4, axes_dims=(8, 12, 12), cap_feat_dim=256, clip_text_dim=None
)
WORDS, SIDE, ROUNDS = 96, 64, 7  # a picture of 512x512: 1,024 image tokens


def main() -> None:
    torch.manual_seed(0)
    ours = initialise(NextDiT(CONFIG), torch.Generator().manual_seed(0)).eval()
    with torch.no_grad():
        for parameter in ours.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.02)  # gates and output start at zero
    theirs = Lumina2Transformer2DModel(
        sample_size=SIDE, in_channels=16, hidden_size=CONFIG.dim, num_layers=CONFIG.n_layers, num_refiner_layers=2,
        num_attention_heads=CONFIG.n_heads, num_kv_heads=CONFIG.n_kv_heads, axes_dim_rope=CONFIG.axes_dims,
        axes_lens=(300, 512, 512), cap_feat_dim=CONFIG.cap_feat_dim,
    ).eval()  # fmt: skip
    state = untranslate(ours.state_dict(), save_table("transformer", "diffusers", CONFIG))
    theirs.load_state_dict({name: tensor for name, tensor in state.items() if not name.startswith("norm_final")})
    latents = torch.randn(2, 16, SIDE, SIDE)
    t = torch.tensor([0.3, 0.3])
    hidden = torch.randn(2, WORDS, CONFIG.cap_feat_dim)
    mask = torch.ones(2, WORDS, dtype=torch.bool)
    mask[1, 8:] = False  # the empty prompt of guidance is short
    prepared = ours.prepare(hidden, mask, None, (SIDE, SIDE), attend=Sdpa())

    def whole() -> torch.Tensor:
        return ours(latents, t, ours.prepare(hidden, mask, None, (SIDE, SIDE), attend=Sdpa()))

    runs: dict[str, Callable[[], torch.Tensor]] = {
        "diffusers": lambda: theirs(latents, t, hidden, mask, return_dict=False)[0],
        "ours, prepared once": lambda: ours(latents, t, prepared),
        "ours, prepared each time": whole,
    }
    times: dict[str, list[float]] = {name: [] for name in runs}
    with torch.no_grad():
        results = {name: run() for name, run in runs.items()}  # warm up
        for _ in range(ROUNDS):
            for name, run in runs.items():
                began = time.perf_counter()
                run()
                times[name].append(time.perf_counter() - began)
    medians = {name: statistics.median(values) for name, values in times.items()}
    reference = results["diffusers"]
    write(
        "forward",
        {
            "median_seconds": medians,
            "ratio_to_diffusers": {name: value / medians["diffusers"] for name, value in medians.items()},
            "largest_difference": {
                name: (result - reference).abs().max().item() for name, result in results.items() if "ours" in name
            },
            "output_std": reference.std().item(),
        },
    )


if __name__ == "__main__":
    main()
