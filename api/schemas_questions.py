"""Questions to who reported a case, as they come in and go out."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from api.schemas import Incoming, Outgoing, Remark
from api.schemas_return_visits import Replied

__all__ = ["Noted", "QuestionPut", "Questions"]
Noted = Replied


class QuestionPut(Incoming):
    """Something that has to be known from who reported a case."""

    question: Remark = Field(
        min_length=1, description="without names: every reporter of it reads it"
    )


class Question(Outgoing):
    """A question and what came of it."""

    id: int
    asked: datetime
    actor: str = Field(description="who asked")
    acting: str | None = Field(description="for which organisation")
    words: str
    until: datetime = Field(description="so long the time of the case rests at most")
    ended: datetime | None
    outcome: Literal["answered", "unanswered", "withdrawn"] | None = Field(
        description="withdrawn: the case was done before; null: they are waited for"
    )
    answer: str = Field(description="empty once its reporter is forgotten")
    answered_by: str | None = Field(description="reporter, or who noted it")
    report: int | None = Field(description="by whose link it came")


class Questions(Outgoing):
    """The questions of a case, oldest first."""

    case: int
    questions: list[Question]
