"""What every table is made of."""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import BigInteger, CheckConstraint, Double, Identity, Text, func, text
from sqlalchemy.dialects.postgresql import ARRAY, INT8RANGE, JSONB, TIMESTAMP, TSTZRANGE, Range
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

NOW = func.now()
EMPTY = text("'{}'")
# A moment after the commit of a short transaction: see the note on `recorded` in the package.
KNOWN_SOON = text("clock_timestamp() + interval '100 ms'")


def identity() -> Mapped[int]:
    """A number that the database gives."""
    return mapped_column(BigInteger, Identity(), primary_key=True)


def one_of(column: str, values: tuple[str, ...]) -> CheckConstraint:
    """The column holds one of these words."""
    quoted = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({quoted})", name=f"{column}_known")


class Base(DeclarativeBase):
    """Registry of the tables and the Python types that they use."""

    type_annotation_map: ClassVar = {
        str: Text,
        float: Double,
        datetime: TIMESTAMP(timezone=True),
        dict[str, Any]: JSONB,
        Range[datetime]: TSTZRANGE,
        Range[int]: INT8RANGE,
        list[str]: ARRAY(Text),
    }
