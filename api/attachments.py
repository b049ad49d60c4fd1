"""Attachments of cases: sent as a form or as they are, listed, downloaded, withdrawn."""

from datetime import tzinfo
from typing import Annotated, Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Body, Path, Query, Request, Response
from sqlalchemy import Connection
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from api import examples
from api.access import Who, may
from api.answers import NO_STORE, Json
from api.cases import Number
from api.deps import Db
from api.once import Once
from api.problems import Problem, documented
from api.schemas import Line
from api.schemas_people import BIGGEST, Why
from api.schemas_return_visits import Attachment, Attachments
from data import attachments, case_lists, pictures
from data.settings import settings

router = APIRouter(prefix="/api/v1", tags=["attachments"])
AttachmentId = Annotated[int, Path(ge=1, le=BIGGEST, description="its number", examples=[1])]
_BINARY = {"schema": {"type": "string", "format": "binary"}}
_FORM = {
    "type": "object",
    "required": ["file"],
    "properties": {"file": _BINARY["schema"], "note": {"type": "string", "maxLength": 500}},
}
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {"schema": _FORM},
            **dict.fromkeys(pictures.EXTENSIONS, _BINARY),
        },
    }
}
# Whatever is in a file, a browser neither shows it in our name nor guesses what it is.
_LOCKED = {
    "Cache-Control": "private, no-store",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "X-Content-Type-Options": "nosniff",
}


@router.post(
    "/cases/{number}/attachments",
    status_code=201,
    summary="Attach a file to a case",
    openapi_extra=_BODY,
    responses={
        201: {"model": Attachment, "description": "Kept", **examples.ok(examples.of("attachment"))},
        **documented("validation", "key-reused", "case-unknown", "too-large", "attachment-refused"),
    },
)
async def attach(
    number: Number,
    request: Request,
    once: Once,
    name: Annotated[Line, Query(description="of a file that is not sent in a form")] = "file",
    note: Annotated[Line | None, Query(description="what it shows")] = None,
    who: Who = may("case.write"),
) -> Response:
    """JPEG, PNG, WebP or PDF, at most 20 MB, in a form's `file` or as the body.

    Pictures are written anew without what the camera put into them; where and when a photo was
    taken is in the answer.
    """
    content, name, said = await _sent(request, name, note)
    zone: tzinfo = ZoneInfo(settings().timezone)
    checked = await run_in_threadpool(pictures.check, content, zone)

    def work(connection: Connection) -> Response:
        made = attachments.add(
            connection, number, checked, name=name, note=said, actor=who.name,
            acting=who.organisation_id,
        )  # fmt: skip
        return Json(_shown(attachments.get(connection, made)), 201, NO_STORE)

    return await once(work)


async def _sent(request: Request, name: str, note: str | None) -> tuple[bytes, str, str]:
    """The bytes of the file, its name, and what is said of it."""
    body = await request.body()
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        return body, name, note or ""
    try:
        form = await request.form(max_files=1, max_fields=3, max_part_size=10_000)
    except HTTPException as error:
        detail = f"The form cannot be read: {error.detail.rstrip('.')}."
        raise Problem("attachment-refused", detail) from error
    file, said = form.get("file"), form.get("note")
    if not isinstance(file, UploadFile):
        raise Problem("attachment-refused", "The form has no file; send it as `file`.")
    written = said if isinstance(said, str) else note or ""
    if "\0" in written or len(written) > 500:
        raise Problem("validation", "note: It has at most 500 characters, no NUL.", field="note")
    return await file.read(), file.filename or name, written


@router.get(
    "/cases/{number}/attachments",
    summary="The files of a case",
    responses={
        200: {"model": Attachments, **examples.ok(examples.of("attachments"))},
        **documented("validation", "case-unknown"),
    },
)
async def listed(number: Number, db: Db, who: Who = may("case.read")) -> Response:
    """Those that were not withdrawn, oldest first."""

    def look(connection: Connection) -> dict[str, Any]:
        if case_lists.get(connection, number) is None:
            raise Problem("case-unknown", f"There is no case {number}.", field="number")
        rows = attachments.of_case(connection, number)
        return {"case": number, "attachments": [_shown(row) for row in rows]}

    return Json(await db.read(look), headers=NO_STORE)


@router.get(
    "/attachments/{attachment}",
    summary="Download a file",
    responses={
        200: {
            "description": "The file",
            "content": dict.fromkeys(pictures.EXTENSIONS, _BINARY),
        },
        **documented("validation", "attachment-unknown"),
    },
)
async def download(attachment: AttachmentId, db: Db, who: Who = may("case.read")) -> Response:
    """The file as it is stored, to be saved and not shown."""
    found = await db.read(attachments.content, attachment)
    named = f"attachment; filename*=UTF-8''{quote(found['name'], safe='')}"
    headers = {**_LOCKED, "Content-Disposition": named}
    return Response(found["content"], 200, headers, found["media_type"])


@router.post(
    "/attachments/{attachment}/withdraw",
    summary="Take a file back",
    responses={
        200: {"model": Attachments, **examples.ok(examples.of("attachments"))},
        **documented(
            "validation", "key-reused", "not-json", "wrong-content-type", "too-large",
            "attachment-unknown", "reason-missing",
        ),
    },
)  # fmt: skip
async def withdraw(
    attachment: AttachmentId,
    said: Annotated[Why, Body(openapi_examples=examples.of("withdraw_request"))],
    once: Once,
    who: Who = may("case.write"),
) -> Response:
    """Its bytes are removed, unless another attachment has the same; that it was there stays."""

    def work(connection: Connection) -> Response:
        number = attachments.get(connection, attachment)["case"]
        attachments.withdraw(
            connection, attachment, actor=who.name, reason=said.reason,
            acting=who.organisation_id,
        )  # fmt: skip
        left = [_shown(row) for row in attachments.of_case(connection, number)]
        return Json({"case": number, "attachments": left}, headers=NO_STORE)

    return await once(work)


def _shown(row: Any) -> dict[str, Any]:
    told = {name: row[name] for name in row if name != "withdrawn"}
    return {**told, "href": f"{router.prefix}/attachments/{row['id']}"}
