"""deploy/kubernetes: what the chart makes, Kubernetes accepts and the program understands, and it serves."""

import contextlib
import json
import os
import re
import subprocess
import tomllib
from concurrent.futures import ThreadPoolExecutor

import kubernetes_validate
import pytest
import yaml
from services import binary, http, plain_environment, wait_until

from chart import CHART, KUBERNETES, claimed, committed, documents, helm, node, of_kind, pods, refused, rendered, tools
from conftest import REPO, TOKEN, assert_serves, upstream_is
from containers import Image, Net
from places import ROOT, commands, run
from postgres import Postgres
from test_image import PATTERNS, program
from test_team import PASSWORD, WORKER

README = "deploy/kubernetes/README.md"
TEAM = yaml.safe_load((KUBERNETES / "team.values.yaml").read_text())
SECRETS = {
    ("modelhub", "database-url"): "postgres://modelhub@db/modelhub",
    ("modelhub", "hf-token"): "hf_of_the_hub",
    ("proxy", "password"): "secret",
}
EVERYTHING = TEAM | {
    "image": {
        "repository": "registry.example.org/modelhub",
        "digest": "sha256:" + 64 * "0",
        "pullSecrets": ["registry"],
    },
    "secrets": {
        "databaseUrl": {"value": "postgres://modelhub@db/modelhub"},
        "databasePassword": {"value": PASSWORD},
        "adminToken": {"value": TOKEN},
        "hfToken": {"value": "hf_of_the_hub"},
    },
    "settings": {
        "hub": {"public_url": "http://models.example.org", "max_connections_per_peer": 1000000},
        "store": {"keep_free": "5%, 50GiB", "pin": ["meta-llama/*", "datasets/org/*"], "never": []},
        "upstream": {"proxy": "http://proxy.example.org:3128", "proxy_user": "hub", "offline": True},
        "scrub": {"share": 20},
    },
    "hub": {"autoscaling": {"enabled": True}},
    "admin": {"expose": True, "hosts": ["admin.example.org"]},
    "service": {"type": "LoadBalancer", "port": 80, "annotations": {"example.org/internal": "true"}},
    "store": {"volume": {"accessMode": "ReadWriteOnce", "storageClass": "fast"}},
    "pod": {
        "annotations": {"example.org/a": "b"},
        "labels": {"team": "models"},
        "env": [
            {
                "name": "MODELHUB_UPSTREAM_PROXY_PASSWORD",
                "valueFrom": {"secretKeyRef": {"name": "proxy", "key": "password"}},
            }
        ],
        "volumes": [{"name": "ca", "configMap": {"name": "ca"}}],
        "volumeMounts": [{"name": "ca", "mountPath": "/etc/ca"}],
        "nodeSelector": {"disk": "fast"},
        "tolerations": [{"key": "gpu", "operator": "Exists"}],
        "affinity": {
            "nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {
                    "nodeSelectorTerms": [{"matchExpressions": [{"key": "gpu", "operator": "Exists"}]}]
                }
            }
        },
        "priorityClassName": "high",
    },
    "networkPolicy": {
        "clients": [{"namespaceSelector": {}}],
        "admin": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}],
        "upstreamPorts": [3128],
    },
    "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
    "serviceAccount": {"annotations": {"example.org/role": "none"}},
}
CASES = {
    "defaults": {},
    "a team": TEAM,
    "everything": EVERYTHING,
    "a claim and an account of one's own": {
        "store": {"volume": {"existingClaim": "models"}},
        "serviceAccount": {"name": "models"},
        "fullnameOverride": "hf",
        "networkPolicy": {"enabled": False},
    },
    "PostgreSQL for one hub": {"database": "postgres", "secrets": {"databaseUrl": {"name": "modelhub"}}},
}
# What the chart sets itself, and what nobody should read.
SECRET = re.compile(r"(^|_)(token|password|secret_access_key)$")
RESERVED = {
    *("hub.listen", "store.data_dir", "database.url", "jobs.run"),
    *("admin.listen", "admin.hosts", "admin.token", "admin.token_file"),
    *("worker.listen", "worker.address", "worker.token", "worker.token_file"),
    *("upstream.token", "upstream.proxy_password"),
}


