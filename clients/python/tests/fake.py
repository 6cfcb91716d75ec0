"""A server that knows the API's definition: it refuses what docs/openapi.json does not
have, and answers with every field set."""

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx2

ROOT = Path(__file__).resolve().parents[3]
DOCUMENT: dict[str, Any] = json.loads((ROOT / "docs" / "openapi.json").read_text())
SCHEMAS: dict[str, Any] = DOCUMENT["components"]["schemas"]
TIME = "2026-11-25T20:00:00.250+00:00"


class FakeServer:
    """Use it as an httpx2 handler; `calls` are the operations that were asked for."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        path = request.url.raw_path.decode().partition("?")[0]
        operation = find(request.method.lower(), path)
        self.calls.append(operation["operationId"])
        check_query(operation, request.url.params)
        check_body(operation, request.content)
        content = operation["responses"]["200"]["content"]
        if "text/event-stream" in content:
            event = sample(SCHEMAS["Event"], "Event")
            text = f"id: 7\nevent: job\ndata: {json.dumps(event)}\n\n"
            kind = {"content-type": "text/event-stream"}
            return httpx2.Response(200, text=text, headers=kind)
        schema = content["application/json"]["schema"]
        return httpx2.Response(200, json=sample(schema, ""))


def find(method: str, path: str) -> dict[str, Any]:
    for template, operations in DOCUMENT["paths"].items():
        pattern = re.sub(r"\{\w+\}", "[^/]+", template)
        if re.fullmatch(pattern, path) and method in operations:
            operation: dict[str, Any] = operations[method]
            return operation
    raise AssertionError(f"no operation {method} {unquote(path)}")


def check_query(operation: dict[str, Any], params: httpx2.QueryParams) -> None:
    known = {p["name"]: p["schema"] for p in operation.get("parameters", [])}
    for name, value in params.multi_items():
        assert name in known, f"{operation['operationId']}: no parameter {name}"
        schema = resolved(known[name])
        schema = resolved(schema.get("items", schema))
        if schema["type"] == "boolean":
            assert value in ("true", "false")
        if schema["type"] == "integer":
            assert value.isdigit()
        assert value in schema.get("enum", [value])


def check_body(operation: dict[str, Any], content: bytes) -> None:
    if "requestBody" not in operation:
        assert content == b""
        return
    media = operation["requestBody"]["content"]["application/json"]
    check_object(media["schema"], json.loads(content))


def check_object(schema: dict[str, Any], value: dict[str, Any]) -> None:
    properties = resolved(schema).get("properties", {})
    for name, field in value.items():
        assert name in properties, f"no field {name} in {schema}"
        if isinstance(field, dict):
            check_object(properties[name], field)
        assert field in resolved(properties[name]).get("enum", [field])


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    if reference := schema.get("$ref"):
        found = SCHEMAS[reference.rpartition("/")[2]]
        assert isinstance(found, dict)
        return found
    return schema


def sample(schema: dict[str, Any], name: str) -> Any:
    """A value of a schema with all fields. Lists have one item, and one page."""
    schema = resolved(schema)
    if name in ("next_page_token", "more"):
        return False if name == "more" else ""
    if "enum" in schema:
        return "completed" if "completed" in schema["enum"] else schema["enum"][-1]
    if schema.get("format") == "date-time":
        return TIME
    if schema.get("pattern") == "^[0-9]+$":
        return "18446744073709551615"
    match schema["type"]:
        case "object":
            fields = schema.get("properties", {})
            return {name: sample(field, name) for name, field in fields.items()}
        case "array":
            return [sample(schema["items"], name)]
        case "string":
            return f"some {name}"
        case "integer":
            return 3
        case "number":
            return 0.5
        case "boolean":
            return True
    raise AssertionError(f"{schema}: no sample")
