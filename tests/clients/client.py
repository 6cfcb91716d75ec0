"""A version of a client: its own environment, a cache folder of its own, and `driver.py` as its hands."""

import dataclasses
import functools
import json
import re
import subprocess
from pathlib import Path

from services import ROOT, plain_environment

HERE = Path(__file__).resolve().parent
VERSIONS = ("2.4.0", "0.36.0", "0.28.1")
"""As users install them: all but the last have hf_xet, and download LFS files with it."""
WITHOUT_XET = ("2.4.0-http", "0.36.0-http")
"""The same with HF_HUB_DISABLE_XET."""
WAYS = VERSIONS + WITHOUT_XET
CALL_DEADLINE = 240


@functools.cache
def environment_of(name):
    """The folder of the virtual environment, made on first use."""
    command = [ROOT / "scripts" / "venv", name, HERE / "requirements" / f"{name}.txt"]
    done = subprocess.run(command, check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert done.returncode == 0, f"scripts/venv {name} failed:\n{done.stdout}{done.stderr}"
    return Path(done.stdout.strip())


SOCKET_ADDRESS = re.compile(r'sin6?_port=htons\((\d+)\), .*?(?:inet_addr\(|inet_pton\(AF_INET6, )"(.+?)"')
STRACE = ["strace", "--follow-forks", "--seccomp-bpf", "--quiet=all", "--trace=connect,sendto,sendmsg,sendmmsg"]


@functools.cache
def can_watch():
    """Whether strace may follow processes here. Without strace nothing is left out: `make test-clients` installs it."""
    done = subprocess.run([*STRACE, "--output", "/dev/null", "true"], check=False, capture_output=True)
    return done.returncode == 0


class Answer:
    """What one call came to. Asking for the other outcome fails with the client's own traceback."""

    def __init__(self, call, answer):
        self.call = call
        self._answer = answer

    @property
    def value(self):
        assert "value" in self._answer, f"{self.call} failed:\n{self._answer['error']['trace']}"
        return self._answer["value"]

    @property
    def failed(self):
        return "error" in self._answer

    @property
    def error(self):
        assert "error" in self._answer, f"{self.call} should have failed, but gave {self._answer['value']}"
        return self._answer["error"]

    def fails_as(self, name, but_not=()):
        """Asserts that the error is of this class or derived from it, and of none of the others."""
        bases = self.error["bases"]
        assert name in bases, f"{self.call}: {self.error['type']} is no {name}:\n{self.error['trace']}"
        wrong = [other for other in but_not if other in bases]
        assert not wrong, f"{self.call}: {self.error['type']} is a {wrong}:\n{self.error['trace']}"
        return self.error


class Running:
    """A client process under way."""

    def __init__(self, client, argv, calls, token):
        self.client = client
        self.calls = calls
        client.home.mkdir(parents=True, exist_ok=True)
        if client.watched:
            argv = [*STRACE, "--output", client.trace, *argv]
        self.process = subprocess.Popen(
            argv,
            env=client.environment(token),
            cwd=client.home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def output(self):
        """Waits for the end: exit status, stdout, stderr. The client has talked to nobody but its endpoint."""
        try:
            stdout, stderr = self.process.communicate(timeout=CALL_DEADLINE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            stdout, stderr = self.process.communicate()
            raise AssertionError(f"{self.calls} took more than {CALL_DEADLINE} s:\n{stdout}\n{stderr}") from None
        self.client.talked_only_to_its_endpoint()
        return self.process.returncode, stdout, stderr

    def answers(self):
        status, stdout, stderr = self.output()
        assert status == 0, f"the driver ended with {status}:\n{stdout}\n{stderr}"
        answers = json.loads(stdout.splitlines()[-1])
        return [Answer(call, answer) for call, answer in zip(self.calls, answers, strict=True)]

    def kill(self):
        self.process.kill()
        self.process.communicate()


@dataclasses.dataclass
class Client:
    name: str
    """Of the requirements file: `hub-2.4.0`."""
    endpoint: str
    home: Path
    """Holds HF_HOME; a new one is a client that has seen nothing yet."""
    settings: dict = dataclasses.field(default_factory=dict)
    """More environment variables."""
    watched: bool = False
    """Under strace, which sees the sockets of native code too."""

    @classmethod
    def of(cls, way, endpoint, home):
        """One of `WAYS`."""
        version = way.removesuffix("-http")
        return cls(f"hub-{version}", endpoint, home, {} if version == way else {"HF_HUB_DISABLE_XET": "1"})

    @property
    def version(self):
        return self.name.removeprefix("hub-")

    @property
    def speaks_xet(self):
        return self.version != "0.28.1" and "HF_HUB_DISABLE_XET" not in self.settings

    @property
    def trace(self):
        return self.home / "strace.log"

    def with_settings(self, **variables):
        return dataclasses.replace(self, settings=self.settings | variables)

    @property
    def connect_log(self):
        return self.home / "connects.jsonl"

    def environment(self, token=None):
        variables = plain_environment() | {
            "HOME": str(self.home),
            "HF_HOME": str(self.home / "hf"),
            "HF_ENDPOINT": self.endpoint,
            "HF_HUB_DISABLE_UPDATE_CHECK": "1",
            "NO_PROXY": "*",
            "PYTHONPATH": str(HERE / "recorder"),
            "PYTHONDONTWRITEBYTECODE": "1",
            "CLIENT_CONNECT_LOG": str(self.connect_log),
        }
        return variables | self.settings | ({"HF_TOKEN": token} if token else {})

    def fresh(self, name="fresh"):
        """The same client with an empty cache."""
        homes = self.home.parent
        number = sum(1 for _ in homes.glob(f"{name}-*"))
        client = dataclasses.replace(self, home=homes / f"{name}-{number}")
        client.home.mkdir(parents=True)
        return client

    def start(self, *calls, token=None):
        """Begins `[name, arguments]` calls, one after the other in one process."""
        python = environment_of(self.name) / "bin" / "python"
        return Running(self, [python, HERE / "driver.py", json.dumps(calls)], calls, token)

    def calls(self, *calls, token=None):
        return self.start(*calls, token=token).answers()

    def call(self, function, /, token=None, **arguments):
        [answer] = self.calls([function, arguments], token=token)
        return answer

    def cli(self, *arguments, token=None):
        """The command line tool under the name that this version has for it; its output when it succeeds."""
        tool = environment_of(self.name) / "bin" / ("hf" if self.version == "2.4.0" else "huggingface-cli")
        status, stdout, stderr = Running(self, [tool, *arguments], arguments, token).output()
        assert status == 0, f"{tool.name} {arguments} ended with {status}:\n{stdout}\n{stderr}"
        return stdout

    def connections(self):
        """Where the client connected to, and what names it looked up."""
        found = set()
        if self.connect_log.exists():
            found |= {json.loads(line)["address"] for line in self.connect_log.read_text().splitlines()}
        if self.watched:
            found |= {f"{address}:{port}" for port, address in SOCKET_ADDRESS.findall(self.trace.read_text())}
        return found

    def talked_only_to_its_endpoint(self):
        others = self.connections() - {self.endpoint.removeprefix("http://")}
        assert not others, f"{self.name} also went to {sorted(others)}"
