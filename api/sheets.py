"""Answers as tables: CSV that Excel opens as it should, and workbooks."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

from fastapi import Response
from openpyxl import Workbook

from api.answers import NO_STORE

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
FILES: dict[str, Any] = {
    "text/csv": {"schema": {"type": "string"}},
    XLSX: {"schema": {"type": "string", "format": "binary"}},
}
"""As an answer's description names them."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def table(form: str, name: str, head: Sequence[str], lines: Iterable[Sequence[Any]]) -> Response:
    """A file to keep: `form` is csv or xlsx, `name` its name without an ending."""
    body = _csv(head, lines) if form == "csv" else _xlsx(head, lines)
    headers = {"Content-Disposition": f'attachment; filename="{name}.{form}"', **NO_STORE}
    return Response(body, media_type="text/csv" if form == "csv" else XLSX, headers=headers)


def _csv(head: Sequence[str], lines: Iterable[Sequence[Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(head)
    writer.writerows([_harmless(value) for value in line] for line in lines)
    return text.getvalue().encode("utf-8-sig")  # without the mark Excel takes it for GBK


def _xlsx(head: Sequence[str], lines: Iterable[Sequence[Any]]) -> bytes:
    book = Workbook(write_only=True)
    sheet = book.create_sheet()
    sheet.append(list(head))
    for line in lines:
        sheet.append([_harmless(value) for value in line])
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def _harmless(value: Any) -> Any:
    """Text that no program of tables takes for a formula; instants as text."""
    if isinstance(value, str):
        return f"'{value}" if value.startswith(_FORMULA) else value
    return value.isoformat() if hasattr(value, "isoformat") else value
