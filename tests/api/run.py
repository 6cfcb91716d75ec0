"""Schemathesis over the admin API: the real program, its own /openapi.json, a mock Hub behind it.

No answer may be a server error or differ from the document. The event stream, which never ends, is left out: other
tests follow it.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "clients"))

from services import Hub, Mock, http, wait_until  # noqa: E402 (the path comes first)

CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "response_headers_conformance",
    "unsupported_method",
    "allow_header_conformance",
]


def post(hub, path, message):
    reply = http("POST", f"{hub.admin}{path}", json.dumps(message).encode())
    assert reply.status == 200, reply.body


def settled(hub):
    jobs = http("GET", f"{hub.admin}/v1/jobs?status=pending&status=running").json()["jobs"]
    return not jobs


def main():
    seconds = os.environ.get("API_SECONDS", "60")
    with tempfile.TemporaryDirectory() as folder, Mock(Path(folder), []) as mock:
        hub = Hub(Path(folder), mock.url, Path(folder) / "data", log="error")
        try:
            # Something to find: models that are here, one that is not, and jobs of each kind.
            for repo in ["demo/tiny-llama", "demo/gated"]:
                post(hub, "/v1/models", {"repo_id": repo})
            wait_until(lambda: settled(hub), "syncs end")
            post(hub, "/v1/models/demo/tiny-llama/download", {})
            wait_until(lambda: settled(hub), "the download ends")
            command = [
                Path(sys.executable).parent / "schemathesis",
                f"--config-file={HERE / 'schemathesis.toml'}",
                "run",
                f"{hub.admin}/openapi.json",
                f"--checks={','.join(CHECKS)}",
                "--exclude-path=/v1/events",
                "--phases=examples,coverage,fuzzing",
                f"--max-time={seconds}",
                "--continue-on-failure",
                "--warnings=off",
                *sys.argv[1:],
            ]
            # It leaves files where it runs.
            code = subprocess.run(command, stdin=subprocess.DEVNULL, cwd=folder, check=False).returncode
            # It is alive, and says so.
            assert http("GET", f"{hub.admin}/readyz").status == 200
            return code
        finally:
            hub.stop()


if __name__ == "__main__":
    sys.exit(main())
