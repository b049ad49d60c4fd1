"""Deployments: many people to many places in shifts, planned, filled up, followed and cancelled.

The plan is `gis.deployment`'s; here is who could come, and what became of it. One deployment is
planned at a time, so that two plans never want the same people: the second sees whom the first has.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Any

import numpy as np
from sqlalchemy import Connection, RowMapping, text

from data import deployment_people, events, incidents, rules
from data.deployment_people import MOST, Filter, People
from data.errors import InputError
from gis.deployment import Deployment, Gap, deploy
from gis.links import Links
from gis.travel import StraightLine, Travel

MOST_PAIRS = 10_000_000  # of people and sites: some seconds
BY_ROAD = 50_000  # pairs of which the roads are asked: some seconds
LOCK = 0x706C616E  # advisory: one plan at a time
MANY = 200  # people whose places change how attendance is best read
PRESENT = ("planned", "checked_in", "checked_out")


class DeploymentError(InputError):
    """A deployment that cannot be, or that is not there."""


@dataclass(frozen=True)
class Shift:
    """A stretch of time at a site, how many people it wants and has to have, and their skills."""

    start: datetime
    until: datetime
    quota: int
    minimum: int = 0
    skills: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Site:
    """A place (WGS 84) with its shifts; without an area it lies in the grid that contains it."""

    name: str
    lon: float
    lat: float
    shifts: Sequence[Shift]
    area_id: int | None = None


@dataclass(frozen=True)
class Wanted:
    """What is asked for: sites, and who is considered.

    `area` is (layer, code), `organisation` a code; people come from no farther than `within_s`
    seconds and take at most `shifts_each` shifts.
    """

    name: str
    sites: Sequence[Site]
    kinds: Sequence[str]
    skills: Sequence[str] = ()
    modes: Sequence[str] | None = None
    organisation: str | None = None
    area: tuple[str, str] | None = None
    within_s: int = 3600
    shifts_each: int = 1


# --- planning -------------------------------------------------------------------------------------

_PLACE = text("""
SELECT a.id, v.name, ST_X(p.pt) AS lon, ST_Y(p.pt) AS lat
FROM area a JOIN area_version v ON v.area_id = a.id
CROSS JOIN LATERAL (SELECT ST_PointOnSurface(v.geom) AS pt) p
WHERE a.layer = :layer AND a.code = :code AND upper_inf(v.recorded) AND v.valid @> now()
""")

_STORE = text("""
INSERT INTO deployment (name, actor, asked) VALUES (:name, :actor, CAST(:asked AS jsonb))
RETURNING id
""")

# A dedicated grid wins inside its polygon.
_STORE_SITES = text("""
INSERT INTO deployment_site (deployment_id, name, geom, area_id)
SELECT :deployment_id, g.name, p.geom, coalesce(g.area_id, (
    SELECT v.area_id FROM area_piece p2 JOIN area_version v ON v.id = p2.version_id
    WHERE p2.layer = 'grid' AND p2.geom && p.geom AND ST_Intersects(p2.geom, p.geom)
      AND v.valid @> now() AND upper_inf(v.recorded)
    ORDER BY v.kind DESC, v.area_id LIMIT 1))
FROM jsonb_to_recordset(CAST(:sites AS jsonb))
     AS g (n integer, name text, lon double precision, lat double precision, area_id bigint)
CROSS JOIN LATERAL (SELECT ST_SetSRID(ST_MakePoint(g.lon, g.lat), 4326) AS geom) p
ORDER BY g.n RETURNING id
""")

_STORE_SHIFT = text("""
INSERT INTO deployment_shift (site_id, during, quota, minimum, skills)
VALUES (:site_id, tstzrange(:start, :until), :quota, :minimum, CAST(:skills AS jsonb))
""")


def place_of(connection: Connection, layer: str, code: str) -> RowMapping | None:
    """An area's id, name and a point inside it (lon, lat) as it is in force now, or None."""
    asked = {"layer": layer, "code": code}
    return connection.execute(_PLACE, asked).mappings().first()


def plan(connection: Connection, wanted: Wanted, travel: Travel, *, actor: str) -> int:
    """Plan a deployment and store who goes where; its number. What is not met is said by `get`.

    Raises
    ------
    DeploymentError
        It cannot be planned as it is asked for, or is too large for one plan.
    rules.RuleError
        A kind or a skill is not known.
    """
    skills = {skill for site in wanted.sites for shift in site.shifts for skill in shift.skills}
    rules.known(connection, wanted.kinds, [*wanted.skills, *sorted(skills)])
    _check_times(connection, wanted)
    asked = {name: value for name, value in vars(wanted).items() if name not in ("name", "sites")}
    _lock(connection)
    number: int = connection.execute(
        _STORE, {"name": wanted.name, "actor": actor, "asked": json.dumps(asked)}
    ).scalar_one()
    _store(connection, number, wanted.sites)
    _staff(connection, number, asked, travel, actor)
    return number


