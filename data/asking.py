"""What reporters are asked, as far as it begins and ends with the case's own steps."""

from datetime import timedelta

from sqlalchemy import Connection, text

from data.settings import settings

# For each report its reporter, one with a telephone first; what is being asked about already is not
# asked about twice.
_BEGIN = text("""
INSERT INTO return_visit (incident_id, report_id, party_id, channel, asked, due)
SELECT :id, r.id, p.id, p.channel, clock_timestamp(),
       clock_timestamp() + CASE p.channel WHEN 'link' THEN CAST(:patience AS interval)
                                ELSE interval '0' END
FROM report r CROSS JOIN LATERAL (
    SELECT p.id, CASE WHEN p.phone IS NULL THEN 'link' ELSE 'phone' END AS channel
    FROM party p
    WHERE p.report_id = r.id AND p.role = 'reporter' AND p.withdrawn IS NULL AND p.erased IS NULL
    ORDER BY p.phone IS NULL, p.id LIMIT 1
) p
WHERE r.incident_id = :id ORDER BY r.id
ON CONFLICT (report_id) WHERE ended IS NULL DO NOTHING
RETURNING id
""")
_WITHDRAW = text("""
UPDATE return_visit SET ended = clock_timestamp(), outcome = 'withdrawn'
WHERE incident_id = :id AND ended IS NULL
""")


def begin(connection: Connection, number: int) -> list[int]:
    """Ask everybody who reported a case and can be asked; the numbers of the return visits.

    Who left a telephone number is called, from now on; who did not can answer by the link that they
    follow, for `WANGGE_VISIT_LINK_DAYS`.
    """
    patience = timedelta(days=settings().visit_link_days)
    asked = {"id": number, "patience": patience}
    return list(connection.execute(_BEGIN, asked).scalars())


def withdraw(connection: Connection, number: int) -> None:
    """Ask nobody about a case any more, which is open again or part of another."""
    connection.execute(_WITHDRAW, {"id": number})


_DROP = text("""
UPDATE question SET ended = clock_timestamp(), outcome = 'withdrawn'
WHERE incident_id = :id AND ended IS NULL
""")


def drop_question(connection: Connection, number: int) -> None:
    """Wait for no answer any more about a case that is done, or part of another."""
    connection.execute(_DROP, {"id": number})
