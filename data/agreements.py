"""Agreements of the parties of a case, and a court's confirmation of them (司法确认).

Nothing is changed: another wording, an application to a court and its decision are new versions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, text

from data import cases, events, refusals
from data.refusals import DispatchError

TOLD = {
    what: f"agreement.{what}" for what in ("signed", "changed", "applied", "confirmed", "refused")
}
"""What happens to an agreement, and the kind of its event."""


class AgreementError(DispatchError):
    """An agreement that cannot be: unknown_agreement, agreement_decided, agreement_not_applied,
    parties_missing or reason_missing.
    """


@dataclass(frozen=True)
class Wording:
    """What was agreed.

    Attributes
    ----------
    text : without names: the parties are called by their roles
    parties : their roles, two at least, as 甲村村民小组
    signed : when
    """

    text: str
    parties: Sequence[str]
    signed: datetime


@dataclass(frozen=True)
class Decision:
    """A court's word: `confirmed` or `refused`, when, and why it was refused."""

    confirmation: str
    at: datetime
    reason: str = ""


_COLUMNS = """
SELECT a.id, a.incident_id AS case, a.number, a.version, a.text, a.parties, a.signed,
       a.confirmation, o.code AS court, a.docket, a.decided, a.reason, a.at, a.actor
FROM agreement a LEFT JOIN organisation o ON o.id = a.court_id
"""
_LATEST = text(f"""
{_COLUMNS} WHERE a.incident_id = :case AND a.number = :number ORDER BY a.version DESC LIMIT 1
""")
_ALL = text(f"{_COLUMNS} WHERE a.incident_id = :case ORDER BY a.number, a.version")
_NEXT = text("SELECT coalesce(max(number), 0) + 1 FROM agreement WHERE incident_id = :case")
_INSERT = text("""
INSERT INTO agreement (incident_id, number, version, text, parties, signed, confirmation, court_id,
                       docket, decided, reason, actor)
VALUES (:case, :number, :version, :text, :parties, :signed, :confirmation,
        (SELECT id FROM organisation WHERE code = CAST(:court AS text)), :docket, :decided,
        :reason, :actor)
""")


def versions(connection: Connection, case: int) -> list[RowMapping]:
    """Every version of every agreement of a case, by number and version."""
    return list(connection.execute(_ALL, {"case": case}).mappings())


def agree(connection: Connection, case: int, wording: Wording, *, actor: str) -> int:
    """Write down what the parties of a case agreed; the agreement's number in the case.

    Raises
    ------
    CaseError
        There is no such case.
    AgreementError
        It says nothing, or there are fewer than two parties.
    """
    held = cases.hold(connection, case)
    number = int(connection.execute(_NEXT, {"case": case}).scalar_one())
    row = {"case": case, "number": number, "version": 0, **_words(wording)}
    _add(connection, held, row, TOLD["signed"], actor)
    return number


def reword(
    connection: Connection, case: int, number: int, wording: Wording, *, reason: str, actor: str
) -> None:
    """Another wording of an agreement; what a court said of the one before does not hold for it.

    Raises
    ------
    CaseError, AgreementError
        As `agree`; or there is no such agreement, or no reason.
    """
    held = cases.hold(connection, case)
    refusals.need(reason, "reason", "To change an agreement")
    row = {**_latest(connection, case, number), **_words(wording), "reason": reason}
    _add(connection, held, row, TOLD["changed"], actor)


def apply(connection: Connection, case: int, number: int, *, court: str, actor: str) -> None:
    """Ask a court to confirm an agreement.

    Raises
    ------
    CaseError
        There is no such case or organisation.
    AgreementError
        There is no such agreement, or a court is asked or has decided already.
    """
    held = cases.hold(connection, case)
    latest = _latest(connection, case, number)
    if latest["confirmation"] != "none":
        raise AgreementError(
            "agreement_decided",
            f"Agreement {number} of case {case} is {latest['confirmation']} at {latest['court']} "
            f"by {latest['actor']} already; word it anew if the parties agree on something else.",
            confirmation=latest["confirmation"], actor=latest["actor"],
        )  # fmt: skip
    cases.organisation(connection, court)
    row = {**latest, "confirmation": "applied", "court": court, "reason": ""}
    _add(connection, held, row, TOLD["applied"], actor)


def decide(
    connection: Connection,
    case: int,
    number: int,
    decision: Decision,
    *,
    docket: str,
    actor: str,
) -> None:
    """Write down what the court said, under its docket number.

    Raises
    ------
    CaseError
        There is no such case.
    AgreementError
        There is no such agreement, no court is asked, or a refusal has no reason.
    """
    held = cases.hold(connection, case)
    latest = _latest(connection, case, number)
    if latest["confirmation"] != "applied":
        raise AgreementError(
            "agreement_not_applied",
            f"No court is asked to confirm agreement {number} of case {case}; it is "
            f"{latest['confirmation']}.",
            confirmation=latest["confirmation"],
        )
    if decision.confirmation == "refused":
        refusals.need(decision.reason, "reason", "A refusal")
    row = {**latest, "confirmation": decision.confirmation, "docket": docket,
           "decided": decision.at, "reason": decision.reason}  # fmt: skip
    _add(connection, held, row, TOLD[decision.confirmation], actor)


def _words(wording: Wording) -> dict[str, Any]:
    refusals.need(wording.text, "text", "An agreement")
    parties = list(dict.fromkeys(wording.parties))
    if len(parties) < 2:
        raise AgreementError(
            "parties_missing",
            "An agreement has two parties at least; name them by their roles.",
            field="parties",
        )
    return {
        "text": wording.text, "parties": parties, "signed": wording.signed, "confirmation": "none",
        "court": None, "docket": None, "decided": None, "reason": "",
    }  # fmt: skip


def _latest(connection: Connection, case: int, number: int) -> RowMapping:
    found = connection.execute(_LATEST, {"case": case, "number": number}).mappings().first()
    if found is None:
        raise AgreementError(
            "unknown_agreement", f"Case {case} has no agreement {number}.", field="agreement"
        )
    return found


def _add(
    connection: Connection, case: RowMapping, row: dict[str, Any], told: str, actor: str
) -> None:
    new = {**row, "version": row["version"] + 1, "actor": actor}
    connection.execute(_INSERT, new)
    said = {name: new[name] for name in ("number", "version", "court", "docket", "reason", "actor")}
    events.record(connection, told, said, incident_id=case["id"], area_id=case["area_id"])
