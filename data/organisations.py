"""Organisations by their codes."""

from sqlalchemy import Connection, text

from data.errors import InputError

_NUMBER = text("SELECT id FROM organisation WHERE code = :code")


def number(connection: Connection, code: str, field: str = "organisation") -> int:
    """The number of the organisation with a code.

    Raises
    ------
    InputError
        There is none; `field` is what to mend.
    """
    found = connection.execute(_NUMBER, {"code": code}).scalar()
    if found is None:
        raise InputError(f"There is no organisation {code}.", field, "unknown_organisation")
    return int(found)
