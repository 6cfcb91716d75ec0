"""Makes a CycloneDX list of components reproducible, and prints it: that of a wheel, or the one on standard input.

Taken out is what differs from build to build: a random serial number, the time, the folder of the sources; and the
packages that npm marks as needed for development only. (Asked to leave those out itself, it leaves out more.)
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


def is_shipped(component):
    properties = {each["name"]: each["value"] for each in component.get("properties", [])}
    return properties.get("cdx:npm:package:development") != "true"


def main():
    text = of_wheel(sys.argv[1]) if len(sys.argv) > 1 else sys.stdin.read()
    bom = json.loads(text.replace(f"file://{ROOT}", "file:///modelhub"))
    bom.pop("serialNumber", None)
    time = datetime.datetime.fromtimestamp(int(os.environ["SOURCE_DATE_EPOCH"]), datetime.UTC)
    bom["components"] = [component for component in bom["components"] if is_shipped(component)]
    here = {component["bom-ref"] for component in [bom["metadata"]["component"], *bom["components"]]}
    bom["dependencies"] = [
        each | {"dependsOn": [ref for ref in each.get("dependsOn", []) if ref in here]}
        for each in bom["dependencies"]
        if each["ref"] in here
    ]
    bom["metadata"]["timestamp"] = time.strftime("%Y-%m-%dT%H:%M:%SZ")
    json.dump(bom, sys.stdout, indent=2, ensure_ascii=False)
    print()


if __name__ == "__main__":
    main()
