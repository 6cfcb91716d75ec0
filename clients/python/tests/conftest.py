"""The real program for the scenarios: mock-hf as the upstream Hub, modelhub on either
database, and the client. tests/clients/services.py starts the programs."""

import os
import secrets
import socket
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from services import ROOT, Hub, Mock, plain_environment

from modelhub_client import Client


class Embedded:
    """An SQLite file in the data directory."""

    def __init__(self, data_dir: Path) -> None:
        self.file = data_dir / "modelhub.db"
        self.settings: dict[str, str] = {}

    def rows(self, sql: str) -> list[list[str]]:
        """What a query finds, each value as text."""
        connection = sqlite3.connect(f"file:{self.file}?mode=ro", uri=True)
        try:
            return [[text(value) for value in row] for row in connection.execute(sql)]
        finally:
            connection.close()


class Postgres:
    """A database of its own on the server of the tests."""

    def __init__(self, server: "PostgresServer", name: str) -> None:
        self.server = server
        self.name = name
        server.query("postgres", f"create database {name} template template0")
        self.settings = {"database_url": server.url(name)}

    def rows(self, sql: str) -> list[list[str]]:
        return self.server.query(self.name, sql)


class PostgresServer:
    """scripts/test-postgres: it ends when its standard input does."""

    def __init__(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self.password = secrets.token_hex(8)
        self.process = subprocess.Popen(
            [ROOT / "scripts" / "test-postgres", str(self.port)],
            env=dict(os.environ, MODELHUB_TEST_PASSWORD=self.password),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout
        assert self.process.stdout.readline().startswith("ready"), "see above"

    def url(self, database: str) -> str:
        return f"postgres://modelhub:{self.password}@127.0.0.1:{self.port}/{database}"

    def query(self, database: str, sql: str) -> list[list[str]]:
        command = ["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-F", "\x1f", "-c", sql]
        done = subprocess.run(
            [*command, self.url(database)],
            env=plain_environment(),
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return [line.split("\x1f") for line in done.stdout.splitlines()]

    def stop(self) -> None:
        self.process.communicate("", timeout=60)


def text(value: object) -> str:
    return "" if value is None else str(value)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    server = PostgresServer()
    yield server
    server.stop()


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Embedded | Postgres:
    if request.param == "sqlite":
        return Embedded(tmp_path / "data")
    server: PostgresServer = request.getfixturevalue("postgres_server")
    return Postgres(server, f"scenario_{secrets.token_hex(4)}")


@pytest.fixture
def mock(tmp_path: Path) -> Iterator[Any]:
    with Mock(tmp_path, []) as mock:
        yield mock
        # A test may have stopped it.
        if mock.process.poll() is None:
            assert mock.stats()["cdn_calls_with_authorization"] == 0


@pytest.fixture
def hub(tmp_path: Path, mock: Any, database: Embedded | Postgres) -> Iterator[Any]:
    hub = Hub(tmp_path, mock.url, tmp_path / "data", **database.settings)
    yield hub
    hub.stop()


@pytest.fixture
def client(hub: Any) -> Iterator[Client]:
    with Client(hub.admin) as client:
        yield client
