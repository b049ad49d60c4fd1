"""Many places at once, and what a question needs besides the map: sources and layers."""

import re
from collections.abc import Sequence
from datetime import datetime
from itertools import groupby
from operator import itemgetter

from sqlalchemy import Connection, RowMapping, text

from data.placement import LOCATE, Located, Place, parameters, read_rows

# What differs from place to place; the rest of the parameters is the same for all.
_COLUMNS = {
    "lon": "double precision",
    "lat": "double precision",
    "accuracy_m": "double precision",
    "at": "timestamptz",
    "known": "timestamptz",
    "layer": "text",
    "street": "text",
    "block": "text",
    "side": "integer",
    "premises": "text",
}


def _of_each(match: re.Match[str]) -> str:
    return f"q.{match[1]}" if match[1] in _COLUMNS else match[0]


# `LOCATE` for each row of the arrays: one plan and one round trip for all.
_ARRAYS = ", ".join(f"CAST(:{name} AS {kind}[])" for name, kind in _COLUMNS.items())
LOCATE_MANY = text(f"""
SELECT q.n, l.*
FROM unnest({_ARRAYS}) WITH ORDINALITY q ({", ".join(_COLUMNS)}, n)
CROSS JOIN LATERAL ({re.sub(r":([a-z_]+)", _of_each, LOCATE.text)}) l
ORDER BY q.n, l.rank
""")


def locate_many(connection: Connection, places: Sequence[Place]) -> list[Located]:
    """Ask the map where each place is; the same answers as `placement.locate`, in one statement."""
    if not places:
        return []
    asked = parameters(places[0])
    asked |= {name: [getattr(place, name) for place in places] for name in _COLUMNS}
    rows = connection.execute(LOCATE_MANY, asked).mappings().all()
    by_place = [list(group) for _, group in groupby(rows, itemgetter("n"))]
    return [read_rows(group, place.layer) for place, group in zip(places, by_place, strict=True)]


def source(connection: Connection, name: str) -> RowMapping | None:
    """The default datum and accuracy_m of a source's reports; None if it is not known."""
    asked = text("SELECT datum, accuracy_m FROM source WHERE name = :name")
    return connection.execute(asked, {"name": name}).mappings().first()


def layer_names(connection: Connection) -> list[str]:
    """The names of the layers, the tree from the top down and then the overlays."""
    asked = text("SELECT name FROM layer ORDER BY tree_level NULLS LAST, name")
    return list(connection.execute(asked).scalars())


def moments(
    connection: Connection, at: datetime | None, known: datetime | None
) -> tuple[datetime, datetime]:
    """The two moments of a question: as asked, or now by the database's clock.

    What will be known later nobody can say again: `known` is now at the latest.
    """
    now = connection.execute(text("SELECT now()")).scalar_one()
    return at or now, min(known or now, now)
