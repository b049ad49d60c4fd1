"""Dispatch rules: read, tried on past incidents, put in force."""

from typing import Annotated, Any

from fastapi import APIRouter, Body, Path, Query, Response
from pydantic import Field
from sqlalchemy import Connection

from api import examples
from api.access import may
from api.answers import NO_STORE, Json
from api.deps import Db, Way
from api.once import Once
from api.problems import Problem, documented
from api.schemas import Actor, Incoming, Prose, Word
from api.schemas_incidents import Rule as ShownRule
from api.schemas_incidents import Rules, Trial
from data import rules, trial
from data.access import actor as acted
from data.rules import Rule
from gis.ranking import Weights

router = APIRouter(prefix="/api/v1/dispatch-rules", tags=["rules"])


class Wanted(Incoming):
    """A rule as it should be."""

    kind: Word | None = Field(None, description="of incident; null: for all that have none")
    resource_kinds: list[Word] = Field(min_length=1, max_length=50, description="who is asked")
    skills: list[Word] = Field(
        default_factory=list, max_length=50, description="wanted of somebody at the place"
    )
    reach_s: int = Field(1800, ge=1, le=864_000, description="within what time, seconds")
    weights: dict[str, float] = Field(
        default_factory=dict, description="minutes that a thing is worth, where not the usual ones"
    )

    def rule(self) -> Rule:
        """The rule of the domain."""
        kinds, skills = dict.fromkeys(self.resource_kinds), dict.fromkeys(self.skills)
        return Rule(self.kind, list(kinds), list(skills), self.reach_s, self.weights)


class Put(Wanted):
    """A rule to put in force, by whom and why."""

    actor: Actor = None
    reason: Prose = Field("", description="why, for those who ask later")


@router.get(
    "",
    dependencies=[may("incident.read")],
    summary="The rules in force",
    responses={200: {"model": Rules, **examples.ok(examples.RULES)}, **documented()},
)
async def listed(db: Db) -> Response:
    """The general rule first, then those of kinds, and what things are usually worth."""
    return Json(await db.read(_all), headers=NO_STORE)


def _all(connection: Connection) -> dict[str, Any]:
    found = rules.all_of_them(connection)
    return {"rules": [dict(row) for row in found], "weights": vars(Weights())}


@router.put(
    "",
    dependencies=[may("rule.write")],
    summary="Put a rule in force",
    responses={
        200: {"model": ShownRule, **examples.ok(examples.RULE)},
        **documented(
            "validation", "rule-refused", "key-reused", "not-json", "wrong-content-type",
            "too-large",
        ),
    },
)  # fmt: skip
async def put(
    wanted: Annotated[Put, Body(openapi_examples=examples.RULE_REQUEST)], once: Once
) -> Response:
    """From now on it holds for its kind; the one before stays known. Try it first."""

    def work(connection: Connection) -> Response:
        rules.put(connection, wanted.rule(), actor=acted(wanted.actor), reason=wanted.reason)
        [row] = [row for row in rules.all_of_them(connection) if row["kind"] == wanted.kind]
        return Json(dict(row), headers=NO_STORE)

    return await once(work)


@router.delete(
    "/{kind:path}",
    dependencies=[may("rule.write")],
    status_code=204,
    summary="End a kind's own rule",
    responses=documented("rule-unknown", "validation", "key-reused"),
)
async def end(kind: Annotated[Word, Path(examples=["噪音扰民"])], once: Once) -> Response:
    """The general rule holds for the kind again."""

    def work(connection: Connection) -> Response:
        if not rules.remove(connection, kind):
            raise Problem("rule-unknown", f"The kind {kind} has no rule of its own.", field="kind")
        return Response(status_code=204)

    return await once(work)


@router.post(
    "/trial",
    dependencies=[may("rule.write")],
    summary="Try a rule on past incidents",
    responses={
        200: {"model": Trial, **examples.ok(examples.TRIAL)},
        **documented("validation", "rule-refused", "not-json", "wrong-content-type", "too-large"),
    },
)
async def try_out(
    wanted: Annotated[Wanted, Body(openapi_examples=examples.TRIAL_REQUEST)],
    db: Db,
    way: Way,
    last: Annotated[int, Query(ge=1, le=trial.MOST, description="so many incidents back")] = 100,
) -> Response:
    """Who would have been proposed under it, and who is under the rule in force."""
    done = await db.apart(trial.run, wanted.rule(), way, last)
    return Json(done, headers=NO_STORE)
