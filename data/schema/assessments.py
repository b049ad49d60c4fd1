"""Risk assessments of decisions: what lay inside a drawn area that day, and what was decided."""

from datetime import date, datetime
from typing import Any

from geoalchemy2 import Geometry
from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from data.schema.base import EMPTY, NOW, Base, identity, one_of

RISK_LEVELS = ("low", "medium", "high")


class Assessment(Base):
    """A drawn area and the profile of what was inside when it was drawn; both stay as they are."""

    __tablename__ = "assessment"
    id: Mapped[int] = identity()
    title: Mapped[str]
    geom: Mapped[Any] = mapped_column(Geometry("MULTIPOLYGON", 4326), nullable=False)
    area_m2: Mapped[float]
    notes: Mapped[list[str]] = mapped_column(server_default=EMPTY)  # what was mended in the drawing
    profile: Mapped[dict[str, Any]]
    created: Mapped[datetime] = mapped_column(server_default=NOW)
    actor: Mapped[str]


class AssessmentDecision(Base):
    """What was decided; the last one holds, those before it stay."""

    __tablename__ = "assessment_decision"
    id: Mapped[int] = identity()
    assessment_id: Mapped[int] = mapped_column(ForeignKey("assessment.id"), index=True)
    at: Mapped[datetime] = mapped_column(server_default=NOW)
    level: Mapped[str]
    decision: Mapped[str]
    review: Mapped[date | None]
    decided_by: Mapped[str]  # the body that decided
    actor: Mapped[str]
    __table_args__ = (one_of("level", RISK_LEVELS),)
