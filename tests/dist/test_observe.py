"""deploy/observe and docker/compose.observe.yaml: alerts and panels ask what a hub tells, and Prometheus hears it."""

import contextlib
import json
import os
import re
import shutil
import urllib.parse

import pytest
import yaml
from services import Service, http, plain_environment, wait_until

from conftest import REPO, TOKEN, assert_serves, download, upstream_is
from containers import Container, Image, Net, volume
from places import ROOT, run, section
from test_image import PATTERNS, program

OBSERVE = ROOT / "deploy/observe"
NAME = re.compile(r"\bmodelhub_\w+")


def alerts():
    (group,) = yaml.safe_load((OBSERVE / "alerts.yml").read_text())["groups"]
    return group["rules"]


def panels():
    dashboard = json.loads((OBSERVE / "grafana/modelhub.json").read_text())
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def queries():
    """What the panels ask, with Grafana's variables as it would fill them in."""
    filled = {"$instance": ".*", "$__rate_interval": "1m", "$__range": "5m"}
    for panel in panels():
        for target in panel["targets"]:
            query = target["expr"]
            for name, value in filled.items():
                query = query.replace(name, value)
            assert "$" not in query, query
            yield panel["title"], query


def known():
    return set(re.findall(r'"(modelhub_\w+)"', (ROOT / "src/metrics.rs").read_text()))


def documented():
    return set(NAME.findall("\n".join(section("docs/OPERATIONS.md", "## Metrics"))))


def test_only_what_a_hub_tells_is_asked_and_all_of_the_documented_is_shown():
    asked = {name for rule in alerts() for name in NAME.findall(rule["expr"])}
    assert len(asked) > 8
    assert asked <= known()
    shown = {name for _, query in queries() for name in NAME.findall(query)}
    assert documented() <= shown <= known()


def test_the_dashboard_is_well_formed():
    found = panels()
    assert len({panel["id"] for panel in found}) == len(found)
    taken = set()
    for panel in found:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert max(x for x, _ in cells) < 24
        assert not cells & taken, f"{panel['title']} lies on another one"
        taken |= cells
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}


def test_alerts_fire_on_what_they_say(tmp_path):
    run(["promtool", "check", "rules", OBSERVE / "alerts.yml"])
    shutil.copy(OBSERVE / "alerts.yml", tmp_path)
    shutil.copy(ROOT / "tests/dist/alerts.test.yml", tmp_path)
    said = run(["promtool", "test", "rules", "alerts.test.yml"], cwd=tmp_path)
    assert "SUCCESS" in said
    tested = (ROOT / "tests/dist/alerts.test.yml").read_text()
    assert [rule["alert"] for rule in alerts() if f'"{rule["alert"]}"' not in tested] == []


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    return Image(tmp_path_factory.mktemp("image") / "root", program())


BESIDE = """
mount --make-rprivate /
mount --bind "$1" /etc/hosts
mount -t tmpfs tmpfs /run
mkdir /run/secrets
printf %s "$2" >/run/secrets/modelhub_admin_token
exec "${@:3}"
"""


def beside(net, name, argv, log_dir, patterns=None):
    """A program of Debian's in a namespace of the network, with the secrets that Compose would give it."""
    namespace, address = net.join(name)
    script = ["unshare", "--mount", "bash", "-euc", BESIDE, "sh", str(net.hosts), TOKEN]
    return address, Service(
        name, ["ip", "netns", "exec", namespace, *script, *argv], plain_environment(), log_dir, patterns or {}
    )


def at_once(folder):
    """The files as they are, but asked every second, and alerts fire without waiting."""
    for name in ("prometheus.yml", "alerts.yml"):
        text = (OBSERVE / name).read_text()
        text = re.sub(r"(?m)^(\s+(?:scrape|evaluation)_interval:) .*$", r"\1 1s", text)
        text = re.sub(r"(?m)^(\s+for:) .*$", r"\1 0s", text)
        (folder / name).write_text(text)
    return folder / "prometheus.yml"


