"""Reports as what the rows of a file become; see `data.intake`."""

from collections.abc import Mapping as Named
from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from sqlalchemy import Connection, text

from data.agreement import spelt
from data.intake_options import Options, Summary
from data.intake_target import PLACED_TYPES, Target
from data.report_mapping import Mapping
from data.report_rows import Parsed, parse
from data.table_batch import Batch
from gis.addresses import parse as parse_addresses

_MOVE = """
INSERT INTO report (source, external_id, occurred, channel, kind, premises, description, address,
    x, y, datum, accuracy_m, geom, attributes, layer, area_id, version_id, method, ambiguous,
    border_m, alternatives, at, known, triage)
SELECT :source, external_id, occurred, channel, kind, premises, description, address, x, y, datum,
    accuracy_m, ST_SetSRID(ST_MakePoint(lon, lat), 4326),
    coalesce(attributes, jsonb_build_object()),
    :layer, area_id, version_id, method, ambiguous, border_m, alternatives,
    coalesce(occurred, CAST(:known AS timestamptz)), CAST(:known AS timestamptz), triage
FROM {name}
"""

_CONFIRM = """
WITH settled AS (
    SELECT r.id, r.geom, r.ambiguous, r.area_id AS before, r.premises, r.address, a.id AS area_id,
           v.id AS version_id
    FROM {name} s
    JOIN report r ON r.source = :source AND r.external_id = s.external_id
    JOIN area a ON a.layer = :layer AND a.code = s.settled
    JOIN area_version v ON v.area_id = a.id AND v.valid @> r.at AND upper_inf(v.recorded)
    WHERE r.geom IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM confirmation c WHERE c.report_id = r.id AND c.area_id = a.id)
), moved AS (
    UPDATE report r SET area_id = s.area_id, version_id = s.version_id, method = 'confirmed',
           triage = NULL
    FROM settled s WHERE r.id = s.id
)
SELECT * FROM settled ORDER BY id
"""

_REMEMBER = text("""
INSERT INTO confirmation (report_id, layer, area_id, geom, informative, street, block, side,
                          premises, recorded, reason)
SELECT t.id, :layer, t.area_id, r.geom, t.informative, nullif(t.street, ''), nullif(t.block, ''),
       nullif(t.side, -1), r.premises, 'infinity', :reason
FROM unnest(CAST(:ids AS bigint[]), CAST(:areas AS bigint[]), CAST(:informative AS boolean[]),
            CAST(:streets AS text[]), CAST(:blocks AS text[]), CAST(:sides AS integer[]))
     t (id, area_id, informative, street, block, side)
JOIN report r ON r.id = t.id
""")

_STAMP = text(
    "UPDATE confirmation SET recorded = clock_timestamp() + interval '500 ms'"
    " WHERE recorded = 'infinity' RETURNING recorded"
)


class ReportTarget(Target):
    """Rows that become reports; one that came before is left as it is."""

    mapping = Mapping
    types: ClassVar[dict[str, str]] = PLACED_TYPES | {
        "occurred": "timestamptz", "channel": "text", "premises": "text", "description": "text",
        "settled": "text",
    }  # fmt: skip
    move = _MOVE
    again = "ON CONFLICT (source, external_id) DO NOTHING"

    def __init__(self, connection: Connection, options: Options) -> None:
        super().__init__(connection, options)
        found = text("SELECT code FROM area WHERE layer = :layer")
        self._codes = set(connection.execute(found, {"layer": options.layer}).scalars())
        self._confirmed = 0

    def parse(self, batch: Batch, mapping: Mapping, **how: Any) -> Parsed:
        """Type and check the rows of a batch."""
        return parse(batch, mapping, **how)

    def moment(self, table: pa.Table) -> pa.ChunkedArray:
        """The borders of the day count."""
        return table["occurred_at"]

    def occurred(self, parsed: Any) -> pa.Array:
        """When it happened."""
        return parsed.occurred_at

    def columns(self, table: pa.Table, source: pa.Table) -> dict[str, pa.Array]:
        """What else a report says, and the code that a person settled on."""
        return {
            "occurred": table["occurred_at"], "description": table["text"],
            "channel": table["channel"], "premises": table["premises"],
            "settled": self._settled(source),
        }  # fmt: skip

    def _settled(self, source: pa.Table) -> pa.Array:
        if not self.options.confirm:
            return pa.nulls(len(source), pa.string())
        said = np.asarray(source[self.options.confirm].to_numpy(zero_copy_only=False), object)
        return pa.array([code or None for code in spelt(said, self._codes)], pa.string())

    def moved(self, connection: Connection, name: str, asked: Named[str, Any]) -> None:
        """Confirm the reports whose area the file settles, and remember their places."""
        if not self.options.confirm:
            return
        rows = connection.execute(text(_CONFIRM.format(name=name)), asked).all()
        if rows:
            self._remember(connection, rows, asked["layer"])

    def _remember(self, connection: Connection, rows: Sequence[Any], layer: str) -> None:
        parsed = parse_addresses([row.address or "" for row in rows])
        connection.execute(
            _REMEMBER,
            {
                "layer": layer, "reason": f"settled in {self.options.confirm}",
                "ids": [row.id for row in rows], "areas": [row.area_id for row in rows],
                "informative": [row.ambiguous or row.before != row.area_id for row in rows],
                "streets": list(parsed.street), "blocks": list(parsed.block),
                "sides": [int(s) for s in parsed.side],
            },
        )  # fmt: skip
        self._confirmed += len(rows)

    def finish(
        self, connection: Connection, staged: list[str], summary: Summary
    ) -> datetime | None:
        """What was confirmed becomes known a moment after the commit."""
        summary.confirmed = self._confirmed
        return max(connection.execute(_STAMP).scalars(), default=None) if self._confirmed else None
