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
SUBSCRIBE_REQUEST: dict[str, Any] = _EXAMPLES["subscribe_request"]

# Of answers.
ANSWER, BATCH = _EXAMPLES["answer"], _EXAMPLES["batch"]
REPORT, CONFIRMED, TRIAGE = _EXAMPLES["report"], _EXAMPLES["confirmed"], _EXAMPLES["triage"]
LAYERS, PAGE, AREA = _EXAMPLES["layers"], _EXAMPLES["page"], _EXAMPLES["area"]
VERSION, GRID, HEALTH = _EXAMPLES["version"], _EXAMPLES["grid"], _EXAMPLES["health"]
EVENTS, SUBSCRIBED = _EXAMPLES["events"], _EXAMPLES["subscribed"]
SUBSCRIPTION, ENDED = _EXAMPLES["subscription"], _EXAMPLES["ended"]
SUBSCRIPTIONS, PUSH_KEY = _EXAMPLES["subscriptions"], _EXAMPLES["push_key"]
TEST_SENT, MESSAGES, MESSAGE = _EXAMPLES["test_sent"], _EXAMPLES["messages"], _EXAMPLES["message"]


def ok(example: Any) -> dict[str, Any]:
    """The example as part of an answer's description."""
    return {"content": {"application/json": {"example": example}}}
