"""Devices: the phones that send positions, by a name that is as good as a key, and whose they are.

Whoever knows a device's name can say where its resource is, so the names that we mint cannot be
guessed.
"""

import secrets
from collections.abc import Sequence

from sqlalchemy import Connection, RowMapping, text

from data.errors import InputError

# Of what is typed into a phone: no letter that looks like another.
_LETTERS = "23456789abcdefghjkmnpqrstuvwxyz"
_LENGTH = 24  # 118 bits


class DeviceError(InputError):
    """There is no such resource, or no such device; `reason` and `field` say which."""


_REGISTER = text("""
INSERT INTO device (name, resource_id) SELECT :name, id FROM resource WHERE id = :resource_id
ON CONFLICT (name) DO UPDATE SET resource_id = excluded.resource_id
RETURNING name, resource_id, created
""")


def register(connection: Connection, name: str, resource_id: int) -> RowMapping:
    """Say whose device it is, from now on; raises DeviceError if there is no such resource."""
    values = {"name": name, "resource_id": resource_id}
    row = connection.execute(_REGISTER, values).mappings().first()
    if row is None:
        raise _unknown_resource(resource_id)
    return row


def mint(connection: Connection, resource_id: int) -> RowMapping:
    """A new device of a resource, under a name that nobody can guess."""
    name = "".join(secrets.choice(_LETTERS) for _ in range(_LENGTH))
    return register(connection, name, resource_id)


_OF_RESOURCE = text("""
SELECT name, resource_id, created FROM device WHERE resource_id = :id ORDER BY created, name
""")


def of_resource(connection: Connection, resource_id: int) -> list[RowMapping]:
    """The devices of a resource by age; raises DeviceError if there is no such resource."""
    check_resource(connection, resource_id)
    return list(connection.execute(_OF_RESOURCE, {"id": resource_id}).mappings())


def check_resource(connection: Connection, resource_id: int) -> None:
    """Raise DeviceError if there is no such resource."""
    asked = text("SELECT id FROM resource WHERE id = :id")
    if connection.execute(asked, {"id": resource_id}).first() is None:
        raise _unknown_resource(resource_id)


def remove(connection: Connection, name: str) -> None:
    """Let a device name nobody; what it sends from now on is refused. Raises DeviceError."""
    gone = connection.execute(text("DELETE FROM device WHERE name = :name"), {"name": name})
    if gone.rowcount == 0:
        raise DeviceError(f"there is no device {name}", "name", "unknown_device")


_FIRST_KNOWN = text("""
SELECT d.name FROM unnest(CAST(:names AS text[])) WITH ORDINALITY n (name, rank)
JOIN device d ON d.name = n.name ORDER BY n.rank LIMIT 1
""")


def first_known(connection: Connection, names: Sequence[str]) -> str | None:
    """The first of the names under which a device may have been registered that is one."""
    found = connection.execute(_FIRST_KNOWN, {"names": list(names)}).scalar_one_or_none()
    return None if found is None else str(found)


def _unknown_resource(resource_id: int) -> DeviceError:
    return DeviceError(f"there is no resource {resource_id}", "resource", "unknown_resource")
