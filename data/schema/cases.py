"""Cases: what a matter is about, who answers for it, and every step of it.

An incident is the case: one row, one number, from the first report to the return visit. What is
added here is around it (`docs/decisions/0024-an-incident-is-the-case.md`).
"""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, LargeBinary, Text, text
from sqlalchemy.dialects.postgresql import ExcludeConstraint, Range
from sqlalchemy.orm import Mapped, mapped_column

from data.schema.base import EMPTY, NOW, Base, identity, one_of
from data.stages import ACTIONS, STAGES

CLASSES = ("component", "event", "dispute", "police", "inspection", "service", "other")


class CaseKind(Base):
    """What a case is about, in a tree; a change closes `valid` and adds a row.

    `level` is the lowest that can usually solve it (4 grid … 0 city), at which a case begins.
    """

    __tablename__ = "case_kind"
    id: Mapped[int] = identity()
    code: Mapped[str]
    parent: Mapped[str | None]  # the code of a kind
    title: Mapped[str]
    title_en: Mapped[str]
    class_: Mapped[str] = mapped_column("class")
    level: Mapped[int] = mapped_column(server_default=text("4"))
    sensitive: Mapped[bool] = mapped_column(server_default=text("false"))
    valid: Mapped[Range[datetime]] = mapped_column(server_default=text("tstzrange(now(), NULL)"))
    actor: Mapped[str] = mapped_column(server_default=text("current_user"))
    reason: Mapped[str] = mapped_column(server_default="")
    __table_args__ = (
        one_of("class", CLASSES),
        CheckConstraint("level BETWEEN 0 AND 4", name="level_is_a_level"),
        CheckConstraint("NOT isempty(valid)", name="valid_not_empty"),
        CheckConstraint("parent <> code", name="parent_is_another"),
        ExcludeConstraint(("code", "="), ("valid", "&&"), name="one_kind_at_a_time", using="gist"),
    )


class Responsibility(Base):
    """Which organisation answers for cases of a kind, in an area, at a level; null: any.

    The more specific rule wins: by its kind, then its area, then its level. No two can be equally
    specific at the same time, so that the order in which they were made never counts.
    """

    __tablename__ = "responsibility"
    id: Mapped[int] = identity()
    kind: Mapped[str | None]
    area_id: Mapped[int | None] = mapped_column(ForeignKey("area.id"))
    level: Mapped[int | None]
    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)
    valid: Mapped[Range[datetime]] = mapped_column(server_default=text("tstzrange(now(), NULL)"))
    actor: Mapped[str] = mapped_column(server_default=text("current_user"))
    reason: Mapped[str] = mapped_column(server_default="")
    __table_args__ = (
        CheckConstraint("level BETWEEN 0 AND 4", name="level_is_a_level"),
        CheckConstraint("NOT isempty(valid)", name="valid_not_empty"),
        ExcludeConstraint(
            (text("coalesce(kind, '')"), "="),
            (text("coalesce(area_id, 0)"), "="),
            (text("coalesce(level, -1)"), "="),
            ("valid", "&&"),
            name="one_answers_at_a_time",
            using="gist",
        ),
        Index("responsibility_by_kind", text("coalesce(kind, '')")),
    )


class CaseStep(Base):
    """The timeline: who moved a case on, when, why, and where it stood after. Only ever added."""

    __tablename__ = "case_step"
    id: Mapped[int] = identity()
    incident_id: Mapped[int] = mapped_column(ForeignKey("incident.id"))
    at: Mapped[datetime] = mapped_column(server_default=text("clock_timestamp()"))
    action: Mapped[str]
    stage: Mapped[str]
    level: Mapped[int]
    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"))  # accountable
    actor: Mapped[str]
    acting_id: Mapped[int | None] = mapped_column(ForeignKey("organisation.id"))  # for whom
    reason: Mapped[str] = mapped_column(server_default="")
    data: Mapped[dict[str, Any]] = mapped_column(server_default=EMPTY)
    __table_args__ = (
        one_of("stage", STAGES),
        one_of("action", tuple(ACTIONS)),
        Index("case_step_by_case", "incident_id", "id"),
        Index("case_step_by_time", "at", postgresql_using="brin"),
    )


class StoredFile(Base):
    """A file's bytes, once for each content."""

    __tablename__ = "stored_file"
    sha256: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    media_type: Mapped[str]
    size: Mapped[int] = mapped_column(BigInteger)
    content: Mapped[bytes] = mapped_column(LargeBinary)
    created: Mapped[datetime] = mapped_column(server_default=NOW)
    __table_args__ = (CheckConstraint("octet_length(sha256) = 32", name="sha256_is_one"),)


class Attachment(Base):
    """A photo or a document of a case; where and when a photo was taken is offered, not kept in it.

    Withdrawn ones are not shown any more; their bytes go when nobody refers to them.
    """

    __tablename__ = "attachment"
    id: Mapped[int] = identity()
    incident_id: Mapped[int] = mapped_column(ForeignKey("incident.id"), index=True)
    sha256: Mapped[bytes | None] = mapped_column(ForeignKey("stored_file.sha256"), index=True)
    name: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime] = mapped_column(server_default=NOW)
    actor: Mapped[str]
    note: Mapped[str] = mapped_column(server_default="")
    taken: Mapped[dict[str, Any]] = mapped_column(server_default=EMPTY)  # lon, lat, at of a photo
    withdrawn: Mapped[datetime | None]
    __table_args__ = (
        CheckConstraint("withdrawn IS NOT NULL OR sha256 IS NOT NULL", name="withdrawn_or_kept"),
    )