def _store(connection: Connection, number: int, sites: Sequence[Site]) -> None:
    names = ("name", "lon", "lat", "area_id")
    places = [{"n": n, **{k: getattr(site, k) for k in names}} for n, site in enumerate(sites)]
    asked = {"deployment_id": number, "sites": json.dumps(places)}
    ids = sorted(connection.execute(_STORE_SITES, asked).scalars())
    shifts = [
        {**vars(shift), "site_id": site_id, "skills": json.dumps(dict(shift.skills))}
        for site_id, site in zip(ids, sites, strict=True)
        for shift in site.shifts
    ]
    connection.execute(_STORE_SHIFT, shifts)


def _check_times(connection: Connection, wanted: Wanted) -> None:
    now: datetime = connection.execute(text("SELECT now()")).scalar_one()
    stretches = set()
    for n, site in enumerate(wanted.sites):
        ordered = sorted(site.shifts, key=lambda shift: shift.start)
        for before, after in pairwise(ordered):
            if after.start < before.until:
                raise DeploymentError(
                    f"two shifts of {site.name} overlap; make one of them, or part them",
                    f"sites.{n}.shifts",
                    "deployment_refused",
                )
        for shift in site.shifts:
            if shift.until <= now:
                raise DeploymentError(
                    f"a shift of {site.name} has ended already ({shift.until.isoformat()})",
                    f"sites.{n}.shifts",
                    "deployment_refused",
                )
        stretches |= {(shift.start, shift.until) for shift in site.shifts}
    spans = sorted(stretches)
    crossing = any(b[0] < a[1] for a, b in pairwise(spans))
    if wanted.shifts_each > 1 and crossing:
        raise DeploymentError(
            "shifts of different sites overlap without being the same, so that somebody with "
            "several could be wanted in two places at once; give them the same times, or leave "
            "shifts_each at 1",
            "shifts_each",
            "deployment_refused",
        )


def _lock(connection: Connection) -> None:
    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})


def fill(connection: Connection, number: int, travel: Travel, *, actor: str) -> int:
    """Plan others for what is missing now in shifts that have not ended; how many were added.

    Those who are planned stay where they are; for who was marked absent others are looked for.

    Raises
    ------
    DeploymentError
        There is no such deployment, or it was cancelled.
    """
    _lock(connection)
    row = _open(connection, number)
    return _staff(connection, number, row["asked"], travel, actor)


_OPEN = text("SELECT * FROM deployment WHERE id = :id FOR NO KEY UPDATE")


def _open(connection: Connection, number: int) -> RowMapping:
    row = connection.execute(_OPEN, {"id": number}).mappings().first()
    if row is None:
        raise DeploymentError(f"there is no deployment {number}", "number", "deployment_unknown")
    if row["cancelled"] is not None:
        raise DeploymentError(
            f"deployment {number} was cancelled at {row['cancelled'].isoformat()}; plan a new one",
            "number",
            "deployment_cancelled",
        )
    return row


# --- who goes where -------------------------------------------------------------------------------

# What each shift that has not ended still wants.
_WANTED = text("""
SELECT s.id, s.site_id, ST_X(e.geom) AS lon, ST_Y(e.geom) AS lat, lower(s.during) AS start,
       upper(s.during) AS until, s.quota - p.present AS quota,
       greatest(0, s.minimum - p.present) AS minimum,
       ARRAY(SELECT jsonb_build_object('skill', w.key, 'missing', greatest(0, w.value::integer - (
                 SELECT count(*) FROM attendance a WHERE a.shift_id = s.id AND a.skill = w.key
                 AND a.state = ANY (:present))))
             FROM jsonb_each_text(s.skills) w) AS skilled
FROM deployment_shift s JOIN deployment_site e ON e.id = s.site_id
CROSS JOIN LATERAL (
    SELECT count(*)::integer AS present FROM attendance a
    WHERE a.shift_id = s.id AND a.state = ANY (:present)
) p
WHERE e.deployment_id = :id AND upper(s.during) > now() ORDER BY s.site_id, lower(s.during)
""")

