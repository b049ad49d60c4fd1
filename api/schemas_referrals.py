"""Referrals and agreements as they come in and go out."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from api.reports import Submission
from api.schemas import BIGGEST, Happened, Incoming, Outgoing, Prose, Word
from api.schemas_clocks import Acting

Kind = Literal[
    "court", "procuratorate", "police", "petitions", "notary", "arbitration", "police_call"
]
Direction = Literal["out", "in"]
State = Literal["offered", "accepted", "declined", "withdrawn", "returned", "concluded"]
Confirmation = Literal["none", "applied", "confirmed", "refused"]
Id = Annotated[int, Field(ge=1, le=BIGGEST)]
Said = Annotated[Prose, Field(min_length=1)]


class ReferralOffer(Acting):
    """A case that is offered to another body, or by one to a centre."""

    case: Id | None = Field(None, description="its number")
    report: Submission | None = Field(
        None, description="what comes in and is no case yet: it opens one"
    )
    kind: Kind
    direction: Direction = Field("out", description="as the centre sees it")
    receiver: Word | None = Field(None, description="code; null: the organisation of the team")
    team: Id | None = Field(None, description="a standing joint team that is to have it")
    what: Said = Field(description="what it is about, and why it is theirs")

    @model_validator(mode="after")
    def _one(self) -> "ReferralOffer":
        if (self.case is None) == (self.report is None):
            raise ValueError("give the case, or the report that opens one, and not both")
        if self.report is not None and self.direction == "out":
            raise ValueError("what goes out is a case; a report opens one that comes in")
        return self


class ReferralMove(Acting):
    """What is done with a referral; the giver withdraws, the receiver does the rest."""

    action: Literal["accept", "decline", "withdraw", "docket", "return", "conclude"]
    words: Prose = Field("", description="why; to conclude, the outcome")
    docket: Word | None = Field(None, description="the receiver's number of it")
    resolves: bool = Field(False, description="whether the outcome resolves the case")

    @model_validator(mode="after")
    def _outcome(self) -> "ReferralMove":
        if self.resolves and self.action != "conclude":
            raise ValueError("only an outcome resolves a case: conclude the referral")
        return self


class _Referral(Outgoing):
    number: int
    case: int
    kind: Kind
    direction: Direction
    giver: str
    giver_name: str
    receiver: str
    receiver_name: str
    team: int | None
    team_name: str | None
    what: str
    offered: datetime
    actor: str
    state: State
    docket: str | None
    outcome: str | None = Field(description="or why it was declined, withdrawn or returned")
    ended: datetime | None
    due: datetime | None = Field(description="until when to say yes or no")
    late: datetime | None
    allowed: list[str]


class ReferralStep(Outgoing):
    """Something that happened."""

    id: int
    at: datetime
    action: str
    state: State
    actor: str
    acting: str | None = Field(description="null: it happened by itself")
    reason: str
    data: dict[str, Any]


class Referral(_Referral):
    """A referral with its steps."""

    steps: list[ReferralStep]


class ReferralListed(_Referral):
    """A referral."""


class Referrals(Outgoing):
    """Referrals, the newest first."""

    referrals: list[ReferralListed]
    next: str | None = Field(description="where it goes on")


class AgreementPut(Incoming):
    """What was agreed."""

    text: Said = Field(description="without names: the parties are called by their roles")
    parties: list[Word] = Field(min_length=2, max_length=50, description="their roles")
    signed: Happened


class AgreementReword(AgreementPut):
    """Another wording."""

    reason: Said


class ConfirmationAsk(Incoming):
    """A court that is asked to confirm an agreement."""

    court: Word = Field(description="code of the organisation")


class ConfirmationDecide(Incoming):
    """What the court said."""

    decision: Literal["confirmed", "refused"]
    docket: Word
    at: Happened
    reason: Prose = Field("", description="why it is refused")


class Agreement(Outgoing):
    """A version of an agreement; the highest holds."""

    id: int
    case: int
    number: int
    version: int
    text: str
    parties: list[str]
    signed: datetime
    confirmation: Confirmation
    court: str | None
    docket: str | None
    decided: datetime | None
    reason: str
    at: datetime
    actor: str


class Agreements(Outgoing):
    """Every version of every agreement of a case."""

    case: int
    agreements: list[Agreement]
