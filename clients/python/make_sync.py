"""Makes src/modelhub_client/_sync of _async: the same code without async and await.

python make_sync.py            writes it
python make_sync.py --check    fails if it is out of date
"""

import re
import subprocess
import sys
from pathlib import Path

PACKAGE = Path(__file__).parent / "src" / "modelhub_client"
RUFF = Path(sys.executable).with_name("ruff")

WORDS = [
    (r"\basync (def|for|with)\b", r"\1"),
    (r"\bawait ", ""),
    (r"\basync_sleep\b", "sleep"),
    (r"\bAsync([A-Z])", r"\1"),
    (r"\b__a(enter|exit)__\b", r"__\1__"),
    (r"\ba(close|read)\b", r"\1"),
    (r"The client for asyncio\. .*\"\"\"", 'The client. Made by make_sync.py."""'),
]


def made(source: Path) -> str:
    text = source.read_text()
    for pattern, replacement in WORDS:
        text = re.sub(pattern, replacement, text)
    target = PACKAGE / "_sync" / source.name
    for task in (["check", "--quiet", "--fix-only", "--select=I"], ["format"]):
        command = [str(RUFF), *task, "--stdin-filename", str(target), "-"]
        done = subprocess.run(command, input=text, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{source}: {done.stderr}")
        text = done.stdout
    return text


def main() -> None:
    (PACKAGE / "_sync").mkdir(exist_ok=True)
    for source in sorted((PACKAGE / "_async").glob("*.py")):
        target = PACKAGE / "_sync" / source.name
        text = made(source)
        if "--check" not in sys.argv:
            target.write_text(text)
        elif not target.exists() or target.read_text() != text:
            sys.exit(f"{target} is not made of {source}; run scripts/lint-python --fix")


if __name__ == "__main__":
    main()
