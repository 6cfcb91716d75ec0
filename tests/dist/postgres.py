"""The service `db` of a Compose file: PostgreSQL 16 where the index has it, as its image sets it up."""

import importlib.util
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from services import wait_until

from places import plain_environment, run

NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]


def programs():
    """The folder of the server's programs: of a package of the index, or of Debian's."""
    if spec := importlib.util.find_spec("pgserver"):
        return Path(spec.origin).parent / "pginstall/bin"
    return sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1]


class Postgres:
    def __init__(self, net, settings):
        # Not below the tests' own folders, which nobody but root may enter.
        self.folder = Path(tempfile.mkdtemp(prefix="modelhub-postgres-"))
        os.chown(self.folder, 65534, 65534)
        self.settings = settings
        self.bin = programs()
        self.version = run([self.bin / "postgres", "--version"]).strip()
        self.namespace, self.address = net.join("db")

    def __enter__(self):
        settings, data = self.settings, self.folder / "data"
        password = self.folder / "password"
        password.write_text(settings["POSTGRES_PASSWORD"])
        password.chmod(0o644)
        as_nobody = ["ip", "netns", "exec", self.namespace, *NOBODY]
        environment = plain_environment(PGPASSWORD=settings["POSTGRES_PASSWORD"])
        owner = settings["POSTGRES_USER"]
        arguments = [f"--username={owner}", f"--pwfile={password}", "--auth=scram-sha-256", "--no-sync"]
        initdb = [self.bin / "initdb", f"--pgdata={data}", *arguments, *settings["POSTGRES_INITDB_ARGS"].split()]
        run([*as_nobody, *initdb], environment)
        with (data / "pg_hba.conf").open("a") as rules:
            rules.write("host all all all scram-sha-256\n")
        options = ["-c", "listen_addresses=*", "-c", f"unix_socket_directories={self.folder}", "-c", "fsync=off"]
        self.log = (self.folder / "log").open("w")
        self.process = subprocess.Popen(
            [str(argument) for argument in (*as_nobody, self.bin / "postgres", "-D", data, *options)],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=self.log,
        )
        psql = [self.bin / "psql", f"--host={self.folder}", f"--username={owner}", "--dbname=postgres", "--quiet"]
        create = [*map(str, psql), "--command", f"create database {settings['POSTGRES_DB']} owner {owner}"]

        def created():
            assert self.process.poll() is None, (self.folder / "log").read_text()
            done = subprocess.run(create, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False)
            return done.returncode == 0

        wait_until(created, "PostgreSQL runs")
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(60)
        self.log.close()
        shutil.rmtree(self.folder)
