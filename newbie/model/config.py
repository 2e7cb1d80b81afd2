"""The shape of a Next-DiT, and the published variants as one row each."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from newbie.errors import WeightsError

_NAMES = "NextDiT_{}_GQA_patch2_Adaln_Refiner{}"
_COUNTS = ("dim", "n_layers", "n_heads", "n_kv_heads", "cap_feat_dim", "in_channels", "patch_size", "multiple_of")


@dataclass(frozen=True)
class NextDiTConfig:
    """What cannot be derived; field names are those of the official `transformer/config.json`.

    Raises WeightsError when the numbers do not fit together.
    """

    dim: int
    n_layers: int
    n_heads: int
    n_kv_heads: int
    axes_dims: tuple[int, int, int]  # rotary channels of (word, row, column); their sum is the head size
    n_refiner_layers: int = 2  # noise refiner blocks, and as many context refiner blocks
    cap_feat_dim: int = 2560  # width of the word features
    clip_text_dim: int | None = 1024  # width of the pooled vector; None: the model has no CLIP branch
    in_channels: int = 16
    patch_size: int = 2
    multiple_of: int = 256
    ffn_dim_multiplier: float | None = None
    norm_eps: float = 1e-5
    qk_norm_eps: float = 1e-6  # also of the pooled vector's norm; 1e-5 where the official code ran with apex
    rope_theta: float = 10000.0
    axes_lens: tuple[int, int, int] = (1024, 512, 512)  # official table limits; kept for the file only

    def __post_init__(self) -> None:
        counts = {name: getattr(self, name) for name in _COUNTS} | {"axes_dims": self.axes_dims}
        for name, value in counts.items():
            numbers = value if isinstance(value, tuple) else (value,)
            if not all(type(number) is int and number > 0 for number in numbers):
                raise WeightsError(f"{name} is {value!r}, not a positive whole number", "check config.json")
        if self.dim % self.n_heads:
            raise WeightsError(
                f"dim {self.dim} does not divide into {self.n_heads} heads",
                "check dim and n_heads in config.json",
            )
        if self.n_heads % self.n_kv_heads:
            raise WeightsError(
                f"{self.n_heads} query heads cannot share {self.n_kv_heads} key/value heads evenly",
                "check n_heads and n_kv_heads in config.json",
            )
        if len(self.axes_dims) != 3 or sum(self.axes_dims) != self.head_dim or any(a % 2 for a in self.axes_dims):
            raise WeightsError(
                f"axes_dims {tuple(self.axes_dims)} are not three even numbers that add up to the head size "
                f"{self.head_dim}",
                "published models split it into equal thirds",
            )

    @property
    def head_dim(self) -> int:
        """Channels of one head."""
        return self.dim // self.n_heads

    @property
    def cond_dim(self) -> int:
        """Width of the conditioning vector that modulates the blocks."""
        return min(self.dim, 1024)

    @property
    def ffn_dim(self) -> int:
        """Hidden width of the feed-forward branch: 4 dim, times the multiplier, rounded up."""
        width = 4 * self.dim
        if self.ffn_dim_multiplier is not None:
            width = int(self.ffn_dim_multiplier * width)
        return math.ceil(width / self.multiple_of) * self.multiple_of

    @property
    def patch_dim(self) -> int:
        """Numbers in one image token before it is embedded."""
        return self.in_channels * self.patch_size**2

    def with_ffn_dim(self, ffn_dim: int) -> NextDiTConfig:
        """The same model with this feed-forward width, as it is read from the shapes of a file."""
        if self.ffn_dim == ffn_dim:
            return self
        multiplier = None if ffn_dim >= 4 * self.dim else ffn_dim / (4 * self.dim)
        return replace(self, multiple_of=ffn_dim, ffn_dim_multiplier=multiplier)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> NextDiTConfig:
        """From an official `config.json`, complete or not: what it leaves out has the release's value.

        `with_clip` false or `clip_text_dim` null means no CLIP branch; `n_kv_heads` null means equal heads.
        Fields without effect on the network are ignored. Raises WeightsError for what we do not build.
        """
        missing = [name for name in ("dim", "n_layers", "n_heads", "axes_dims") if data.get(name) is None]
        if missing:
            raise WeightsError(
                f"the transformer's config has no {', '.join(missing)}", "add them to transformer/config.json"
            )
        if data.get("qk_norm") is False:
            raise WeightsError("qk_norm is false: no published model is built that way", "set qk_norm to true")
        if "CNN" in str(data.get("_class_name", "")):
            raise WeightsError(
                f"{data['_class_name']} is not supported: its patches have another order; it has no weights",
                f"use one of: {', '.join(VARIANTS)}",
            )
        known = {name: data[name] for name in cls.__dataclass_fields__ if data.get(name) is not None}
        if not isinstance(data["axes_dims"], (list, tuple)):
            raise WeightsError(f"axes_dims is {data['axes_dims']!r}, not a list", "check config.json")
        known["axes_dims"] = tuple(data["axes_dims"])
        known["axes_lens"] = tuple(data.get("axes_lens") or cls.axes_lens)
        known["n_kv_heads"] = data.get("n_kv_heads") or data["n_heads"]
        if data.get("with_clip") is False or ("clip_text_dim" in data and data["clip_text_dim"] is None):
            known["clip_text_dim"] = None
        return cls(**known)

    def to_dict(self) -> dict[str, Any]:
        """For `config.json`, so that `from_dict` gives the same configuration back."""
        return {
            **{name: getattr(self, name) for name in self.__dataclass_fields__},
            "axes_dims": list(self.axes_dims),
            "axes_lens": list(self.axes_lens),
            "qk_norm": True,
        }


def _variant(dim: int, layers: int, heads: int, axis: int, *, clip: bool, lens: int = 1024) -> NextDiTConfig:
    return NextDiTConfig(
        dim=dim,
        n_layers=layers,
        n_heads=heads,
        n_kv_heads=8,
        axes_dims=(axis, axis, axis),
        clip_text_dim=1024 if clip else None,
        axes_lens=(lens, 512, 512),
    )


VARIANTS: dict[str, NextDiTConfig] = {
    # Lumina-Image-2.0 and Neta-Lumina are the first row with cap_feat_dim=2304 (Gemma 2).
    _NAMES.format("2B", ""): _variant(2304, 26, 24, 32, clip=False, lens=300),
    _NAMES.format("2B", "_WHIT_CLIP"): _variant(2304, 30, 24, 32, clip=True),
    _NAMES.format("3B", "_WHIT_CLIP"): _variant(2304, 36, 24, 32, clip=True),
    _NAMES.format("3B", ""): _variant(2592, 30, 24, 36, clip=False),
    _NAMES.format("4B", ""): _variant(2880, 32, 24, 40, clip=False, lens=300),
    _NAMES.format("7B", ""): _variant(3840, 32, 32, 40, clip=False, lens=300),
}

RELEASE = VARIANTS[_NAMES.format("3B", "_WHIT_CLIP")]  # NewBie-image-Exp0.1
