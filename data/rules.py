"""Dispatch rules: who is asked for an incident of a kind, and what counts how much."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, RowMapping, text

from data.errors import InputError
from gis.ranking import Weights


class RuleError(InputError):
    """A rule that cannot be, or that is not there."""

    def __init__(self, message: str, where: str) -> None:
        super().__init__(message, where, "rule_refused")


@dataclass(frozen=True)
class Rule:
    """Who is asked, with which skills, within what time, ranked by which weights.

    Skills are wanted of somebody at the place: who lacks them comes later, and if nobody within
    reach has them, that is said.
    """

    kind: str | None
    resource_kinds: Sequence[str]
    skills: Sequence[str] = ()
    reach_s: int = 1800
    weights: dict[str, Any] = field(default_factory=dict)


_OF = text("""
SELECT kind, resource_kinds, skills, reach_s, weights FROM dispatch_rule
WHERE (kind = :kind OR kind IS NULL)
  AND recorded @> coalesce(CAST(:at AS timestamptz), clock_timestamp())
ORDER BY kind NULLS LAST LIMIT 1
""")

_ALL = text("""
SELECT kind, resource_kinds, skills, reach_s, weights, lower(recorded) AS since, actor, reason
FROM dispatch_rule WHERE upper_inf(recorded) ORDER BY kind NULLS FIRST
""")

_END = text("""
UPDATE dispatch_rule SET recorded = tstzrange(lower(recorded), clock_timestamp())
WHERE kind IS NOT DISTINCT FROM CAST(:kind AS text) AND upper_inf(recorded)
""")

_SET = text("""
INSERT INTO dispatch_rule (kind, resource_kinds, skills, reach_s, weights, recorded, actor, reason)
VALUES (:kind, :resource_kinds, :skills, :reach_s, CAST(:weights AS jsonb),
        tstzrange(clock_timestamp(), NULL), :actor, :reason)
""")

_UNKNOWN = text("""
SELECT ARRAY(SELECT unnest(CAST(:kinds AS text[])) EXCEPT SELECT name FROM resource_kind) AS kinds,
       ARRAY(SELECT unnest(CAST(:skills AS text[])) EXCEPT SELECT name FROM skill) AS skills,
       ARRAY(SELECT name FROM resource_kind ORDER BY name) AS all_kinds,
       ARRAY(SELECT name FROM skill ORDER BY name) AS all_skills
""")


def of(connection: Connection, kind: str | None, at: Any = None) -> Rule:
    """The rule of a kind of incident, or the one that holds for all others."""
    row = connection.execute(_OF, {"kind": kind, "at": at}).mappings().one()
    return Rule(**row)


def all_of_them(connection: Connection) -> list[RowMapping]:
    """The rules in force, with since when and by whom; the general one first."""
    return list(connection.execute(_ALL).mappings())


def put(connection: Connection, rule: Rule, *, actor: str, reason: str = "") -> None:
    """Put a rule in force from now on; the one before stays known.

    Raises
    ------
    RuleError
        A kind, a skill or a weight is not known, or nobody would be asked.
    """
    check(connection, rule)
    connection.execute(_END, {"kind": rule.kind})
    values = {**vars(rule), "weights": json.dumps(rule.weights), "actor": actor, "reason": reason}
    values |= {"resource_kinds": list(rule.resource_kinds), "skills": list(rule.skills)}
    connection.execute(_SET, values)


def remove(connection: Connection, kind: str) -> bool:
    """End a kind's own rule, so that the general one holds again; False if it had none."""
    return bool(connection.execute(_END, {"kind": kind}).rowcount)


def check(connection: Connection, rule: Rule) -> None:
    """Raise `RuleError` unless the rule can be put in force."""
    if not rule.resource_kinds:
        raise RuleError("name at least one kind of resource, or nobody is asked", "resource_kinds")
    if rule.reach_s <= 0:
        raise RuleError("the reach is a number of seconds above 0", "reach_s")
    known(connection, rule.resource_kinds, rule.skills)
    try:
        Weights.of(rule.weights)
    except ValueError as error:
        raise RuleError(str(error), "weights") from error


def known(connection: Connection, kinds: Sequence[str], skills: Sequence[str]) -> None:
    """Raise `RuleError` if a kind of resource or a skill is not known; it lists those that are."""
    asked = {"kinds": list(kinds), "skills": list(skills)}
    row = connection.execute(_UNKNOWN, asked).one()
    if row.kinds:
        raise RuleError(
            f"there is no kind of resource {row.kinds[0]!r}; there are {', '.join(row.all_kinds)}",
            "resource_kinds",
        )
    if row.skills:
        raise RuleError(
            f"there is no skill {row.skills[0]!r}; there are {', '.join(row.all_skills)}", "skills"
        )
