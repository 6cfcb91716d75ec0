"""Compares modelhub with nginx: hot, small, cold and slow-upstream downloads.

Each comparison runs both sides in turn, several rounds, and prints the median of the rounds'
ratios with what each side measured. Absolute figures of a shared machine prove nothing.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"
LOAD = TARGET / "examples/load"
MOCK, CDN, HUB, ADMIN, NGINX = 9600, 9601, 9602, 9603, 9604
FILE, SMALL = "/bench/big/resolve/main/file.bin", "/bench/big/resolve/main/small.json"


class Processes:
    def __init__(self) -> None:
        self.running: dict[str, subprocess.Popen] = {}

    def start(self, name: str, command: list, ready: str, **env: str) -> None:
        self.stop(name)
        environment = {k: v for k, v in os.environ.items() if not k.startswith("MODELHUB_")} | env
        log = open(f"{name}.log", "w")
        self.running[name] = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        deadline = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(ready, timeout=5).read(1)
                return
            except OSError:  # refused, or not 200 yet
                if time.monotonic() > deadline or self.running[name].poll() is not None:
                    raise SystemExit(f"{name} did not start: {Path(f'{name}.log').read_text()}") from None
                time.sleep(0.05)

    def stop(self, name: str) -> None:
        process = self.running.pop(name, None)
        if process:
            process.terminate()
            process.wait()

    def stop_all(self) -> None:
        for name in list(self.running):
            self.stop(name)


procs = Processes()


def load(*arguments: object) -> list[float]:
    output = subprocess.run([LOAD, *map(str, arguments)], check=False, capture_output=True, text=True)
    if output.returncode:
        logs = "".join(path.read_text()[-2000:] for path in Path().glob("*.log"))
        raise SystemExit(f"load {arguments}: {output.stderr}{logs}")
    return [float(word) for word in output.stdout.split()]


def start_mock(rate: str | None = None) -> None:
    command = [TARGET / "mock-hf", "--listen", f"127.0.0.1:{MOCK}", "--cdn-listen", f"127.0.0.1:{CDN}"]
    command += ["--repos", "repos"] + (["--rate", rate] if rate else [])
    procs.start("mock", command, f"http://127.0.0.1:{MOCK}/api/models/bench/big")


def start_hub(fresh: bool) -> None:
    procs.stop("hub")
    if fresh:
        shutil.rmtree("data", ignore_errors=True)
    procs.start(
        "hub",
        [TARGET / "modelhub", "serve"],
        f"http://127.0.0.1:{HUB}/readyz",
        MODELHUB_DATA_DIR=str(Path("data").resolve()),
        MODELHUB_HUB_LISTEN=f"127.0.0.1:{HUB}",
        MODELHUB_ADMIN_LISTEN=f"127.0.0.1:{ADMIN}",
        MODELHUB_UPSTREAM_URL=f"http://127.0.0.1:{MOCK}",
        MODELHUB_UPSTREAM_CDN_HOSTS="127.0.0.1",
        MODELHUB_LOG="warn",
        # The benchmark is about the hub, not about asking the mock once a minute.
        MODELHUB_CACHE_REF_TTL="1h",
    )


def start_nginx(fresh: bool) -> None:
    procs.stop("nginx")
    if fresh:
        shutil.rmtree("cache", ignore_errors=True)
    here = Path.cwd()
    user = " user root;" if os.geteuid() == 0 else ""
    Path("nginx.conf").write_text(f"""
