"""A hub on loopback: the parts of the protocol that fetching a model needs, with faults to order."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Hub:
    """`files` of the one repository "someone/tiny". Requests are logged as (method, path, Range)."""

    files: dict[str, bytes]
    url: str = ""
    log: list[tuple[str, str, str]] = field(default_factory=list)
    cut_after: int = 0  # drop the connection after so many bytes of a large file, once per file; 0 = never
    cut: set[str] = field(default_factory=set)
    corrupt: str = ""  # a file that arrives with one bit turned
    refuse: int = 0  # answer everything with this status
    refusal: str = ""  # the hub's word for it, such as GatedRepo

    def fetched(self) -> list[str]:
        gets = [path for method, path, _ in self.log if method == "GET" and "/resolve/" in path]
        return [path.partition(f"/{COMMIT}/")[2] for path in gets]


def large(name: str) -> bool:
    """Kept outside git, as weights are."""
    return name.endswith((".safetensors", ".bin", ".model", "tokenizer.json"))


def facts(name: str, content: bytes) -> dict[str, object]:
    git = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    entry: dict[str, object] = {"type": "file", "path": name, "size": len(content), "oid": git}
    if large(name):
        entry["lfs"] = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 130}
    return entry


def handler(hub: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args: object) -> None:
            pass

        def do_HEAD(self) -> None:
            self.answer()

        def do_GET(self) -> None:
            self.answer()

        def answer(self) -> None:
            path = unquote(urlsplit(self.path).path)
            hub.log.append((self.command, path, self.headers.get("Range", "")))
            if hub.refuse:
                return self.send(hub.refuse, b"", {"X-Error-Code": hub.refusal} if hub.refusal else {})
            if not re.match(r"(/api/models)?/someone/tiny(/|$)", path):
                return self.send(404, b"", {"X-Error-Code": "RepoNotFound"})
            if path.startswith("/api/models/someone/tiny/tree/"):
                return self.json([facts(name, content) for name, content in hub.files.items()])
            if found := re.fullmatch(r"/api/models/someone/tiny(?:/revision/(.+))?", path):
                if found[1] not in (None, "main", COMMIT):
                    return self.send(404, b"", {"X-Error-Code": "RevisionNotFound"})
                return self.json(self.info())
            if found := re.fullmatch(r"/someone/tiny/resolve/[^/]+/(.+)", path):
                return self.file(found[1])
            return self.send(404, b"", {})

        def info(self) -> dict[str, object]:
            siblings = []
            for name, content in hub.files.items():
                entry = facts(name, content)
                sibling = {"rfilename": name, "size": entry["size"], "blobId": entry["oid"]}
                if "lfs" in entry:
                    lfs = entry["lfs"]
                    sibling["lfs"] = {"sha256": lfs["oid"], "size": lfs["size"], "pointerSize": 130}  # type: ignore[index]
                siblings.append(sibling)
            return {"id": "someone/tiny", "modelId": "someone/tiny", "sha": COMMIT, "siblings": siblings, "tags": []}

        def file(self, name: str) -> None:
            if name not in hub.files:
                return self.send(404, b"", {"X-Error-Code": "EntryNotFound"})
            content = hub.files[name]
            entry = facts(name, content)
            etag = entry["lfs"]["oid"] if "lfs" in entry else entry["oid"]  # type: ignore[index]
            headers = {"ETag": f'"{etag}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
            if hub.corrupt == name:
                content = content[:-1] + bytes([content[-1] ^ 1])
            begin = 0
            if wanted := re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", "")):
                begin = int(wanted[1])
                headers["Content-Range"] = f"bytes {begin}-{len(content) - 1}/{len(content)}"
            cut = large(name) and self.command == "GET" and name not in hub.cut
            if cut:
                hub.cut.add(name)
            return self.send(206 if wanted else 200, content[begin:], headers, cut=cut)

        def json(self, value: object) -> None:
            self.send(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

        def send(self, status: int, body: bytes, headers: dict[str, str], *, cut: bool = False) -> None:
            self.send_response(status)
            for key, value in headers.items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command == "HEAD":
                return
            if cut and hub.cut_after and len(body) > hub.cut_after:
                self.wfile.write(body[: hub.cut_after])
                self.wfile.flush()
                self.close_connection = True
                self.connection.close()
                return
            self.wfile.write(body)

    return Handler


@contextmanager
def serve(files: dict[str, bytes]) -> Iterator[Hub]:
    hub = Hub(files)
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(hub))
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
