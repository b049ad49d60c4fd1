"""Rules tried on incidents of the past, before they are put in force."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sqlalchemy import Connection, RowMapping, text

from data import rules
from data.candidates import Candidate, Question, find
from data.rules import Rule
from gis.travel import Travel

MOST = 500

_PAST = text("""
SELECT i.id, i.opened, ST_X(i.geom) AS lon, ST_Y(i.geom) AS lat, i.area_id,
       ARRAY(SELECT resource_id FROM assignment s WHERE s.incident_id = i.id
             AND s.state <> 'declined' ORDER BY s.id) AS sent
FROM incident i
WHERE i.geom IS NOT NULL AND CASE WHEN CAST(:kind AS text) IS NOT NULL THEN i.kind = :kind
      ELSE NOT EXISTS (SELECT FROM dispatch_rule r WHERE r.kind = i.kind AND upper_inf(r.recorded))
      END
ORDER BY i.opened DESC LIMIT :last
""")


def run(connection: Connection, tried: Rule, travel: Travel, last: int = 200) -> dict[str, Any]:
    """Ask anew who should have gone to the last incidents of the rule's kind.

    Shifts and leave count as of each incident; everybody is looked for at home, with the load of
    now, for both rules alike. The general rule is tried on the kinds that have none of their own.

    Returns, for the rule in force (`now`) and the one that is tried (`tried`): to how many
    somebody would have been proposed, within the reach, the median and 95th percentile of the
    first one's travel seconds, and how often the first was among those who were sent; `changed`
    counts the incidents whose first proposal differs.

    Raises
    ------
    rules.RuleError
        The rule could not be put in force.
    """
    rules.check(connection, tried)
    past = connection.execute(_PAST, {"kind": tried.kind, "last": min(last, MOST)}).mappings().all()
    now = rules.of(connection, tried.kind)
    firsts = {
        name: [_first(connection, incident, rule, travel) for incident in past]
        for name, rule in (("now", now), ("tried", tried))
    }
    return {
        "incidents": len(past),
        "changed": sum(
            _who(a) != _who(b) for a, b in zip(firsts["now"], firsts["tried"], strict=True)
        ),
        "now": _summary(past, firsts["now"], now.reach_s),
        "tried": _summary(past, firsts["tried"], tried.reach_s),
    }


def _first(
    connection: Connection, incident: RowMapping, rule: Rule, travel: Travel
) -> Candidate | None:
    question = Question(
        incident["lon"], incident["lat"], rule, incident["area_id"], incident["opened"]
    )
    found = find(connection, question, travel, 1).candidates
    return found[0] if found else None


def _who(candidate: Candidate | None) -> int | None:
    return candidate.row["id"] if candidate else None


def _summary(
    past: Sequence[RowMapping], firsts: Sequence[Candidate | None], reach_s: int
) -> dict[str, Any]:
    travel = np.array([c.travel_s for c in firsts if c])
    sent = [(set(i["sent"]), _who(c)) for i, c in zip(past, firsts, strict=True) if i["sent"]]
    return {
        "proposed": len(travel),
        "within_reach": int((travel <= reach_s).sum()),
        "median_s": round(float(np.median(travel))) if len(travel) else None,
        "p95_s": round(float(np.percentile(travel, 95))) if len(travel) else None,
        "were_sent": sum(who in whom for whom, who in sent),
        "of_sent": len(sent),
    }
