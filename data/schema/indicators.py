"""What indicators are read from: their rows, added up by day and by month (`data/indicators`)."""

from datetime import date, datetime

from sqlalchemy import BigInteger, Index
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from data.schema.base import Base, identity, one_of

GRAINS = ("day", "month")


class IndicatorState(Base):
    """By which version of a family's definition, and in which time zone, its cells are made."""

    __tablename__ = "indicator_state"
    family: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[int]  # 0: the map changed in the past, all cells are to be made anew
    timezone: Mapped[str]
    refreshed: Mapped[datetime]


class IndicatorStale(Base):
    """A quarter of an hour in which rows of a family came, changed or went since the last refresh.

    Triggers write it, and only ever add: whoever reports waits for nobody else here.
    """

    __tablename__ = "indicator_stale"
    id: Mapped[int] = identity()
    family: Mapped[str]
    at: Mapped[datetime]


class IndicatorCell(Base):
    """The facts of a family's rows added up over a day or a month, an area, a body and a kind.

    Days are those of the city; the area is the one of then, as deep as the family is prepared.
    """

    __tablename__ = "indicator_cell"
    id: Mapped[int] = identity()
    family: Mapped[str]
    grain: Mapped[str]
    day: Mapped[date]
    area_id: Mapped[int | None] = mapped_column(BigInteger)
    organisation_id: Mapped[int | None] = mapped_column(BigInteger)
    kind: Mapped[str | None]
    facts: Mapped[list[int]] = mapped_column(ARRAY(BigInteger))
    __table_args__ = (
        one_of("grain", GRAINS),
        Index("indicator_cell_by_day", "family", "grain", "day"),
    )