worker_processes 2; pid {here}/nginx.pid; error_log {here}/nginx-error.log; daemon off;{user}
events {{ worker_connections 1024; }}
http {{
  access_log off; sendfile on; tcp_nopush on; tcp_nodelay on; open_file_cache max=100;
  keepalive_requests 1000000000; keepalive_timeout 600;
  client_body_temp_path {here}/tmp; proxy_temp_path {here}/tmp; fastcgi_temp_path {here}/tmp;
  uwsgi_temp_path {here}/tmp; scgi_temp_path {here}/tmp;
  proxy_cache_path {here}/cache keys_zone=c:10m max_size=20g inactive=1h use_temp_path=off;
  upstream hub {{ server 127.0.0.1:{HUB}; keepalive 64; }}
  upstream cdn {{ server 127.0.0.1:{CDN}; keepalive 64; }}
  proxy_http_version 1.1; proxy_set_header Connection "";
  proxy_cache c; proxy_cache_valid 200 1h; proxy_cache_lock on; proxy_max_temp_file_size 0;
  server {{
    listen 127.0.0.1:{NGINX};
    location /static/ {{ alias {here}/repos/models/bench/big/; }}
    location /hub/ {{ proxy_ignore_headers Vary; proxy_pass http://hub/; }}
    location / {{ proxy_pass http://cdn; }}
  }}
}}
""")
    procs.start("nginx", ["nginx", "-c", here / "nginx.conf"], f"http://127.0.0.1:{NGINX}/static/small.json")


def signed_path() -> str:
    """Where the mock's download host has the file now, as path and query."""

    class NoRedirect(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_: object) -> None:
            return None

    try:
        urllib.request.build_opener(NoRedirect).open(f"http://127.0.0.1:{MOCK}{FILE}")
    except urllib.error.HTTPError as error:
        location = error.headers["Location"]
        return location[location.index("/", len("http://")) :]
    raise SystemExit("the mock did not redirect the file to its download host")


@dataclass
class Comparison:
    title: str
    goal: str
    figure: str
    ours: Callable[[], float]
    theirs: Callable[[], float]

    def run(self, rounds: int) -> dict:
        """Both sides in turn, each first in every other round; the ratio is ours to theirs."""
        pairs = []
        for number in range(rounds):
            if number % 2 == 0:
                ours = self.ours()
                pairs.append((ours, self.theirs()))
            else:
                theirs = self.theirs()
                pairs.append((self.ours(), theirs))
        ratios = [ours / theirs for ours, theirs in pairs]
        ours, theirs = (statistics.median(side) for side in zip(*pairs, strict=True))
        span = f"{min(ratios):.2f}-{max(ratios):.2f}"
        ratio = statistics.median(ratios)
        print(f"{self.title:46} ratio {ratio:.2f} [{span}] goal {self.goal}", end="  ")
        print(f"modelhub {ours:.2f}, other {theirs:.2f} {self.figure}", flush=True)
        return {"what": self.title, "ratio": ratio, "range": span, "goal": self.goal}


HUB_ADDRESS, NGINX_ADDRESS, CDN_ADDRESS = (f"127.0.0.1:{port}" for port in (HUB, NGINX, CDN))


def cold_hub() -> float:
    start_hub(fresh=True)
    return load("get", HUB_ADDRESS, FILE, 1, 1)[0]


def cold_nginx() -> float:
    start_nginx(fresh=True)
    return load("get", NGINX_ADDRESS, signed_path(), 1, 1)[0]


def hot(connections: int, times: int) -> Comparison:
    return Comparison(
        f"hot 1 GiB, {connections} connections / nginx sendfile",
        ">=0.9",
        "GB/s",
        lambda: load("get", HUB_ADDRESS, FILE, connections, times)[1],
        lambda: load("get", NGINX_ADDRESS, "/static/file.bin", connections, times)[1],
    )


def comparisons() -> list[Comparison]:
    return [
        hot(1, 4),
        hot(4, 2),
        hot(16, 1),
        Comparison(
            "HEAD, 64 connections / nginx proxy_cache",
            ">=0.8",
            "requests/s",
            lambda: load("head", HUB_ADDRESS, SMALL, 64, 2)[0],
            lambda: load("head", NGINX_ADDRESS, "/hub" + SMALL, 64, 2)[0],
        ),
        Comparison("cold 1 GiB, unlimited upstream / proxy_cache", "<=1.5", "s", cold_hub, cold_nginx),
    ]


def limited() -> Comparison:
    """Against one connection to the download host, which is what a client without the hub has."""
    return Comparison(
        "cold 1 GiB, 50 MB/s a connection: speed-up",
        ">=5",
        "files/s",
        lambda: 1 / cold_hub(),
        lambda: 1 / load("get", CDN_ADDRESS, signed_path(), 1, 1)[0],
    )


def make_files() -> None:
    Path("tmp").mkdir()
    repo = Path("repos/models/bench/big")
    repo.mkdir(parents=True)
    with (repo / "file.bin").open("wb") as file:
        for _ in range(1024):
            file.write(os.urandom(1 << 20))
    (repo / "small.json").write_text(json.dumps({"x": "y" * 1000}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="rounds of each comparison (default 7)")
    parser.add_argument("--only", default="", help="only comparisons whose title contains this")
    parser.add_argument("--json", type=Path, help="write the rows here too")
    options = parser.parse_args()

    work = Path(tempfile.mkdtemp(prefix="modelhub-bench-"))
    os.chdir(work)
    make_files()
    control = Path("/proc/sys/net/ipv4/tcp_congestion_control").read_text().strip()
    print(f"{os.cpu_count()} processors, congestion control {control}, medians of {options.rounds} rounds")
    rows = []
    try:
        start_mock()
        start_hub(fresh=True)
        start_nginx(fresh=True)
        # What is to be hot is fetched once before.
        for address, target in [
            (HUB_ADDRESS, FILE),
            (HUB_ADDRESS, SMALL),
            (NGINX_ADDRESS, "/static/file.bin"),
            (NGINX_ADDRESS, "/hub" + SMALL),
        ]:
            load("get", address, target, 1, 1)
        rows = [row.run(options.rounds) for row in comparisons() if options.only in row.title]
        if options.only in limited().title:
            start_mock(rate="50MB")
            rows.append(limited().run(max(1, options.rounds // 3)))
    finally:
        procs.stop_all()
        os.chdir("/")
        shutil.rmtree(work, ignore_errors=True)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
