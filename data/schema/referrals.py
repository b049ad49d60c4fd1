"""Referrals between mediation and courts, police and others, and agreements of the parties."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from data.referral_rules import DIRECTIONS, KINDS, STATES, TOLD
from data.schema.base import EMPTY, Base, identity, one_of

_MOMENT = text("clock_timestamp()")
CONFIRMATIONS = ("none", "applied", "confirmed", "refused")


class Referral(Base):
    """A case that is offered to another body, or by one, and what it made of it."""

    __tablename__ = "referral"
    id: Mapped[int] = identity()
    incident_id: Mapped[int] = mapped_column(ForeignKey("incident.id"), index=True)
    kind: Mapped[str]
    direction: Mapped[str]  # as the centre sees it
    giver_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"))
    receiver_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"))
    team_id: Mapped[int | None] = mapped_column(ForeignKey("resource.id"))  # a standing joint team
    what: Mapped[str]
    offered: Mapped[datetime] = mapped_column(server_default=_MOMENT)
    actor: Mapped[str]
    state: Mapped[str] = mapped_column(server_default="offered")
    docket: Mapped[str | None]  # the receiver's number of it
    outcome: Mapped[str | None]  # or why it was declined, withdrawn or returned
    ended: Mapped[datetime | None]
    __table_args__ = (
        one_of("kind", KINDS),
        one_of("direction", DIRECTIONS),
        one_of("state", STATES),
        CheckConstraint("giver_id <> receiver_id", name="receiver_is_another"),
        CheckConstraint(
            "direction = 'in' OR kind <> 'police_call'", name="inwards_only"
        ),
        CheckConstraint(
            "(state IN ('offered', 'accepted')) = (ended IS NULL)"
            " AND (ended IS NULL) = (outcome IS NULL)",
            name="ended_with_an_outcome",
        ),
        Index(
            "one_referral_open", "incident_id", "direction", unique=True,
            postgresql_where=text("ended IS NULL"),
        ),
        Index("referral_by_receiver", "receiver_id", "id"),
        Index("referral_by_giver", "giver_id", "id"),
    )  # fmt: skip


class ReferralStep(Base):
    """What happened to a referral: who, when, why. Only ever added."""

    __tablename__ = "referral_step"
    id: Mapped[int] = identity()
    referral_id: Mapped[int] = mapped_column(ForeignKey("referral.id"))
    at: Mapped[datetime] = mapped_column(server_default=_MOMENT)
    action: Mapped[str]
    state: Mapped[str]
    actor: Mapped[str]
    acting_id: Mapped[int | None] = mapped_column(ForeignKey("organisation.id"))  # null: by itself
    reason: Mapped[str] = mapped_column(server_default="")
    data: Mapped[dict[str, Any]] = mapped_column(server_default=EMPTY)
    __table_args__ = (
        one_of("action", tuple(TOLD)),
        one_of("state", STATES),
        Index("referral_step_by_referral", "referral_id", "id"),
    )


class Agreement(Base):
    """A version of what the parties agreed; a change or a court's word on it is a new row.

    `parties` are roles, never names. `number` counts the case's agreements.
    """

    __tablename__ = "agreement"
    id: Mapped[int] = identity()
    incident_id: Mapped[int] = mapped_column(ForeignKey("incident.id"))
    number: Mapped[int]
    version: Mapped[int]
    text: Mapped[str]
    parties: Mapped[list[str]]
    signed: Mapped[datetime]
    confirmation: Mapped[str] = mapped_column(server_default="none")
    court_id: Mapped[int | None] = mapped_column(ForeignKey("organisation.id"))
    docket: Mapped[str | None]
    decided: Mapped[datetime | None]
    reason: Mapped[str] = mapped_column(server_default="")  # of the change, or of a refusal
    at: Mapped[datetime] = mapped_column(server_default=_MOMENT)
    actor: Mapped[str]
    __table_args__ = (
        UniqueConstraint("incident_id", "number", "version"),
        one_of("confirmation", CONFIRMATIONS),
        CheckConstraint("cardinality(parties) >= 2", name="parties_are_two_at_least"),
        CheckConstraint(
            "(confirmation = 'none') = (court_id IS NULL)", name="confirmed_by_a_court"
        ),
        CheckConstraint(
            "(confirmation IN ('confirmed', 'refused')) = (decided IS NOT NULL)",
            name="decided_is_a_decision",
        ),
    )
