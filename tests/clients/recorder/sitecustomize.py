"""Loaded by every client's Python before anything else: writes down where the process connects to and which names
it looks up, one JSON line each. An audit hook sees all of Python, whichever HTTP library a client version uses."""

import json
import os
import sys

_LOG = os.environ.get("CLIENT_CONNECT_LOG")


def _record(event: str, arguments: tuple) -> None:
    if event == "socket.connect":
        address = arguments[1]
        what = f"{address[0]}:{address[1]}" if isinstance(address, tuple) else str(address)
    elif event == "socket.getaddrinfo":
        what = f"{arguments[0]}:{arguments[1]}"
    else:
        return
    line = json.dumps({"event": event, "address": what}) + "\n"
    descriptor = os.open(_LOG, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)


if _LOG:
    sys.addaudithook(_record)
