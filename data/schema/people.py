"""The people of a case: who reported it or is party to it, and whether they were asked in the end.

Names, numbers and the like are sealed (`data.personal`); by the fingerprints a person is found
again (`docs/decisions/0027-the-reporter-is-asked.md`).
"""

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    LargeBinary,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from data.schema.base import NOW, Base, identity, one_of

PARTIES = ("reporter", "party", "witness")
CHANNELS = ("link", "phone")
TRIES = ("reached", "no_answer", "refused", "wrong_number")
ENDS = ("answered", "refused", "unreachable", "withdrawn")
REPLIES = ("answered", "unanswered", "withdrawn")
DEEDS = ("find", "reveal", "export", "erase", "expire")
Sealed = Mapped[bytes | None]


class Party(Base):
    """Somebody who reported a case, is party to it or saw it; `report_id`: with which report."""

    __tablename__ = "party"
    id: Mapped[int] = identity()
    incident_id: Mapped[int] = mapped_column(ForeignKey("incident.id"), index=True)
    report_id: Mapped[int | None] = mapped_column(ForeignKey("report.id"), index=True)
    role: Mapped[str]
    name: Sealed
    phone: Sealed
    identity: Sealed
    contact: Sealed
    phone_print: Sealed
    identity_print: Sealed
    added: Mapped[datetime] = mapped_column(server_default=NOW)
    actor: Mapped[str]
    withdrawn: Mapped[datetime | None]
    erased: Mapped[datetime | None]
    __table_args__ = (
        one_of("role", PARTIES),
        CheckConstraint(
            "erased IS NULL OR coalesce(name, phone, identity, contact, phone_print,"
            " identity_print) IS NULL",
            name="erased_is_gone",
        ),
        Index("party_by_phone", "phone_print", postgresql_where=text("phone_print IS NOT NULL")),
        Index(
            "party_by_identity", "identity_print",
            postgresql_where=text("identity_print IS NOT NULL"),
        ),
    )  # fmt: skip


class ReturnVisit(Base):
    """One reporter asked once whether it is solved; `due`: when they are called, or given up."""

    __tablename__ = "return_visit"
    id: Mapped[int] = identity()
    incident_id: Mapped[int] = mapped_column(ForeignKey("incident.id"), index=True)
    report_id: Mapped[int] = mapped_column(ForeignKey("report.id"), index=True)
    party_id: Mapped[int | None] = mapped_column(ForeignKey("party.id"), index=True)
    channel: Mapped[str]
    asked: Mapped[datetime] = mapped_column(server_default=NOW)
    due: Mapped[datetime]
    tries: Mapped[int] = mapped_column(server_default=text("0"))
    claimed_by: Mapped[str | None]
    claimed_until: Mapped[datetime | None]
    ended: Mapped[datetime | None]
    outcome: Mapped[str | None]
    solved: Mapped[bool | None]
    satisfaction: Mapped[int | None]
    comment: Mapped[str] = mapped_column(server_default="")
    __table_args__ = (
        one_of("channel", CHANNELS),
        one_of("outcome", ENDS),
        CheckConstraint("satisfaction BETWEEN 1 AND 5", name="satisfaction_is_a_mark"),
        CheckConstraint("(ended IS NULL) = (outcome IS NULL)", name="ended_somehow"),
        CheckConstraint(
            "(solved IS NOT NULL) = (outcome IS NOT DISTINCT FROM 'answered')",
            name="answered_has_an_answer",
        ),
        Index(
            "one_open_visit", "report_id", unique=True, postgresql_where=text("ended IS NULL")
        ),
        Index("return_visit_due", "due", postgresql_where=text("ended IS NULL")),
    )  # fmt: skip


class ReturnTry(Base):
    """A call to a reporter and what came of it. Only ever added."""

    __tablename__ = "return_try"
    id: Mapped[int] = identity()
    visit_id: Mapped[int] = mapped_column(ForeignKey("return_visit.id"), index=True)
    at: Mapped[datetime]
    actor: Mapped[str]
    outcome: Mapped[str]
    note: Mapped[str] = mapped_column(server_default="")
    __table_args__ = (one_of("outcome", TRIES),)


class Question(Base):
    """Something that has to be known from who reported a case.

    `due` is until when they are waited for; `report_id` by whose link the answer came, null: it was
    noted by the office.
    """

    __tablename__ = "question"
    id: Mapped[int] = identity()
    incident_id: Mapped[int] = mapped_column(ForeignKey("incident.id"), index=True)
    asked: Mapped[datetime]
    actor: Mapped[str]
    acting_id: Mapped[int | None] = mapped_column(ForeignKey("organisation.id"))
    words: Mapped[str]
    due: Mapped[datetime]
    ended: Mapped[datetime | None]
    outcome: Mapped[str | None]
    answer: Mapped[str] = mapped_column(server_default="")
    answered_by: Mapped[str | None]
    report_id: Mapped[int | None] = mapped_column(ForeignKey("report.id"), index=True)
    __table_args__ = (
        one_of("outcome", REPLIES),
        CheckConstraint("(ended IS NULL) = (outcome IS NULL)", name="ended_somehow"),
        CheckConstraint(
            "(answered_by IS NOT NULL) = (outcome IS NOT DISTINCT FROM 'answered')",
            name="answered_by_somebody",
        ),
        Index(
            "one_open_question", "incident_id", unique=True,
            postgresql_where=text("ended IS NULL"),
        ),
        Index("question_due", "due", postgresql_where=text("ended IS NULL")),
    )  # fmt: skip


class Retention(Base):
    """How long the people of closed cases stay known; kind null: where no other rule holds."""

    __tablename__ = "retention"
    id: Mapped[int] = identity()
    kind: Mapped[str | None]
    days: Mapped[int]
    changed: Mapped[datetime] = mapped_column(server_default=NOW)
    actor: Mapped[str]
    reason: Mapped[str]
    __table_args__ = (
        UniqueConstraint("kind", name="one_retention_each", postgresql_nulls_not_distinct=True),
        CheckConstraint("days BETWEEN 0 AND 36500", name="days_are_few"),
    )


class PersonDeed(Base):
    """Proof of what was done with somebody's data, without the data. Only ever added."""

    __tablename__ = "person_deed"
    id: Mapped[int] = identity()
    at: Mapped[datetime]
    deed: Mapped[str]
    actor: Mapped[str]
    reason: Mapped[str]
    person: Mapped[bytes | None] = mapped_column(LargeBinary)  # the fingerprint they were found by
    cases: Mapped[list[int]] = mapped_column(ARRAY(BigInteger))
    held: Mapped[list[int]] = mapped_column(ARRAY(BigInteger), server_default=text("'{}'"))
    parties: Mapped[int]
    __table_args__ = (
        one_of("deed", DEEDS),
        Index("person_deed_by_person", "person", postgresql_where=text("person IS NOT NULL")),
    )
