"""What resources are described by: kinds, skills, shifts and organisations."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from sqlalchemy import Connection, RowMapping, text

from data import areas_named
from data.schema.resources import FORMS, ROLES
from data.words import Words

DAY = 1440  # minutes


class CatalogueError(ValueError):
    """A catalogue that cannot be taken in; the sentence says what to mend. Nothing was changed."""


@dataclass(frozen=True)
class Known:
    """Everything that resources may name."""

    kinds: Words
    skills: Words
    shifts: Words
    organisations: Words
    organisation_ids: dict[str, int] = field(default_factory=dict)

    @classmethod
    def read(cls, connection: Connection) -> Self:
        """As the database has it."""

        def words(what: str, rows: Sequence[RowMapping], *, shortened: bool = False) -> Words:
            entries = [(row["name"], (row["title"], row["title_en"])) for row in rows]
            return Words(what, entries, shortened=shortened)

        found = connection.execute(text("SELECT id, code, name FROM organisation ORDER BY code"))
        organisations = found.all()
        return cls(
            words("kind of resource", _rows(connection, _KINDS)),
            words("skill", _rows(connection, _SKILLS)),
            words("shift", _rows(connection, _SHIFTS), shortened=True),
            Words("organisation", [(row.code, (row.name,)) for row in organisations]),
            {row.code: row.id for row in organisations},
        )


# --- looking at it --------------------------------------------------------------------------------

_KINDS = "SELECT name, title, title_en, form FROM resource_kind ORDER BY name"
_SKILLS = "SELECT name, title, title_en FROM skill ORDER BY name"
_SHIFTS = """
SELECT name, title, title_en, cycle_days, anchor,
       (SELECT jsonb_agg(jsonb_build_array(lower(h), upper(h)) ORDER BY h)
        FROM unnest(hours) h) AS minutes
FROM shift ORDER BY name
"""
_ORGANISATIONS = """
SELECT o.code, o.name, o.role, p.code AS parent, a.layer AS area_layer, a.code AS area, o.calendar
FROM organisation o LEFT JOIN organisation p ON p.id = o.parent_id
LEFT JOIN area a ON a.id = o.area_id
ORDER BY o.code
"""


def listing(connection: Connection) -> dict[str, list[dict[str, Any]]]:
    """All of it by section; a shift's `minutes` of its cycle are pairs [from, until)."""
    sections = {"kinds": _KINDS, "skills": _SKILLS, "shifts": _SHIFTS,
                "organisations": _ORGANISATIONS}  # fmt: skip
    return {
        name: [dict(row) for row in _rows(connection, query)] for name, query in sections.items()
    }


def _rows(connection: Connection, query: str) -> Sequence[RowMapping]:
    return connection.execute(text(query)).mappings().all()


# --- taking one in --------------------------------------------------------------------------------

Word = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
Clock = Annotated[str, StringConstraints(pattern=r"^([01]?\d|2[0-3]):[0-5]\d$|^24:00$")]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)


class Titled(_Entry):
    """Something with a name for programs and two titles for people."""

    name: Name
    title: Word
    title_en: Word


class Kind(Titled):
    """A kind of resource."""

    form: Annotated[str, Field(pattern=f"^({'|'.join(FORMS)})$")]


class Hours(_Entry):
    """From one time to another on some days of the cycle, the first of which is 1.

    An end that is not after the beginning is on the day after.
    """

    days: list[Annotated[int, Field(ge=1)]] = Field(min_length=1)
    from_: Clock = Field(alias="from")
    to: Clock


class ShiftGiven(Titled):
    """A shift: hours in a cycle of days, one of which begins on `anchor`."""

    cycle_days: Annotated[int, Field(ge=1, le=366)] = 7
    anchor: date = date(2024, 1, 1)  # a Monday
    hours: list[Hours] = Field(min_length=1)


class OrganisationGiven(_Entry):
    """An organisation; `parent` is a code, `area` a code or layer:code, `calendar` a name."""

    code: Word
    name: Word
    role: Annotated[str, Field(pattern=f"^({'|'.join(ROLES)})$")]
    parent: Word | None = None
    area: Word | None = None
    calendar: Word | None = None


class Catalogue(_Entry):
    """Kinds, skills, shifts and organisations to be added, or to be changed by their name."""

    kinds: list[Kind] = []
    skills: list[Titled] = []
    shifts: list[ShiftGiven] = []
    organisations: list[OrganisationGiven] = []


