"""What cases are about and who answers for what: with dates, for a case is judged by its day."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, RowMapping, text

from data import cases, refusals
from data.cases import Move
from data.errors import InputError
from data.schema.cases import CLASSES

LOCK = 0x63617461  # advisory: one change of the catalogue at a time


class CatalogueRefusedError(InputError):
    """A kind or a rule that cannot be."""

    def __init__(self, message: str, where: str) -> None:
        super().__init__(message, where, "catalogue_refused")


@dataclass(frozen=True)
class Kind:
    """What a case is about; `level` is the lowest that can usually solve it, 4 grid … 0 city."""

    code: str
    title: str
    title_en: str
    class_: str
    parent: str | None = None
    level: int = 4
    sensitive: bool = False


@dataclass(frozen=True)
class Answering:
    """An organisation answers for a kind and all below it, in an area, at a level; None: any."""

    organisation: str
    kind: str | None = None
    area_id: int | None = None
    level: int | None = None


_KINDS = text("""
SELECT code, parent, title, title_en, class, level, sensitive, lower(valid) AS since, actor, reason
FROM case_kind WHERE valid @> coalesce(CAST(:at AS timestamptz), clock_timestamp())
ORDER BY class, code
""")
_RULES = text("""
SELECT r.id, r.kind, a.layer, a.code AS area, r.level, o.code AS organisation, o.name,
       lower(r.valid) AS since, upper(r.valid) AS until, r.actor, r.reason
FROM responsibility r JOIN organisation o ON o.id = r.organisation_id
LEFT JOIN area a ON a.id = r.area_id
WHERE r.valid @> coalesce(CAST(:at AS timestamptz), clock_timestamp())
  AND (CAST(:kind AS text) IS NULL OR r.kind = :kind)
ORDER BY r.kind NULLS FIRST, a.code NULLS FIRST, r.level NULLS FIRST
""")


def kinds(connection: Connection, at: datetime | None = None) -> list[RowMapping]:
    """The catalogue of a moment, by class and code."""
    return list(connection.execute(_KINDS, {"at": at}).mappings())


def rules(
    connection: Connection, at: datetime | None = None, kind: str | None = None
) -> list[RowMapping]:
    """Who answers for what at a moment, the general rules first."""
    return list(connection.execute(_RULES, {"at": at, "kind": kind}).mappings())


# --- changing -------------------------------------------------------------------------------------

_ALONE = text("SELECT pg_advisory_xact_lock(:lock)")
# What was to begin later gives way altogether; what is in force ends.
_END_KIND = text("""
WITH gone AS (
    DELETE FROM case_kind WHERE code = :code AND lower(valid) >= :since RETURNING 1
), ended AS (
    UPDATE case_kind SET valid = tstzrange(lower(valid), :since)
    WHERE code = :code AND valid @> CAST(:since AS timestamptz) AND lower(valid) < :since
    RETURNING 1
)
SELECT (SELECT count(*) FROM gone) + (SELECT count(*) FROM ended)
""")
_PUT_KIND = text("""
INSERT INTO case_kind (code, parent, title, title_en, class, level, sensitive, valid, actor, reason)
VALUES (:code, :parent, :title, :title_en, :class_, :level, :sensitive, tstzrange(:since, NULL),
        :actor, :reason)
""")
_NOW = text("SELECT clock_timestamp()")
# The moments from one on at which the tree of kinds becomes another.
_MOMENTS = """
WITH RECURSIVE moment AS (
    SELECT CAST(:since AS timestamptz) AS at
    UNION SELECT lower(valid) FROM case_kind WHERE lower(valid) > :since
    UNION SELECT upper(valid) FROM case_kind WHERE upper(valid) > :since
)"""
_ORPHANS = text(f"""{_MOMENTS}
SELECT k.code, k.parent, min(m.at) AS at FROM moment m JOIN case_kind k ON k.valid @> m.at
WHERE k.parent IS NOT NULL AND NOT EXISTS (
    SELECT FROM case_kind p WHERE p.code = k.parent AND p.valid @> m.at)
