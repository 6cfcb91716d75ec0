"""Messages to and from JSON, and the paths of what they are about."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, TypeAlias, TypeVar
from urllib.parse import quote

from betterproto2 import Casing, Enum, Message
from httpx2 import QueryParams

from .errors import UnexpectedAnswer
from .gen.modelhub.v1 import (
    Job,
    ModelRepo,
    QuarantinedFile,
    Selection,
    SelectionPreset,
)

# A model by its id, `namespace/name` or `kind/namespace/name`, or as it was answered.
ModelRef: TypeAlias = ModelRepo | str
JobRef: TypeAlias = Job | str
QuarantineRef: TypeAlias = QuarantinedFile | str
# One string, or several.
Texts: TypeAlias = str | Iterable[str]

_M = TypeVar("_M", bound=Message)
_E = TypeVar("_E", bound=Enum)


def model_path(model: ModelRef, action: str = "") -> str:
    name = model.id if isinstance(model, ModelRepo) else model
    return f"/v1/models/{_segment('model', name)}" + (action and f"/{action}")


def job_path(job: JobRef, action: str = "") -> str:
    return f"/v1/jobs/{_segment('job', job_id(job))}" + (action and f"/{action}")


def job_id(job: JobRef) -> str:
    return job.id if isinstance(job, Job) else job


def quarantine_path(file: QuarantineRef) -> str:
    name = file.name if isinstance(file, QuarantinedFile) else file
    return f"/v1/storage/quarantine/{_segment('quarantined file', name)}"


def _segment(what: str, name: str) -> str:
    if not name:
        raise ValueError(f"{what}: an empty name")
    # `.` and `..` would be taken out of the path on the way.
    return quote(name, safe="") if name.strip(".") else name.replace(".", "%2E")


def texts(value: Texts) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def word(kind: type[_E], value: _E | str) -> _E:
    """A word of an enum; empty: unset."""
    if isinstance(value, str):
        if not value:
            return kind(0)
        if value not in kind.__members__:
            words = ", ".join(list(kind.__members__)[1:])
            raise ValueError(f"unknown value {value!r}; expected one of: {words}")
        return kind[value]
    return value


def words(kind: type[_E], values: _E | str | Iterable[_E | str]) -> list[_E]:
    if isinstance(values, str | Enum):
        values = [values] if values else []
    return [word(kind, value) for value in values]


def moment(value: datetime | None) -> datetime | None:
    """A time without a zone is local."""
    return value.astimezone() if value and value.tzinfo is None else value


def selection(
    paths: Texts,
    include: Texts,
    exclude: Texts,
    preset: SelectionPreset | str = "",
    quantisation: str = "",
) -> Selection | None:
    """Which files are meant; None: all."""
    selected = Selection(
        paths=texts(paths),
        include=texts(include),
        exclude=texts(exclude),
        preset=word(SelectionPreset, preset),
        quantisation=quantisation,
    )
    return None if selected == Selection() else selected


def to_body(request: Message) -> dict[str, Any]:
    """The fields that are set."""
    return request.to_dict(casing=Casing.SNAKE)


def to_query(request: Message) -> QueryParams:
    query: list[tuple[str, str]] = []
    for name, value in to_body(request).items():
        for item in value if isinstance(value, list) else [value]:
            query.append((name, str(item).lower() if item in (True, False) else item))
    return QueryParams(tuple(query))


def parse(kind: type[_M], text: bytes | str) -> _M:
    """A message from JSON. Fields that only a newer server knows are ignored."""
    try:
        value = json.loads(text)
    except ValueError as error:
        raise UnexpectedAnswer(f"{kind.__name__} expected: {error}") from error
    if not isinstance(value, Mapping):
        raise UnexpectedAnswer(f"{kind.__name__} expected, not {value!r:.100}")
    try:
        try:
            return kind.from_dict(value, ignore_unknown_fields=True)
        except ValueError:
            known = _without_unknown_words(kind, value)
            return kind.from_dict(known, ignore_unknown_fields=True)
    except (ValueError, TypeError, AttributeError) as error:
        raise UnexpectedAnswer(f"not a {kind.__name__}: {error}") from error


def _without_unknown_words(kind: type[Any], value: Any) -> Any:
    """Words that an enum does not have here become its zero value."""
    if isinstance(value, list):
        return [_without_unknown_words(kind, item) for item in value]
    if issubclass(kind, Enum):
        new = isinstance(value, str) and value not in kind.__members__
        return kind(0) if new else value
    if not isinstance(value, Mapping) or not issubclass(kind, Message):
        return value
    message: Any = kind
    fields: dict[str, type] = message._betterproto.cls_by_field
    return {
        name: _without_unknown_words(fields[name], field)
        for name, field in value.items()
        if name in fields
    }
