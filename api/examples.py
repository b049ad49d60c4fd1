"""Examples for the description; tests hold each of them to the schema and to the service."""

import json
from pathlib import Path
from typing import Any

_EXAMPLES: dict[str, Any] = json.loads(
    Path(__file__).with_suffix(".json").read_text(encoding="utf-8")
)

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


def ok(example: Any) -> dict[str, Any]:
    """The example as part of an answer's description."""
    return {"content": {"application/json": {"example": example}}}