def defaults():
    return tomllib.loads(modelhub("config", "print", "--defaults"))


def modelhub(*arguments, environment=None):
    return run([binary("MODELHUB_BIN", "modelhub"), *arguments], plain_environment() | (environment or {}))


def image_environment():
    """What docker/Dockerfile sets."""
    text = (ROOT / "docker/Dockerfile").read_text()
    return dict(re.findall(r"(MODELHUB_\w+)=(\S+)", text[text.index("\nENV ") :]))


def test_the_committed_manifests_are_those_of_the_chart(tmp_path):
    run([ROOT / "scripts/manifests", tmp_path], os.environ)
    made = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert made == {path.name: path.read_text() for path in (KUBERNETES / "manifests").iterdir()}, "make manifests"


def test_the_chart_is_of_the_programs_version():
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    version = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["version"]
    assert chart["version"] == chart["appVersion"] == version


@pytest.mark.parametrize("version", ["1.30", "1.37"])
@pytest.mark.parametrize("values", CASES.values(), ids=CASES)
def test_kubernetes_accepts_what_is_made(values, version):
    manifests = rendered(values, "--kube-version", version)
    assert len(manifests) >= 2
    for manifest in manifests:
        if manifest["kind"] != "ServiceMonitor":
            kubernetes_validate.validate(manifest, version, strict=True)


def test_the_prometheus_operator_accepts_the_monitor():
    (monitor,) = of_kind(rendered(EVERYTHING), "ServiceMonitor").values()
    script = """
    import { readFileSync } from "node:fs";
    import { ServiceMonitor } from "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/ServiceMonitor";
    new ServiceMonitor(JSON.parse(readFileSync(0, "utf8"))).validate();
    """
    done = node(script, json.dumps(monitor))
    assert done.returncode == 0, done.stderr
    job = monitor["spec"]["jobLabel"]
    assert of_kind(rendered(EVERYTHING), "Service")["modelhub-admin"]["metadata"]["labels"][job] == "modelhub"
    # The validation is one.
    monitor["spec"]["endpoints"][0]["interval"] = 30
    assert node(script, json.dumps(monitor)).returncode != 0
    # It selects the Service of the admin listener, and that alone.
    selector = monitor["spec"]["selector"]["matchLabels"].items()
    services = of_kind(rendered(EVERYTHING), "Service")
    assert [name for name, each in services.items() if selector <= each["metadata"]["labels"].items()] == [
        "modelhub-admin"
    ]


