"""What was asked for about administrators' accounts, and waits for a second person who agrees."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Response
from sqlalchemy import Connection

from api import examples
from api.access import Who, may
from api.answers import NO_STORE, Json
from api.deps import Db
from api.once import Once
from api.problems import documented
from api.schemas import BIGGEST
from api.schemas_accounts import Agreed, DeedShown, DeedsShown
from data import account_deeds, accounts

router = APIRouter(prefix="/api/v1/accounts/pending", tags=["accounts"])
Number = Annotated[int, Path(ge=1, le=BIGGEST, examples=[1])]
_EXAMPLE = examples.of("account_deed")
WAITS: dict[str, Any] = {
    "model": DeedShown, **examples.ok(_EXAMPLE),
    "description": "It is an administrator's account: waits for a second person who agrees",
}  # fmt: skip
_PROBLEMS = documented("validation", "key-reused", "deed-unknown", "account-refused")


@router.get(
    "",
    summary="List what waits for a second person",
    responses={
        200: {"model": DeedsShown, **examples.ok({"pending": [_EXAMPLE]})}, **documented(),
    },
)  # fmt: skip
async def listed(db: Db, who: Who = may("account.manage")) -> Response:
    """The oldest first. What nobody agrees to in time is gone."""
    rows = await db.read(account_deeds.waiting)
    return Json({"pending": [dict(row) for row in rows]}, headers=NO_STORE)


@router.post(
    "/{number}/approval",
    summary="Agree to what another person asked for",
    responses={
        200: {"model": Agreed, "description": "Done", **examples.ok(examples.of("agreed"))},
        **_PROBLEMS,
    },
)  # fmt: skip
async def agree(number: Number, once: Once, who: Who = may("account.manage")) -> Response:
    """It is done at once; neither who asked nor whose account it is can agree."""

    def work(connection: Connection) -> Response:
        done = account_deeds.agree(connection, number, who)
        [row] = accounts.listed(connection, done.account)
        return Json({"account": dict(row), "address": done.address}, headers=NO_STORE)

    return await once(work)


@router.delete(
    "/{number}",
    status_code=204,
    summary="Refuse it, or take back what one asked for",
    responses=_PROBLEMS,
)
async def drop(number: Number, once: Once, who: Who = may("account.manage")) -> Response:
    """It is not done, and stays in the audit."""

    def work(connection: Connection) -> Response:
        account_deeds.drop(connection, number, who)
        return Response(status_code=204)

    return await once(work)
