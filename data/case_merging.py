"""Several reports of one trouble: proposed, merged into one case, and taken apart without loss."""

from dataclasses import replace

from sqlalchemy import Connection, RowMapping, text

from data import asking, cases, return_visits
from data.cases import CaseError, Move

NEAR_M = 200.0
SOON_DAYS = 7
LIKE = 0.3  # of their words in common, where the place is not known

# How likely they are the same, 0 to 1: near, soon after each other, of one kind, in like words.
_LIKELY = text("""
WITH this AS (
    SELECT i.id, i.geom, i.kind, i.opened, i.area_id, r.description
    FROM incident i JOIN report r ON r.id = i.id WHERE i.id = :id
), other AS (
    SELECT i.id, i.opened, i.kind, i.stage, r.description,
           ST_Distance(i.geom::geography, this.geom::geography) AS distance_m,
           (abs(extract(epoch FROM i.opened - this.opened)) / 86400)::double precision AS days,
           i.kind IS NOT DISTINCT FROM this.kind AS same_kind,
           CASE WHEN r.description IS NULL OR this.description IS NULL THEN NULL
                ELSE similarity(r.description, this.description) END AS likeness
    FROM this JOIN incident i ON i.id <> this.id AND i.closed IS NULL
     AND i.opened BETWEEN this.opened - make_interval(days => :days)
                      AND this.opened + make_interval(days => :days)
    JOIN report r ON r.id = i.id
    WHERE (this.geom IS NULL OR i.geom IS NULL
           OR i.geom && ST_Expand(this.geom, :near_m / 50000.0))
), scored AS (
    SELECT *, (coalesce(0.35 * (1 - distance_m / :near_m), 0) + 0.2 * (1 - days / :days)
            + 0.25 * same_kind::integer + 0.2 * coalesce(likeness, 0))::double precision AS score
    FROM other
    WHERE coalesce(distance_m <= :near_m, likeness >= :like)
)
SELECT id, opened, kind, stage, description, distance_m, days, same_kind, likeness, score
FROM scored WHERE same_kind OR coalesce(likeness, 0) >= :like
ORDER BY score DESC, id LIMIT :limit
""")


def likely(connection: Connection, number: int, limit: int = 10) -> list[RowMapping]:
    """Open cases that may be the same trouble, the likeliest first.

    Each with how far (metres), how many days apart, whether of one kind, how many of its words
    (trigrams, 0 to 1) are the same, and a score from 0 to 1 of it all.
    """
    asked = {"id": number, "days": SOON_DAYS, "near_m": NEAR_M, "like": LIKE, "limit": limit}
    return list(connection.execute(_LIKELY, asked).mappings())


_REPORTS = text("SELECT id FROM report WHERE incident_id = :id ORDER BY id")
_JOIN = text("""
WITH people AS (UPDATE party SET incident_id = :into WHERE report_id = ANY (:reports))
UPDATE report SET incident_id = :into WHERE id = ANY (:reports)
""")
_LAST_MERGE = text("""
SELECT data FROM case_step WHERE incident_id = :id AND action = 'merge' ORDER BY id DESC LIMIT 1
""")


def merge(connection: Connection, number: int, into: int, asked: Move) -> int:
    """Make a case part of another, whose number its reporters then follow; the step's number.

    Raises
    ------
    CaseError
        One of them is not there, closed or another's, they are the same, or somebody is under way
        to the one that is to end.
    """
    if number == into:
        raise CaseError(
            "same_case", f"Case {number} cannot be merged into itself; name the other one.",
            field="into",
        )  # fmt: skip
    for each in sorted((number, into)):
        held = cases.hold(connection, each)
        if held["closed"] is not None:
            raise _ended(held)
        cases.check_accountable(connection, held, asked.acting)
    case = cases.hold(connection, number)
    reports = list(connection.execute(_REPORTS, {"id": number}).scalars())
    data = {"into": into, "reports": reports, "stage": case["stage"]}
    step = cases.move(connection, number, replace(asked, action="merge", data=data))
    connection.execute(
        text("UPDATE incident SET merged_into = :into, outcome = :outcome WHERE id = :id"),
        {"into": into, "outcome": asked.reason, "id": number},
    )
    connection.execute(_JOIN, {"into": into, "reports": reports})
    joined = replace(
        asked, action="note", acting=None, seen=None, data={"merged": number, "reports": reports}
    )
    cases.move(connection, into, joined)
    if cases.hold(connection, into)["stage"] == "return_visit":
        asking.begin(connection, into)
    return step


