"""Models from a hub. The only door to huggingface_hub: resume, offline use (HF_HUB_OFFLINE), mirrors (HF_ENDPOINT)
and the cache are its own. Here: which files are needed, what they weigh, and that what arrived is what was sent.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, NamedTuple

from newbie.errors import WeightsError

# Weights, configurations, tokenizers, licence texts. Never programs, never other frameworks' weights.
NEEDED = ("*.safetensors", "*.safetensors.index.json", "*.json", "*.model", "LICENSE*", "LICENCE*", "NOTICE*")
PICKLES = ("*.bin", "*.pth", "*.pt", "*.ckpt", "*.bin.index.json")
NEVER = ("*.py", "onnx/*", "*/onnx/*", "openvino/*", "*adapter_model.safetensors", "*training_args*", ".*")


class NoConnection(WeightsError):
    """The hub cannot be reached; what is in the cache may do."""


class Remote(NamedTuple):
    """A file as the hub describes it."""

    path: str
    size: int  # bytes
    sha256: str  # "" for small files, which have a git hash instead
    git_sha1: str


class Download(NamedTuple):
    """What is about to be fetched. `to_fetch` is smaller than `size` when some of it is already here."""

    repository: str
    revision: str
    files: tuple[Remote, ...]
    size: int  # bytes
    to_fetch: int  # bytes
    folder: Path  # the cache

    def lines(self) -> list[str]:
        """The download as text: where from, how much, where to."""
        here = f", {_mib(self.size - self.to_fetch)} of it already here" if self.to_fetch < self.size else ""
        return [f"{self.repository}: {len(self.files)} files, {_mib(self.size)}{here}", f"cache: {self.folder}"]


def is_id(text: str) -> bool:
    """Whether a text has the form of a hub id, "user/repo" or "user/repo@revision", rather than of a path."""
    return re.fullmatch(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*(@[\w./-]+)?", text) is not None


def download(
    model: str,
    *,
    allow_pickle: bool = False,
    on_download: Callable[[Download], None] | None = None,
    cache: Path | None = None,
) -> Path:
    """The folder of a hub model on this machine, fetched if it is not there; unfinished downloads continue.

    `on_download` is called with the size before anything is fetched, and may raise to stop. Files that were
    fetched are compared with the hub's sizes and hashes.

    Raises:
        WeightsError: no such model, no access, no connection, a full disk, or a file that arrived damaged.
    """
    repository, _, revision = model.partition("@")
    offline, folder = _settings(cache)
    if offline:
        return _offline(repository, revision, folder)
    try:
        sha, remote = _listing(repository, revision)
    except NoConnection as error:
        try:
            return _offline(repository, revision, folder)
        except WeightsError:
            raise error from None
    files = tuple(sorted(file for file in remote if needed(file.path, allow_pickle=allow_pickle)))
    if not any(fnmatch(file.path, pattern) for file in files for pattern in ("*.safetensors", *PICKLES)):
        raise WeightsError(
            f"{repository}: holds no weights this program reads", "expected .safetensors files (or --allow-pickle)"
        )
    absent = [file for file in files if not _cached(repository, sha, file.path, folder)]
    if absent and on_download is not None:
        size, rest = sum(file.size for file in files), sum(file.size for file in absent)
        on_download(Download(repository, sha, files, size, rest, folder))
    root = _fetch(repository, revision, sha, [file.path for file in files], folder)
    for file in absent:
        check(root / file.path, file)
    return root


def needed(path: str, *, allow_pickle: bool = False) -> bool:
    """Whether a file of a repository is worth fetching."""
    wanted = (*NEEDED, *PICKLES) if allow_pickle else NEEDED
    return any(fnmatch(path, p) for p in wanted) and not any(fnmatch(path, p) for p in NEVER)


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


def _settings(cache: Path | None) -> tuple[bool, Path]:
    from huggingface_hub import constants

    return bool(constants.HF_HUB_OFFLINE), cache or Path(constants.HF_HUB_CACHE)


def _listing(repository: str, revision: str) -> tuple[str, list[Remote]]:
    """The commit that a revision stands for, and its files."""
    from huggingface_hub import HfApi

    with _explained(repository, revision):
        info = HfApi().model_info(repository, revision=revision or None, files_metadata=True)
    files = [
        Remote(
            file.rfilename,
            int(file.size or 0),
            str(file.lfs.sha256) if file.lfs else "",
            "" if file.lfs else str(file.blob_id or ""),
        )
        for file in info.siblings or []
    ]
    return str(info.sha), files


def _cached(repository: str, sha: str, path: str, cache: Path) -> bool:
    from huggingface_hub import try_to_load_from_cache

    return isinstance(try_to_load_from_cache(repository, path, cache_dir=cache, revision=sha), str)


def _fetch(repository: str, revision: str, sha: str, paths: list[str], cache: Path) -> Path:
    from huggingface_hub import snapshot_download

    with _explained(repository, revision):
        # By name rather than by commit: so the name is known when there is no connection.
        folder = snapshot_download(
            repository, revision=revision or None, allow_patterns=paths, cache_dir=cache, max_workers=4
        )
    if Path(folder).name != sha:
        raise WeightsError(f"{repository}: changed while it was fetched", "run the same command again")
    return Path(folder)


def _offline(repository: str, revision: str, cache: Path) -> Path:
    from huggingface_hub import snapshot_download

    with _explained(repository, revision):
        return Path(
            snapshot_download(
                repository,
                revision=revision or None,
                cache_dir=cache,
                local_files_only=True,
                allow_patterns=list(NEEDED),
                ignore_patterns=list(NEVER),
            )
        )


@contextmanager
def _explained(repository: str, revision: str) -> Iterator[None]:
    """Turn the library's errors into ours."""
    try:
        yield
    except Exception as error:
        explained = _explain(error)
        if explained is None:
            raise
        kind, what, hint = explained
        raise kind(f"{repository}@{revision}: {what}" if revision else f"{repository}: {what}", hint) from error


def _explain(error: Exception) -> tuple[type[WeightsError], str, str] | None:
    from huggingface_hub import errors

    if isinstance(error, errors.GatedRepoError):
        return WeightsError, "is gated", "accept its terms on its page, then sign in with `hf auth login`"
    if isinstance(error, errors.RevisionNotFoundError):
        return WeightsError, "has no such revision", "leave the part behind @ away"
    if isinstance(error, errors.RepositoryNotFoundError):
        hint = "check the spelling; private models need `hf auth login`"
        return WeightsError, "is neither a folder here nor a model on the hub", hint
    if isinstance(error, errors.HFValidationError):
        return WeightsError, "is no valid hub id", "a hub id is user/repo"
    if isinstance(error, errors.LocalEntryNotFoundError | errors.OfflineModeIsEnabled):
        return NoConnection, "is not complete in the cache, and the hub cannot be asked", "connect, or name a folder"
    if isinstance(error, OSError) and error.errno is not None and not isinstance(error, ConnectionError):
        return WeightsError, f"could not be written ({error.strerror})", "free some disk space and run it again"
    # The library's own errors, and those of its HTTP client, whose package changed its name between versions.
    if isinstance(error, OSError | RuntimeError) or type(error).__module__.split(".")[0].startswith("httpx"):
        first = (str(error).splitlines() or [type(error).__name__])[0]
        return NoConnection, f"could not be fetched: {first}", "try again; HF_ENDPOINT can name a mirror"
    return None


def _mib(count: int) -> str:
    return f"{count / 2**30:.2f} GiB" if count >= 2**30 else f"{count / 2**20:.1f} MiB"
