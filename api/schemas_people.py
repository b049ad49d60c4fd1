"""The people of a case as they come in and go out, and what is done with their data."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from api.schemas import Incoming, Line, Outgoing, Prose, Word
from data.parties import Person

BIGGEST = 2**63 - 1
Role = Literal["reporter", "party", "witness"]
Short = Annotated[Word, Field(max_length=60)]


class PersonGiven(Incoming):
    """Somebody, as far as they say; something has to be said."""

    name: Short | None = None
    phone: Short | None = Field(None, description="however it is written")
    identity: Short | None = Field(None, description="number of an identity card or passport")
    contact: Line | None = Field(None, description="any other way to reach them")

    def person(self) -> Person:
        """As the domain knows them."""
        return Person(self.name, self.phone, self.identity, self.contact)


class PartyGiven(PersonGiven):
    """Somebody who is added to a case."""

    role: Role = "party"
    report: int | None = Field(
        None, ge=1, le=BIGGEST,
        description="a reporter's: one of the case's reports; else the one that opened it",
    )  # fmt: skip


class Why(Incoming):
    """A reason."""

    reason: Prose = Field(description="why, for those who ask later")


class Party(Outgoing):
    """Somebody of a case; masked unless it was revealed."""

    id: int
    report: int | None = Field(description="the report that they came with")
    role: Role
    name: str | None
    phone: str | None
    identity: str | None
    contact: str | None
    added: datetime
    actor: str = Field(description="who added them")
    withdrawn: datetime | None
    erased: datetime | None


class Parties(Outgoing):
    """The people of a case, in the order in which they were added."""

    case: int
    parties: list[Party]


class Wanted(Why):
    """Whom it is about: a telephone number or that of a document, exactly one."""

    phone: Short | None = None
    identity: Short | None = None


class PartyOf(Party):
    """A party, and of which case."""

    case: int


class Found(Outgoing):
    """In which cases somebody is party, masked."""

    parties: list[PartyOf]


class ReportOf(Outgoing):
    """A report that somebody sent."""

    id: int
    case: int | None
    received: datetime
    source: str
    channel: str | None
    kind: str | None
    address: str | None
    description: str | None
    attributes: dict[str, Any] | None


class VisitOf(Outgoing):
    """A return visit to somebody."""

    report: int
    case: int
    channel: str
    asked: datetime
    ended: datetime | None
    outcome: str | None
    solved: bool | None
    satisfaction: int | None
    comment: str


class AnswerOf(Outgoing):
    """What they answered when they were asked something."""

    report: int
    case: int
    asked: datetime
    words: str = Field(description="the question")
    ended: datetime | None
    answer: str


class Exported(Outgoing):
    """Everything that is kept about somebody."""

    at: datetime
    parties: list[PartyOf]
    reports: list[ReportOf]
    questions: list[AnswerOf]
    visits: list[VisitOf]


class Erased(Outgoing):
    """What was erased, and what could not be."""

    proof: int = Field(description="number of the row that proves it")
    cases: list[int] = Field(description="in which they were erased")
    held: list[int] = Field(description="open cases, which hold them until they are closed")
    parties: int = Field(description="how many entries were erased")


class RetentionGiven(Why):
    """How long the people of closed cases stay known."""

    kind: Word | None = Field(None, description="and those below it; null: every other")
    days: int = Field(ge=0, le=36_500, description="after the case was closed")


class RetentionShown(Outgoing):
    """A period in force."""

    kind: str | None
    days: int
    changed: datetime
    actor: str
    reason: str


class Retentions(Outgoing):
    """How long people stay known after their case was closed; without a period, for ever."""

    periods: list[RetentionShown]
