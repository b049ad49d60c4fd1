"""The queue of open incidents matched to free people together: proposed, not sent."""

from typing import Annotated, Any

from fastapi import APIRouter, Body, Query, Response
from pydantic import Field
from sqlalchemy import Connection

from api import examples
from api.access import may
from api.answers import NO_STORE, Json
from api.deps import Db, Way
from api.incidents import person_shown, shown
from api.problems import Problem, documented
from api.schemas import Actor, Incoming, Word
from api.schemas_matching import Matched
from data import incidents, matching
from data.access import actor as acted
from data.candidates import Candidate, Found, Shortfall
from data.matching import Proposal, Short
from gis.matching import Pairs
from gis.travel import Roads, Travel
from layers.i18n import Lang
from layers.plans import Plans
from layers.reasons import Reasons

router = APIRouter(prefix="/api/v1", tags=["dispatches"])


class Queue(Incoming):
    """Which open incidents, and how many people each wants."""

    kind: Word | None = Field(None, description="only of this kind")
    layer: Word = Field("town", description="of the code")
    code: Word | None = Field(None, description="only in this area and those below it")
    limit: int = Field(200, ge=1, le=matching.MOST, description="so many, the most urgent first")
    each: int = Field(1, ge=1, le=20, description="people for each")
    within_s: int | None = Field(
        None, ge=1, le=86_400, description="be there within; else by the rule of each kind"
    )
    under_way: bool = Field(False, description="those too that somebody is under way to")
    actor: Actor = None


@router.post(
    "/matching",
    dependencies=[may("dispatch.write")],
    summary="Propose who goes where for the whole queue",
    responses={
        200: {"model": Matched, **examples.ok(examples.MATCHED)},
        **documented("validation", "area-unknown", "not-json", "wrong-content-type", "too-large"),
    },
)
async def propose(
    queue: Annotated[Queue, Body(openapi_examples=examples.MATCHING_REQUEST)],
    db: Db,
    way: Way,
    lang: Annotated[Lang, Query(description="of the words in the answer")] = "zh",
) -> Response:
    """The most urgent first, and with the least travel in all, beside one after another.

    Nothing is sent: each `send` is where to post which body to do so.
    """

    def look(connection: Connection) -> dict[str, Any]:
        under = None
        if queue.code is not None:
            under = incidents.under(connection, queue.layer, queue.code)
            if not under:
                detail = f"The layer {queue.layer} has no area {queue.code}."
                raise Problem("area-unknown", detail, field="code")
        found = matching.propose(
            connection,
            way,
            kind=queue.kind,
            under=under,
            unsent=not queue.under_way,
            each=queue.each,
            within_s=queue.within_s,
            limit=queue.limit,
        )
        return _told(found, way, lang, acted(queue.actor))

    return Json(await db.apart(look), headers=NO_STORE)


def _told(found: Proposal, way: Travel, lang: Lang, actor: str) -> dict[str, Any]:
    joint, greedy = (_totals(p) for p in (found.matching.joint, found.matching.greedy))
    words = Plans(lang, found.skills)
    queue = {"incidents": len(found.incidents), **joint}
    by_number = {row["id"]: row for row in found.incidents}
    return {
        "proposals": [
            {
                "incident": shown(dict(by_number[number])),
                "people": [_proposed(c, _reasons(found, number, way, lang)) for c in who],
                "send": _send(number, who, actor, way),
            }
            for number, who in sorted(found.sent.items(), key=lambda pair: _turn(found, pair[0]))
        ],
        "shortfalls": [_short(each, found, way, lang, words) for each in found.short],
        "joint": joint,
        "greedy": greedy,
        "saved_s": greedy["travel_s"] - joint["travel_s"],
        "text": words.queue(queue, greedy),
        "travel": way.name,
    }


def _turn(found: Proposal, number: int) -> int:
    return [row["id"] for row in found.incidents].index(number)


def _totals(pairs: Pairs) -> dict[str, int]:
    reached, sent = (int(part) for part in pairs.served.sum(axis=0))
    return {"reached": reached, "sent": sent, "travel_s": round(pairs.total_s)}


def _reasons(found: Proposal, number: int, way: Travel, lang: Lang) -> Reasons:
    rule = found.rules[number]
    skills = {name: found.skills[name] for name in rule.skills}
    return Reasons(Found([], skills=skills), rule.reach_s, lang, roads=isinstance(way, Roads))


def _proposed(c: Candidate, words: Reasons) -> dict[str, Any]:
    return {
        "resource": person_shown(c, words),
        "travel_s": round(c.travel_s),
        "distance_m": round(c.distance_m),
        "by_road": c.by_road,
        "summary": words.line([*words.for_it(c), *words.against(c)]),
    }


def _send(number: int, who: list[Candidate], actor: str, way: Travel) -> dict[str, Any]:
    """The request that sends them, as it stands."""
    chosen = [
        {
            "resource": c.row["id"],
            "evidence": {
                "by": "matching",
                "travel": way.name,
                "travel_s": round(c.travel_s),
                "distance_m": round(c.distance_m),
            },
        }
        for c in who
    ]
    return {
        "href": f"{router.prefix}/incidents/{number}/dispatches",
        "body": {"send": chosen, "actor": actor, "note": ""},
    }


def _short(each: Short, found: Proposal, way: Travel, lang: Lang, words: Plans) -> dict[str, Any]:
    number = each.incident["id"]
    if each.reason == "no_place":
        said = Reasons.no_place(lang)
    elif each.reason == "wanted_elsewhere":
        said = words.wanted_elsewhere(found.rules[number].reach_s)
    else:
        reasons = _reasons(found, number, way, lang)
        said = reasons.shortfall(Shortfall(each.reason, nearest=each.nearest))
    return {
        "incident": number,
        "urgency": each.incident["urgency"],
        "missing": each.missing,
        "reason": each.reason,
        "text": said,
    }