def read_file(path: Path) -> Catalogue:
    """The catalogue in a YAML file of the sections kinds, skills, shifts, organisations.

    Raises
    ------
    CatalogueError
        The file cannot be read, or an entry is not what it should be; the sentence names it.
    """
    try:
        given = yaml.safe_load(path.read_text("utf-8-sig"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise CatalogueError(f"the catalogue {path} cannot be read: {error}") from error
    if not isinstance(given, dict):
        raise CatalogueError(
            f"the catalogue {path} needs sections: kinds, skills, shifts or organisations"
        )
    try:
        return Catalogue(**given)
    except (ValidationError, TypeError) as error:
        faults = error.errors() if isinstance(error, ValidationError) else []
        said = "; ".join(f"{'.'.join(map(str, f['loc']))}: {f['msg']}" for f in faults[:5])
        raise CatalogueError(f"the catalogue {path} is wrong: {said or error}") from None


_SAVE_KIND = """
INSERT INTO resource_kind AS k (name, title, title_en, form)
VALUES (:name, :title, :title_en, :form)
ON CONFLICT (name) DO UPDATE
SET title = excluded.title, title_en = excluded.title_en, form = excluded.form
WHERE (k.title, k.title_en, k.form) <> (excluded.title, excluded.title_en, excluded.form)
"""
_SAVE_SKILL = """
INSERT INTO skill AS k (name, title, title_en) VALUES (:name, :title, :title_en)
ON CONFLICT (name) DO UPDATE SET title = excluded.title, title_en = excluded.title_en
WHERE (k.title, k.title_en) <> (excluded.title, excluded.title_en)
"""
_SAVE_SHIFT = """
INSERT INTO shift AS k (name, title, title_en, cycle_days, anchor, hours)
VALUES (:name, :title, :title_en, :cycle_days, :anchor, CAST(:hours AS int4multirange))
ON CONFLICT (name) DO UPDATE
SET title = excluded.title, title_en = excluded.title_en, cycle_days = excluded.cycle_days,
    anchor = excluded.anchor, hours = excluded.hours
WHERE (k.title, k.title_en, k.cycle_days, k.anchor, k.hours) <>
      (excluded.title, excluded.title_en, excluded.cycle_days, excluded.anchor, excluded.hours)
"""
_SAVE_ORGANISATION = """
INSERT INTO organisation AS k (code, name, role, parent_id, area_id, calendar)
VALUES (:code, :name, :role, (SELECT id FROM organisation WHERE code = :parent), :area_id,
        :calendar)
ON CONFLICT (code) DO UPDATE
SET name = excluded.name, role = excluded.role, parent_id = excluded.parent_id,
    area_id = excluded.area_id, calendar = excluded.calendar
WHERE (k.name, k.role, k.parent_id, k.area_id, k.calendar) IS DISTINCT FROM
      (excluded.name, excluded.role, excluded.parent_id, excluded.area_id, excluded.calendar)
"""


def save(connection: Connection, given: Catalogue) -> dict[str, int]:
    """Add what is new and change what is different; how many of each section were.

    Raises
    ------
    CatalogueError
        A shift has hours beyond its cycle, or an organisation names a parent or an area that
        there is not; nothing is changed if the caller rolls back.
    """
    sections: dict[str, tuple[str, list[dict[str, Any]]]] = {
        "kinds": (_SAVE_KIND, [kind.model_dump() for kind in given.kinds]),
        "skills": (_SAVE_SKILL, [skill.model_dump() for skill in given.skills]),
        "shifts": (_SAVE_SHIFT, [_shift(shift) for shift in given.shifts]),
        "organisations": (_SAVE_ORGANISATION, _organisations(connection, given.organisations)),
    }
    return {
        name: sum(connection.execute(text(query), row).rowcount for row in rows)
        for name, (query, rows) in sections.items()
    }


def _shift(given: ShiftGiven) -> dict[str, Any]:
    cycle = DAY * given.cycle_days
    spans: list[tuple[int, int]] = []
    for hours in given.hours:
        for day in hours.days:
            if day > given.cycle_days:
                raise CatalogueError(
                    f"the shift {given.name} has hours on day {day} of a cycle of "
                    f"{given.cycle_days}; number the days from 1 to {given.cycle_days}"
                )
            begin, end = (DAY * (day - 1) + _minutes(t) for t in (hours.from_, hours.to))
            end += DAY if end <= begin else 0
            spans += [(begin, min(end, cycle)), (0, max(0, end - cycle))]
    written = ",".join(f"[{begin},{end})" for begin, end in spans if begin < end)
    return {**given.model_dump(exclude={"hours"}), "hours": f"{{{written}}}"}


def _minutes(clock: str) -> int:
    hours, minutes = clock.split(":")
    return 60 * int(hours) + int(minutes)


def _organisations(
    connection: Connection, given: Sequence[OrganisationGiven]
) -> list[dict[str, Any]]:
    """The rows in an order in which every parent comes before those below it."""
    found = areas_named.find(connection, [each.area for each in given if each.area])
    there = set(connection.execute(text("SELECT name FROM calendar")).scalars())
    for each in given:
        if each.calendar is not None and each.calendar not in there:
            raise CatalogueError(
                f"organisation {each.code}: there is no calendar {each.calendar!r}; there are "
                f"{', '.join(sorted(there))}"
            )
        area = found[each.area] if each.area else None
        if isinstance(area, str):
            raise CatalogueError(f"organisation {each.code}: {area}")
    ids = {name: area.id for name, area in found.items() if not isinstance(area, str)}
    known = set(connection.execute(text("SELECT code FROM organisation")).scalars())
    rows: list[dict[str, Any]] = []
    waiting = list(given)
    while waiting:
        ready = [o for o in waiting if o.parent is None or o.parent in known]
        if not ready:
            first = waiting[0]
            raise CatalogueError(
                f"organisation {first.code} names the parent {first.parent!r}, which is none or "
                "stands below it; name one that there is, or leave it out"
            )
        rows += [{**o.model_dump(), "area_id": ids.get(o.area or "")} for o in ready]
        known |= {o.code for o in ready}
        waiting = [o for o in waiting if o not in ready]
    return rows
