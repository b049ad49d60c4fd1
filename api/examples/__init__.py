"""Examples for the description; tests hold each of them to the schema and to the service."""

import json
from pathlib import Path
from typing import Any

_EXAMPLES: dict[str, Any] = {}
for _file in sorted(Path(__file__).parent.glob("*.json")):
    _read = json.loads(_file.read_text(encoding="utf-8"))
    assert not _EXAMPLES.keys() & _read.keys(), f"{_file.name} names what another file names"
    _EXAMPLES |= _read


def of(name: str) -> Any:
    """The example of a name: of a request as OpenAPI lists them, or of an answer."""
    return _EXAMPLES[name]


# Of requests: as OpenAPI lists them, each with a summary.
BATCH_REQUEST: dict[str, Any] = _EXAMPLES["batch_request"]
REPORT_REQUEST: dict[str, Any] = _EXAMPLES["report_request"]
CONFIRM_REQUEST: dict[str, Any] = _EXAMPLES["confirm_request"]
RULE_REQUEST: dict[str, Any] = _EXAMPLES["rule_request"]
TRIAL_REQUEST: dict[str, Any] = _EXAMPLES["trial_request"]
DISPATCH_REQUEST: dict[str, Any] = _EXAMPLES["dispatch_request"]
STEP_REQUEST: dict[str, Any] = _EXAMPLES["step_request"]
RECALL_REQUEST: dict[str, Any] = _EXAMPLES["recall_request"]
CLOSE_REQUEST: dict[str, Any] = _EXAMPLES["close_request"]
DEPLOYMENT_REQUEST: dict[str, Any] = _EXAMPLES["deployment_request"]
ATTENDANCE_REQUEST: dict[str, Any] = _EXAMPLES["attendance_request"]
FILL_REQUEST: dict[str, Any] = _EXAMPLES["fill_request"]
MATCHING_REQUEST: dict[str, Any] = _EXAMPLES["matching_request"]
POSITIONS_REQUEST: dict[str, Any] = _EXAMPLES["positions_request"]
DEVICE_REQUEST: dict[str, Any] = _EXAMPLES["device_request"]
OWNTRACKS_REQUEST: dict[str, Any] = _EXAMPLES["owntracks_request"]
OSMAND_REQUEST: dict[str, Any] = _EXAMPLES["osmand_request"]
RESOURCE_REQUEST: dict[str, Any] = _EXAMPLES["resource_request"]
STATUS_REQUEST: dict[str, Any] = _EXAMPLES["status_request"]
LEAVE_REQUEST: dict[str, Any] = _EXAMPLES["leave_request"]
SUBSCRIBE_REQUEST: dict[str, Any] = _EXAMPLES["subscribe_request"]

# Of answers.
ANSWER, BATCH = _EXAMPLES["answer"], _EXAMPLES["batch"]
REPORT, CONFIRMED, TRIAGE = _EXAMPLES["report"], _EXAMPLES["confirmed"], _EXAMPLES["triage"]
LAYERS, PAGE, AREA = _EXAMPLES["layers"], _EXAMPLES["page"], _EXAMPLES["area"]
VERSION, GRID, HEALTH = _EXAMPLES["version"], _EXAMPLES["grid"], _EXAMPLES["health"]
INCIDENT, INCIDENTS = _EXAMPLES["incident"], _EXAMPLES["incidents"]
CANDIDATES, TRIAL = _EXAMPLES["candidates"], _EXAMPLES["trial"]
RULE, RULES = _EXAMPLES["rule"], _EXAMPLES["rules"]
DISPATCH, DISPATCHES = _EXAMPLES["dispatch"], _EXAMPLES["dispatches"]
ASSIGNMENT, RECALLED = _EXAMPLES["assignment"], _EXAMPLES["recalled"]
CLOSED = _EXAMPLES["closed"]
PLANNED, DEPLOYMENT = _EXAMPLES["planned"], _EXAMPLES["deployment"]
DEPLOYMENTS, DEPLOYMENT_CANCELLED = _EXAMPLES["deployments"], _EXAMPLES["deployment_cancelled"]
MATCHED, GAPS = _EXAMPLES["matched"], _EXAMPLES["gaps"]
ATTENDANCES, ATTENDANCE = _EXAMPLES["attendances"], _EXAMPLES["attendance"]
VERDICTS, DEVICE, TRACK = _EXAMPLES["verdicts"], _EXAMPLES["device"], _EXAMPLES["track"]

RESOURCE, RESOURCES, CATALOGUE = (
    _EXAMPLES[name] for name in ("resource", "resources", "catalogue")
)
EVENTS, SUBSCRIBED = _EXAMPLES["events"], _EXAMPLES["subscribed"]
SUBSCRIPTION, ENDED = _EXAMPLES["subscription"], _EXAMPLES["ended"]
SUBSCRIPTIONS, PUSH_KEY = _EXAMPLES["subscriptions"], _EXAMPLES["push_key"]
TEST_SENT, MESSAGES, MESSAGE = _EXAMPLES["test_sent"], _EXAMPLES["messages"], _EXAMPLES["message"]


def ok(example: Any, **also: Any) -> dict[str, Any]:
    """The example as part of an answer's description; `also` are other media types of it."""
    return {"content": {"application/json": {"example": example}, **also}}


def body(requests: dict[str, Any]) -> dict[str, Any]:
    """The examples as the body of a route that reads it itself."""
    content = {"application/json": {"schema": {"type": "object"}, "examples": requests}}
    return {"requestBody": {"required": True, "content": content}}
