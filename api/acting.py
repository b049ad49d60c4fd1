"""For which organisation a caller acts: the account's, or the one named if it belongs to none."""

from sqlalchemy import Connection

from api.access import Who
from api.problems import Problem
from api.schemas_clocks import Acting
from data import cases
from data.cases import By

REFUSED = ("acting-unknown", "acting-for-another", "organisation-unknown")


def number(connection: Connection, who: Who, said: Acting) -> int:
    """The number of the organisation.

    Raises
    ------
    Problem
        None is known, or the account belongs to another than the one named.
    """
    named = int(cases.organisation(connection, said.acting)["id"]) if said.acting else None
    acting = who.organisation_id if named is None else named
    if acting is None:
        raise Problem("acting-unknown", field="acting")
    if who.organisation_id is not None and acting != who.organisation_id:
        raise Problem("acting-for-another", field="acting")
    return acting


def by(connection: Connection, who: Who, said: Acting) -> By:
    """The caller, and the organisation for which they act; raises as `number`."""
    return By(who.name, number(connection, who, said))
