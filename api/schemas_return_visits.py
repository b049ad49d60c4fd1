"""Return visits, what a reporter sees of a case, and attachments, as they come in and go out."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from api.schemas import Incoming, Outgoing, Remark

Outcome = Literal["reached", "no_answer", "refused", "wrong_number"]
Seen = Literal["received", "assigned", "in_work", "asking", "closed", "reopened"]


class Said(Incoming):
    """What a reporter says."""

    solved: bool
    satisfaction: int | None = Field(None, ge=1, le=5, description="5 is the best")
    comment: Remark = Field("")


class Replied(Incoming):
    """What a reporter answers to a question."""

    answer: Remark = Field(min_length=1)


class Tried(Incoming):
    """What came of a call; solved, satisfaction and comment of somebody who was reached."""

    outcome: Outcome
    note: Remark = Field("", description="for colleagues")
    solved: bool | None = None
    satisfaction: int | None = Field(None, ge=1, le=5, description="5 is the best")
    comment: Remark = Field("", description="the reporter's words")


class Due(Outgoing):
    """Somebody to be called."""

    id: int
    number: int = Field(description="the case's")
    report: int
    kind: str | None
    result: str | None = Field(description="how it was solved")
    organisation: str = Field(description="that answers for the case")
    asked: datetime
    due: datetime
    tries: int
    name: str | None = Field(description="masked until it is claimed")
    phone: str | None = Field(description="masked until it is claimed")
    claimed_by: str | None
    claimed_until: datetime | None


class AllDue(Outgoing):
    """Whom to call now, the longest due first."""

    visits: list[Due]


class Stands(Outgoing):
    """Where the case stands after it."""

    case: int
    stage: str


class Called(Outgoing):
    """A call and what came of it."""

    at: datetime
    actor: str
    outcome: Outcome
    note: str


class Visit(Outgoing):
    """A reporter who was asked."""

    id: int
    report: int
    channel: Literal["link", "phone"]
    asked: datetime
    due: datetime = Field(description="when they are called, or given up")
    tries: int
    claimed_by: str | None
    ended: datetime | None
    outcome: Literal["answered", "refused", "unreachable", "withdrawn"] | None
    solved: bool | None
    satisfaction: int | None
    comment: str
    calls: list[Called]


class Visits(Outgoing):
    """The return visits of a case, oldest first."""

    case: int
    visits: list[Visit]


class Words(Outgoing):
    """The same in Chinese and in English."""

    zh: str | None
    en: str | None


class Stop(Outgoing):
    """A stage of the case's way, as its reporter sees it."""

    stage: Seen
    words: Words
    at: datetime


class Answered(Outgoing):
    """What the reporter said last."""

    at: datetime
    solved: bool
    satisfaction: int | None


class Wanted(Outgoing):
    """Something that has to be known from them."""

    words: str = Field(description="the question")
    asked: datetime
    until: datetime = Field(description="then it goes on without their answer")
    open: bool = Field(description="whether they are waited for")
    answer: str | None = Field(description="what they answered by this link")


class Followed(Outgoing):
    """A case as who reported it sees it."""

    number: int
    reported: datetime
    kind: Words
    stage: Seen
    words: Words
    way: list[Stop]
    result: str | None = Field(description="once it is solved")
    asked: bool = Field(description="whether they are asked now and have not answered")
    may_answer: bool = Field(description="whether what they say still counts")
    answer: Answered | None
    questions: list[Wanted]


class Taken(Outgoing):
    """Where and when a photo was taken, as far as it told; nothing of it is in the stored file."""

    lon: float | None = None
    lat: float | None = None
    datum: str | None = None
    at: datetime | None = None


class Attachment(Outgoing):
    """A file of a case."""

    id: int
    case: int
    name: str
    media_type: str
    size: int = Field(description="bytes, as stored")
    sha256: str
    at: datetime
    actor: str
    note: str
    taken: Taken
    href: str


class Attachments(Outgoing):
    """The files of a case."""

    case: int
    attachments: list[Attachment]
