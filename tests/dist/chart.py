"""The chart of deploy/kubernetes and what it becomes: manifests by Helm, and pods as a node would run them."""

import dataclasses
import functools
import os
import subprocess
import tempfile
from pathlib import Path

import yaml
from services import http

from containers import Container
from places import ROOT, plain_environment, run

KUBERNETES = ROOT / "deploy/kubernetes"
CHART = KUBERNETES / "chart"


@functools.cache
def tools():
    """The folder with Helm, made on first use."""
    return Path(run([ROOT / "scripts/helm"], os.environ).splitlines()[-1])


def helm(*arguments, code=0):
    return run([tools() / "helm", *arguments], plain_environment(HOME=str(tools())), code)


def refused(values):
    """What Helm says to values with which the chart cannot be rendered."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        yaml.safe_dump(values, file)
        file.flush()
        return helm("template", "modelhub", CHART, "--values", file.name, code=1)


def rendered(values, *arguments):
    """The manifests of a release with these values."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        yaml.safe_dump(values, file)
        file.flush()
        helm("lint", "--strict", CHART, "--values", file.name)
        return documents(helm("template", "modelhub", CHART, "--values", file.name, *arguments))


def documents(text):
    return [document for document in yaml.safe_load_all(text) if document]


def committed(name):
    return documents((KUBERNETES / f"manifests/{name}.yaml").read_text())


def of_kind(manifests, kind):
    return {each["metadata"]["name"]: each for each in manifests if each["kind"] == kind}


@dataclasses.dataclass
class Pod:
    """A pod of a workload, with its own name; `secrets` is by name of the Secret and key."""

    name: str
    spec: dict
    secrets: dict

    @property
    def container(self):
        (container,) = self.spec["containers"]
        return container

    @property
    def environment(self):
        """As the kubelet makes it: what is defined before may be referred to."""
        found = {}
        for variable in self.container["env"]:
            if "value" in variable:
                value = variable["value"]
                for name, known in found.items():
                    value = value.replace(f"$({name})", known)
            elif "secretKeyRef" in variable["valueFrom"]:
                reference = variable["valueFrom"]["secretKeyRef"]
                value = self.secrets[reference["name"], reference["key"]]
            else:
                assert variable["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.name"}}
                value = self.name
            assert variable["name"] not in found, f"{variable['name']} is there twice"
            found[variable["name"]] = value
        return found

    def asks(self, probe, address):
        """The status that the kubelet gets; None without an answer."""
        get = self.container[probe]["httpGet"]
        (port,) = (each["containerPort"] for each in self.container["ports"] if each["name"] == get["port"])
        try:
            return http("GET", f"http://{address}:{port}{get['path']}").status
        except OSError:
            return None

    def box(self, image, net, volume, log_dir, host=None, **more):
        """The pod in a network, under the name by which others reach it."""
        context = self.spec["securityContext"]
        assert image.user == f"{context['runAsUser']}:{context['runAsGroup']}"
        (mount,) = self.container["volumeMounts"]
        assert mount["mountPath"] == image.volume
        return Container(
            image, net, host or self.name, volume=volume, environment=self.environment | more, log_dir=log_dir
        )


def pods(manifests, secrets=None):
    """One pod of each replica."""
    secrets = dict(secrets or {})
    for secret in of_kind(manifests, "Secret").values():
        secrets |= {(secret["metadata"]["name"], key): value for key, value in secret["stringData"].items()}
    found = {}
    for kind in ("Deployment", "StatefulSet"):
        for name, workload in of_kind(manifests, kind).items():
            for number in range(workload["spec"].get("replicas", 1)):
                pod = Pod(f"{name}-{number}", workload["spec"]["template"]["spec"], secrets)
                found[pod.name] = pod
    return found


def claimed(folder, spec):
    """A new volume, as a node mounts it: root's, and the group's that the pod names."""
    folder.mkdir()
    os.chown(folder, 0, spec["securityContext"]["fsGroup"])
    folder.chmod(0o2775)
    return folder


def node(script, value):
    """Runs a script of Node, beside the packages that Helm came with, with a value as its standard input."""
    argv = ["node", "--input-type=module", "--eval", script]
    return subprocess.run(
        argv, cwd=tools().parent, input=value, capture_output=True, text=True, check=False, timeout=60
    )
