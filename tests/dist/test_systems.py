"""The Debian package and the tarball, each in a Debian of its own, installed by the commands of the documents."""

import re
import shutil

import pytest

from conftest import Installed, assert_serves, listens, ready, upstream_is
from places import Machine, built, commands, debian, plain_environment, run, without_systemd


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A Debian as small as it gets, with what a package of certificates and users needs, and systemd to check units."""
    return debian(tmp_path_factory.mktemp("debian") / "base", "minbase", ["adduser", "ca-certificates", "systemd"])


@pytest.fixture
def machine(tmp_path, base):
    run(["cp", "--archive", "--reflink=auto", base, tmp_path / "machine"])
    yield Machine(tmp_path / "machine")
    shutil.rmtree(tmp_path / "machine")


def start(machine, tmp_path, mock, watch=()):
    """Starts what the installed unit would, as its user; ports are free ones, as nothing else here is its own."""
    unit = next(machine.folder.glob("*/lib/systemd/system/modelhub.service"), None)
    unit = (unit or machine.folder / "etc/systemd/system/modelhub.service").read_text()
    assert "User=modelhub" in unit
    environment = plain_environment() | upstream_is(mock)
    environment |= {"MODELHUB_HUB_LISTEN": "127.0.0.1:0", "MODELHUB_ADMIN_LISTEN": "127.0.0.1:0"}
    return Installed(tmp_path, [*watch, *machine.argv(listens(unit), "modelhub:modelhub")], environment)


def check_unit(machine):
    """systemd itself finds nothing wrong in the unit, and rates it as well confined."""
    said = machine.run(["systemd-analyze", "verify", "modelhub.service"])
    assert "modelhub" not in said, said
    rating = machine.run(["systemd-analyze", "security", "--offline=yes", "modelhub.service"])
    level = float(re.search(r"exposure level for modelhub.service: (\S+)", rating)[1])
    assert level < 2.5, rating


def allowed(machine):
    """The system calls of @system-service, with those of the groups in it."""
    names, groups = set(), ["@system-service"]
    while groups:
        for line in machine.run(["systemd-analyze", "syscall-filter", groups.pop()]).splitlines()[1:]:
            name = line.strip()
            if name.startswith("@"):
                groups.append(name)
            elif name and not name.startswith("#"):
                names.add(name)
    return names


def assert_confined(machine, trace):
    """Of what the program did, nothing is what the unit forbids."""
    text = trace.read_text()
    # What chroot did is not the program's: it begins with its execve.
    text = text[text.rindex("execve(") :]
    calls = set(re.findall(r"^\d+ +(\w+)\(", text, re.MULTILINE))
    assert len(calls) > 40
    assert calls - allowed(machine) == set()
    assert set(re.findall(r"socket\((AF_\w+)", text)) <= {"AF_INET", "AF_INET6", "AF_UNIX"}


def test_the_debian_package(machine, tmp_path, mock):
    package = built("modelhub_*.deb")
    machine.add(package, f"/srv/dist/{package.name}")
    machine.sh("cd /srv\n" + without_systemd(commands("README.md", "## Install", "apt install")))
    check_unit(machine)
    assert machine.sh("stat -c '%U %a' /var/lib/modelhub").split() == ["modelhub", "700"]
    assert machine.sh("stat -c '%G %a' /etc/modelhub").split() == ["modelhub", "750"]
    assert "/etc/modelhub/modelhub.toml" in machine.run(["dpkg-query", "-W", "-f=${Conffiles}", "modelhub"])
    machine.run(["modelhub", "config", "check", "--config", "/etc/modelhub/modelhub.toml"])
    trace = tmp_path / "trace"
    watch = ["strace", "--daemonize", "--follow-forks", "--quiet=all", "--output", trace]
    with start(machine, tmp_path, mock, watch) as hub:
        assert_serves(hub.url, mock, tmp_path)
        ready(machine.argv(["modelhub", "healthcheck", "--url", hub.admin]))
        hub.stop()
    assert_confined(machine, trace)

    # An upgrade keeps settings and models; so does a removal. A purge takes the settings, never the models.
    machine.sh("echo '# mine' >> /etc/modelhub/modelhub.toml")
    machine.run(["dpkg", "--force-confold", "-i", f"/srv/dist/{package.name}"])
    assert "# mine" in machine.run(["cat", "/etc/modelhub/modelhub.toml"])
    machine.run(["dpkg", "--remove", "modelhub"])
    assert "# mine" in machine.run(["cat", "/etc/modelhub/modelhub.toml"])
    machine.run(["dpkg", "-i", f"/srv/dist/{package.name}"])
    purge = commands("docs/OPERATIONS.md", "## Uninstall", "apt purge").replace("apt purge", "apt purge --yes")
    assert "the models and the database stay" in machine.sh(purge)
    machine.run(["test", "!", "-e", "/etc/modelhub"])
    assert int(machine.sh("find /var/lib/modelhub/blobs -type f | wc -l")) > 0
    # Installed again, it finds them.
    machine.run(["dpkg", "-i", f"/srv/dist/{package.name}"])
    mock.clear()
    (tmp_path / "later").mkdir()
    with start(machine, tmp_path, mock) as hub:
        assert_serves(hub.url, mock, tmp_path / "later")
        hub.stop()
    assert mock.stats()["cdn_body_bytes"] == 0


def test_a_purge_of_an_unused_hub_leaves_nothing(machine):
    machine.add(built("modelhub_*.deb"), "/srv/modelhub.deb")
    machine.run(["dpkg", "-i", "/srv/modelhub.deb"])
    machine.run(["dpkg", "--purge", "modelhub"])
    machine.sh("! test -e /var/lib/modelhub && ! test -e /etc/modelhub && ! command -v modelhub")


def test_the_tarball(machine, tmp_path, mock):
    tarball = built("modelhub-*.tar.gz")
    machine.add(tarball, f"/srv/dist/{tarball.name}")
    machine.sh("cd /srv\n" + without_systemd(commands("README.md", "## Install", "tar ")))
    check_unit(machine)
    machine.run(["/usr/local/bin/modelhub", "config", "check", "--config", "/etc/modelhub/modelhub.toml"])
    # systemd would make it, by StateDirectory=.
    machine.sh("install -d -m 700 -o modelhub -g modelhub /var/lib/modelhub")
    with start(machine, tmp_path, mock) as hub:
        assert_serves(hub.url, mock, tmp_path)
        hub.stop()
    machine.sh(without_systemd(commands("docs/OPERATIONS.md", "## Uninstall", "/usr/local/bin/modelhub")))
    machine.sh("! test -e /usr/local/bin/modelhub && ! test -e /etc/systemd/system/modelhub.service")
    assert int(machine.sh("find /var/lib/modelhub/blobs -type f | wc -l")) > 0