def _ended(case: RowMapping) -> CaseError:
    where = f"it is part of case {case['merged_into']}" if case["merged_into"] else "it is closed"
    return CaseError(
        "not_allowed",
        f"Case {case['id']} cannot be merged: {where}.",
        stage=case["stage"], merged_into=case["merged_into"],
    )  # fmt: skip


_WHOLE = text("""
WITH RECURSIVE whole AS (
    SELECT CAST(:id AS bigint) AS id
    UNION
    SELECT i.merged_into FROM whole JOIN incident i ON i.id = whole.id
    WHERE i.merged_into IS NOT NULL
)
SELECT id FROM whole ORDER BY id
""")
# With their people, who are not asked about the other case any more.
_BACK = text("""
WITH back AS (
    UPDATE report SET incident_id = :case
    WHERE id = ANY (:reports) AND incident_id = ANY (:whole) RETURNING id
), people AS (
    UPDATE party SET incident_id = :case WHERE report_id IN (SELECT id FROM back)
)
UPDATE return_visit SET ended = clock_timestamp(), outcome = 'withdrawn'
WHERE report_id IN (SELECT id FROM back) AND ended IS NULL RETURNING incident_id
""")
_HEIR = text("""
WITH RECURSIVE heirs AS (
    SELECT id, successor_id FROM organisation WHERE id = :id
    UNION
    SELECT o.id, o.successor_id FROM heirs JOIN organisation o ON o.id = heirs.successor_id
)
SELECT id FROM heirs WHERE successor_id IS NULL
""")


def unmerge(connection: Connection, number: int, asked: Move) -> int:
    """Take a case out of the one that it was merged into, as it stood before; the step's number.

    Its reports come back from wherever that one was merged into since.

    Raises
    ------
    CaseError
        There is no such case, or it is part of none.
    """
    whole = _hold_whole(connection, number)
    case = cases.hold(connection, number)
    into = case["merged_into"]
    if into is None:
        raise CaseError("not_merged", f"Case {number} is part of no other case.")
    data = connection.execute(_LAST_MERGE, {"id": number}).scalar_one()
    back = {"whole": whole, "case": number, "reports": data["reports"]}
    asking_less = set(connection.execute(_BACK, back).scalars())
    heir = connection.execute(_HEIR, {"id": case["organisation_id"]}).scalar_one()
    after = {
        **{name: case[name] for name in ("level", "kind")}, "organisation_id": heir,
        "stage": data["stage"], "outcome": None, "merged_into": None, "bounced": 0, "reopened": 0,
    }  # fmt: skip
    step = cases.write(connection, case, replace(asked, action="unmerge", data=data), after)
    freed = replace(asked, action="note", acting=None, seen=None, data={"unmerged": number})
    cases.move(connection, into, freed)
    for other in sorted(asking_less):
        return_visits.conclude(connection, other, actor=asked.actor)
    if data["stage"] == "return_visit":
        asking.begin(connection, number)
        return_visits.conclude(connection, number, actor=asked.actor)
    return step


def _hold_whole(connection: Connection, number: int) -> list[int]:
    """The case and those it became part of, one in another, locked in the order of merging."""
    held: set[int] = set()
    while True:
        whole = list(connection.execute(_WHOLE, {"id": number}).scalars())
        if held.issuperset(whole):
            return whole
        for each in whole:
            cases.hold(connection, each)
        held.update(whole)
