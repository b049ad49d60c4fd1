"""Rules that turn readings into reports: one an episode, until the readings are good again."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from sqlalchemy import Connection, RowMapping, text

from data import events, reports
from data.reports import NewReport
from data.watched import WatchError
from gis.thresholds import MISSING, Condition, Floats, holds

SOURCE = "watch"
ACCURACY_M = 10.0  # of a place that is watched


@dataclass(frozen=True)
class WatchRule:
    """When places of a kind are in trouble: all conditions at once."""

    place_kind: str
    name: str
    conditions: list[Condition]
    report_kind: str
    urgency: int = 3


_ADD = text("""
INSERT INTO watch_rule (place_kind, name, conditions, report_kind, urgency, actor)
VALUES (:place_kind, :name, CAST(:conditions AS jsonb), :report_kind, :urgency, :actor)
RETURNING id
""")
_RULES = text("""
SELECT id, place_kind, name, conditions, report_kind, urgency, actor, created, ended
FROM watch_rule
WHERE ended IS NULL AND (CAST(:kinds AS text[]) IS NULL OR place_kind = ANY (:kinds)) ORDER BY id
""")
_END = text("UPDATE watch_rule SET ended = now() WHERE id = :id AND ended IS NULL")
_END_EPISODES = text("UPDATE watch_episode SET ended = :now WHERE rule_id = :id AND ended IS NULL")


def add(connection: Connection, rule: WatchRule, *, actor: str, now: datetime) -> int:
    """Put a rule in force and look at the places of its kind by it; its number."""
    facts = {name: value for name, value in vars(rule).items() if name != "conditions"}
    conditions = json.dumps([asdict(each) for each in rule.conditions], ensure_ascii=False)
    asked = {**facts, "conditions": conditions, "actor": actor}
    number = int(connection.execute(_ADD, asked).scalar_one())
    told = {"rule": rule.name, "place_kind": rule.place_kind, "actor": actor}
    events.record(connection, "watch.ruled", told)
    look(connection, now, kind=rule.place_kind)
    return number


def in_force(connection: Connection, kinds: Sequence[str] | None = None) -> Sequence[RowMapping]:
    """The rules in force, of all kinds of place or of some."""
    asked = {"kinds": None if kinds is None else list(kinds)}
    return connection.execute(_RULES, asked).mappings().all()


def end(connection: Connection, number: int, *, actor: str, now: datetime) -> None:
    """A rule holds no longer, and its episodes are over; their reports go on.

    Raises
    ------
    WatchError
        No rule in force has this number.
    """
    if not connection.execute(_END, {"id": number}).rowcount:
        raise WatchError(f"there is no watch rule {number} in force", "number", "watch_unknown")
    connection.execute(_END_EPISODES, {"id": number, "now": now})
    events.record(connection, "watch.unruled", {"rule": number, "actor": actor})


# --- looking --------------------------------------------------------------------------------------

# In one order, so that two who look at once wait for each other and do not lock each other out.
_PLACES = text("""
SELECT w.id, w.kind, w.name, w.created, w.area_id, ST_X(p) AS lon, ST_Y(p) AS lat
FROM watched_place w CROSS JOIN LATERAL ST_PointOnSurface(w.geom) p
WHERE w.withdrawn IS NULL AND (CAST(:place AS bigint) IS NULL OR w.id = :place)
  AND (CAST(:kind AS text) IS NULL OR w.kind = :kind)
  AND EXISTS (SELECT FROM watch_rule r WHERE r.place_kind = w.kind AND r.ended IS NULL)
