"""What belongs to an area: it and all below it in the tree, those of former days included."""

from sqlalchemy import Connection, text

from data import areas_named
from data.areas_named import Named
from data.errors import InputError

# Each area of the tree under the one that it lies in now, or lay in last: what was placed in a grid
# that has ended since still belongs to its town.
TREE = """
tree AS MATERIALIZED (
    SELECT DISTINCT ON (v.area_id) v.area_id, v.parent_id
    FROM area_version v WHERE upper_inf(v.recorded)
    ORDER BY v.area_id, lower(v.valid) DESC NULLS LAST
)"""

# Every area below one, `:area_id` (null: of the whole trees), with the area directly below it that
# leads there, `root`; the one itself is its own root.
CHILDREN = f"""{TREE}, top AS (
    SELECT t.area_id AS root, t.area_id FROM tree t
    WHERE t.parent_id IS NOT DISTINCT FROM CAST(:area_id AS bigint)
      AND t.area_id IN (SELECT a.id FROM area a JOIN layer l ON l.name = a.layer
                        WHERE l.tree_level IS NOT NULL)
), below AS (
    SELECT root, area_id FROM top
    UNION
    SELECT b.root, t.area_id FROM below b JOIN tree t ON t.parent_id = b.area_id
), place AS (
    SELECT root, area_id FROM below UNION ALL SELECT CAST(:area_id AS bigint), :area_id
)"""

_BELOW = text(f"""
WITH RECURSIVE {TREE}, below AS (
    SELECT CAST(:area_id AS bigint) AS area_id
    UNION
    SELECT t.area_id FROM below b JOIN tree t ON t.parent_id = b.area_id
)
SELECT area_id FROM below ORDER BY area_id
""")

# By every border that they ever had, as far as a position is snapped to them.
_AROUND = text("""
SELECT DISTINCT v.area_id FROM area_version v JOIN area a ON a.id = v.area_id
WHERE a.layer = :layer AND v.geom && ST_Expand(
    ST_MakeEnvelope(:west, :south, :east, :north, 4326), CAST(:by AS double precision))
""")


def named(connection: Connection, spelt: str) -> Named:
    """The area in force that a code names, as `440604010001003` or `beats:B12`.

    Raises
    ------
    InputError
        There is none, or several; the sentence says what to write.
    """
    found = areas_named.find(connection, [spelt])[spelt]
    if isinstance(found, str):
        raise InputError(found, "area", "area_unknown")
    return found


def id_of(connection: Connection, spelt: str | None) -> int | None:
    """The number of the area that a code names, as `named`; None for none: everywhere."""
    return None if spelt is None else named(connection, spelt).id


_SPELT = text("""
SELECT CASE WHEN l.tree_level IS NULL THEN a.layer || ':' || a.code ELSE a.code END
FROM area a JOIN layer l ON l.name = a.layer WHERE a.id = :area_id
""")


def spelt(connection: Connection, area_id: int) -> str:
    """How an area is written, as `named` reads it."""
    return str(connection.execute(_SPELT, {"area_id": area_id}).scalar_one())


def below(connection: Connection, area_id: int) -> list[int]:
    """The area and all below it, as ids."""
    return list(connection.execute(_BELOW, {"area_id": area_id}).scalars())


def around(
    connection: Connection,
    box: tuple[float, float, float, float],
    *,
    margin_deg: float,
    layer: str = "grid",
) -> list[int]:
    """Areas of a layer that come near a box (west, south, east, north; degrees WGS 84), as ids."""
    west, south, east, north = box
    asked = {"west": west, "south": south, "east": east, "north": north, "by": margin_deg}
    return list(connection.execute(_AROUND, {**asked, "layer": layer}).scalars())
