"""Makes a CycloneDX list of components reproducible, and prints it: that of a wheel, or the one on standard input.

Taken out is what differs from build to build: a random serial number, the time, the folder of the sources.
"""

import datetime
import json
import os
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def of_wheel(path):
    with zipfile.ZipFile(path) as wheel:
        (name,) = (name for name in wheel.namelist() if ".dist-info/sboms/" in name)
        return wheel.read(name).decode()


def main():
    text = of_wheel(sys.argv[1]) if len(sys.argv) > 1 else sys.stdin.read()
    bom = json.loads(text.replace(f"file://{ROOT}", "file:///modelhub"))
    bom.pop("serialNumber", None)
    time = datetime.datetime.fromtimestamp(int(os.environ["SOURCE_DATE_EPOCH"]), datetime.UTC)
    bom["metadata"]["timestamp"] = time.strftime("%Y-%m-%dT%H:%M:%SZ")
    json.dump(bom, sys.stdout, indent=2, ensure_ascii=False)
    print()


if __name__ == "__main__":
    main()
