"""Plans of patrols and visits, and the visits that come due by them, once in each period."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, RowMapping, text

from data import calendars, events, territory
from data.catalogue import Known
from data.errors import InputError
from data.settings import settings
from gis import periods


class VisitError(InputError):
    """A plan or visit that is not known, or a plan that cannot be made."""


@dataclass(frozen=True)
class NewPlan:
    """A plan as somebody wants it.

    Attributes
    ----------
    record_kind : which records are visited; None: the grids themselves, a patrol
    area_id : those in this area and below it
    resource_kind : name or title of who visits: those who answer for the grid, or live in it
    every, unit : so many days, or working_days
    begins : first day of the first period, in the city's time
    reach_m : a proof within this distance (and its accuracy) counts
    """

    name: str
    area_id: int
    resource_kind: str
    every: int
    begins: date
    record_kind: str | None = None
    unit: str = "days"
    reach_m: float = 100.0


def today(now: datetime) -> date:
    """The day that it is in the city."""
    return now.astimezone(ZoneInfo(settings().timezone)).date()


COLUMNS = """
p.id, p.name, p.record_kind, p.area_id, a.layer, a.code, p.resource_kind, p.every, p.unit, p.begins,
p.reach_m, p.actor, p.created, p.ended, p.made_until
"""
_ADD = text("""
INSERT INTO visit_plan (name, record_kind, area_id, resource_kind, every, unit, begins, reach_m,
                        actor)
VALUES (:name, :record_kind, :area_id, :resource_kind, :every, :unit, :begins, :reach_m, :actor)
RETURNING id
""")
_LIST = text(f"""
SELECT {COLUMNS} FROM visit_plan p JOIN area a ON a.id = p.area_id
WHERE (CAST(:id AS bigint) IS NULL OR p.id = :id)
  AND (CAST(:id AS bigint) IS NOT NULL OR p.ended IS NULL)
ORDER BY p.id
""")


def add(connection: Connection, new: NewPlan, *, actor: str, now: datetime) -> int:
    """Put a plan in force; the visits of a period that has begun are due at once. Its number.

    Raises
    ------
    VisitError
        The kind of resource is not known.
    """
    kinds = Known.read(connection).kinds
    kind = kinds.find(new.resource_kind)
    if kind is None:
        raise VisitError(kinds.fault(new.resource_kind), "resource_kind", "plan_refused")
    values = {**vars(new), "resource_kind": kind, "actor": actor}
    number = int(connection.execute(_ADD, values).scalar_one())
    told = {"plan": number, "name": new.name, "every": new.every, "unit": new.unit, "actor": actor}
    events.record(connection, "visit.planned", told, area_id=new.area_id)
    make_due(connection, now, plan=number)
    return number


def get(connection: Connection, number: int) -> RowMapping:
    """A plan; raises `VisitError` if there is none of that number."""
    row = connection.execute(_LIST, {"id": number}).mappings().first()
    if row is None:
        raise VisitError(f"there is no visit plan {number}", "number", "plan_unknown")
    return row


def in_force(connection: Connection) -> Sequence[RowMapping]:
    """The plans that have not ended."""
    return connection.execute(_LIST, {"id": None}).mappings().all()


_END = text("UPDATE visit_plan SET ended = :now WHERE id = :id AND ended IS NULL")
_CALL_OFF = text("DELETE FROM visit WHERE plan_id = :id AND state = 'due' AND until > :now")


def end(connection: Connection, number: int, *, actor: str, now: datetime) -> None:
    """No more visits come due by the plan; those that nobody was at yet are called off."""
    plan = get(connection, number)
    if not connection.execute(_END, {"id": number, "now": now}).rowcount:
        return
    off = connection.execute(_CALL_OFF, {"id": number, "now": now}).rowcount
    told = {"plan": number, "called_off": off, "actor": actor}
    events.record(connection, "visit.unplanned", told, area_id=plan["area_id"])


# --- by the clock ---------------------------------------------------------------------------------

# Another worker that makes the same plan's visits is not waited for.
_READY = text("""
SELECT * FROM visit_plan
WHERE ended IS NULL AND (made_until IS NULL OR made_until <= :now)
  AND (CAST(:plan AS bigint) IS NULL OR id = :plan)
