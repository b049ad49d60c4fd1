"""Problem details (RFC 9457): every error has a stable type, what happened, and what to do."""

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any
from uuid import uuid4

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse
from psycopg.errors import (
    DeadlockDetected,
    InsufficientPrivilege,
    UndefinedColumn,
    UndefinedFunction,
    UndefinedTable,
)
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, PendingRollbackError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException as StarletteHTTPException

from api.answers import NO_STORE, dumps
from api.problem_kinds import KINDS
from data.errors import InputError
from data.refusals import DispatchError
from data.server_programs import ServerError
from layers.fault import fault
from layers.i18n import Lang

log = logging.getLogger("wangge.api")
MOST_FAULTS = 100  # that an answer lists: a body of megabytes may have a million
MEDIA_TYPE = "application/problem+json"


# What the domain calls it, where a problem has another name than that.
_NAMES = {
    "unknown_datum": "datum-unknown", "unsupported_datum": "datum-unsupported",
    "unknown_layer": "layer-unknown", "unknown_report": "report-unknown",
    "unknown_code": "code-not-in-force", "unknown_incident": "incident-unknown",
    "unknown_resource": "resource-unknown", "withdrawn": "resource-withdrawn",
    "facility": "resource-is-a-place", "not_available": "resource-not-available",
    "taken": "resource-taken", "unknown_assignment": "assignment-unknown",
    "unknown_calendar": "calendar-unknown",
    "unknown_service_time": "service-time-unknown", "unknown_supervision": "supervision-unknown",
    "unknown_case": "case-unknown", "not_allowed": "case-not-allowed",
    "moved_on": "case-moved-on", "not_accountable": "case-not-accountable",
    "circular": "case-circular", "highest_level": "case-highest",
    "not_lower": "case-not-lower", "unknown_organisation": "organisation-unknown",
    "unknown_kind": "kind-unknown", "unknown_party": "party-unknown",
    "unknown_visit": "return-visit-unknown", "unknown_question": "question-unknown",
    "unknown_attachment": "attachment-unknown", "unknown_retention": "retention-unknown",
    "unknown_whistle": "whistle-unknown", "unknown_call": "call-unknown",
    "not_caller": "not-caller-of-whistle", "not_ended": "whistle-not-ended",
    "unknown_member": "member-unknown", "unknown_plan_step": "plan-step-unknown",
    "unknown_referral": "referral-unknown", "unknown_team": "team-unknown",
    "unknown_warning": "warning-unknown",
    "unknown_agreement": "agreement-unknown",
    "unknown_device": "device-unknown", "invalid_resource": "resource-invalid",
    "no_home": "home-missing", "busy_resource": "resource-busy",
    "withdrawn_resource": "resource-withdrawn", "unknown_leave": "leave-unknown",
}  # fmt: skip
# What may be wrong with a position.
POSITION = (
    "datum-unsupported", "not-a-number", "null-island", "swapped", "metres", "degrees",
    "out-of-range", "wrong-datum",
)  # fmt: skip
# What goes with every problem that passes by itself.
_RETRY = {
    "Retry-After": {
        "description": "after so many seconds", "required": True, "schema": {"type": "integer"},
    }
}  # fmt: skip
_STATUS = {404: "not-found", 405: "wrong-method", 413: "too-large"}


