"""A folder of golden data: which file is what, and which weights belong to which cases.

Every file of tensors has a JSON beside it with its kind, its configuration and its cases. Names of files group
them: `A_forward`, `A_cfg`, `A_trajectory`, `A_io` are run on `A_weights`, on `A_weights_diffusers` and so on, or on
`A_encoder_weights` and `A_decoder_weights` together.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from newbie.errors import UsageError, WeightsError

_NAME = re.compile(
    r"(?P<key>.+?)_(?:(?P<role>forward|cfg|trajectory|io)|"
    r"(?:(?:encoder|decoder)_)?weights(?P<variant>.*?)(?:-\d+-of-\d+)?)"
)


@dataclass(frozen=True)
class Golden:
    """One golden file: `about` is its JSON."""

    path: Path  # of the JSON
    about: dict[str, Any]

    @property
    def stem(self) -> str:
        return self.path.stem

    @property
    def kind(self) -> str:
        if "system_prompts" in self.about:
            return "prompts"
        return str(self.about.get("kind", ""))

    @property
    def config(self) -> dict[str, Any]:
        config = self.about.get("config") or self.about.get("config_diffusers") or self.about.get("config_original")
        return dict(config) if isinstance(config, dict) else {}

    @property
    def cases(self) -> dict[str, dict[str, Any]]:
        """The cases that the JSON lists, and those that only the names of tensors (`case/tensor`) show."""
        listed = self.about.get("cases")
        cases: dict[str, dict[str, Any]] = dict(listed) if isinstance(listed, dict) else {}
        named = [] if self.is_weights or self.runs else [name.partition("/")[0] for name in self.tensors if "/" in name]
        return cases | {name: {} for name in named if name not in cases}

    @property
    def runs(self) -> dict[str, dict[str, Any]]:
        runs = self.about.get("runs")
        return runs if isinstance(runs, dict) else {}

    @property
    def data(self) -> Path:
        """The file of tensors."""
        return self.path.with_name(str(self.about.get("file") or f"{self.stem}.safetensors"))

    @cached_property
    def tensors(self) -> dict[str, Tensor]:
        """Every tensor. Raises WeightsError when the file is missing or damaged."""
        try:
            return load_file(self.data)
        except (OSError, SafetensorError) as error:
            raise WeightsError(f"{self.data.name} cannot be read: {error}", "copy the golden file again") from error

    def of(self, case: str) -> dict[str, Tensor]:
        """The tensors of one case, without its name in front."""
        start = f"{case}/"
        return {name.removeprefix(start): t for name, t in self.tensors.items() if name.startswith(start)}

    @property
    def key(self) -> str:
        """What cases and weights of one model have in common."""
        match = _NAME.fullmatch(self.stem)
        return match["key"] if match else self.stem

    @property
    def is_weights(self) -> bool:
        return not (self.about.get("cases") or self.runs) and "weights" in self.stem

    @property
    def variant(self) -> str:
        """Weights: which spelling of the same model this is ("" is the first)."""
        match = _NAME.fullmatch(self.stem)
        return match["variant"].strip("_") if match and match["variant"] else ""


@dataclass(frozen=True)
class Weights:
    """All files that together hold one spelling of one model."""

    kind: str
    key: str
    variant: str
    parts: tuple[Golden, ...]

    @property
    def files(self) -> tuple[Path, ...]:
        return tuple(part.data for part in self.parts)

    @property
    def config(self) -> dict[str, Any]:
        return self.parts[0].config


def read(folder: Path) -> list[Golden]:
    """Every golden file of a folder, by name. Raises UsageError when there is none."""
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder", "python -m newbie parity FOLDER")
    found = []
    for path in sorted(folder.glob("*.json")):
        try:
            about = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UsageError(f"{path.name} is no JSON: {error}", "copy the golden file again") from error
        if isinstance(about, dict) and "weight_map" not in about:
            found.append(Golden(path, about))
    if not found:
        raise UsageError(f"no golden files in {folder}", "the folder should hold pairs of .json and .safetensors")
    return found


def without_sidecar(folder: Path, known: Iterable[Golden]) -> list[Path]:
    """Files of tensors that no JSON describes."""
    described = {golden.data.name for golden in known}
    return [path for path in sorted(folder.glob("*.safetensors")) if path.name not in described]


def weights_of(files: Iterable[Golden]) -> list[Weights]:
    """The weights of a folder, halves and shards put together; for each model its official spelling first."""
    groups: dict[tuple[str, str, str], list[Golden]] = {}
    for golden in files:
        if golden.is_weights:
            groups.setdefault((golden.kind, golden.key, golden.variant), []).append(golden)
    return [Weights(*key, tuple(parts)) for key, parts in sorted(groups.items())]


def belonging(golden: Golden, weights: Iterable[Weights]) -> list[Weights]:
    """The weights that a file of cases is run on: those of its name, else those of its configuration."""
    same_kind = [w for w in weights if w.kind == golden.kind]
    named = [w for w in same_kind if w.key == golden.key]
    return named or [w for w in same_kind if w.config == golden.config]
