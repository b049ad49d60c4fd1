"""Attachments of cases: each file stored once by its content, offered as what it is, withdrawn."""

import json
import re
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection, RowMapping, text
from sqlalchemy.exc import IntegrityError

from data import cases, events, refusals
from data.cases import CaseError, Move
from data.pictures import EXTENSIONS, Checked

# A file that is there already is touched, so that nobody removes it meanwhile.
_STORE = text("""
INSERT INTO stored_file (sha256, media_type, size, content)
VALUES (:sha256, :media_type, :size, :content)
ON CONFLICT (sha256) DO UPDATE SET size = stored_file.size
""")
_ATTACH = text("""
INSERT INTO attachment (incident_id, sha256, name, actor, note, taken)
VALUES (:id, :sha256, :name, :actor, :note, CAST(:taken AS jsonb)) RETURNING id
""")


def add(
    connection: Connection,
    number: int,
    file: Checked,
    *,
    name: str,
    actor: str,
    note: str = "",
    acting: int | None = None,
) -> int:
    """Attach a file that was checked to a case; the attachment's number.

    Raises
    ------
    CaseError
        There is no such case.
    """
    cases.hold(connection, number)
    digest, called = sha256(file.content).digest(), _named(name, file.media_type)
    stored = {"sha256": digest, "media_type": file.media_type, "size": len(file.content)}
    connection.execute(_STORE, {**stored, "content": file.content})
    values = {
        "id": number, "sha256": digest, "name": called, "actor": actor, "note": note,
        "taken": json.dumps(file.taken),
    }  # fmt: skip
    made = int(connection.execute(_ATTACH, values).scalar_one())
    _tell(connection, number, "added", made, digest, actor, acting, note or called)
    return made


def _named(name: str, media_type: str) -> str:
    """A file's name without its folders, with the ending of what it is."""
    last = re.split(r"[/\\]", name)[-1]
    plain = "".join(c for c in last if c.isprintable() and c not in '<>:"|?*').strip(". ")
    stem = plain.rsplit(".", 1)[0][:150] or "file"
    return f"{stem}.{EXTENSIONS[media_type]}"


def _tell(
    connection: Connection,
    number: int,
    what: str,
    attachment: int,
    digest: bytes,
    actor: str,
    acting: int | None,
    reason: str,
) -> None:
    data = {"attachment": attachment, "what": what, "sha256": digest.hex()}
    cases.move(connection, number, Move("note", actor, acting, reason, data=data))
    events.record(connection, f"attachment.{what}", data, incident_id=number)


_SHOWN = """
SELECT a.id, a.incident_id AS case, a.name, a.at, a.actor, a.note, a.taken, a.withdrawn,
       f.media_type, f.size, encode(a.sha256, 'hex') AS sha256
FROM attachment a LEFT JOIN stored_file f ON f.sha256 = a.sha256
"""
_OF_CASE = text(f"{_SHOWN} WHERE a.incident_id = :id AND a.withdrawn IS NULL ORDER BY a.id")
_ONE = text(f"{_SHOWN} WHERE a.id = :id")
_CONTENT = text("""
SELECT a.name, f.media_type, f.content FROM attachment a JOIN stored_file f ON f.sha256 = a.sha256
WHERE a.id = :id AND a.withdrawn IS NULL
""")


def of_case(connection: Connection, number: int) -> list[RowMapping]:
    """The attachments of a case that were not withdrawn, in their order."""
    return list(connection.execute(_OF_CASE, {"id": number}).mappings())


def get(connection: Connection, attachment: int) -> dict[str, Any]:
    """What an attachment is; raises `CaseError` if there is none."""
    found = connection.execute(_ONE, {"id": attachment}).mappings().first()
    if found is None:
        raise _unknown(attachment)
    return dict(found)


def content(connection: Connection, attachment: int) -> RowMapping:
    """The name, media type and bytes of an attachment; raises `CaseError` if they are not there."""
    found = connection.execute(_CONTENT, {"id": attachment}).mappings().first()
    if found is None:
        raise _unknown(attachment)
    return found


def _unknown(attachment: int) -> CaseError:
    return CaseError("unknown_attachment", f"There is no attachment {attachment}, or not any more.")


_HELD = text("SELECT sha256 FROM attachment WHERE id = :id AND withdrawn IS NULL FOR UPDATE")
_WITHDRAW = text("UPDATE attachment SET withdrawn = now(), sha256 = NULL WHERE id = :id")
_REMOVE = text("""
DELETE FROM stored_file f WHERE sha256 = :sha256
AND NOT EXISTS (SELECT FROM attachment a WHERE a.sha256 = f.sha256)
""")


def withdraw(
    connection: Connection,
    attachment: int,
    *,
    actor: str,
    reason: str,
    acting: int | None = None,
) -> None:
    """Take an attachment back; its bytes go unless another attachment has the same.

    Raises
    ------
    CaseError
        There is no such attachment, it was withdrawn, or the reason is missing.
    """
    refusals.need(reason, "reason", "To withdraw an attachment")
    number = get(connection, attachment)["case"]
    cases.hold(connection, number)
    digest = connection.execute(_HELD, {"id": attachment}).scalar()
    if digest is None:
        raise _unknown(attachment)
    connection.execute(_WITHDRAW, {"id": attachment})
    try:
        with connection.begin_nested():
            connection.execute(_REMOVE, {"sha256": digest})
    except IntegrityError:  # attached again at this moment
        pass
    _tell(connection, number, "withdrawn", attachment, digest, actor, acting, reason)
