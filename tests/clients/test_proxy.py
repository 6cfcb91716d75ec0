"""A company's proxy is the only way out: upstream and its CDN are names that only tinyproxy knows, and speak TLS with
a certificate of the company's own."""

import contextlib
import shutil
import socket
import ssl
import subprocess
import threading

import pytest

from client import Client
from library import ODD, ODD_FILES, sha256
from services import ROOT, Hub, Mock, Service, plain_environment, wait_until

LLAMA = "demo/tiny-llama"
USER, PASSWORD = "engineer", "canary-password"


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


class Front:
    """TLS before a plain listener."""

    def __init__(self, certificates):
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._context.load_cert_chain(certificates / "server.pem", certificates / "server.key")
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.behind = None

    def serve(self, behind):
        """Goes on to this port."""
        self.behind = behind
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):  # closed
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._carry, args=(client,), daemon=True).start()

    def _carry(self, client):
        with contextlib.suppress(OSError):
            inside = self._context.wrap_socket(client, server_side=True)
            outside = socket.create_connection(("127.0.0.1", self.behind))
            threading.Thread(target=self._copy, args=(outside, inside), daemon=True).start()
            self._copy(inside, outside)

    @staticmethod
    def _copy(source, target):
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                target.sendall(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self):
        self._listener.close()


class Tinyproxy(Service):
    """In a file system of its own, whose /etc/hosts has names that nobody else knows."""

    def __init__(self, log_dir, port):
        self.port = port
        hosts, settings = log_dir / "hosts", log_dir / "tinyproxy.conf"
        hosts.write_text("127.0.0.1 localhost hub.test cdn.test\n")
        settings.write_text(
            f"Port {port}\nListen 127.0.0.1\nTimeout 60\nMaxClients 100\nLogLevel Info\n"
            f"BasicAuth {USER} {PASSWORD}\nDisableViaHeader Yes\n"
        )
        script = 'mount --bind "$0" /etc/hosts && exec tinyproxy -d -c "$1"'
        argv = ["unshare", "-Urm", "sh", "-c", script, hosts, settings]
        super().__init__("tinyproxy", argv, plain_environment(), log_dir, {"ready": r".*(Accepting connections)"})

    def asked(self):
        """What it was asked for."""
        self._stdout.flush()
        with open(self._stdout.name, encoding="utf-8", errors="replace") as log:
            return [line.split("CONNECT ", 2)[-1].split(" ")[0] for line in log if "): CONNECT " in line]


@pytest.fixture
def certificates(tmp_path):
    folder = tmp_path / "certificates"
    folder.mkdir()
    subprocess.run([ROOT / "scripts" / "test-certificates", folder], check=True)
    return folder


@pytest.fixture
def fronts(certificates):
    fronts = Front(certificates), Front(certificates)
    yield fronts
    for front in fronts:
        front.close()


@pytest.fixture
def mock(tmp_path, repos, fronts):
    hub_front, cdn_front = fronts
    cdn_port = free_port()
    base = f"https://cdn.test:{cdn_front.port}"
    with Mock(tmp_path, [repos], cdn_listen=f"127.0.0.1:{cdn_port}", cdn_base=base) as mock:
        hub_front.serve(int(mock.address.rpartition(":")[2]))
        cdn_front.serve(cdn_port)
        yield mock
        assert mock.stats()["cdn_calls_with_authorization"] == 0, "a token went to the CDN"


def test_a_hub_and_its_clients_live_behind_tinyproxy(tmp_path, mock, fronts, certificates):
    hub_port, cdn_port = (front.port for front in fronts)
    with pytest.raises(socket.gaierror):
        socket.getaddrinfo("hub.test", hub_port)
    port = free_port()
    proxy = Tinyproxy(tmp_path, port)
    hub = Hub(
        tmp_path,
        f"https://hub.test:{hub_port}",
        tmp_path / "data",
        variables={"https_proxy": f"http://{USER}:{PASSWORD}@127.0.0.1:{port}"},
        upstream_ca_file=certificates / "ca.pem",
        upstream_cdn_hosts=f"cdn.test:{cdn_port}",
        cache_ref_ttl="1ms",
        cache_visibility_ttl="1ms",
        cache_listing_ttl="1ms",
        log="trace",
    )
    try:
        client = Client.of("2.4.0", hub.url, tmp_path / "homes" / "first")
        folder = tmp_path / "odd"
        client.cli("download", ODD, "--local-dir", str(folder), token=mock.ALICE)
        assert {name: (folder / name).read_bytes() for name in ODD_FILES} == ODD_FILES
        info = client.call("model_info", repo_id=ODD).value
        # Upstream and its CDN were reached, and only through the proxy.
        assert {line["origin"] for line in mock.log()} == {"hub", "cdn"}
        assert {f"hub.test:{hub_port}", f"cdn.test:{cdn_port}"} == set(proxy.asked())

        # It stops: what is here is served, and what is not is never called nonexistent.
        proxy.kill()
        questions = [["model_info", {"repo_id": ODD}], ["model_info", {"repo_id": LLAMA}]]
        snapshot, stale, unknown = client.fresh().calls(["snapshot_download", {"repo_id": ODD}], *questions)
        assert snapshot.value["files"] == {name: sha256(data) for name, data in ODD_FILES.items()}
        assert stale.value["id"] == info["id"]
        assert f"cannot connect to the proxy http://127.0.0.1:{port}" in str(unknown.error), unknown.error
        unknown.fails_as("HfHubHTTPError", but_not=("RepositoryNotFoundError",))

        # It is back.
        proxy = Tinyproxy(tmp_path, port)
        wait_until(lambda: not client.call("model_info", repo_id=LLAMA).failed, "upstream is reached again")
        shutil.rmtree(folder)
        client.fresh().cli("download", LLAMA, "--local-dir", str(folder))
        assert any(folder.glob("*.safetensors"))
    finally:
        hub.stop()
        proxy.kill()
    log = (tmp_path / "modelhub.stderr.log").read_text(errors="replace")
    assert '"proxy"' in log
    assert PASSWORD not in log
    assert mock.ALICE not in log
