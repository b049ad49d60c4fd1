"""The application, assembled on one screen."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from pydantic.json_schema import models_json_schema

from api import (
    access,
    account_deeds,
    accounts,
    agreements,
    analytics,
    areas,
    assessments,
    attachments,
    boards,
    calendars,
    case_catalogue,
    cases,
    deployments,
    dispatch_maps,
    dispatches,
    early_warnings,
    events,
    follow,
    gaps,
    guard,
    health,
    incidents,
    indicators,
    locate,
    maps,
    matching,
    parties,
    people,
    phones,
    positions,
    problems,
    questions,
    records,
    red_grids,
    referrals,
    reports,
    resources,
    return_visits,
    rules,
    service_times,
    sessions,
    sign_in,
    subscriptions,
    supervision,
    triage,
    visits,
    warning_pages,
    watched,
    whistles,
)
from api.channels import ways
from api.deps import Database
from api.hub import Hub
from api.problems import documented
from api.provider import Provider, of_settings
from api.schemas import ProblemDetails
from api.throttle import Throttle
from data.engine import database_url
from data.settings import settings

ROOMS = (
    locate, reports, triage, incidents, cases, case_catalogue, whistles, red_grids, referrals,
    agreements, matching, dispatches, deployments,
    gaps, rules, resources, positions, phones, areas, events, subscriptions, calendars,
    service_times, supervision, parties, questions, return_visits, attachments, people, records,
    visits, watched, assessments, indicators, analytics, early_warnings, warning_pages,
    account_deeds, accounts, sessions, health, maps, dispatch_maps, boards, sign_in, follow,
)  # fmt: skip
# What is open to everybody: who signs in is not signed in, a phone shows its device's secret.
OPEN = (sessions, sign_in, health, phones, follow)
REFUSED = ("not-signed-in", "not-permitted", "outside-areas")
PAGES = (maps, dispatch_maps)
TAGS = [
    {"name": "locate", "description": "Which area a position or an address lies in."},
    {"name": "reports", "description": "Reports: taken in once, placed, confirmed."},
    {"name": "triage", "description": "Reports that wait for a person, and why."},
    {"name": "incidents", "description": "What people are sent to, and who could go."},
    {"name": "cases", "description": "From the report to the return visit, step by step."},
    {"name": "catalogue", "description": "What cases are about, and who answers for what."},
    {"name": "people", "description": "The people of a case, sealed; found, exported, erased."},
    {"name": "return visits", "description": "Whether it is solved, asked of who reported it."},
    {"name": "attachments", "description": "Photos and documents of a case."},
    {"name": "whistles", "description": "Organisations called to a case (吹哨报到)."},
    {"name": "referrals", "description": "To and from courts, police and others (六调对接)."},
    {"name": "rules", "description": "Who is asked for which kind of incident."},
    {"name": "dispatches", "description": "Sending people, and how far they are."},
    {"name": "deployments", "description": "Many people to many places, in shifts."},
    {
        "name": "clocks",
        "description": "How long things may take, by which calendar.",
    },
    {"name": "supervision", "description": "Orders to those who are late (督办)."},
    {"name": "areas", "description": "The layers of the map, at any moment of both time axes."},
    {"name": "grids", "description": "Grids with their history and lineage."},
    {"name": "positions", "description": "Where people and vehicles are, and their phones."},
    {"name": "resources", "description": "Who and what can help, and whether they can now."},
    {"name": "events", "description": "What happens, as it happens."},
    {"name": "messages", "description": "Who is told of it elsewhere, and what came of it."},
    {"name": "records", "description": "What was collected, in which grid, or why in none."},
    {"name": "visits", "description": "Patrols and visits: planned, due, proven, missed."},
    {"name": "watched", "description": "Places with readings, and when these are trouble."},
    {"name": "assessments", "description": "What lay inside an area when it was decided on."},
    {"name": "indicators", "description": "How well it goes, down to the rows."},
    {"name": "analytics", "description": "Maps and their figures: worked out once, then kept."},
    {"name": "warnings", "description": "What is more than usual, and whose it is (监测预警)."},
    {"name": "accounts", "description": "Who may, as whom, and what was done."},
    {"name": "health", "description": "Whether the service is ready."},
    {"name": "pages", "description": "Pages for people."},
]
DESCRIPTION = """
Every report finds its grid. Coordinates name their datum (`wgs84`, `cgcs2000`, `gcj02`, `bd09`,
`EPSG:…`) or come from a source that has one; answers are WGS 84. Instants are ISO 8601 with a zone.
Every answer names the two moments that it holds for, `at` (whose borders) and `known` (whose
knowledge), and is given again when they are asked for. Errors are problem details (RFC 9457).
"""


def create_app(
    url: str | None = None, *, roads: Path | None = None, provider: Provider | None = None
) -> FastAPI:
    """The application on the database at `url`; by default the one that the settings name.

    `roads` is the home of the roads that travel times go by; with the settings' database theirs.
    `provider` is that of OpenID Connect to sign in with; by default the settings', if any.
    """
    provider = provider or of_settings(settings())

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        named = url if url is not None else await asyncio.to_thread(database_url)
        app.state.database = Database(named, ours=url is None, guarded=True)
        app.state.roads = settings().home if url is None else roads
        app.state.hub = Hub(named, app.state.database, ours=url is None)
        app.state.database.committed = app.state.hub.wake
        async with ways.opened() as app.state.channels:
            warming = asyncio.create_task(app.state.grounds.warm(app.state.database))
            yield
            warming.cancel()
        if provider is not None:
            await provider.close()
        await app.state.hub.close()
        await app.state.database.close()

    app = Application(
        title="Wangge",
        version="0.1.0",
        summary="GIS grid mapping and dispatch",
        description=DESCRIPTION,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        openapi_tags=TAGS,
        docs_url=None,  # their scripts come from another host
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.provider = provider
    app.state.throttle = Throttle(settings().sign_in_tries)
    for room in ROOMS:
        closed = {} if room in OPEN else documented(*REFUSED, page=room in PAGES)
        app.include_router(room.router, responses=closed)
    maps.install(app)
    problems.install(app)
    access.install(app)
    app.add_middleware(guard.Guard)
    return app


class Application(FastAPI):
    """FastAPI whose description has the schema of problems, to which every route refers."""

    def openapi(self) -> dict[str, Any]:
        """The description (OpenAPI 3.1)."""
        if self.openapi_schema is None:
            described = super().openapi()
            _, definitions = models_json_schema(
                [(ProblemDetails, "serialization")],
                ref_template="#/components/schemas/{model}",
            )
            described["components"]["schemas"] |= definitions["$defs"]
            for room in ROOMS:
                for route in room.router.routes:
                    if isinstance(route, APIRoute) and route.include_in_schema:
                        _give_nulls_back(described["paths"][route.path_format], route)
        return super().openapi()


def _give_nulls_back(described: dict[str, Any], route: APIRoute) -> None:
    """Put the examples of a route's answers whole: FastAPI leaves out whatever is null in them."""
    for method in route.methods or ():
        answers = described[method.lower()]["responses"]
        for status, answer in route.responses.items():
            for media, content in answer.get("content", {}).items():
                if "example" in content:
                    answers[str(status)]["content"][media]["example"] = content["example"]
