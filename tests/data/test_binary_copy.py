"""Tables through a binary COPY: what comes out of the database is what went in."""

from datetime import UTC, datetime

import pyarrow as pa
import pytest
from sqlalchemy import text

from data.binary_copy import encode

COLUMNS = {
    "word": ("text", pa.string(), ["", '路灯 \\N "x",\t𠀀\x01\n', "\\.", None]),
    "thing": ("jsonb", pa.string(), ['{"路": [1.5e-05, null]}', None, "[]", '"\\u0001"']),
    "number": ("bigint", pa.int64(), [0, -(2**63), 2**63 - 1, None]),
    "measure": ("double precision", pa.float64(), [None, 0.1, -1e300, 5e-324]),
    "yes": ("boolean", pa.bool_(), [True, None, False, True]),
    "moment": (
        "timestamptz",
        pa.timestamp("us", "UTC"),
        [
            datetime(2000, 1, 1, tzinfo=UTC),
            datetime(1800, 1, 1, 0, 0, 0, 1, tzinfo=UTC),
            None,
            datetime(2199, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
        ],
    ),
    "sealed": ("bytea", pa.binary(), [b"", b"\x00\xff\\x41", None, bytes(range(256))]),
    "void": ("text", pa.string(), [None] * 4),
}


def through(engine, table):
    """What a table is when it comes out of the database, JSON as text."""
    types = ", ".join(f"{name} {COLUMNS[name][0]}" for name in table.column_names)
    with engine.connect() as connection:
        connection.execute(
            text(f"CREATE TEMP TABLE t (n bigint GENERATED ALWAYS AS IDENTITY, {types})")
        )
        names = ", ".join(table.column_names)
        cursor = connection.connection.driver_connection.cursor()
        with cursor.copy(f"COPY t ({names}) FROM STDIN (FORMAT binary)") as copy:
            for piece in encode(table, json=["thing"]):
                copy.write(piece)
        found = names.replace("thing", "thing::text AS thing")
        rows = connection.execute(text(f"SELECT {found} FROM t ORDER BY n")).mappings().all()
        connection.rollback()
    return [dict(row) for row in rows]


@pytest.fixture
def table():
    return pa.table({name: pa.array(each, kind) for name, (_, kind, each) in COLUMNS.items()})


def test_every_type_arrives_as_it_is(engine, table):
    expected = table.to_pylist()
    expected[0]["thing"] = '{"路": [0.000015, null]}'  # as jsonb spells it
    assert through(engine, table) == expected


def test_parts_of_tables_in_pieces_arrive_too(engine, table):
    pieces = pa.concat_tables([table, table.slice(1, 2), table.slice(0, 0)]).slice(1)
    assert through(engine, pieces) == [through(engine, table)[i] for i in (1, 2, 3, 1, 2)]
    assert through(engine, table.slice(0, 0)) == []


def test_a_type_that_is_not_known_is_said(table):
    with pytest.raises(TypeError, match="date32"):
        list(encode(pa.table({"day": pa.array([1], pa.date32())})))