class Problem(HTTPException):
    """An error that the caller can mend; `detail` is a sentence that says how."""

    def __init__(
        self,
        name: str,
        detail: str | None = None,
        *,
        field: str | None = None,
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> None:
        kind = KINDS[name]
        self.name = name
        self.members = {
            "type": f"/problems/{name}",
            "title": kind.title,
            "status": kind.status,
            "detail": detail or kind.explanation,
            **({"field": field} if field else {}),
            **more,
        }
        super().__init__(kind.status, self.members["detail"], dict(headers or {}))

    def response(self) -> Response:
        """The problem as it is sent."""
        return Response(
            dumps(self.members),
            self.status_code,
            {**NO_STORE, **(self.headers or {})},
            MEDIA_TYPE,
        )


def of_input(error: InputError) -> Problem:
    """The problem that an error of the domain is."""
    name = _NAMES.get(error.reason) or error.reason.replace("_", "-")
    # Of a datum that nobody named, the problem's explanation says more than the domain does.
    detail = None if name == "datum-unknown" else _sentence(str(error))
    return Problem(name, detail, field=error.field)


def of_dispatch(error: DispatchError) -> Problem:
    """The problem that a refusal to send somebody, or to move a task on, is."""
    name = _NAMES.get(error.reason) or error.reason.replace("_", "-")
    return Problem(name, _sentence(str(error)), **error.facts)


def of(error: Exception) -> Problem | None:
    """The problem that an error of the domain, or a passing one of the database, is; else None."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, InputError):
        return of_input(error)
    return of_dispatch(error) if isinstance(error, DispatchError) else of_database(error)


def of_validation(errors: Sequence[Any]) -> Problem:
    """The problem that pydantic's errors are; the first of them is the sentence."""
    faults = [
        {"field": _path(error["loc"]), "detail": _sentence(error["msg"])}
        for error in errors[:MOST_FAULTS]
    ]
    first = faults[0]
    detail = f"{first['field']}: {first['detail']}" if first["field"] else first["detail"]
    return Problem("validation", detail, field=first["field"] or None, errors=faults)


def _path(location: Sequence[str | int]) -> str:
    parts = (
        location[1:]
        if location and location[0] in ("query", "body", "path", "header")
        else location
    )
    return ".".join(str(part) for part in parts)


def _sentence(message: str) -> str:
    message = message.removeprefix("Value error, ")
    if message == "Extra inputs are not permitted":
        message = "There is no such field here; /openapi.json lists those that there are"
    message = message[:1].upper() + message[1:]
    return message if message.endswith(".") else f"{message}."


def of_database(error: Exception) -> Problem | None:
    """The problem that an error of the database is, if it is one that passes."""
    if isinstance(error, DBAPIError):
        if _is_by_policy(error.orig):
            return Problem("outside-areas")
        # Tables of another version are there without what this one granted.
        other_tables = UndefinedTable | UndefinedColumn | UndefinedFunction | InsufficientPrivilege
        if isinstance(error.orig, other_tables):
            return Problem("not-ready", headers={"Retry-After": "30"})
        if isinstance(error.orig, DeadlockDetected):
            return Problem("collided", headers={"Retry-After": "1"})
        gone = isinstance(error, OperationalError | InterfaceError) or error.connection_invalidated
        return _unavailable() if gone else None
    away = PoolTimeout | PendingRollbackError | ServerError | OSError
    return _unavailable() if isinstance(error, away) else None


def _is_by_policy(error: BaseException | None) -> bool:
    """Whether a row was refused, not a table; the message would be in the server's language."""
    if not isinstance(error, InsufficientPrivilege):
        return False
    return error.diag.source_function == "ExecWithCheckOptions"


def _unavailable() -> Problem:
    return Problem("database-unavailable", headers={"Retry-After": "5"})


def unexpected(error: Exception) -> Problem:
    """The problem that stands for an error of ours; the log has the error under the same number."""
    if problem := of_database(error):
        if problem.status_code >= 500:
            log.warning("The database does not answer: %s", error)
        return problem
    number = uuid4().hex[:12]
    log.error("Unexpected error %s", number, exc_info=error)
    return Problem("internal", id=number)


# --- in the application -------------------------------------------------------------------------


def install(app: FastAPI) -> None:
    """Make every error of the application a problem."""
    app.add_exception_handler(StarletteHTTPException, _on_http)
    app.add_exception_handler(RequestValidationError, _on_validation)
    app.add_exception_handler(InputError, _on_input)
    app.add_exception_handler(DispatchError, _on_dispatch)


def answer(request: Request, problem: Problem) -> Response:
    """The problem, or where a browser would have had a map, a page that says it."""
    if not (request.url.path.startswith(("/maps/", "/sign-in/")) and _is_read(request)):
        return problem.response()
    lang: Lang = "en" if request.query_params.get("lang") == "en" else "zh"
    page = fault(problem.name, problem.status_code, problem.members["detail"], lang)
    return HTMLResponse(page, problem.status_code, {**NO_STORE, **(problem.headers or {})})


def _is_read(request: Request) -> bool:
    """Whether a person opened the address, and not a program."""
    return "text/html" in request.headers.get("accept", "")


async def _on_http(request: Request, error: Exception) -> Response:
    if isinstance(error, Problem):
        return answer(request, error)
    assert isinstance(error, StarletteHTTPException)
    allow = (error.headers or {}).get("Allow", "GET")
    path = request.url.path
    if error.status_code == 404:
        detail = f"There is nothing at {path}. {KINDS['not-found'].explanation}"
        return answer(request, Problem("not-found", detail))
    if error.status_code == 405:
        detail = f"{request.method} does not fit {path}; it has {allow}."
        return answer(request, Problem("wrong-method", detail, headers={"Allow": allow}))
    if error.status_code == 400 and "parsing the body" in str(error.detail):
        return answer(request, Problem("not-json"))
    if name := _STATUS.get(error.status_code):
        return answer(request, Problem(name))
    problem = Problem("http", str(error.detail))
    problem.members |= {
        "title": HTTPStatus(error.status_code).phrase,
        "status": error.status_code,
    }
    problem.status_code = error.status_code
    return answer(request, problem)


async def _on_validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    if first["type"] == "json_invalid":
        where, why = first["loc"][1], first["ctx"]["error"]
        detail = f"The body is no JSON: {why} at character {where}. Mend it and send it again."
        return answer(request, Problem("not-json", detail))
    if isinstance(error.body, bytes) and first["loc"] == ("body",):
        return answer(request, Problem("wrong-content-type"))
    return answer(request, of_validation(error.errors()))


async def _on_input(request: Request, error: Exception) -> Response:
    assert isinstance(error, InputError)
    return answer(request, of_input(error))


async def _on_dispatch(request: Request, error: Exception) -> Response:
    assert isinstance(error, DispatchError)
    return answer(request, of_dispatch(error))


def documented(*names: str, page: bool = False) -> dict[int | str, dict[str, Any]]:
    """OpenAPI's description of the problems that a route may answer with.

    `page`: to a browser it answers with a page that says it (`answer`).
    """
    html = {"text/html": {"schema": {"type": "string"}}} if page else {}
    by_status: dict[int | str, dict[str, Any]] = {}
    for name in (*names, "database-unavailable", "collided", "internal"):
        example = Problem(name)
        entry = by_status.setdefault(
            example.status_code,
            {
                "description": HTTPStatus(example.status_code).phrase,
                "content": {
                    MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDetails"}},
                    **html,
                },
                **({"headers": _RETRY} if example.status_code in (429, 503) else {}),
            },
        )
        media = entry["content"][MEDIA_TYPE]
        media.setdefault("examples", {})[name] = {
            "summary": example.members["title"],
            "value": example.members,
        }
    return by_status
