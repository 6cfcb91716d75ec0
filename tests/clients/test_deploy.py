"""What deploy/ and docker/ name exists: settings of the program, and its metrics. `make test-dist` tries all of it."""

import re
import subprocess

import pytest

from services import ROOT, binary, plain_environment


def names(pattern, *globs):
    texts = [path.read_text() for each in globs for path in sorted(ROOT.glob(each))]
    assert texts
    return sorted({name for text in texts for name in re.findall(pattern, text, re.MULTILINE)})


VARIABLES = names(
    r"^ +(?:- name: )?(MODELHUB_\w+)(?::|$)", "deploy/kubernetes/manifests/*.yaml", "docker/compose*.yaml"
)


@pytest.mark.parametrize("name", VARIABLES)
def test_a_variable_is_a_setting(name):
    argv = [binary("MODELHUB_BIN", "modelhub"), "config", "check"]
    done = subprocess.run(argv, env=plain_environment() | {name: ""}, capture_output=True, text=True, check=False)
    assert "unknown environment variable" not in done.stderr


def test_alerts_and_dashboard_ask_for_metrics_that_exist():
    asked = names(r"\b(modelhub_[a-z_]+)", "deploy/observe/alerts.yml", "deploy/observe/grafana/*.json")
    assert len(asked) > 10
    assert set(asked) <= set(names(r'"(modelhub_\w+)"', "src/metrics.rs"))