@pytest.mark.parametrize("values", CASES.values(), ids=CASES)
def test_pods_are_confined_and_selected(values):
    manifests = rendered(values)
    workloads = [*of_kind(manifests, "Deployment").values(), *of_kind(manifests, "StatefulSet").values()]
    for workload in workloads:
        template = workload["spec"]["template"]
        spec, (container,) = template["spec"], template["spec"]["containers"]
        assert workload["spec"]["selector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert spec["automountServiceAccountToken"] is False
        # A Service named modelhub would bring MODELHUB_PORT and the like, which the program refuses.
        assert spec["enableServiceLinks"] is False
        drain = 30
        pause = container["lifecycle"]["preStop"]["sleep"]["seconds"]
        assert spec["terminationGracePeriodSeconds"] > drain + pause

    def selects(selector):
        labels = [workload["spec"]["template"]["metadata"]["labels"].items() for workload in workloads]
        return [selector.items() <= each for each in labels].count(True)

    for service in of_kind(manifests, "Service").values():
        assert selects(service["spec"]["selector"]) == 1
        ports = [port["name"] for workload in workloads for port in container_of(workload)["ports"]]
        assert all(port["targetPort"] in ports for port in service["spec"]["ports"])
    for kind, where in (("NetworkPolicy", "podSelector"), ("PodDisruptionBudget", "selector")):
        for each in of_kind(manifests, kind).values():
            assert selects(each["spec"][where]["matchLabels"]) == 1


def container_of(workload):
    (container,) = workload["spec"]["template"]["spec"]["containers"]
    return container


@pytest.mark.parametrize("values", CASES.values(), ids=CASES)
def test_the_program_accepts_the_environment_of_each_pod(values):
    found = pods(rendered(values), SECRETS)
    assert found
    for pod in found.values():
        assert modelhub("config", "check", environment=image_environment() | pod.environment).startswith(
            "the settings are valid"
        )


def test_the_program_refuses_what_kubernetes_tells_of_services():
    """Why enableServiceLinks is false."""
    done = subprocess.run(
        [binary("MODELHUB_BIN", "modelhub"), "config", "check"],
        env=plain_environment() | {"MODELHUB_SERVICE_HOST": "10.0.0.1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "unknown environment variable MODELHUB_SERVICE_HOST" in done.stderr


def test_every_setting_can_be_given():
    """Each with another value than its default, where that is a number or a word: it arrives as it was meant."""
    given = {
        section: {
            key: value for key, value in keys.items() if f"{section}.{key}" not in RESERVED and not SECRET.search(key)
        }
        for section, keys in defaults().items()
    }
    given["hub"] |= {"max_connections": 3000000, "public_url": "http://a.example"}
    given["xet"]["serve"] = False
    given["store"] |= {"pin": ["a/*", "b/c"], "keep_free": "5%"}
    (pod,) = pods(rendered({"settings": {name: keys for name, keys in given.items() if keys}})).values()
    printed = tomllib.loads(modelhub("config", "print", environment=pod.environment))
    for section, keys in given.items():
        assert keys.items() <= printed[section].items(), section


@pytest.mark.parametrize("key", sorted(RESERVED))
def test_what_the_chart_sets_itself_is_no_setting_of_it(key):
    section, name = key.split(".")
    assert name in defaults()[section]
    said = refused({"settings": {section: {name: "x"}}})
    assert "values don't meet the specifications of the schema" in said
    # It names the section, or the key.
    assert section in said or name in said, said


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"hub": {"replicas": 2}}, "set database to postgres"),
        ({"hub": {"autoscaling": {"enabled": True}}}, "set database to postgres"),
        ({"worker": {"replicas": 1}}, "set database to postgres"),
        ({"store": {"volume": {"accessMode": "ReadWriteMany"}}}, "SQLite needs a disk of one node"),
        ({"database": "postgres"}, "set secrets.databaseUrl.name"),
        ({"admin": {"expose": True}}, "set secrets.adminToken.name"),
        ({"serviceMonitor": {"enabled": True}}, "set admin.expose"),
        ({"replicas": 2}, "replicas"),
        ({"settings": {"store": {"limit": {"a": 1}}}}, "limit"),
    ],
)
def test_what_cannot_work_is_refused(values, reason):
    assert reason in refused(values)


@pytest.mark.parametrize(("heading", "manifests"), [("## One hub", "single"), ("## A team", "team")])
def test_the_commands_of_the_readme_make_the_manifests(heading, manifests):
    script = commands(README, heading, "helm install").replace("helm install", "helm template")
    script = script.replace(" --create-namespace", "")
    helm_alone = re.search(r"helm template(?:.*\\\n)*.*", script)[0]
    made = documents(
        run(["bash", "-euc", helm_alone], plain_environment() | {"PATH": f"{tools()}:/usr/bin:/bin"}, cwd=ROOT)
    )
    assert container_of(of_kind(made, "Deployment")["modelhub"])["image"] == "registry.example.org/modelhub:0.1.0"
    for each in (*of_kind(made, "Deployment").values(), *of_kind(made, "StatefulSet").values()):
        container_of(each)["image"] = "modelhub:0.1.0"
    assert made == committed(manifests)


def test_an_upgrade_begins_with_no_pods():
    script = commands(README, "## Upgrade", "--reuse-values")
    options = re.search(r"--reuse-values((?:.*\\\n)*.*)", script)[1].replace("\\", "").split()
    values = ["--values", KUBERNETES / "team.values.yaml"]
    made = documents(helm("template", "modelhub", CHART, *values, *options))
    assert pods(made) == {}
    assert of_kind(made, "StatefulSet") == {}


