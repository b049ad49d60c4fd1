"""What is worked out from reports, and kept until these change (`data/analyses`)."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, text
from sqlalchemy.orm import Mapped, mapped_column

from data.schema.base import NOW, Base, identity, one_of

STATES = ("todo", "running", "done", "failed")


class ReportDay(Base):
    """When reports of what happened on a day of the city last came, changed or went."""

    __tablename__ = "report_day"
    day: Mapped[date] = mapped_column(primary_key=True)
    changed: Mapped[datetime]


class Analysis(Base):
    """A question and, once a worker has done it, its answer.

    `key` is a hash of the question, its version and the map; the newest row of a key counts.
    `area_id` is what it is about, by which it is seen; null: the whole city.
    """

    __tablename__ = "analysis"
    id: Mapped[int] = identity()
    key: Mapped[bytes] = mapped_column(LargeBinary)
    name: Mapped[str]
    asked: Mapped[dict[str, Any]]
    area_id: Mapped[int | None] = mapped_column(ForeignKey("area.id"))
    first: Mapped[date]  # the days whose reports were read
    last: Mapped[date]
    created: Mapped[datetime] = mapped_column(server_default=NOW)
    state: Mapped[str] = mapped_column(server_default="todo")
    share: Mapped[float] = mapped_column(server_default=text("0"))  # of the work that is done
    doing: Mapped[str] = mapped_column(server_default="")  # or why it failed
    made: Mapped[datetime | None]  # when it read the reports
    took_s: Mapped[float | None]
    result: Mapped[bytes | None] = mapped_column(LargeBinary)  # deflated JSON
    __table_args__ = (
        one_of("state", STATES),
        CheckConstraint("first <= last", name="days_in_order"),
        CheckConstraint("(state = 'done') = (result IS NOT NULL)", name="done_has_a_result"),
        Index("analysis_by_key", "key", "id"),
    )