GROUP BY k.code, k.parent ORDER BY at, k.code LIMIT 5
""")
_CIRCLES = text(f"""{_MOMENTS}, above AS (
    SELECT m.at, k.code AS of, k.parent AS code
    FROM moment m JOIN case_kind k ON k.valid @> m.at WHERE k.parent IS NOT NULL
    UNION
    SELECT a.at, a.of, k.parent FROM above a JOIN case_kind k ON k.code = a.code
    WHERE k.valid @> a.at AND k.parent IS NOT NULL
)
SELECT of AS code, at FROM above WHERE of = code ORDER BY at, of LIMIT 5
""")


def put_kind(
    connection: Connection,
    kind: Kind,
    *,
    actor: str,
    reason: str = "",
    since: datetime | None = None,
) -> None:
    """Put a kind in force from a moment on, now or to come; what it was before stays known.

    Raises
    ------
    CatalogueRefusedError
        Its class or level cannot be, the moment is past, or then or at any time after it a kind
        would stand below itself or below one that is not in the catalogue.
    """
    since = _begin(connection, since)
    if kind.class_ not in CLASSES:
        raise CatalogueRefusedError(f"the class is one of {', '.join(CLASSES)}", "class")
    _check_level(kind.level)
    if kind.parent == kind.code:
        raise CatalogueRefusedError("a kind has its parent above it", "parent")
    values = {**vars(kind), "since": since, "actor": actor, "reason": reason}
    with connection.begin_nested():
        connection.execute(_END_KIND, values)
        connection.execute(_PUT_KIND, values)
        _check_tree(connection, since, "parent")


def end_kind(connection: Connection, code: str, since: datetime | None = None) -> bool:
    """Take a kind out of the catalogue from a moment on; False if it is not in it.

    What was to begin later is taken back altogether.

    Raises
    ------
    CatalogueRefusedError
        The moment is past, or then or later kinds stand below it.
    """
    since = _begin(connection, since)
    with connection.begin_nested():
        changed = connection.execute(_END_KIND, {"code": code, "since": since}).scalar_one()
        _check_tree(connection, since, "code")
    return bool(changed)


def _check_tree(connection: Connection, since: datetime, where: str) -> None:
    """Raise unless from the moment on every kind has its parent, and none is below itself."""
    if orphans := connection.execute(_ORPHANS, {"since": since}).all():
        first = orphans[0]
        raise CatalogueRefusedError(
            f"from {refusals.clock(first.at)} on the catalogue would have no kind "
            f"{first.parent!r}, below which {_listed(orphans)} stand; end or move them first",
            where,
        )
    if circles := connection.execute(_CIRCLES, {"since": since}).all():
        raise CatalogueRefusedError(
            f"from {refusals.clock(circles[0].at)} on {_listed(circles)} would stand below "
            "themselves; a kind has its parent above it",
            where,
        )


def _listed(kinds: Sequence[Row[Any]]) -> str:
    return ", ".join(kind.code for kind in kinds)


def _begin(connection: Connection, since: datetime | None) -> datetime:
    connection.execute(_ALONE, {"lock": LOCK})
    now: datetime = connection.execute(_NOW).scalar_one()
    if since is not None and since < now:
        raise CatalogueRefusedError(
            "a change begins now or later: cases of the past were judged by what held then", "since"
        )
    return since or now


def _check_level(level: int | None) -> None:
    if level is not None and not 0 <= level <= cases.MOST_LEVEL:
        raise CatalogueRefusedError(
            "a level is 0 city, 1 district, 2 town, 3 village or 4 grid", "level"
        )


_KNOWN = text("SELECT EXISTS (SELECT FROM case_kind WHERE code = :code AND valid @> :at)")


def _known_kind(connection: Connection, code: str, at: datetime, where: str) -> None:
    if not connection.execute(_KNOWN, {"code": code, "at": at}).scalar_one():
        raise CatalogueRefusedError(f"the catalogue has no kind {code!r} then", where)


_SAME = """
coalesce(kind, '') = coalesce(CAST(:kind AS text), '')
AND coalesce(area_id, 0) = coalesce(CAST(:area_id AS bigint), 0)
AND coalesce(level, -1) = coalesce(CAST(:level AS integer), -1)
"""
_END_RULE = text(f"""
WITH gone AS (
    DELETE FROM responsibility WHERE {_SAME} AND lower(valid) >= :since
)
UPDATE responsibility SET valid = tstzrange(lower(valid), :since)
WHERE {_SAME} AND valid @> CAST(:since AS timestamptz) AND lower(valid) < :since
""")
_PUT_RULE = text("""
INSERT INTO responsibility (kind, area_id, level, organisation_id, valid, actor, reason)
VALUES (:kind, :area_id, :level, :organisation_id, tstzrange(:since, NULL), :actor, :reason)
""")


def put_rule(
    connection: Connection,
    rule: Answering,
    *,
    actor: str,
    reason: str = "",
    since: datetime | None = None,
) -> None:
    """Make an organisation answer from a moment on; equally specific rules give way to it.

    Raises
    ------
    CatalogueRefusedError
        The kind or the level is not known, or the moment is past.
    CaseError
        There is no such organisation, or it was dissolved.
    """
    since = _begin(connection, since)
    _check_level(rule.level)
    if rule.kind is not None:
        _known_kind(connection, rule.kind, since, "kind")
    found = cases.organisation(connection, rule.organisation)
    asked = {"kind": rule.kind, "area_id": rule.area_id, "level": rule.level, "since": since}
    connection.execute(_END_RULE, asked)
    put = {**asked, "organisation_id": found["id"], "actor": actor, "reason": reason}
    connection.execute(_PUT_RULE, put)


_END_BY_NUMBER = text("""
UPDATE responsibility SET valid = tstzrange(lower(valid), greatest(:since, lower(valid)))
WHERE id = :id AND (upper_inf(valid) OR upper(valid) > :since) AND lower(valid) < :since
""")
_DROP_BY_NUMBER = text("DELETE FROM responsibility WHERE id = :id AND lower(valid) >= :since")


def end_rule(connection: Connection, number: int) -> bool:
    """End a rule now; one that was to begin later goes altogether. False if it is not in force."""
    asked = {"id": number, "since": _begin(connection, None)}
    ended = connection.execute(_END_BY_NUMBER, asked).rowcount
    return bool(ended + connection.execute(_DROP_BY_NUMBER, asked).rowcount)


# --- who answers ----------------------------------------------------------------------------------

_WHO = text("""
SELECT o.code, o.name, a.rule_id AS rule
FROM answers_for(CAST(:kind AS text), CAST(:area_id AS bigint), CAST(:level AS integer),
                 coalesce(CAST(:at AS timestamptz), clock_timestamp())) a
