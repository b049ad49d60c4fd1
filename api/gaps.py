"""Gap cover: where nobody could be soon, and who should move up."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from sqlalchemy import Connection

from api import examples
from api.access import may
from api.answers import NO_STORE, Json
from api.deps import Db, Way
from api.problems import documented
from api.schemas import Word
from api.schemas_gaps import Gaps
from data import gaps, rules
from data.gaps import Covered, Move
from layers.i18n import Lang
from layers.plans import Plans

router = APIRouter(prefix="/api/v1", tags=["deployments"])


@router.get(
    "/gaps",
    dependencies=[may("incident.read")],
    summary="Which grids have nobody near, and who should move up where",
    responses={
        200: {"model": Gaps, **examples.ok(examples.GAPS)},
        **documented("validation", "area-unknown", "area-too-large", "rule-refused"),
    },
)
async def cover(
    db: Db,
    way: Way,
    code: Annotated[
        Word, Query(description="of the area: a town, a village", examples=["440604010000"])
    ],
    layer: Annotated[Word, Query(description="of the code")] = "town",
    minutes: Annotated[float, Query(ge=1, le=120, description="somebody is there within")] = 10,
    kinds: Annotated[
        list[Word] | None,
        Query(alias="kind", description="of resource; else those of the general rule"),
    ] = None,
    most: Annotated[int, Query(ge=0, le=20, description="so many move up at most")] = 5,
    move_minutes: Annotated[float, Query(ge=1, le=240, description="a move takes at most")] = 20,
    days: Annotated[int, Query(ge=1, le=366, description="incidents of so many days count")] = 30,
    lang: Annotated[Lang, Query(description="of the words in the answer")] = "zh",
) -> Response:
    """Who is on duty, able and free counts, beside how it was before those under way were sent.

    Grids weigh by residents and recent incidents, half each. Nobody is moved: it is a proposal.
    """

    def look(connection: Connection) -> dict[str, Any]:
        asked = kinds or rules.of(connection, None).resource_kinds
        rules.known(connection, asked, ())
        found = gaps.look(
            connection,
            way,
            layer,
            code,
            kinds=asked,
            within_s=minutes * 60,
            move_within_s=move_minutes * 60,
            most=most,
            days=days,
        )
        told = {"area": {"layer": layer, "code": code}, "minutes": minutes, "kinds": asked}
        return {**told, **_told(found, minutes, lang), "travel": way.name}

    return Json(await db.apart(look), headers=NO_STORE)


def _told(found: Covered, minutes: float, lang: Lang) -> dict[str, Any]:
    words, now = Plans(lang), found.cover
    shares = (now.share_before, now.share_after, found.share_after_moves)
    names = ("before", "now", "after_moves")
    sent = sum(row["sent"] for row in found.people)
    return {
        "grids": len(found.grids),
        "people": {"on_duty": len(found.people), "free": len(found.people) - sent, "sent": sent},
        "covered": {name: round(share, 4) for name, share in zip(names, shares, strict=True)},
        "gaps": [_gap(found, n) for n in now.uncovered.tolist()],
        "moves": [_move(move, words, lang) for move in found.moves],
        "best_possible": round(now.share_after + found.relocation.bound, 4),
        "method": found.relocation.method.value,
        "text": words.cover(
            grids=len(found.grids),
            uncovered=len(now.uncovered),
            minutes=minutes,
            shares=shares,
            moves=len(found.moves),
        ),
    }


def _gap(found: Covered, n: int) -> dict[str, Any]:
    grid, now = found.grids[n], found.cover
    return {
        **{name: grid[name] for name in ("code", "name", "residents", "incidents")},
        "point": {"lon": grid["lon"], "lat": grid["lat"]},
        "weight": round(float(now.weight[n]), 4),
        "lost": bool(now.before[n] > 0),
        "regained": bool(found.relocation.after[n] > 0),
    }


def _move(move: Move, words: Plans, lang: Lang) -> dict[str, Any]:
    who, place = move.person, move.place
    in_grid = "code" in place
    return {
        "resource": {
            **{name: who[name] for name in ("id", "name", "kind", "mode", "by_position")},
            "kind_title": who["kind_title" if lang == "zh" else "kind_title_en"],
            "point": {"lon": who["lon"], "lat": who["lat"]},
        },
        "to": {
            "grid": place["code"] if in_grid else None,
            "facility": None if in_grid else place["id"],
            "name": place["name"],
            "point": {"lon": place["lon"], "lat": place["lat"]},
        },
        "travel_s": round(move.seconds),
        "regains": [grid["code"] for grid in move.regains],
        "text": words.move(who["name"], place["name"], move.seconds, len(move.regains)),
    }