ORDER BY id FOR UPDATE SKIP LOCKED
""")

# One event of each grid says how many are due or were missed: one of each visit would drown the
# rest. A grid that a plan is about is its own place.
_TELL = """
), told AS (
    INSERT INTO event (kind, area_id, data)
    SELECT :event, area_id, jsonb_build_object(
        'plan', plan_id, 'visits', count(*), 'since', min(since), 'until', max(until))
    FROM changed GROUP BY plan_id, area_id
)
SELECT count(*) FROM changed
"""
_MAKE_OF_RECORDS = text(f"""
WITH changed AS (
    INSERT INTO visit (plan_id, record_id, area_id, since, until)
    SELECT :plan, r.id, r.area_id, :since, :until FROM record r
    WHERE r.withdrawn IS NULL AND r.kind = :kind AND r.geom IS NOT NULL
      AND r.area_id = ANY (CAST(:below AS bigint[]))
    ON CONFLICT DO NOTHING RETURNING *
{_TELL}""")
_MAKE_OF_GRIDS = text(f"""
WITH changed AS (
    INSERT INTO visit (plan_id, area_id, since, until)
    SELECT :plan, v.area_id, :since, :until
    FROM area_version v JOIN area a ON a.id = v.area_id
    WHERE a.layer = 'grid' AND v.area_id = ANY (CAST(:below AS bigint[]))
      AND upper_inf(v.recorded) AND v.valid @> CAST(:now AS timestamptz)
    ON CONFLICT DO NOTHING RETURNING *
{_TELL}""")
_MADE = text("UPDATE visit_plan SET made_until = :until WHERE id = :plan")
_MISS = text(f"""
WITH changed AS (
    UPDATE visit SET state = 'missed' WHERE state = 'due' AND until <= :now RETURNING *
{_TELL}""")


def make_due(connection: Connection, now: datetime, *, plan: int | None = None) -> int:
    """Make the visits of the period that `now` lies in, once; how many came due.

    Whatever is there by then is visited; what comes later is visited in the next period. A period
    that nobody was awake in leaves no visits behind: they could not have been made.
    """
    zone = ZoneInfo(settings().timezone)
    day, made = today(now), 0
    office = calendars.get(connection, calendars.USUAL)
    for row in connection.execute(_READY, {"now": now, "plan": plan}).mappings().all():
        working = office.works if row["unit"] == "working_days" else None
        period = periods.current(day, row["begins"], row["every"], working)
        if period is None:
            continue
        since, until = (datetime.combine(each, time(), zone) for each in period)
        asked: dict[str, Any] = {
            "plan": row["id"], "kind": row["record_kind"], "since": since, "until": until,
            "below": territory.below(connection, row["area_id"]), "event": "visit.due", "now": now,
        }  # fmt: skip
        if row["record_kind"]:
            asked.pop("now")
            made += connection.execute(_MAKE_OF_RECORDS, asked).scalar_one()
        else:
            asked.pop("kind")
            made += connection.execute(_MAKE_OF_GRIDS, asked).scalar_one()
        connection.execute(_MADE, {"plan": row["id"], "until": until})
    return made


def miss(connection: Connection, now: datetime) -> int:
    """Note which visits nobody made in time; how many."""
    asked = {"now": now, "event": "visit.missed"}
    return int(connection.execute(_MISS, asked).scalar_one())


def keep(connection: Connection, now: datetime) -> int:
    """What the clock does: first note what was missed, then make what is due; how many rows."""
    return miss(connection, now) + make_due(connection, now)