JOIN organisation o ON o.id = a.organisation_id
""")


def who_answers(
    connection: Connection,
    kind: str | None,
    area_id: int | None,
    level: int,
    at: datetime | None = None,
) -> RowMapping:
    """Which organisation answers, and by which rule; `rule` None: as the centre of the place."""
    asked = {"kind": kind, "area_id": area_id, "level": level, "at": at}
    return connection.execute(_WHO, asked).mappings().one()


# Kinds that no rule reaches, and areas around which there is no centre: there the desk answers.
_UNANSWERED = text("""
WITH RECURSIVE now_ AS (SELECT clock_timestamp() AS at), kind AS (
    SELECT k.* FROM case_kind k, now_ WHERE k.valid @> now_.at
), reached AS (
    SELECT kind.code FROM kind JOIN responsibility r ON r.kind = kind.code, now_
    WHERE r.valid @> now_.at
    UNION
    SELECT kind.code FROM reached JOIN kind ON kind.parent = reached.code
)
SELECT 'kind' AS what, NULL AS layer, code, title AS name FROM kind
WHERE code NOT IN (SELECT code FROM reached)
  AND NOT EXISTS (SELECT FROM responsibility r, now_
                  WHERE r.kind IS NULL AND r.valid @> now_.at)
  AND NOT EXISTS (SELECT FROM kind below WHERE below.parent = kind.code)
UNION ALL
SELECT 'area', a.layer, a.code, v.name
FROM area a JOIN area_version v ON v.area_id = a.id AND upper_inf(v.recorded)
JOIN layer l ON l.name = a.layer AND l.tree_level = 4, now_
WHERE v.valid @> now_.at AND (
    SELECT w.organisation_id FROM answers_for(NULL, a.id, 4, now_.at) w) = the_desk()
ORDER BY what, layer, code LIMIT :limit
""")


def unanswered(connection: Connection, limit: int = 1000) -> list[RowMapping]:
    """Kinds without an organisation of their own, and grids for which only the desk answers."""
    return list(connection.execute(_UNANSWERED, {"limit": limit}).mappings())


# --- an organisation ends -------------------------------------------------------------------------

_DISSOLVE = text("""
UPDATE organisation SET dissolved = clock_timestamp(), successor_id = :successor WHERE id = :id
""")
_TAKE_OVER = text("""
SELECT id FROM incident WHERE organisation_id = :id AND closed IS NULL ORDER BY id
""")


def dissolve(
    connection: Connection, code: str, successor: str, *, actor: str, reason: str
) -> Sequence[int]:
    """End an organisation; its open cases and its rules go to its successor.

    Returns the numbers of the cases.

    Raises
    ------
    CaseError
        One of the two is not there or was dissolved.
    CatalogueRefusedError
        They are the same, or it is the desk.
    """
    refusals.need(reason, "reason", "To dissolve an organisation")
    connection.execute(_ALONE, {"lock": LOCK})
    ending, heir = (cases.organisation(connection, each) for each in (code, successor))
    if ending["id"] == heir["id"] or code == "desk":
        raise CatalogueRefusedError(
            "the desk answers when nobody else does: it cannot be dissolved"
            if code == "desk" else "an organisation is not its own successor", "successor",
        )  # fmt: skip
    connection.execute(_DISSOLVE, {"id": ending["id"], "successor": heir["id"]})
    numbers = []
    for number in connection.execute(_TAKE_OVER, {"id": ending["id"]}).scalars().all():
        case = cases.hold(connection, number)
        if case["organisation_id"] != ending["id"] or case["closed"] is not None:
            continue  # it was handed over, or closed, while it was waited for
        numbers.append(number)
        after = _handed_on(case, heir["id"])
        data = {"from": code, "to": successor}
        cases.write(connection, case, Move("succeed", actor, reason=reason, data=data), after)
    return numbers


def _handed_on(case: RowMapping, organisation_id: int) -> dict[str, Any]:
    kept = ("stage", "level", "kind", "outcome", "merged_into")
    return {
        **{name: case[name] for name in kept},
        "organisation_id": organisation_id, "bounced": 0, "reopened": 0,
    }  # fmt: skip