_ADD = text("""
WITH added AS (
    INSERT INTO attendance (shift_id, resource_id, during, travel_s, skill)
    SELECT n.shift_id, n.resource_id, s.during, n.travel_s, n.skill
    FROM unnest(CAST(:shifts AS bigint[]), CAST(:people AS bigint[]),
                CAST(:seconds AS double precision[]), CAST(:skills AS text[]))
         AS n (shift_id, resource_id, travel_s, skill)
    JOIN deployment_shift s ON s.id = n.shift_id
    RETURNING shift_id, resource_id, during, skill
)
INSERT INTO event (kind, resource_id, area_id, data)
SELECT 'attendance.planned', a.resource_id, e.area_id, jsonb_build_object(
           'deployment', e.deployment_id, 'name', d.name, 'site', e.name, 'shift', a.shift_id,
           'lon', ST_X(e.geom), 'lat', ST_Y(e.geom), 'skill', a.skill,
           'from', lower(a.during), 'until', upper(a.during))
FROM added a JOIN deployment_shift s ON s.id = a.shift_id
JOIN deployment_site e ON e.id = s.site_id JOIN deployment d ON d.id = e.deployment_id
ORDER BY a.shift_id, a.resource_id
""")

# Whoever looks for candidates holds a plan from when there were few: 3 ms would become 200.
_ANALYZE = text("ANALYZE attendance")

_KEEP = text("UPDATE deployment SET result = CAST(:result AS jsonb) WHERE id = :id")


def _staff(
    connection: Connection, number: int, asked: Mapping[str, Any], travel: Travel, actor: str
) -> int:
    """Choose people for what is missing, and keep who they are, and why any are missing still."""
    shifts = connection.execute(_WANTED, {"id": number, "present": list(PRESENT)}).mappings().all()
    added, result = 0, {"considered": 0, "travel": travel.name, "gaps": {}}
    if any(shift["quota"] > 0 for shift in shifts):
        board = _Board(shifts)
        who = _filter(connection, asked)
        people = deployment_people.available(connection, who, board.stretches, number)
        way = _way(len(people.ids), len(board.sites), travel)
        done = board.staffed(people, way, asked["within_s"], asked["shifts_each"])
        added = len(done.person)
        connection.execute(_ADD, board.rows(people, done))
        if added > MANY:
            connection.execute(_ANALYZE)
        result = {
            "considered": len(people.ids),
            "travel": way.name,
            "gaps": {board.shift_of(gap): board.told(gap) for gap in done.gaps},
        }
    connection.execute(_KEEP, {"id": number, "result": json.dumps(result)})
    missing = sum(gap["missing"] for gap in result["gaps"].values())  # type: ignore[attr-defined]
    said = {"deployment": number, "added": added, "missing": missing, "actor": actor}
    events.record(connection, "deployment.planned", said)
    return added


def _filter(connection: Connection, asked: Mapping[str, Any]) -> Filter:
    organisation_id = area_ids = None
    if asked["organisation"] is not None:
        known = text("SELECT id FROM organisation WHERE code = :code")
        organisation_id = connection.execute(known, {"code": asked["organisation"]}).scalar()
        if organisation_id is None:
            raise DeploymentError(
                f"there is no organisation with the code {asked['organisation']!r}",
                "people.organisation",
                "deployment_refused",
            )
    if asked["area"] is not None:
        layer, code = asked["area"]
        area_ids = incidents.under(connection, layer, code)
        if not area_ids:
            raise DeploymentError(
                f"the layer {layer} has no area {code}", "people.code", "area_unknown"
            )
    return Filter(asked["kinds"], asked["skills"], asked["modes"], organisation_id, area_ids)


def _way(people: int, sites: int, travel: Travel) -> Travel:
    """How travel times are had for so many; raises if they are too many for one plan."""
    if people > MOST or people * sites > MOST_PAIRS:
        raise DeploymentError(
            f"more than {min(MOST, MOST_PAIRS // sites):,} people are too many to plan for "
            f"{sites:,} sites at once; name kinds, skills, an organisation or an area that leave "
            "fewer, or plan part of the sites",
            "people",
            "deployment_refused",
        )
    return travel if people * sites <= BY_ROAD else StraightLine()


