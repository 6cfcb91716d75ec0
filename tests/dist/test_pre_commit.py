"""The hooks of .pre-commit-config.yaml: what passes `make check` passes them, and what does not is refused."""

import os
import sys
import tomllib
from pathlib import Path

import pytest

from places import ROOT, run

PRE_COMMIT = Path(sys.executable).parent / "pre-commit"


@pytest.fixture
def environment(tmp_path):
    """Of this user, as the hooks are the project's own commands, but with a folder of pre-commit's own."""
    return os.environ | {"PRE_COMMIT_HOME": str(tmp_path / "pre-commit")}


def test_all_hooks_pass(environment):
    said = run([PRE_COMMIT, "run", "--all-files"], environment, cwd=ROOT, timeout=1500)
    assert said.count("Passed") == 6, said


def test_a_commit_is_refused(environment, tmp_path):
    clone = tmp_path / "clone"
    run(["git", "clone", "--quiet", ROOT, clone])
    (clone / ".cache").symlink_to(ROOT / ".cache")
    bad = clone / "clients/python/src/modelhub_client/bad.py"
    bad.write_text("import os\nfrom typing import List\n\n\ndef badName(x: List) -> None:\n    pass\n")
    run(["git", "add", bad], cwd=clone)
    run([PRE_COMMIT, "install"], environment, cwd=clone)
    author = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    said = run(["git", *author, "commit", "--message", "bad"], environment, code=1, cwd=clone)
    for rule in ("F401", "N802", "UP"):
        assert rule in said, said


@pytest.mark.parametrize("package", ["clients/python", "tests/clients"])
def test_the_tools_are_set_as_the_design_says(package):
    settings = tomllib.loads((ROOT / package / "pyproject.toml").read_text())["tool"]
    assert settings["ruff"]["target-version"] == "py312"
    assert {"E", "W", "F", "I", "B", "UP", "N"} <= set(settings["ruff"]["lint"]["select"])
    if package == "clients/python":
        assert settings["ruff"]["line-length"] == 88
        assert settings["mypy"]["strict"] is True
        assert settings["mypy"]["python_version"] == "3.12"
