"""The two programs that the tests start: mock-hf as the upstream Hub, and modelhub between it and the clients."""

import contextlib
import json
import os
import queue
import re
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
START_DEADLINE = 60
STOP_DEADLINE = 60


def binary(variable, name):
    built = ROOT / os.environ.get("CARGO_TARGET_DIR", "target") / "debug" / name
    path = Path(os.environ.get(variable) or built)
    if not path.is_file():
        raise AssertionError(f"{path} is missing: build it (cargo build --bins) or set {variable}")
    return str(path)


def plain_environment():
    """What programs need of ours, and nothing that would change what they do."""
    keep = ("PATH", "TMPDIR", "LD_LIBRARY_PATH")
    return {"LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"} | {name: os.environ[name] for name in keep if name in os.environ}


# Straight to loopback, whatever proxy the environment names; redirects are shown, not followed.
class _Still(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


_still = urllib.request.build_opener(urllib.request.ProxyHandler({}), _Still)


class Reply:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    def json(self):
        return json.loads(self.body)


def http(method, url, body=None, headers=None):
    """One request by the standard library; a status of 400 or more is an answer, not an exception."""
    request = urllib.request.Request(url, data=body, headers=headers or {}, method=method)
    try:
        with _still.open(request, timeout=60) as response:
            return Reply(response)
    except urllib.error.HTTPError as error:
        with error:
            return Reply(error)


def wait_until(condition, what, deadline=60):
    """Asks again and again until something is true; fails with `what` when it never is."""
    end = time.monotonic() + deadline
    while not (found := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"waited {deadline} s in vain until {what}")
        time.sleep(0.02)
    return found


class Service:
    """A child process that says on stdout when it is ready. Its output goes to files for the report of a failure."""

    def __init__(self, name, argv, environment, log_dir, patterns):
        self.name = name
        self._stderr = open(log_dir / f"{name}.stderr.log", "ab")
        self._stdout = open(log_dir / f"{name}.stdout.log", "ab")
        self.process = subprocess.Popen(
            argv, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self._stderr
        )
        self._lines = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.found = self._wait_for(patterns)

    def _read(self):
        for line in self.process.stdout:
            self._stdout.write(line)
            self._stdout.flush()
            self._lines.put(line.decode(errors="replace").rstrip("\n"))
        self._lines.put(None)

    def _wait_for(self, patterns):
        found = {}
        end = time.monotonic() + START_DEADLINE
        while len(found) < len(patterns):
            try:
                line = self._lines.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                self.kill()
                raise AssertionError(f"{self.name} did not say {patterns} in {START_DEADLINE} s") from None
            if line is None:
                self.kill()
                stderr = Path(self._stderr.name).read_text(errors="replace")[-3000:]
                raise AssertionError(f"{self.name} ended with {self.process.returncode} before it was ready:\n{stderr}")
            for key, pattern in patterns.items():
                if match := re.match(pattern, line):
                    found[key] = match.group(1)
        return found

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()

    def kill(self):
        """SIGKILL: no chance to clean up."""
        self._end(signal.SIGKILL)

    def stop(self):
        self._end(signal.SIGTERM)

    def freeze(self):
        """Accepts connections, as the kernel does that for it, and never answers."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

    def _end(self, number):
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            self.process.wait(STOP_DEADLINE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"{self.name} did not end within {STOP_DEADLINE} s of signal {number}") from None
        finally:
            self._reader.join(5)
            for file in (self._stdout, self._stderr, self.process.stdout):
                with contextlib.suppress(OSError):
                    file.close()


class Mock(Service):
    """The upstream. Its controls are described in mock-hf/src/control.rs."""

    ALICE = "hf_mockAliceTokenForTestsOnly000000000001"
    BOB = "hf_mockBobTokenForTestsOnly00000000000002"
    REVOKED = "hf_mockRevokedTokenForTestsOnly0000000003"

    def __init__(self, log_dir, repos, listen="127.0.0.1:0", cdn_listen="127.0.0.1:0", cdn_base=None):
        argv = [binary("MOCK_HF_BIN", "mock-hf"), "--listen", listen, "--cdn-listen", cdn_listen, "--demo"]
        argv += ["--cdn-base", cdn_base] if cdn_base else []
        argv += [argument for folder in repos for argument in ("--repos", str(folder))]
        patterns = {"url": r"hub +(http://\S+)", "cdn": r"cdn +(https?://\S+)", "ready": r"(ready): "}
        super().__init__("mock-hf", argv, plain_environment(), log_dir, patterns)
        self.url = self.found["url"]
        self.address = self.url.removeprefix("http://")

    def control(self, method, path, value=None):
        body = None if value is None else json.dumps(value).encode()
        reply = http(method, f"{self.url}/_mock/{path}", body)
        assert reply.status == 200, reply.body
        return reply.json()

    def log(self):
        return self.control("GET", "log")

    def clear(self):
        self.control("DELETE", "log")

    def stats(self):
        return self.control("GET", "stats")

    def fault(self, fault, **conditions):
        return self.control("POST", "faults", {**conditions, "fault": fault})["id"]

    def applied(self, fault_id):
        """How often a fault struck."""
        return next(rule["applied"] for rule in self.control("GET", "faults") if rule["id"] == fault_id)

    def clear_faults(self):
        self.control("DELETE", "faults")

    def add_random(self, repo_id, path, size, seed):
        """Commits an LFS file of reproducible noise to main; the new commit."""
        change = {"put": {"path": path, "lfs": True, "random": {"seed": seed, "size": size}}}
        return self.control("POST", "commit", {"kind": "model", "id": repo_id, "changes": [change]})["commit"]

    def source(self, path, token=None):
        """The content of a file as the upstream has it, by its path below `/`."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        url = f"{self.url}/{path}"
        reply = http("GET", url, headers=headers)
        if reply.status in (302, 307):
            target = urllib.parse.urljoin(url, reply.headers["location"])
            # As a client does: the token stays with the Hub.
            reply = http("GET", target, headers=headers if target.startswith(self.url) else {})
        assert reply.status == 200, (path, reply.status, reply.body[:300])
        return reply.body

    def files(self, repo_id, kind="models", revision="main"):
        """What a repository holds, path by path, as the upstream lists it."""
        reply = http("GET", f"{self.url}/api/{kind}/{repo_id}/tree/{revision}?recursive=true")
        assert reply.status == 200, reply.body
        return [entry["path"] for entry in reply.json() if entry["type"] == "file"]

    def commit(self, repo_id, kind="models", revision="main"):
        return http("GET", f"{self.url}/api/{kind}/{repo_id}/revision/{revision}").json()["sha"]


class Hub(Service):
    """modelhub with its defaults, a data directory of its own and the mock as its upstream."""

    def __init__(self, log_dir, upstream, data_dir, listen="127.0.0.1:0", variables=None, **settings):
        environment = plain_environment() | {
            "HOME": str(log_dir),
            "MODELHUB_DATA_DIR": str(data_dir),
            "MODELHUB_HUB_LISTEN": listen,
            "MODELHUB_ADMIN_LISTEN": "127.0.0.1:0",
            "MODELHUB_UPSTREAM_URL": upstream,
            # The mock's CDN is another port of its host.
            "MODELHUB_UPSTREAM_CDN_HOSTS": "127.0.0.1",
            # The mock has no Xet store; so whoever asks it for one is a client that was led past the hub.
            "MODELHUB_XET_FETCH": "never",
            "MODELHUB_LOG": "info,modelhub::api=debug",
            **{f"MODELHUB_{name.upper()}": str(value) for name, value in settings.items()},
            **(variables or {}),
        }
        self.data_dir = data_dir
        log = log_dir / "modelhub.stderr.log"
        # Of a hub that was started again, the log goes on.
        self._seen = log.stat().st_size if log.exists() else 0
        patterns = {"url": r"hub listening on (http://\S+)", "admin": r"admin listening on (http://\S+)"}
        super().__init__("modelhub", [binary("MODELHUB_BIN", "modelhub"), "serve"], environment, log_dir, patterns)
        self.url = self.found["url"]
        self.address = self.url.removeprefix("http://")
        self.admin = self.found["admin"]

    def requests(self):
        """What this hub answered since the last call: (method, path, status)."""
        with open(self._stderr.name, "rb") as log:
            log.seek(self._seen)
            text = log.read()
        text = text[: text.rfind(b"\n") + 1]
        self._seen += len(text)
        lines = [json.loads(line) for line in text.splitlines() if b'"answered"' in line]
        return [(line["span"]["method"], line["span"]["path"], line["status"]) for line in lines]

    def metric(self, name):
        """The sum of a metric over its labels."""
        text = http("GET", f"{self.admin}/metrics").body.decode()
        return sum(float(value) for value in re.findall(rf"^{name}(?:\{{.*\}})? (\S+)$", text, re.MULTILINE))
