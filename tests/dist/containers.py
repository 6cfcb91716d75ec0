"""What an image of docker/Dockerfile comes to, without Docker: its last stage, step by step, and networks to run it in.

The root is the packages that the base image consists of, the instructions COPY, ENV, USER, HEALTHCHECK, ENTRYPOINT and
CMD are read from the Dockerfile. `Net` gives each container a network namespace, an address and a name, as a Compose
network does.
"""

import contextlib
import ctypes
import json
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

from services import Service

from places import MOUNTS, ROOT, SOURCES, plain_environment, run

PACKAGES = "libc6,libgcc-s1,tzdata,netbase,base-files"
"""Of gcr.io/distroless/cc-debian12, with its certificates."""


def instructions():
    """The last stage of the Dockerfile: (instruction, rest of the line)."""
    text = (ROOT / "docker/Dockerfile").read_text()
    text = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ")
    stage = text[text.rindex("\nFROM ") + 1 :]
    return [tuple(line.split(None, 1)) for line in stage.splitlines() if line.strip()]


class Image:
    """The root folder and the settings of the image."""

    def __init__(self, folder, program):
        self.root = folder
        self.env, self.user, self.entrypoint, self.cmd, self.health = {}, None, [], [], None
        run(["mmdebstrap", "--quiet", "--variant=extract", f"--include={PACKAGES}", "bookworm", folder, *SOURCES])
        # Of Debian's packages, the base image has neither scripts nor lists.
        for path in ("var/lib/dpkg", "var/cache", "var/lib/apt", "etc/apt", "usr/share/doc", "usr/share/man"):
            shutil.rmtree(folder / path, ignore_errors=True)
        certificates = folder / "etc/ssl/certs"
        certificates.mkdir(parents=True)
        shutil.copy("/etc/ssl/certs/ca-certificates.crt", certificates)
        for name, rest in instructions():
            getattr(self, f"_{name.lower()}")(rest, program)

    def _from(self, rest, _):
        assert rest == "gcr.io/distroless/cc-debian12:nonroot"

    def _copy(self, rest, program):
        *options, source, target = shlex.split(rest)
        # What the stage `build` puts below /image.
        target = self.root / target.lstrip("/")
        if source == "/image/usr/bin/modelhub":
            shutil.copy(program, target)
        else:
            assert source == "/image/data"
            target.mkdir(mode=0o700)
        (owner,) = (option.removeprefix("--chown=") for option in options if option.startswith("--chown="))
        os.chown(target, *map(int, owner.split(":")))

    def _env(self, rest, _):
        self.env |= dict(pair.split("=", 1) for pair in shlex.split(rest))

    def _user(self, rest, _):
        self.user = rest.strip()

    def _entrypoint(self, rest, _):
        self.entrypoint = json.loads(rest)

    def _cmd(self, rest, _):
        self.cmd = json.loads(rest)

    def _healthcheck(self, rest, _):
        self.health = json.loads(rest[rest.index(" CMD ") + 5 :])

    def _volume(self, rest, _):
        self.volume = rest.strip()

    def _expose(self, *_):
        pass

    def size(self):
        return sum(path.lstat().st_size for path in self.root.rglob("*") if path.is_file() and not path.is_symlink())


class Net:
    """A network with a name and an address for each member. This test is one of them as long as it is entered: what it
    starts meanwhile sees nothing of this machine's own network, which is left as it is."""

    def __init__(self, folder):
        self.name = f"mh{os.getpid() % 100000}"
        self.hosts = folder / "hosts"
        self.hosts.write_text("127.0.0.1 localhost\n")
        self.members = []

    def __enter__(self):
        self._before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        run(["ip", "netns", "add", self.name])
        _in(self.name, "ip link set lo up", "ip link add bridge type bridge", "ip link set bridge up")
        namespace, self.address = self.join("upstream")
        _enter(f"/run/netns/{namespace}")
        return self

    def __exit__(self, *_):
        _enter(f"/proc/self/fd/{self._before}")
        os.close(self._before)
        for name in [*self.members, self.name]:
            run(["ip", "netns", "delete", name])

    def join(self, name):
        """A new member: its namespace and its address."""
        number = len(self.members) + 1
        namespace, address = f"{self.name}-{number}", f"10.77.0.{number}"
        run(["ip", "netns", "add", namespace])
        self.members.append(namespace)
        _in(
            self.name,
            f"ip link add port{number} type veth peer name eth0 netns {namespace}",
            f"ip link set port{number} master bridge up",
        )
        _in(namespace, "ip link set lo up", f"ip address add {address}/24 dev eth0", "ip link set eth0 up")
        with self.hosts.open("a") as hosts:
            hosts.write(f"{address} {name}\n")
        return namespace, address


def _in(namespace, *lines):
    for line in lines:
        run(["ip", "netns", "exec", namespace, *line.split()])


def _enter(path):
    """Moves this thread into a network namespace."""
    descriptor = os.open(path, os.O_RDONLY)
    clone_newnet = 0x40000000
    failed = ctypes.CDLL(None, use_errno=True).setns(descriptor, clone_newnet)
    os.close(descriptor)
    assert not failed, os.strerror(ctypes.get_errno())


SCRIPT = (
    """
mount --bind "$1" "$1"
mount --bind "$2" "$1$3"
mount --bind "$4" "$1/etc/hosts"
mount -o remount,bind,ro "$1"
"""
    + MOUNTS
    + """
hostname "$5"
exec setpriv --no-new-privs chroot --userspec="$6" "$1" "${@:7}"
"""
)


class Container:
    """A process with the image as its root, read-only, a volume, and a namespace of a `Net`."""

    def __init__(self, image, net, name, *, volume, environment, log_dir):
        self.image, self.net, self.name, self.volume = image, net, name, volume
        self.environment = plain_environment() | image.env | environment
        self.log_dir = log_dir
        self.namespace, self.address = net.join(name)
        (image.root / "etc/hosts").touch()

    def argv(self, argv):
        image = self.image
        inside = [image.root, self.volume, image.volume, self.net.hosts, self.name, image.user, *argv]
        # Everything is replaced by exec in the end, so that signals reach the program.
        unshare = ["unshare", "--mount", "--uts", "bash", "-euc", SCRIPT, "sh"]
        return ["ip", "netns", "exec", self.namespace, *map(str, unshare), *map(str, inside)]

    def start(self, patterns, command=None):
        return Service(
            self.name,
            self.argv([*self.image.entrypoint, *(command or self.image.cmd)]),
            self.environment,
            self.log_dir,
            patterns,
        )

    def health(self):
        done = subprocess.run(
            self.argv(self.image.health),
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        return done.returncode, done.stdout + done.stderr


@contextlib.contextmanager
def volume(folder, image):
    """A new volume: a copy of what the image has there, as Docker makes it."""
    path = Path(folder)
    path.mkdir(mode=0o700)
    os.chown(path, *map(int, image.user.split(":")))
    yield path
