"""Where programs run in these tests: root folders, what was built for them, and what the documents say to do there."""

import shutil
import subprocess
import textwrap
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DIST = ROOT / "dist"
SOURCES = [*Path("/etc/apt").glob("sources.list"), *Path("/etc/apt/sources.list.d").glob("debian.sources")]


def built(pattern):
    """The one file of dist/ with this name."""
    found = sorted(DIST.glob(pattern))
    assert len(found) == 1, f"expected one {pattern} in {DIST}, found {found}; run make dist"
    return found[0]


def run(argv, env=None, code=0, timeout=300, cwd=None):
    """Runs a command; what it printed, both channels together."""
    done = subprocess.run(
        [str(argument) for argument in argv],
        env=env,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == code, f"{argv} ended with {done.returncode} instead of {code}:\n{done.stdout}"
    return done.stdout


def debian(folder, variant, packages):
    """Installs a Debian of this machine's release and these packages into a folder."""
    release = dict(line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line)
    suite = release["VERSION_CODENAME"]
    # Without sources, it is the release of Debian's own server.
    include = [f"--include={','.join(packages)}"] if packages else []
    run(["mmdebstrap", "--quiet", f"--variant={variant}", *include, suite, folder, *SOURCES], timeout=500)
    return folder


def plain_environment(**more):
    return {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"} | more


# What a root folder needs of the kernel, in a mount namespace of the process alone: nothing is left to clean up.
MOUNTS = """
mount --make-rprivate /
mount --rbind /proc "$1/proc"
mount -t tmpfs -o mode=755,size=64k tmpfs "$1/dev"
for device in null zero full random urandom tty; do
    touch "$1/dev/$device"
    mount --bind "/dev/$device" "$1/dev/$device"
done
"""


class Machine:
    """A root folder. Its processes see nothing else of this machine but its network."""

    def __init__(self, folder):
        self.folder = folder

    def argv(self, argv, user=None):
        as_user = [f"--userspec={user}"] if user else []
        script = MOUNTS + 'exec chroot $2 "$1" "${@:3}"'
        return ["unshare", "--mount", "bash", "-euc", script, "sh", str(self.folder), " ".join(as_user), *argv]

    def run(self, argv, user=None, code=0, **env):
        return run(self.argv(argv, user), plain_environment(DEBIAN_FRONTEND="noninteractive", **env), code)

    def sh(self, script, user=None, code=0, **env):
        return self.run(["sh", "-euc", script], user, code, **env)

    def add(self, path, to):
        """Copies a file in."""
        target = self.folder / to.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)


def section(document, heading):
    """The text below a heading of a Markdown document, up to the next one of its level."""
    lines = (ROOT / document).read_text().splitlines()
    level = heading.split(" ")[0]
    start = lines.index(heading) + 1
    end = next((n for n in range(start, len(lines)) if lines[n].startswith(f"{level} ")), len(lines))
    return lines[start:end]


def commands(document, heading, containing):
    """The one block of shell commands below a heading that contains a text: documents are tested as they stand."""
    blocks, block = [], None
    for line in section(document, heading):
        if line.strip().startswith("```"):
            if block is None:
                block = [] if line.strip() == "```sh" else None
            else:
                blocks.append(textwrap.dedent("\n".join(block)))
                block = None
        elif block is not None:
            block.append(line)
    found = [block for block in blocks if containing in block]
    assert len(found) == 1, f"expected one block with {containing!r} below {heading!r} of {document}: {found}"
    return found[0]


def without_systemd(script):
    """The commands that a root folder without a running systemd can run."""
    return "\n".join(line for line in script.splitlines() if not line.startswith(("systemctl ", "journalctl ")))
