"""The people of a case: who they are is sealed (`data.personal`), and shown masked."""

import re
import unicodedata
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, text

from data import asking, cases, events, person_deeds, personal, refusals, return_visits
from data.cases import CaseError, Move
from data.errors import InputError

SEALED = ("name", "phone", "identity", "contact")
_NOT_DIALLED = re.compile(r"[\s\-().]")
_PHONE = re.compile(r"\+?\d{5,15}")
_IDENTITY = re.compile(r"[0-9A-Z]{5,20}")


@dataclass(frozen=True)
class Person:
    """Somebody, as far as they said; `contact` is any other way to reach them."""

    name: str | None = None
    phone: str | None = None
    identity: str | None = None
    contact: str | None = None


class PersonError(InputError):
    """What somebody said of themselves cannot be right; `reason` is person_invalid."""


def phone_key(value: str) -> str:
    """A telephone number as it is compared: however it is written, with China's code or without.

    Raises
    ------
    PersonError
        It is none.

    >>> phone_key("+86 138-0000-1234"), phone_key("０７５７ 8399 0000")
    ('13800001234', '075783990000')
    """
    digits = _NOT_DIALLED.sub("", unicodedata.normalize("NFKC", value))
    if not digits.isascii() or not _PHONE.fullmatch(digits):
        raise PersonError(
            "a telephone number has 5 to 15 digits, with + before a country's code; leave it out "
            "if there is none", "phone", "person_invalid",
        )  # fmt: skip
    return re.sub(r"^(\+86|0086|86(?=1\d{10}$))", "", digits)


def identity_key(value: str) -> str:
    """The number of an identity card or passport as it is compared; raises `PersonError`.

    >>> identity_key("44060019900101123x")
    '44060019900101123X'
    """
    number = re.sub(r"[\s\-]", "", unicodedata.normalize("NFKC", value)).upper()
    if not _IDENTITY.fullmatch(number):
        raise PersonError(
            "the number of an identity document has 5 to 20 letters and digits; leave it out if it "
            "is not known", "identity", "person_invalid",
        )  # fmt: skip
    return number


# --- who ------------------------------------------------------------------------------------------

_ADD = text("""
INSERT INTO party (incident_id, report_id, role, name, phone, identity, contact, phone_print,
                   identity_print, actor)
VALUES (:incident_id, :report_id, :role, :name, :phone, :identity, :contact, :phone_print,
        :identity_print, :actor)
RETURNING id
""")


def came_with(connection: Connection, report: int, person: Person, *, actor: str) -> int:
    """Keep who sent a report that has just been taken in; the party's number.

    Raises
    ------
    PersonError
        What they said of themselves cannot be right, or is nothing.
    """
    return _add(connection, report, report, "reporter", person, actor)


def add(
    connection: Connection,
    number: int,
    person: Person,
    *,
    role: str,
    actor: str,
    acting: int | None = None,
    report: int | None = None,
) -> int:
    """Add somebody to a case; the party's number.

    A reporter belongs to a report of the case, by default to the one that opened it. If the case's
    reporters are being asked, so is this one.

    Raises
    ------
    CaseError
        There is no such case, or the report is not one of its reports.
    PersonError
        What is said of them cannot be right, or is nothing.
    """
    case = cases.hold(connection, number)
    if role == "reporter" or report is not None:
        report = _report_of(connection, number, report)
    party = _add(connection, number, report, role, person, actor)
    _note(connection, number, "added", party, actor, acting, role)
    if case["stage"] == "return_visit":
        asking.begin(connection, number)
    return party


def _add(
    connection: Connection, number: int, report: int | None, role: str, person: Person, actor: str
) -> int:
    said = {name: (getattr(person, name) or "").strip() for name in SEALED}
    if not any(said.values()):
        raise PersonError(
            "nothing is said of the person; give a name or a way to reach them", "name",
            "person_invalid",
        )  # fmt: skip
    prints = {
        "phone_print": said["phone"] and personal.fingerprint(phone_key(said["phone"])),
        "identity_print": said["identity"] and personal.fingerprint(identity_key(said["identity"])),
    }
    values = {
        **{name: personal.seal(value) if value else None for name, value in said.items()},
        **{name: value or None for name, value in prints.items()},
        "incident_id": number, "report_id": report, "role": role, "actor": actor,
    }  # fmt: skip
    party = int(connection.execute(_ADD, values).scalar_one())
    events.record(connection, "party.added", {"party": party, "role": role}, incident_id=number)
    return party


