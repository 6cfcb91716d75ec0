"""The artefacts depend on what was built, and on nothing else."""

import hashlib
import os
import subprocess

from places import DIST, ROOT


def test_packaged_again_they_are_the_same_bytes():
    before = (DIST / "SHA256SUMS").read_text()
    listed = dict(reversed(line.split("  ", 1)) for line in before.splitlines())
    assert listed == {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in DIST.iterdir() if path.name != "SHA256SUMS"
    }
    assert len(listed) == 6
    # Somewhere else in the world, by somebody who shares nothing.
    done = subprocess.run(
        [ROOT / "scripts/dist", "--package"],
        env=os.environ | {"TZ": "Asia/Tokyo", "LC_ALL": "C"},
        umask=0o077,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (DIST / "SHA256SUMS").read_text() == before
