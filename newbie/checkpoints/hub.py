"""Models from a hub. The only door to huggingface_hub: resume, offline use (HF_HUB_OFFLINE), mirrors (HF_ENDPOINT)
and the cache are its own. Here: which files are needed, what they weigh, and that what arrived is what was sent.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from newbie.checkpoints.remote import NEEDED, NEVER, Remote, check, is_weights, needed
from newbie.errors import WeightsError

SHA256 = re.compile("[0-9a-f]{64}")
RESUME_FROM = 2**23  # bytes; the library forgets what it had of a file when its process ends


class NoConnection(WeightsError):
    """The hub cannot be reached; what is in the cache may do."""


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
    if not any(is_weights(file.path) for file in files):
        raise WeightsError(
            f"{repository}: holds no weights this program reads", "expected .safetensors files (or --allow-pickle)"
        )
    absent = [file for file in files if not _cached(repository, sha, file.path, folder)]
    plan = Download(repository, sha, files, sum(f.size for f in files), sum(f.size for f in absent), folder)
    if absent:
        if on_download is not None:
            on_download(plan)
        _require_room(plan)
    checked = [file for file in absent if _fetch_large(repository, sha, file, folder)]
    root = _fetch(repository, revision, sha, [file.path for file in files], folder)
    for file in absent:
        if file not in checked:
            check(root / file.path, file)
    return root


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
            str(file.lfs.sha256) if file.lfs and SHA256.fullmatch(file.lfs.sha256) else "",
            "" if file.lfs else str(file.blob_id or ""),
        )
        for file in info.siblings or []
    ]
    return str(info.sha), files


def _cached(repository: str, sha: str, path: str, cache: Path) -> bool:
    from huggingface_hub import try_to_load_from_cache

    return isinstance(try_to_load_from_cache(repository, path, cache_dir=cache, revision=sha), str)


def _fetch_large(repository: str, sha: str, file: Remote, cache: Path) -> bool:
    """Fetch a large file to where the cache keeps it, continuing what an earlier process began; then check it.

    False where that is left to the library: small files, and caches that cannot use links (Windows without the
    right to make them).
    """
    if file.size < RESUME_FROM or not file.sha256:
        return False
    from huggingface_hub import get_hf_file_metadata, hf_hub_url
    from huggingface_hub.file_download import are_symlinks_supported, http_get, repo_folder_name
    from huggingface_hub.utils import WeakFileLock, build_hf_headers  # type: ignore[attr-defined]

    name = repo_folder_name(repo_id=repository, repo_type="model")
    blobs, locks = cache / name / "blobs", cache / ".locks" / name
    part = blobs / f"{file.sha256}.newbie.incomplete"
    with _explained(repository, sha):
        blobs.mkdir(parents=True, exist_ok=True)
        locks.mkdir(parents=True, exist_ok=True)
        if (blobs / file.sha256).exists() or not are_symlinks_supported(cache):
            return False
        with WeakFileLock(locks / f"{file.sha256}.newbie.lock"):
            url = hf_hub_url(repository, file.path, revision=sha)
            place = get_hf_file_metadata(url).location
            headers = build_hf_headers()
            if urlsplit(place).netloc != urlsplit(url).netloc:
                headers.pop("authorization", None)  # the storage behind the hub has keys of its own
            with part.open("ab") as out:
                start = out.tell() if out.tell() <= file.size else 0
                out.truncate(start)
                http_get(place, out, resume_size=start, headers=headers, expected_size=file.size)
            check(part, file)
            part.replace(blobs / file.sha256)
    return True


def _require_room(plan: Download) -> None:
    home = next(parent for parent in (plan.folder, *plan.folder.absolute().parents) if parent.exists())
    free = shutil.disk_usage(home).free
    if free < plan.to_fetch:
        raise WeightsError(
            f"{plan.repository}: needs {_mib(plan.to_fetch)}, the disk has {_mib(free)} free",
            "free some space, or set HF_HOME to another disk",
        )


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
    except WeightsError:
        raise
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
