"""Files of a hub repository: which are needed, and whether what arrived is what was sent."""

from __future__ import annotations

import hashlib
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, NamedTuple

from newbie.errors import WeightsError

# Weights, configurations, tokenizers, licence texts. Never programs, never other frameworks' weights.
NEEDED = ("*.safetensors", "*.safetensors.index.json", "*.json", "*.model", "LICENSE*", "LICENCE*", "NOTICE*")
PICKLES = ("*.bin", "*.pth", "*.pt", "*.ckpt", "*.bin.index.json")
NEVER = ("*.py", "onnx/*", "*/onnx/*", "openvino/*", "*adapter_model.safetensors", "*training_args*", ".*")


class Remote(NamedTuple):
    """A file as the hub describes it."""

    path: str
    size: int  # bytes
    sha256: str  # "" for small files, which have a git hash instead
    git_sha1: str


def needed(path: str, *, allow_pickle: bool = False) -> bool:
    """Whether a file of a repository is worth fetching."""
    if path.startswith("/") or ".." in path.split("/"):
        return False
    wanted = (*NEEDED, *PICKLES) if allow_pickle else NEEDED
    return any(fnmatch(path, p) for p in wanted) and not any(fnmatch(path, p) for p in NEVER)


def is_weights(path: str) -> bool:
    """Whether a file holds tensors."""
    return any(fnmatch(path, pattern) for pattern in ("*.safetensors", *PICKLES))


def check(path: Path, expected: Remote) -> None:
    """Compare a file with what the hub says of it; a damaged one is removed, so that it is fetched again.

    Raises:
        WeightsError: missing, of another size, or of other content.
    """
    size = path.stat().st_size if path.is_file() else -1
    wrong = f"has {size:,} bytes, the hub says {expected.size:,}" if size != expected.size else ""
    if not wrong and expected.sha256 and _digest(path, hashlib.sha256()) != expected.sha256:
        wrong = "has another SHA-256 than the hub says"
    elif not wrong and not expected.sha256 and expected.git_sha1:
        blob = hashlib.sha1(f"blob {size}\0".encode(), usedforsecurity=False)
        wrong = "" if _digest(path, blob) == expected.git_sha1 else "has another hash than the hub says"
    if wrong:
        path.resolve().unlink(missing_ok=True)
        path.unlink(missing_ok=True)
        raise WeightsError(f"{expected.path}: {wrong}; it was removed", "run the same command again to fetch it anew")


def _digest(path: Path, state: Any) -> str:
    with path.open("rb") as file:
        while piece := file.read(2**20):
            state.update(piece)
    return str(state.hexdigest())