class _Board:
    """Shifts that want people, as the arrays of `gis.deployment`: sites × stretches of time."""

    def __init__(self, shifts: Sequence[RowMapping]) -> None:
        self._shifts = shifts
        self.sites = sorted({shift["site_id"] for shift in shifts})
        self.stretches = sorted({(shift["start"], shift["until"]) for shift in shifts})
        self._skills = sorted({each["skill"] for shift in shifts for each in shift["skilled"]})
        self._at = {
            (self.sites.index(s["site_id"]), self.stretches.index((s["start"], s["until"]))): s
            for s in shifts
        }
        places = {shift["site_id"]: (shift["lon"], shift["lat"]) for shift in shifts}
        self._lonlat = np.array([places[site] for site in self.sites])

    def staffed(
        self, people: People, travel: Travel, within_s: float, shifts_each: int
    ) -> Deployment:
        """The best plan for what is wanted."""
        size = (len(self.sites), len(self.stretches))
        quota, minimum = np.zeros(size, np.int64), np.zeros(size, np.int64)
        skilled = np.zeros((*size, len(self._skills)), np.int64)
        for at, shift in self._at.items():
            quota[at], minimum[at] = max(0, shift["quota"]), shift["minimum"]
            for each in shift["skilled"]:
                skilled[(*at, self._skills.index(each["skill"]))] = each["missing"]

        def seconds(some: slice) -> Any:
            modes = np.array(people.modes[some], dtype=object)
            return travel.legs(people.lonlat[some], self._lonlat, modes).seconds

        shape = (len(people.ids), len(self.sites))
        return deploy(
            Links.by_blocks(seconds, shape, within_s=within_s),
            quota,
            minimum=minimum,
            skilled=skilled,
            skills=[[skill in has for skill in self._skills] for has in people.skills]
            or np.zeros((0, len(self._skills))),
            available=people.free,
            most=np.maximum(0, shifts_each - people.planned),
        )

    def rows(self, people: People, done: Deployment) -> dict[str, list[Any]]:
        """Who was chosen for which shift."""
        slots = zip(done.site.tolist(), done.shift.tolist(), strict=True)
        return {
            "shifts": [self._at[slot]["id"] for slot in slots],
            "people": people.ids[done.person].tolist(),
            "seconds": done.seconds.tolist(),
            "skills": [None if k < 0 else self._skills[k] for k in done.skill.tolist()],
        }

    def shift_of(self, gap: Gap) -> int:
        """The number of a gap's shift."""
        return int(self._at[gap.site, gap.shift]["id"])

    def told(self, gap: Gap) -> dict[str, Any]:
        """A gap as it is kept."""
        return {
            "missing": gap.missing,
            "parts": {cause.value: number for cause, number in gap.parts.items() if number},
            "skills": {self._skills[skill]: number for skill, number in gap.skills.items()},
        }


# --- cancelled ------------------------------------------------------------------------------------

# Whoever is at work is checked out; their time ends here, so that they are free for something else.
_CANCEL = text("""
WITH done AS (
    UPDATE deployment SET cancelled = clock_timestamp() WHERE id = :id RETURNING name, cancelled
), freed AS (
    UPDATE attendance a
    SET state = CASE WHEN a.state = 'checked_in' THEN 'checked_out' ELSE 'cancelled' END,
        since = done.cancelled,
        during = CASE WHEN lower(a.during) >= done.cancelled THEN a.during
                      ELSE tstzrange(lower(a.during), least(upper(a.during), done.cancelled)) END
    FROM done, deployment_shift s JOIN deployment_site e ON e.id = s.site_id
    WHERE e.deployment_id = :id AND a.shift_id = s.id AND upper(a.during) > done.cancelled
      AND a.state IN ('planned', 'checked_in', 'absent')
    RETURNING a.resource_id, a.shift_id, e.area_id, e.name AS site, done.name
), told AS (
    INSERT INTO event (kind, resource_id, area_id, data)
    SELECT 'attendance.cancelled', resource_id, area_id, jsonb_build_object(
        'deployment', CAST(:id AS bigint), 'name', name, 'site', site, 'shift', shift_id,
        'reason', CAST(:reason AS text))
    FROM freed ORDER BY shift_id, resource_id
)
SELECT count(DISTINCT resource_id) FROM freed
""")


def cancel(connection: Connection, number: int, *, actor: str, reason: str = "") -> int:
    """Call a deployment off, so that its people are free; how many they were.

    Raises
    ------
    DeploymentError
        There is no such deployment, or it was cancelled before.
    """
    row = _open(connection, number)
    asked = {"id": number, "reason": reason}
    freed = int(connection.execute(_CANCEL, asked).scalar_one())
    said = {
        "deployment": number, "name": row["name"], "freed": freed, "actor": actor, "reason": reason,
    }  # fmt: skip
    events.record(connection, "deployment.cancelled", said)
    return freed
