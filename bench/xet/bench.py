"""Compares two ways to download a hot file with huggingface_hub: by Xet, and over plain HTTP (HF_HUB_DISABLE_XET).

Both ways run in turn, several pairs. Printed are each pair's times, the median of their ratios, and what both sides
spent of the processors. Absolute figures of a shared machine prove nothing.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"
MOCK, CDN, HUB, ADMIN = 9610, 9611, 9612, 9613
REPO, FILE = "bench/big", "file.bin"
TICKS = os.sysconf("SC_CLK_TCK")

# Runs in the client's environment. The time is that of the call, without start and imports.
CLIENT = """
import json, os, resource, sys, time
from huggingface_hub import hf_hub_download
begun = time.monotonic()
path = hf_hub_download(sys.argv[1], sys.argv[2])
seconds = time.monotonic() - begun
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps([seconds, used.ru_utime + used.ru_stime, os.path.getsize(path), used.ru_maxrss / 1024]))
"""


@dataclass
class Way:
    name: str
    environment: dict
    seconds: list
    client_cpu: list
    hub_cpu: list
    client_mib: list


def start(command: list, ready: str, log: str, **env: str) -> subprocess.Popen:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("MODELHUB_", "HF_"))} | env
    output = open(log, "w")
    process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
    deadline = time.monotonic() + 60
    while True:
        try:
            urllib.request.urlopen(ready, timeout=5).read(1)
            return process
        except OSError:  # refused, or not 200 yet
            if time.monotonic() > deadline or process.poll() is not None:
                raise SystemExit(f"{command[0]} did not start: {Path(log).read_text()}") from None
            time.sleep(0.05)


def cpu(process: subprocess.Popen) -> float:
    """Processor seconds of a process so far."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def download(options: argparse.Namespace, way: Way, hub: subprocess.Popen) -> None:
    size = options.mib << 20
    home = Path(tempfile.mkdtemp(prefix="modelhub-bench-client-", dir=options.client_folder))
    environment = {k: v for k, v in os.environ.items() if not k.startswith("HF_")} | {
        "HOME": str(home),
        "HF_HOME": str(home),
        "HF_ENDPOINT": f"http://127.0.0.1:{HUB}",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_UPDATE_CHECK": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "NO_PROXY": "*",
        **way.environment,
    }
    before = cpu(hub)
    command = [options.python, "-c", CLIENT, REPO, FILE]
    done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
    shutil.rmtree(home)
    if done.returncode:
        raise SystemExit(f"{way.name}: {done.stderr}{Path('hub.log').read_text()[-3000:]}")
    seconds, used, got, mib = json.loads(done.stdout.splitlines()[-1])
    if got != size:
        raise SystemExit(f"{way.name}: got {got} of {size} bytes")
    gigabytes = size / 1e9
    way.seconds.append(seconds)
    way.client_cpu.append(used / gigabytes)
    way.hub_cpu.append((cpu(hub) - before) / gigabytes)
    way.client_mib.append(mib)


def compare(options: argparse.Namespace, hub: subprocess.Popen) -> dict:
    size = options.mib << 20
    extra = dict(setting.split("=", 1) for setting in options.env)
    xet = Way("Xet", extra, [], [], [], [])
    http = Way("HTTP", {"HF_HUB_DISABLE_XET": "1"}, [], [], [], [])
    # What is to be hot is fetched once before, and the client's files are read once.
    for way in (http, xet):
        download(options, Way(way.name, way.environment, [], [], [], []), hub)
    for number in range(options.pairs):
        for way in (xet, http) if number % 2 == 0 else (http, xet):
            download(options, way, hub)
        print(f"pair {number + 1}: Xet {xet.seconds[-1]:.2f} s, HTTP {http.seconds[-1]:.2f} s", flush=True)
    ratios = [theirs / ours for ours, theirs in zip(xet.seconds, http.seconds, strict=True)]
    ratio = statistics.median(ratios)
    print(f"speed of Xet to HTTP: {ratio:.2f} [{min(ratios):.2f}-{max(ratios):.2f}], goal >=1.0")
    row = {"ratio": ratio, "range": [min(ratios), max(ratios)]}
    for way in (xet, http):
        figures = {
            "gigabytes_per_second": size / 1e9 / statistics.median(way.seconds),
            "hub_cpu_seconds_per_gigabyte": statistics.median(way.hub_cpu),
            "client_cpu_seconds_per_gigabyte": statistics.median(way.client_cpu),
            "client_peak_mib": statistics.median(way.client_mib),
        }
        print(f"{way.name:4}  {figures['gigabytes_per_second']:.2f} GB/s", end="")
        print(f", processor seconds per GB: hub {figures['hub_cpu_seconds_per_gigabyte']:.2f}", end="")
        print(f", client {figures['client_cpu_seconds_per_gigabyte']:.2f}", end="")
        print(f"; client's peak {figures['client_peak_mib']:.0f} MiB", flush=True)
        row[way.name.lower()] = figures
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", required=True, help="of an environment with huggingface_hub and hf_xet")
    parser.add_argument("--pairs", type=int, default=5, help="pairs of downloads (default 5)")
    parser.add_argument("--mib", type=int, default=1024, help="size of the file (default 1024)")
    parser.add_argument("--env", action="append", default=[], metavar="NAME=VALUE", help="for the client by Xet")
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    parser.add_argument("--client-folder", default=memory, help="where the client writes (default: into memory)")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    options = parser.parse_args()
    if options.json:
        options.json = options.json.resolve()

    work = Path(tempfile.mkdtemp(prefix="modelhub-bench-"))
    os.chdir(work)
    control = Path("/proc/sys/net/ipv4/tcp_congestion_control").read_text().strip()
    print(f"{os.cpu_count()} processors, congestion control {control}, {options.mib} MiB, {options.pairs} pairs")
    running = []
    try:
        mock = [TARGET / "mock-hf", "--listen", f"127.0.0.1:{MOCK}", "--cdn-listen", f"127.0.0.1:{CDN}"]
        mock += ["--add-random", f"{REPO}:{FILE}:{options.mib}MiB"]
        running.append(start(mock, f"http://127.0.0.1:{MOCK}/api/models/{REPO}", "mock.log"))
        hub = start(
            [TARGET / "modelhub", "serve"],
            f"http://127.0.0.1:{HUB}/readyz",
            "hub.log",
            MODELHUB_DATA_DIR=str(work / "data"),
            MODELHUB_HUB_LISTEN=f"127.0.0.1:{HUB}",
            MODELHUB_ADMIN_LISTEN=f"127.0.0.1:{ADMIN}",
            MODELHUB_UPSTREAM_URL=f"http://127.0.0.1:{MOCK}",
            MODELHUB_UPSTREAM_CDN_HOSTS="127.0.0.1",
            MODELHUB_LOG="warn",
            # The benchmark is about the hub, not about asking the mock once a minute.
            MODELHUB_CACHE_REF_TTL="1h",
        )
        running.append(hub)
        row = compare(options, hub)
    finally:
        for process in running:
            process.terminate()
            process.wait()
        os.chdir("/")
        shutil.rmtree(work, ignore_errors=True)
    if options.json:
        options.json.write_text(json.dumps(row, indent=1))


if __name__ == "__main__":
    main()
