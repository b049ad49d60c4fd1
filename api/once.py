"""Idempotency-Key: a write that is sent again is done once, and its answer is given again.

After the IETF's draft-ietf-httpapi-idempotency-key-header; beyond it, a repeat that comes while the
first is at work waits for its answer instead of being refused.
"""

from collections.abc import Callable
from hashlib import blake2b
from typing import Annotated, Concatenate, ParamSpec

from fastapi import Depends, Header, Request, Response
from sqlalchemy import Connection

from api.deps import Database, Db
from api.problems import Problem
from data import requests
from data.access import acting
from data.requests import Answer, KeyReusedError

P = ParamSpec("P")
Asked = Callable[Concatenate[Connection, P], Response]
REPLAYED = "Idempotent-Replayed"

Key = Annotated[
    str | None,
    Header(
        max_length=202,
        description="unique to this request, such as a UUID: sent again with the same key within "
        f"24 hours, it is not done again, but answered as before, with the header {REPLAYED}",
        examples=['"8e03978e-40d5-43e8-bc93-6894a57f9324"'],
    ),
]


class Write:
    """Does a route's write in one transaction, once for each Idempotency-Key.

    The write is a function of the domain's connection that returns the whole answer; what it
    raises undoes it, and frees the key. Without a key it costs nothing.

    >>> return await once(_send, number, sent)  # doctest: +SKIP
    """

    def __init__(self, db: Database, request: Request, key: str | None) -> None:
        self._db, self._request, self._key = db, request, key

    async def __call__(self, asked: Asked[P], *args: P.args, **kwargs: P.kwargs) -> Response:
        """The answer of `asked(connection, *args, **kwargs)`, or the one that it had before."""
        key = self._key
        if key is None:
            return await self._db.write(asked, *args, **kwargs)
        route = f"{self._request.method} {self._request.scope['route'].path}"
        fingerprint = _fingerprint(self._request, await self._request.body())

        def done(connection: Connection) -> Response:
            if before := requests.claim(connection, route, key, fingerprint):
                return _replayed(before)
            response = asked(connection, *args, **kwargs)
            requests.keep(connection, route, key, _answer(response))
            return response

        try:
            return await self._db.write(done)
        except KeyReusedError as error:
            raise Problem("key-reused", field="Idempotency-Key") from error


def _write(request: Request, db: Db, idempotency_key: Key = None) -> Write:
    return Write(db, request, None if idempotency_key is None else bare(idempotency_key))


Once = Annotated[Write, Depends(_write)]


def bare(key: str) -> str:
    """A key without the quotes that the draft puts around it; nothing in them is a mistake."""
    found = key.strip().strip('"')
    if not found:
        raise Problem(
            "validation",
            "Idempotency-Key: It is empty; give a key that is unique to this request, such as a "
            "UUID, or leave the header out.",
            field="Idempotency-Key",
        )
    return found


def _fingerprint(request: Request, body: bytes) -> str:
    who = acting.get()
    whose = f"{who.account_id} {who.token_id}" if who else ""  # a key is its sender's own
    address = f"{whose} {request.url.path}?{request.url.query}"
    return blake2b(address.encode() + b"\0" + body, digest_size=16).hexdigest()


def _answer(response: Response) -> Answer:
    headers = {name: value for name, value in response.headers.items() if name != "content-length"}
    return Answer(response.status_code, headers, bytes(response.body))


def _replayed(before: Answer) -> Response:
    return Response(before.body, before.status, {**before.headers, REPLAYED: "true"})