_ITS_REPORT = text("""
SELECT id FROM report WHERE incident_id = :incident AND id = coalesce(:report, id)
ORDER BY id <> :incident, id LIMIT 1
""").bindparams(report=None)


def _report_of(connection: Connection, number: int, report: int | None) -> int:
    asked = {"incident": number, "report": report}
    found = connection.execute(_ITS_REPORT, asked).scalar()
    if found is None:
        which = "has no report left" if report is None else f"has no report {report}"
        raise CaseError(
            "unknown_party", f"Case {number} {which}; it may have been merged.", field="report"
        )
    return int(found)


_OF_CASE = text("""
SELECT p.*, r.source FROM party p LEFT JOIN report r ON r.id = p.report_id
WHERE p.incident_id = :id ORDER BY p.id
""")


def of_case(connection: Connection, number: int) -> list[dict[str, Any]]:
    """Everybody of a case, masked: enough to know who is meant, and no more."""
    rows = connection.execute(_OF_CASE, {"id": number}).mappings()
    return [shown(row) for row in rows]


def shown(row: RowMapping, *, masked: bool = True) -> dict[str, Any]:
    """A party's row as plain data, its sealed columns opened, and masked unless told otherwise."""
    about: dict[str, str | None] = {}
    for name in SEALED:
        value = personal.open_(row[name]) if row[name] is not None else None
        about[name] = personal.mask(value, name) if value and masked else value
    kept = {name: row[name] for name in ("role", "added", "actor", "withdrawn", "erased")}
    return {"id": row["id"], "report": row["report_id"], **kept, **about}


_ONE = text("SELECT * FROM party WHERE id = :party AND incident_id = :id")
_WITHDRAW = text("UPDATE party SET withdrawn = clock_timestamp() WHERE id = :party")
_NOT_ASKED = text("""
UPDATE return_visit SET ended = clock_timestamp(), outcome = 'withdrawn'
WHERE party_id = :party AND ended IS NULL
""")


def one(connection: Connection, number: int, party: int) -> RowMapping:
    """A party of a case as it is stored; raises `CaseError` if there is none."""
    found = connection.execute(_ONE, {"party": party, "id": number}).mappings().first()
    if found is None:
        raise CaseError(
            "unknown_party",
            f"Case {number} has no party {party}; GET /api/v1/cases/{number}/parties lists them.",
        )
    return found


def withdraw(
    connection: Connection,
    number: int,
    party: int,
    *,
    actor: str,
    reason: str,
    acting: int | None = None,
) -> None:
    """Say that somebody does not belong to a case; they are not asked about it any more.

    Raises
    ------
    CaseError
        There is no such party, they are withdrawn already, or the reason is missing.
    """
    refusals.need(reason, "reason", "To withdraw somebody from a case")
    case = cases.hold(connection, number)
    if one(connection, number, party)["withdrawn"] is not None:
        raise CaseError("unknown_party", f"Party {party} of case {number} is withdrawn already.")
    connection.execute(_WITHDRAW, {"party": party})
    connection.execute(_NOT_ASKED, {"party": party})
    _note(connection, number, "withdrawn", party, actor, acting, reason)
    events.record(connection, "party.withdrawn", {"party": party}, incident_id=number)
    if case["stage"] == "return_visit":
        asking.begin(connection, number)  # another reporter of the same report
        return_visits.conclude(connection, number, actor=actor)


def _note(
    connection: Connection, number: int, what: str, party: int, actor: str, acting: int | None,
    reason: str,
) -> None:  # fmt: skip
    data = {"party": party, "what": what}
    cases.move(connection, number, Move("note", actor, acting, reason, data=data))


# --- shown ----------------------------------------------------------------------------------------


def reveal(
    connection: Connection,
    number: int,
    party: int,
    *,
    actor: str,
    reason: str,
    at: datetime,
    acting: int | None = None,
) -> dict[str, Any]:
    """Somebody of a case unmasked; who looked, when and why stays in the case's timeline.

    Raises
    ------
    CaseError
        There is no such party, or the reason is missing.
    """
    refusals.need(reason, "reason", "To see who somebody is")
    cases.hold(connection, number)
    row = one(connection, number, party)
    _note(connection, number, "revealed", party, actor, acting, reason)
    person_deeds.prove(
        connection, "reveal", actor=actor, reason=reason, at=at, concerned=[number], parties=1
    )
    return shown(row, masked=False)