def test_a_full_store_looks_as_its_alert_expects(image, tmp_path, mock_in):
    with Net(tmp_path) as net, mock_in(net) as mock, volume(tmp_path / "data", image) as data:
        settings = upstream_is(mock) | {"MODELHUB_STORE_LIMIT": "1KiB", "MODELHUB_ADMIN_LISTEN": "0.0.0.0:8485"}
        settings |= {"MODELHUB_ADMIN_TOKEN": TOKEN}
        box = Container(image, net, "hub", volume=data, environment=settings, log_dir=tmp_path)

        def metrics():
            reply = http("GET", f"http://{box.address}:8485/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
            return dict(line.rsplit(" ", 1) for line in reply.body.decode().splitlines() if line[:1] not in ("", "#"))

        with box.start(PATTERNS):
            before = metrics()
            large = "model.safetensors"
            got = download(f"http://{box.address}:8484", tmp_path / "client")[large]
            assert got == mock.source(f"{REPO}/resolve/main/{large}")
            after = metrics()
            arrived = "modelhub_upstream_bytes_total"
            assert int(after[arrived]) - int(before[arrived]) >= len(got)
            assert after["modelhub_flights"] == "0"
            download(f"http://{box.address}:8484", tmp_path / "again")
            assert metrics()["modelhub_store_blobs"] == after["modelhub_store_blobs"]


def test_prometheus_hears_a_hub_and_fires(image, tmp_path, mock_in, compose):
    run(["promtool", "check", "config", "--syntax-only", OBSERVE / "prometheus.yml"])
    services = compose("compose.observe.yaml", GRAFANA_PASSWORD="x")
    hub = compose("compose.yaml", MODELHUB_ADMIN_TOKEN=TOKEN)["hub"]
    environment = hub["environment"] | services["hub"]["environment"]
    config = at_once(tmp_path)
    with (
        Net(tmp_path) as net,
        mock_in(net) as mock,
        volume(tmp_path / "data", image) as data,
        contextlib.ExitStack() as running,
    ):
        settings = upstream_is(mock) | environment
        box = Container(image, net, "hub", volume=data, environment=settings, log_dir=tmp_path)
        # Docker calls a machine by the container's id: `hub` is only its name in the network.
        box.name = "0f1e2d3c4b5a"
        started = running.enter_context(box.start(PATTERNS))
        blackbox = ["prometheus-blackbox-exporter", "--config.file=/etc/prometheus/blackbox.yml"]
        running.enter_context(beside(net, "blackbox", blackbox, tmp_path)[1])
        arguments = [
            argument.replace("/etc/prometheus/prometheus.yml", str(config)).replace("=/prometheus", f"={tmp_path}/tsdb")
            for argument in services["prometheus"]["command"]
        ]
        address, service = beside(net, "prometheus", ["prometheus", *arguments], tmp_path)
        running.enter_context(service)

        def ask(path, **query):
            url = f"http://{address}:9090/api/v1/{path}?{urllib.parse.urlencode(query)}"
            try:
                reply = http("GET", url)
            except OSError:
                return None
            assert reply.status in (200, 503), reply.body
            return reply.json()["data"] if reply.status == 200 else None

        def value(query):
            found = (ask("query", query=query) or {"result": []})["result"]
            return [float(each["value"][1]) for each in found]

        def firing():
            return {alert["labels"]["alertname"] for alert in ask("alerts")["alerts"] if alert["state"] == "firing"}

        wait_until(lambda: value('up{job="modelhub"}') == [1], "Prometheus gets the metrics")
        wait_until(lambda: value('probe_success{job="modelhub-ready"}') == [1], "the hub is seen as ready")
        assert_serves(f"http://{box.address}:8484", mock, tmp_path)
        wait_until(lambda: value("modelhub_saved_bytes_total > 0"), "what clients got is counted")
        (group,) = ask("rules")["groups"]
        wait_until(
            lambda: all(rule["health"] == "ok" for rule in ask("rules")["groups"][0]["rules"]), "each rule is evaluated"
        )
        assert len(group["rules"]) == len(alerts())
        assert firing() == set()
        # Of what never happened a panel shows nothing; of everything else, something.
        empty = {title for title, query in queries() if not ask("query", query=query)["result"]}
        assert empty == {"Connections", "Removed to make room", "Files removed to make room"}

        partial = data / "partial"
        os.chown(partial, 0, 0)
        wait_until(lambda: firing() == {"ModelhubNotReady"}, "a hub that cannot write is not ready")
        os.chown(partial, 65532, 65532)
        wait_until(lambda: firing() == set(), "it is well again")
        mock.kill()

        def away():
            http("GET", f"http://{box.address}:8484/api/models/some/other")
            return "ModelhubUpstreamAway" in firing()

        wait_until(away, "upstream is away")
        started.stop()
        wait_until(lambda: "ModelhubDown" in firing(), "it is down")
        assert "ModelhubNotReady" not in firing()
