"""The cells: the rows of the families added up by day and by month, kept current bit by bit.

Triggers write down in which quarters of an hour something changed (`indicator_stale`). A refresh
takes these marks away and adds the days that they lie in up anew, in one transaction: whatever is
committed after its statements began has left a mark of its own.
"""

from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import Connection, Engine, text

from data.indicators import source
from data.indicators.registry import FAMILIES, Family

MOST_DAYS = 31  # in one transaction, so that none takes long
_LOCK = text("SELECT pg_try_advisory_xact_lock(hashtextextended('wangge indicators', 0))")


def refresh(
    connection: Connection, now: datetime, timezone: str, most_days: int = MOST_DAYS
) -> int:
    """Add up anew what has changed, the newest days first; call it until it returns 0.

    Parameters
    ----------
    now : when it is done
    timezone : of the city, whose days they are

    Returns how many days of a family were added up; 0 as well if somebody else is at it.
    """
    if not connection.execute(_LOCK).scalar_one():
        return 0
    done = 0
    for family in FAMILIES.values():
        _begin_anew(connection, family, now, timezone)
        days = _take(connection, family, timezone, most_days)
        for first, last in _stretches(days):
            _add_up(connection, family, first, last, timezone)
        _roll_up(connection, family, {day.replace(day=1) for day in days})
        connection.execute(_REFRESHED, {"family": family.name, "now": now})
        done += len(days)
    return done


def refresh_all(
    engine: Engine, timezone: str, progress: Callable[[str, float], None] = lambda _w, _s: None
) -> int:
    """Refresh, one transaction after another, until all is added up; how many days that were."""
    done = 0
    while True:
        with engine.begin() as connection:
            days = refresh(connection, datetime.now(UTC), timezone)
            waiting = connection.execute(_WAITING, {"timezone": timezone}).scalar_one()
        done += days
        if not days:
            return done
        progress(f"{done:,} days added up", done / (done + waiting))


_WAITING = text("""
SELECT count(*) FROM (
    SELECT DISTINCT family, CAST(at AT TIME ZONE :timezone AS date) FROM indicator_stale) d
""")


def refreshed(connection: Connection) -> datetime | None:
    """Up to when what has happened is in all cells that a figure may be read from; None: never."""
    found: datetime | None = connection.execute(_AS_OF).scalar()
    return found


_AS_OF = text("SELECT min(refreshed) FROM indicator_state")
_REFRESHED = text("UPDATE indicator_state SET refreshed = :now WHERE family = :family")
_STATE = text("SELECT version, timezone FROM indicator_state WHERE family = :family")
_RESET = text("""
INSERT INTO indicator_state (family, version, timezone, refreshed)
VALUES (:family, :version, :timezone, :now)
ON CONFLICT (family) DO UPDATE SET version = excluded.version, timezone = excluded.timezone
""")
_FORGET = text("DELETE FROM indicator_cell WHERE family = :family")


def _begin_anew(connection: Connection, family: Family, now: datetime, timezone: str) -> None:
    """Without cells by this definition, this map and these days, every day is to be added up."""
    state = connection.execute(_STATE, {"family": family.name}).first()
    if state is not None and tuple(state) == (family.version, timezone):
        return
    asked = {"family": family.name, "version": family.version, "timezone": timezone, "now": now}
    connection.execute(_RESET, asked)
    connection.execute(_FORGET, asked)
    connection.execute(
        text(
            "INSERT INTO indicator_stale (family, at)"
            f" SELECT DISTINCT :family, quarter(r.at) FROM ({family.sql}) r"
        ),
        asked,
    )


_TAKE = text("""
WITH day AS (
    SELECT DISTINCT CAST(at AT TIME ZONE :timezone AS date) AS day FROM indicator_stale
    WHERE family = :family ORDER BY day DESC LIMIT :most
), taken AS (
    DELETE FROM indicator_stale s USING day
    WHERE s.family = :family AND CAST(s.at AT TIME ZONE :timezone AS date) = day.day
)
SELECT day FROM day ORDER BY day
""")


def _take(connection: Connection, family: Family, timezone: str, most: int) -> list[date]:
    asked = {"family": family.name, "timezone": timezone, "most": most}
    return list(connection.execute(_TAKE, asked).scalars())


def _stretches(days: Iterable[date]) -> list[tuple[date, date]]:
    """Days that follow each other as (first, last), for an index finds these at once."""
    found: list[tuple[date, date]] = []
    for day in days:
        if found and day == found[-1][1] + timedelta(days=1):
            found[-1] = found[-1][0], day
        else:
            found.append((day, day))
    return found


_DELETE = text("""
DELETE FROM indicator_cell
WHERE family = :family AND grain = :grain AND day >= :since AND day < :until
""")


def _add_up(connection: Connection, family: Family, first: date, last: date, timezone: str) -> None:
    asked = {
        "family": family.name, "grain": "day", "since": first,
        "until": last + timedelta(days=1), "timezone": timezone,
    }  # fmt: skip
    connection.execute(_DELETE, asked)
    levels = ", ".join(f"p.path[{level + 1}]" for level in range(family.level, -1, -1))
    connection.execute(
        text(f"""
INSERT INTO indicator_cell (family, grain, day, area_id, organisation_id, kind, facts)
SELECT :family, 'day', f.day, coalesce({levels}), f.organisation_id, f.kind, {_sums(family)}
FROM ({source.one_by_one(family)}) f
LEFT JOIN area_path p ON p.area_id = f.area_id AND p.valid @> f.at
GROUP BY f.day, coalesce({levels}), f.organisation_id, f.kind
"""),
        asked,
    )


def _sums(family: Family) -> str:
    places = range(1, len(family.facts) + 1)
    each = ", ".join(f"CAST(coalesce(sum(f.facts[{n}]), 0) AS bigint)" for n in places)
    return f"ARRAY[{each}]"


def _roll_up(connection: Connection, family: Family, months: set[date]) -> None:
    for month in sorted(months):
        until = (month + timedelta(days=31)).replace(day=1)
        asked = {"family": family.name, "grain": "month", "since": month, "until": until}
        connection.execute(_DELETE, asked)
        connection.execute(
            text(f"""
INSERT INTO indicator_cell (family, grain, day, area_id, organisation_id, kind, facts)
SELECT :family, 'month', :since, f.area_id, f.organisation_id, f.kind, {_sums(family)}
FROM indicator_cell f
WHERE f.family = :family AND f.grain = 'day' AND f.day >= :since AND f.day < :until
GROUP BY f.area_id, f.organisation_id, f.kind
"""),
            asked,
        )
