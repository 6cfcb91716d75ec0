"""An upstream with one file that is larger than plain HTTP is for. Nobody can hash it in a test, so its digests are
made up: it is for the beginning of a download only."""

import contextlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

REPO = "tests/huge"
FILE = "huge.bin"
SIZE = 51 * 1000**3
COMMIT = "c" * 40
BLOCK = 1024 * 1024
_PATTERN = bytes(range(256)) * (BLOCK // 256)


def content(block):
    """Every MiB begins with its number."""
    return block.to_bytes(8, "little") + _PATTERN[8:]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.answer()

    def do_GET(self):
        self.answer()

    def answer(self):
        path = self.path.split("?")[0]
        oid, xet = "a" * 64, "b" * 64
        if path.startswith(f"/api/models/{REPO}/tree/"):
            lfs = {"oid": oid, "size": SIZE, "pointerSize": 135}
            self.json([{"type": "file", "oid": "d" * 40, "size": SIZE, "lfs": lfs, "xetHash": xet, "path": FILE}])
        elif path.startswith(f"/api/models/{REPO}"):
            kinds = {"private": False, "gated": False, "disabled": False}
            self.json({"id": REPO, "sha": COMMIT, **kinds, "siblings": [{"rfilename": FILE}]})
        elif path.startswith(f"/{REPO}/resolve/"):
            linked = {"x-linked-size": str(SIZE), "x-linked-etag": f'"{oid}"', "x-xet-hash": xet}
            self.head(302, {"location": "/file", "x-repo-commit": COMMIT, **linked, "content-length": "0"})
        elif path == "/file":
            self.file()
        else:
            self.head(404, {"x-error-code": "EntryNotFound", "content-length": "0"})

    def head(self, status, headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def json(self, value):
        body = json.dumps(value).encode()
        self.head(200, {"content-type": "application/json", "x-repo-commit": COMMIT, "content-length": str(len(body))})
        self.wfile.write(body if self.command == "GET" else b"")

    def file(self):
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers["range"] or "bytes=0-")
        start, end = int(match[1]), int(match[2] or SIZE - 1) + 1
        headers = {"content-length": str(end - start), "accept-ranges": "bytes"}
        ranged = {"content-range": f"bytes {start}-{end - 1}/{SIZE}"}
        if self.headers["range"]:
            self.head(206, headers | ranged)
        else:
            self.head(200, headers)
        if self.command == "GET":
            with contextlib.suppress(ConnectionError):
                for block in range(start // BLOCK, (end - 1) // BLOCK + 1):
                    at = block * BLOCK
                    self.wfile.write(content(block)[max(start - at, 0) : end - at])


@contextlib.contextmanager
def upstream():
    """Its address, while it runs."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
