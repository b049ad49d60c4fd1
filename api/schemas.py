"""The words that come in, checked so that a wrong one gets a sentence; and problems as a schema."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import chain
from typing import Annotated, Any, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
)

EARLIEST = datetime(1900, 1, 1, tzinfo=UTC)
LATEST = datetime(2200, 1, 1, tzinfo=UTC)
DEPTH = 20
BIGGEST = 2**63 - 1  # number of a row
_ISO = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?( ?[Zz]|[+-]\d\d:?\d\d)", re.ASCII
)
_LOST_PLUS = re.compile(r"(:\d\d(?:\.\d+)?) (\d\d:?\d\d)$")


def _no_nul(value: str) -> str:
    if "\0" in value:
        raise ValueError("the text holds a character NUL, which no text may; take it out")
    return value


def _not_blank(value: str) -> str:
    if not value.strip():
        raise ValueError("the text is nothing but blanks; write it, or leave the field out")
    return value


@cache
def _admits(model: type[BaseModel], name: str) -> frozenset[Any]:
    """The plain types that a field is made of."""

    def parts(hint: Any) -> Iterator[Any]:
        inner = get_args(hint)
        yield from chain.from_iterable(map(parts, inner)) if inner else (hint,)

    return frozenset(parts(model.model_fields[name].annotation))


def _is_no_number(value: Any) -> bool:
    """Whether Python would take for a number what nobody writes as one: true, or 1_0."""
    return isinstance(value, bool) or (isinstance(value, str) and "_" in value)


def _moment(value: Any) -> Any:
    """An instant as ISO 8601 says it. Numbers and bare dates could mean several instants."""
    if isinstance(value, datetime):
        return value
    # In an address + stands for a space; a space before a zone can only have been one.
    text = _LOST_PLUS.sub(r"\1+\2", str(value).strip())
    if not _ISO.fullmatch(text):
        raise ValueError(
            "an instant is written with its zone, such as 2026-03-02T08:30:00+08:00 (in an address "
            "+ is written %2B) or 2026-03-02T00:30:00Z"
        )
    return text


def _in_reach(moment: datetime) -> datetime:
    if not EARLIEST <= moment < LATEST:
        raise ValueError("the instant lies outside the years 1900 to 2199")
    return moment.astimezone(UTC)


def _not_to_come(moment: datetime) -> datetime:
    if moment > datetime.now(UTC) + timedelta(minutes=1):
        raise ValueError("the instant lies in the future; leave it out for what is known now")
    return moment


def _has_happened(moment: datetime) -> datetime:
    if moment > datetime.now(UTC) + timedelta(days=1):
        raise ValueError("the instant lies in the future; a report is about what has happened")
    return moment


def _plain(value: dict[str, Any]) -> dict[str, Any]:
    _check_plain(value, "attributes", DEPTH)
    return value


def _check_plain(value: Any, where: str, depth: int) -> None:
    if depth == 0:
        raise ValueError(f"the values are nested more than {DEPTH} deep; flatten them")
    if isinstance(value, dict):
        for key, inner in value.items():
            _check_plain(key, f"the name {key!r} in {where}", depth)
            _check_plain(inner, f"{where}.{key}", depth - 1)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            _check_plain(inner, f"{where}.{number}", depth - 1)
    elif isinstance(value, float) and not abs(value) < float("inf"):
        raise ValueError(f"{where} is {value}, which JSON cannot say; leave it out or give null")
    elif isinstance(value, str) and ("\0" in value or (not value.isprintable() and _torn(value))):
        raise ValueError(f"{where} holds a character that no text may have (NUL, half a pair)")


def _torn(value: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in value)


Word = Annotated[
    str, Field(min_length=1, max_length=200), AfterValidator(_no_nul), AfterValidator(_not_blank)
]
Actor = Annotated[
    Word | None, Field(description="for whom another system asks; people act in their own name")
]
Line = Annotated[
    str, Field(min_length=1, max_length=500), AfterValidator(_no_nul), AfterValidator(_not_blank)
]
Prose = Annotated[str, Field(max_length=20_000), AfterValidator(_no_nul)]
Remark = Annotated[str, Field(max_length=2000), AfterValidator(_no_nul)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Accuracy = Annotated[float, Field(ge=0.1, le=5000, allow_inf_nan=False)]
Moment = Annotated[datetime, BeforeValidator(_moment), AfterValidator(_in_reach)]
Known = Annotated[Moment, AfterValidator(_not_to_come)]
Happened = Annotated[Moment, AfterValidator(_has_happened)]
Attributes = Annotated[dict[str, Any], AfterValidator(_plain)]


class Incoming(BaseModel):
    """What comes in: a name that is not known is a mistake, not something to pass over."""

    model_config = ConfigDict(extra="forbid")

    @field_validator("*", mode="before")
    @classmethod
    def _numbers_are_numbers(cls, value: Any, info: ValidationInfo) -> Any:
        admits = _admits(cls, str(info.field_name))
        if admits & {int, float} and not admits & {bool, str, Any}:
            inside = value.values() if isinstance(value, dict) else value
            for each in inside if isinstance(value, dict | list) else (value,):
                if _is_no_number(each):
                    raise ValueError(f"{json.dumps(each)} is no number")
        return value


class Outgoing(BaseModel):
    """What goes out, for the description: answers are written without a detour over it."""

    model_config = ConfigDict(extra="forbid")


class Fault(Outgoing):
    """One field at fault."""

    field: str
    detail: str


class ProblemDetails(BaseModel):
    """An error (RFC 9457); further members depend on its type."""

    type: str = Field(description="stable; leads to a page that explains it")
    title: str
    status: int
    detail: str = Field(description="what happened and what to do")
    field: str | None = Field(None, description="the field to mend")
    errors: list[Fault] | None = Field(None, description="every field at fault")
    id: str | None = Field(None, description="of an error of the service: its number in the log")


class Received(Outgoing):
    """Coordinates as they were received."""

    lon: float | None = Field(description="longitude, or the easting of a projected datum")
    lat: float | None = Field(description="latitude, or the northing of a projected datum")
    datum: str | None


class Point(Outgoing):
    """A position made WGS 84."""

    lon: float
    lat: float
    datum: str
    accuracy_m: float
    received: Received | None = Field(None, description="null: from the gazetteer")
