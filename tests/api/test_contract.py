"""Schemathesis over the whole description: no answer that it does not describe, and none of 5xx."""

import os
from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, Phase, Verbosity, given, settings
from hypothesis import strategies as st
from jsonschema_rs import Draft202012Validator
from schemathesis import Case, GenerationMode, HookContext
from schemathesis.checks import not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.core.failures import FailureGroup
from schemathesis.python.asgi import ASGIClient, shutdown_lifespans
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from schemathesis.specs.openapi.schemas import OpenApiSchema
from sqlalchemy import Engine

from api.main import create_app
from data import accounts, sign_in
from data.access import PERMISSIONS
from tests.api.furnished import furnish, row

EXAMPLES = int(os.environ.get("WANGGE_CONTRACT_EXAMPLES", "5"))
CHECKS = [
    not_a_server_error, status_code_conformance, content_type_conformance,
    response_schema_conformance, response_headers_conformance,
]  # fmt: skip
PASSWORD = "correct horse battery"
THOROUGH = EXAMPLES > 5
DESCRIPTION = create_app("postgresql+psycopg://").openapi()
OPERATIONS = [
    (method.upper(), path) for path, methods in DESCRIPTION["paths"].items() for method in methods
]
_serial = count(1)


class World:
    """The service with everything in it, and whoever asks it."""

    def __init__(self, engine: Engine, session: ASGIClient) -> None:
        self.engine, self.session = engine, session
        self.statuses: defaultdict[str, Counter[int]] = defaultdict(Counter)
        self.failed: dict[str, FailureGroup] = {}
        self.headers: dict[str, str] = {}
        self.label, self.shut = "", True  # what was asked last, and whether the door was

    def ask(self, case: Case) -> None:
        """Send a case and check the answer; what failed once fails again, though things moved on.

        Raises
        ------
        FailureGroup
            The answer is none that the description has.
        """
        key = f"{case.operation.label} {case!r}"
        if key in self.failed:
            raise self.failed[key]
        self._prepare(case)
        response = case.call(session=self.session, headers=self.headers)
        self.statuses[self.label][response.status_code] += 1
        self.shut = response.status_code == 401
        try:
            case.validate_response(response, checks=CHECKS)
        except FailureGroup as failure:
            self.failed[key] = failure
            raise

    def _prepare(self, case: Case) -> None:
        """Sign in anew where the door was shut; of every two paths one leads to something."""
        if self.shut or case.operation.label != self.label:
            self.label = case.operation.label
            self.headers = {"Authorization": f"Bearer {self._secret()}", "Prefer": "wait=0"}
        named = case.meta is not None and case.meta.phase.name.value == "examples"
        if case.path_parameters and (named or next(_serial) % 2):
            with self.engine.connect() as connection:
                case.path_parameters |= row(connection, case.path)
        if named and "Idempotency-Key" in case.headers:
            case.headers["Idempotency-Key"] = f"example {next(_serial)}"

    def _secret(self) -> str:
        """Of a session for what is done with sessions, else of a token that may do everything."""
        with self.engine.begin() as connection:
            if "/sessions/current" not in self.label:
                return accounts.add_token(connection, "fuzz", PERMISSIONS, actor="test")[1]
            login = f"fuzz-{next(_serial)}"
            accounts.add(connection, login, PASSWORD, [], actor="test")
            proof = sign_in.password_of(connection, login)
            return sign_in.sign_in(connection, login, proof, True, None)


@pytest.fixture(scope="module")
def world(town: str, engine: Engine, client: TestClient) -> Iterator[World]:
    app = create_app(town)
    furnish(client, engine, DESCRIPTION)
    with ASGIClient(app, max_stream_events=2) as session:
        yield World(engine, session)
    shutdown_lifespans()


@pytest.fixture(scope="module")
def described(world: World) -> OpenApiSchema:
    """The description; bodies are near enough to its examples to get somewhere."""
    stream = {"include-path": "/api/v1/events", "request-timeout": 0.5}  # it never ends
    config = SchemathesisConfig.from_dict(
        {"request-timeout": 20, "warnings": False, "operations": [stream]}
    )
    schema = schemathesis.openapi.from_dict(DESCRIPTION, config=config)
    schema.app = world.session.app
    schema.hook(flatmap_body)
    return schema


def flatmap_body(context: HookContext, body: Any) -> Any:
    """As it was made up, or an example in which only some of it was put."""
    examples = _examples(context)
    if not isinstance(body, dict) or not examples:
        return st.just(body)
    some = st.sets(st.sampled_from(sorted(body)), max_size=2) if body else st.just(set())
    near = st.builds(
        lambda example, names: {**example, **{name: body[name] for name in names}},
        st.sampled_from(examples), some,
    )  # fmt: skip
    return st.one_of(st.just(body), near)


def _examples(context: HookContext) -> list[Any]:
    definition = context.operation.definition.raw.get("requestBody", {})
    media = definition.get("content", {}).get("application/json", {})
    return [each["value"] for each in media.get("examples", {}).values()]


def _described_examples() -> Iterator[tuple[str, dict[str, Any], Any]]:
    """Where it stands, its schema and the example itself, of each of the description."""
    for method, path in OPERATIONS:
        operation = DESCRIPTION["paths"][path][method.lower()]
        for parameter in operation.get("parameters", ()):
            for value in parameter["schema"].get("examples", ()):
                yield f"{method} {path} {parameter['name']}", parameter["schema"], value
        body = {"body": operation["requestBody"]} if "requestBody" in operation else {}
        for name, said in (body | operation["responses"]).items():
            for media in said.get("content", {}).values():
                values = [each["value"] for each in media.get("examples", {}).values()]
                for value in [*values, *([media["example"]] if "example" in media else [])]:
                    yield f"{method} {path} {name}", media.get("schema", {}), value


def test_every_example_is_what_its_schema_says() -> None:
    made: dict[str, Draft202012Validator] = {}  # most are of the same few schemas
    for where, schema, value in _described_examples():
        whole = {**schema, "components": DESCRIPTION["components"]}
        key = repr(schema)
        checked = made.get(key) or Draft202012Validator(whole, validate_formats=True)
        made[key] = checked
        assert not [error.message for error in checked.iter_errors(value)], where


def _ask_all(strategy: st.SearchStrategy[Case], most: int, world: World) -> None:
    """Ask the first so many of a strategy, each once: smaller ones would tell no more."""
    settings_ = settings(
        max_examples=most, derandomize=not THOROUGH, database=None, deadline=None,
        phases=[Phase.generate], suppress_health_check=list(HealthCheck), verbosity=Verbosity.quiet,
    )  # fmt: skip
    settings_(given(strategy)(world.ask))()


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_the_service_answers_as_described(
    method: str, path: str, described: OpenApiSchema, world: World
) -> None:
    operation = described[path][method]
    for strategy in described.get_strategies_from_examples(operation):
        _ask_all(strategy, 1, world)
    modes = [operation.as_strategy(mode) for mode in GenerationMode]
    _ask_all(st.one_of(modes), EXAMPLES, world)


def test_everything_was_asked_and_most_of_it_is_there(world: World) -> None:
    operations = {f"{method} {path}" for method, path in OPERATIONS}
    assert set(world.statuses) == operations
    lost = {label for label, met in world.statuses.items() if not met.keys() - {404, 422}}
    assert len(lost) <= 0.05 * len(operations), sorted(lost)