ORDER BY w.id FOR UPDATE OF w
""")

# As far back as any rule asks, and the last reading before that.
_READINGS = text("""
SELECT p.id AS place_id, m.metric, r.at, r.value
FROM unnest(CAST(:places AS bigint[])) p (id)
CROSS JOIN unnest(CAST(:metrics AS text[]), CAST(:spans AS double precision[])) m (metric, span_s)
CROSS JOIN LATERAL (
    SELECT at, value FROM watched_reading
    WHERE place_id = p.id AND metric = m.metric AND at <= :now AND at >= coalesce(
        (SELECT max(b.at) FROM watched_reading b WHERE b.place_id = p.id AND b.metric = m.metric
         AND b.at <= CAST(:now AS timestamptz) - make_interval(secs => m.span_s)), '-infinity')
) r
""")
_OPEN = text("""
SELECT id, rule_id, place_id, report_id FROM watch_episode
WHERE ended IS NULL AND place_id = ANY (CAST(:places AS bigint[]))
""")


def look(
    connection: Connection, now: datetime, *, place: int | None = None, kind: str | None = None
) -> int:
    """Hold the rules against the readings of a place, of a kind, or of all; how many changed.

    What begins becomes a report, placed and told like any other; what is good again ends.
    """
    places = connection.execute(_PLACES, {"place": place, "kind": kind}).mappings().all()
    if not places:
        return 0
    rules = in_force(connection, sorted({each["kind"] for each in places}))
    conditions = {r["id"]: [Condition(**facts) for facts in r["conditions"]] for r in rules}
    numbers = [each["id"] for each in places]
    readings = _readings(connection, numbers, conditions, now)
    found = connection.execute(_OPEN, {"places": numbers}).mappings()
    under_way = {(row["rule_id"], row["place_id"]): row for row in found}
    changed = 0
    for each in places:
        for rule in (r for r in rules if r["place_kind"] == each["kind"]):
            episode = under_way.get((rule["id"], each["id"]))
            asked, mine = conditions[rule["id"]], readings.get(each["id"], {})
            if _all_hold(asked, mine, each, now, episode is not None) == (episode is not None):
                continue
            if episode is None:
                _begin(connection, rule, asked, each, mine, now)
            else:
                _over(connection, episode, each, now)
            changed += 1
    return changed


Readings = dict[str, tuple[Floats, Floats]]


def _readings(
    connection: Connection, places: list[int], conditions: dict[int, list[Condition]], now: datetime
) -> dict[int, Readings]:
    """The readings that count, by place and metric: seconds and values."""
    spans: dict[str, float] = {}
    for each in (each for of_rule in conditions.values() for each in of_rule):
        spans[each.metric] = max(each.for_s, spans.get(each.metric, 0))
    asked = {
        "places": places,
        "metrics": list(spans),
        "spans": [*map(float, spans.values())],
        "now": now,
    }
    lists: dict[int, dict[str, list[tuple[float, float]]]] = {}
    for row in connection.execute(_READINGS, asked):
        series = lists.setdefault(row.place_id, {}).setdefault(row.metric, [])
        series.append((row.at.timestamp(), row.value))
    return {
        place: {metric: _arrays(pairs) for metric, pairs in series.items()}
        for place, series in lists.items()
    }


def _arrays(pairs: list[tuple[float, float]]) -> tuple[Floats, Floats]:
    both = np.array(sorted(pairs), float)
    return both[:, 0], both[:, 1]


_NOTHING = (np.empty(0), np.empty(0))


def _all_hold(
    conditions: list[Condition], readings: Readings, place: RowMapping, now: datetime,
    under_way: bool,
) -> bool:  # fmt: skip
    since_s = place["created"].timestamp()
    return all(
        holds(
            each, *readings.get(each.metric, _NOTHING), now_s=now.timestamp(), since_s=since_s,
            under_way=under_way,
        )
        for each in conditions
    )  # fmt: skip


_BEGIN = text("""
INSERT INTO watch_episode (rule_id, place_id, began, facts)
VALUES (:rule, :place, :now, CAST(:facts AS jsonb)) RETURNING id
""")
_REPORTED = text("UPDATE watch_episode SET report_id = :report WHERE id = :id")
_OVER = text("UPDATE watch_episode SET ended = :now WHERE id = :id")


def _begin(
    connection: Connection, rule: RowMapping, conditions: list[Condition], place: RowMapping,
    readings: Readings, now: datetime,
) -> None:  # fmt: skip
    facts = [_fact(each, readings.get(each.metric)) for each in conditions]
    asked = {"rule": rule["id"], "place": place["id"], "now": now}
    episode = connection.execute(_BEGIN, {**asked, "facts": json.dumps(facts)}).scalar_one()
    said = "；".join(_sentence(each, fact) for each, fact in zip(conditions, facts, strict=True))
    report, _ = reports.submit(
        connection,
        NewReport(
            SOURCE, f"episode {episode}", x=place["lon"], y=place["lat"], datum="wgs84",
            accuracy_m=ACCURACY_M, occurred=now, channel=SOURCE, kind=rule["report_kind"],
            description=f"{place['name']}：{rule['name']}（{said}）", urgency=rule["urgency"],
            attributes={"watched_place": place["id"], "watch_rule": rule["id"]},
        ),
    )  # fmt: skip
    connection.execute(_REPORTED, {"id": episode, "report": report})
    told = {"place": place["id"], "rule": rule["id"], "report": report, "readings": facts}
    events.record(connection, "watch.began", told, incident_id=report, area_id=place["area_id"])


def _fact(condition: Condition, series: tuple[Floats, Floats] | None) -> dict[str, Any]:
    """The reading that a condition rests on: the last one, if there is any."""
    last = None if series is None else (float(series[0][-1]), float(series[1][-1]))
    return {
        "metric": condition.metric,
        "value": None if last is None else last[1],
        "at": None if last is None else datetime.fromtimestamp(last[0], UTC).isoformat(),
    }


def _sentence(condition: Condition, fact: dict[str, Any]) -> str:
    if condition.comparison == MISSING:
        return f"{condition.metric} 已 {condition.for_s / 3600:g} 小时无数据"
    return f"{condition.metric} {fact['value']:g} {condition.comparison} {condition.value:g}"


def _over(connection: Connection, episode: RowMapping, place: RowMapping, now: datetime) -> None:
    connection.execute(_OVER, {"id": episode["id"], "now": now})
    told = {"place": place["id"], "rule": episode["rule_id"], "report": episode["report_id"]}
    incident = episode["report_id"]
    events.record(connection, "watch.ended", told, incident_id=incident, area_id=place["area_id"])


def condition(**facts: Any) -> Condition:
    """A condition as it comes in; raises `WatchError` if it can mean nothing."""
    try:
        return Condition(**facts)
    except ValueError as error:
        raise WatchError(str(error), "conditions", "watch_refused") from None
