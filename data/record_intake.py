"""Records as what the rows of a file become; see `data.intake`."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import Connection, text

from data import events, personal, records
from data.bulk_placement import Placed
from data.intake_options import Options, Summary
from data.intake_target import PLACED_TYPES, Objects, Target
from data.record_mapping import KINDS, RecordMapping
from data.record_rows import Parsed, parse
from data.table_batch import Batch


@dataclass(frozen=True)
class RecordOptions(Options):
    """How a file of records is to be read."""

    kind: str | None = None  # of all rows
    replace: bool = False  # withdraw those of the source (and kind) that the file lacks


# Columns that a later file brings up to date, and those that only a placement changes.
_SAID = (
    "kind", "title", "address", "stated_area_id", "x", "y", "datum", "accuracy_m", "attributes",
    "personal_mark", "collected", "collected_by",
)  # fmt: skip
_PLACED = (
    "geom", "layer", "area_id", "version_id", "method", "ambiguous", "border_m", "alternatives",
    "unplaced",
)  # fmt: skip
_SEALED = ("personal", "person")

# What a person decided holds until the file says that the record lies somewhere else.
_DECIDED = """record.method = 'confirmed' AND (record.x, record.y, record.datum, record.address)
    IS NOT DISTINCT FROM (excluded.x, excluded.y, excluded.datum, excluded.address)"""


def _row(table: str, names: tuple[str, ...]) -> str:
    return ", ".join(f"{table}.{name}" for name in names)


_MOVE = f"""
INSERT INTO record (source, external_id, {", ".join(_SAID + _SEALED + _PLACED)}, known)
SELECT :source, external_id, kind, title, address, stated_area_id, x, y, datum, accuracy_m,
    coalesce(attributes, jsonb_build_object()), personal_mark, collected, collected_by, personal,
    person, ST_SetSRID(ST_MakePoint(lon, lat), 4326), :layer, area_id, version_id, method,
    ambiguous, border_m, alternatives, triage, CAST(:known AS timestamptz)
FROM {{name}}
"""

_AGAIN = f"""
ON CONFLICT (source, external_id) DO UPDATE SET withdrawn = NULL, known = excluded.known,
    {", ".join(f"{name} = excluded.{name}" for name in _SAID + _SEALED)},
    {
    ", ".join(f"{n} = CASE WHEN {_DECIDED} THEN record.{n} ELSE excluded.{n} END" for n in _PLACED)
}
WHERE record.withdrawn IS NOT NULL
   OR ({_row("record", _SAID)}) IS DISTINCT FROM ({_row("excluded", _SAID)})
   OR NOT ({_DECIDED}) AND ({_row("record", _PLACED)})
      IS DISTINCT FROM ({_row("excluded", _PLACED)})
"""

_WITHDRAW = """
UPDATE record r SET withdrawn = now()
WHERE source = :source AND withdrawn IS NULL AND (CAST(:kind AS text) IS NULL OR kind = :kind)
  AND NOT EXISTS (SELECT FROM ({listed}) s WHERE s.external_id = r.external_id)
"""

# The tree's areas by code; in the whole tree no two have the same.
_TREE = text("""
SELECT a.code, a.id FROM area a JOIN layer l ON l.name = a.layer WHERE l.tree_level IS NOT NULL
""")


class RecordTarget(Target):
    """Rows that become records; one that came before is brought up to date."""

    mapping = RecordMapping
    types: ClassVar[dict[str, str]] = PLACED_TYPES | {
        "title": "text", "stated_area_id": "bigint", "collected": "timestamptz",
        "collected_by": "text", "personal": "bytea", "personal_mark": "bytea", "person": "bytea",
    }  # fmt: skip
    move = _MOVE
    again = _AGAIN
    options: RecordOptions

    def __init__(self, connection: Connection, options: Options) -> None:
        super().__init__(connection, options)
        self._tree = {row.code: row.id for row in connection.execute(_TREE)}

    def parse(self, batch: Batch, mapping: RecordMapping, **how: Any) -> Parsed:
        """Type and check the rows of a batch."""
        parsed = parse(batch, mapping, kind=self.options.kind, **how)
        stated = pc.unique(parsed.area).to_pylist()
        if strange := [code for code in stated if code and code not in self._tree]:
            parsed.notes.append(
                f"areas that are not in the tree, as {strange[0]}, say nothing of where a record is"
            )
        return parsed

    def moment(self, table: pa.Table) -> None:
        """The borders of now count, whenever it was collected: what it is about is still there."""

    def occurred(self, parsed: Any) -> pa.Array:
        """When it was collected."""
        return parsed.collected_at

    def settle(self, placed: Placed, triage: Objects) -> None:
        """On an edge a person has to say which grid it is: no record counts in a guessed one."""
        edge = (placed.method == "on_border") & placed.ambiguous
        placed.area_id[edge] = placed.version_id[edge] = -1
        placed.method[edge], triage[edge] = "none", "on_border"

    def columns(self, table: pa.Table, source: pa.Table) -> dict[str, pa.Array]:
        """What else a record says; what is about a person leaves this process only sealed."""
        about = [None if said == "{}" else said for said in table["personal"].to_pylist()]
        stated = table["area"].combine_chunks().dictionary_encode()
        ids = [self._tree.get(code) for code in stated.dictionary.to_pylist()]
        return {
            "title": table["title"],
            "stated_area_id": pa.array(ids, pa.int64()).take(stated.indices),
            "collected": table["collected_at"], "collected_by": table["collected_by"],
            "personal": _sealed(about, personal.seal),
            "personal_mark": _sealed(about, personal.fingerprint),
            "person": _sealed(table["identity"].to_pylist(), personal.fingerprint),
        }  # fmt: skip

    def begin(self, connection: Connection) -> None:
        """Say who changes the records that were there before."""
        records.sign(connection, "import", f"a file of {self.options.source}")

    def finish(
        self, connection: Connection, staged: list[str], summary: Summary
    ) -> datetime | None:
        """Withdraw what the file lacks, if that was asked for, and tell what came."""
        options = self.options
        if options.replace and summary.rejected:
            summary.notes.append(
                "nothing was withdrawn, for rows were rejected: mend them, then replace again"
            )
        elif options.replace and staged:
            listed = " UNION ALL ".join(f"SELECT external_id FROM {name}" for name in staged)
            kind = options.kind and (KINDS.find(options.kind) or options.kind)
            asked = {"source": options.source, "kind": kind}
            gone = connection.execute(text(_WITHDRAW.format(listed=listed)), asked)
            summary.withdrawn = gone.rowcount
        told = {"source": options.source, "kind": options.kind, **summary.counts()}
        events.record(connection, "record.imported", told)
        return None


def _sealed(values: list[str | None], by: Any) -> pa.Array:
    if not any(values):
        return pa.nulls(len(values), pa.binary())
    return pa.array([None if value is None else by(value) for value in values], pa.binary())