def test_the_settings_of_the_readme_are_valid():
    (block,) = re.findall(r"```yaml\n(.*?)```", (ROOT / README).read_text(), re.DOTALL)
    (pod,) = pods(rendered(yaml.safe_load(block))).values()
    assert pod.environment["MODELHUB_STORE_LIMIT"] == "150GiB"
    modelhub("config", "check", environment=pod.environment)


def test_secrets_are_referred_to_and_never_shown():
    text = yaml.safe_dump_all(each for each in rendered(EVERYTHING) if each["kind"] != "Secret")
    assert TOKEN not in text
    assert PASSWORD not in text
    assert "hf_of_the_hub" not in text
    assert not of_kind(committed("team"), "Secret")
    # A new token makes new pods.
    before, after = (
        of_kind(rendered(EVERYTHING | {"secrets": EVERYTHING["secrets"] | {"hfToken": {"value": value}}}), "Deployment")
        for value in ("hf_a", "hf_b")
    )
    assert before != after


def test_pods_that_share_a_disk_are_on_one_node_and_others_are_spread():
    for workload in pods(rendered(EVERYTHING), SECRETS).values():
        (term,) = workload.spec["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
        assert term["labelSelector"]["matchLabels"] == {
            "app.kubernetes.io/name": "modelhub",
            "app.kubernetes.io/instance": "modelhub",
        }
        assert "nodeAffinity" in workload.spec["affinity"]
        assert "topologySpreadConstraints" not in workload.spec
    for pod in pods(rendered(TEAM), SECRETS).values():
        assert "affinity" not in pod.spec
        (spread,) = pod.spec["topologySpreadConstraints"]
        assert spread["topologyKey"] == "kubernetes.io/hostname"


def test_every_value_is_explained_and_known_to_the_schema():
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    schema = json.loads((CHART / "values.schema.json").read_text())
    known = schema["properties"]
    assert set(values) == set(known) - {"global"}
    for name, value in values.items():
        if name not in ("settings", "secrets") and isinstance(value, dict):
            assert set(value) == set(known[name]["properties"]), name
    # A comment stands above each key of the first level.
    lines = (CHART / "values.yaml").read_text().splitlines()
    for number, line in enumerate(lines):
        if re.match(r"\w+:", line):
            assert lines[number - 1].startswith("#"), line


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    return Image(tmp_path_factory.mktemp("image") / "root", program())


def probe(pod, box, what):
    return lambda: pod.asks(what, box.address) == 200


def test_a_pod_serves_as_the_manifest_says(image, tmp_path, mock_in):
    (pod,) = pods(committed("single")).values()
    with Net(tmp_path) as net, mock_in(net) as mock:
        data = claimed(tmp_path / "data", pod.spec)
        box = pod.box(image, net, data, tmp_path, **upstream_is(mock))
        assert pod.asks("startupProbe", box.address) is None
        with box.start(PATTERNS, pod.container["args"]) as running:
            for what in ("startupProbe", "readinessProbe", "livenessProbe"):
                wait_until(probe(pod, box, what), f"the kubelet is content with {what}")
            assert_serves(f"http://{box.address}:8484", mock, tmp_path)
            # What `kubectl port-forward` and `kubectl exec` reach; nobody else does.
            assert running.found["admin"] == "http://127.0.0.1:8485"
            run(box.argv(["/usr/bin/modelhub", "overview"]), box.environment)
            # The volume's own folder is the group's, the data directory its owner's.
            assert (data / "store").stat().st_mode & 0o777 == 0o700
            # A store that cannot be written makes the pod unready, and not dead.
            store = data / "store/partial"
            os.chown(store, 0, 0)
            wait_until(lambda: pod.asks("readinessProbe", box.address) == 503, "it is not ready")
            assert pod.asks("livenessProbe", box.address) == 200
            os.chown(store, 65532, 65532)
            wait_until(probe(pod, box, "readinessProbe"), "it is ready again")
            running.stop()
            assert running.process.returncode == 0


def test_an_exposed_admin_listener_is_for_who_has_the_token(image, tmp_path):
    manifests = rendered({"admin": {"expose": True}, "secrets": {"adminToken": {"value": TOKEN}}})
    (pod,) = pods(manifests).values()
    token = {"Authorization": f"Bearer {TOKEN}"}
    with Net(tmp_path) as net:
        box = pod.box(image, net, claimed(tmp_path / "data", pod.spec), tmp_path)
        with box.start(PATTERNS, pod.container["args"]) as running:
            metrics = f"http://{box.address}:8485/metrics"
            # Prometheus asks at the pod's address, others at a name of the Service.
            assert http("GET", metrics, headers=token).status == 200
            assert http("GET", metrics).status == 401
            for name, status in (("modelhub-admin.default.svc:8485", 200), ("elsewhere.example.org", 421)):
                assert http("GET", metrics, headers=token | {"Host": name}).status == status
            run(box.argv(["/usr/bin/modelhub", "overview"]), box.environment)
            running.stop()


def test_a_team_serves_and_its_pods_are_replaced_one_by_one(image, tmp_path, mock_in):
    database = {"POSTGRES_USER": "modelhub", "POSTGRES_DB": "modelhub", "POSTGRES_PASSWORD": TOKEN}
    database |= {"POSTGRES_INITDB_ARGS": "--encoding=UTF8"}
    secrets = {("modelhub", "database-url"): f"postgres://modelhub:{TOKEN}@db/modelhub", ("modelhub", "hf-token"): ""}
    found = pods(committed("team"), secrets)
    assert sorted(found) == ["modelhub-0", "modelhub-1", "modelhub-worker-0", "modelhub-worker-1"]
    with (
        Net(tmp_path) as net,
        mock_in(net) as mock,
        Postgres(net, database),
        contextlib.ExitStack() as all_running,
    ):
        data = claimed(tmp_path / "data", found["modelhub-0"].spec)
        boxes, running = {}, {}

        def start(*named):
            """All at once, as Kubernetes does."""
            for name, pod in named:
                # The headless Service gives each worker a name.
                host = f"{name}.modelhub-worker" if "worker" in name else name
                boxes[name] = pod.box(image, net, data, tmp_path, host, **upstream_is(mock))

            def begin(named):
                name, pod = named
                return name, boxes[name].start(WORKER if "worker" in name else PATTERNS, pod.container["args"])

            with ThreadPoolExecutor() as threads:
                for name, started in threads.map(begin, named):
                    running[name] = all_running.enter_context(started)
            for name, pod in named:
                wait_until(probe(pod, boxes[name], "readinessProbe"), f"{name} is ready")

        start(*found.items())

        def modelhub_in(name, *arguments):
            return run(boxes[name].argv(["/usr/bin/modelhub", *arguments]), boxes[name].environment, timeout=120)

        def alive():
            workers = json.loads(modelhub_in("modelhub-0", "system", "--json"))["workers"]
            return [worker["address"] for worker in workers if worker["alive"]]

        wait_until(lambda: len(alive()) == 2, "both workers are alive")
        assert sorted(alive()) == [f"http://modelhub-worker-{n}.modelhub-worker:8486" for n in (0, 1)]
        # A hub follows the job of a worker, at its name.
        modelhub_in("modelhub-0", "download", REPO, "--yes")
        mock.clear()
        homes = iter(range(10))

        def serves(name):
            home = tmp_path / f"client-{next(homes)}"
            home.mkdir()
            assert_serves(f"http://{boxes[name].address}:8484", mock, home)

        serves("modelhub-1")
        # A rolling update: the next one is ready before one stops.
        for old, new in (("modelhub-0", "modelhub-2"), ("modelhub-1", "modelhub-3")):
            start((new, found[old]))
            running[old].stop()
            assert running[old].process.returncode == 0
            serves(new)
