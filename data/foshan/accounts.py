"""Accounts of the demonstration, one for each role, and a token for programs.

Their passwords are drawn at the first start and kept in a file that only its owner may read.
"""

import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

import pyotp
from sqlalchemy import Connection, Engine, text

from data import accounts
from data.access import PERMISSIONS, ROLES, SECOND_FACTOR
from data.accounts import Grant
from data.foshan.governance import SOURCE

FILE, TOKEN = "accounts.json", "token"


@dataclass(frozen=True)
class Keys:
    """What opens the doors of the demonstration."""

    token: str
    told: str


def open_doors(engine: Engine, home: Path) -> Keys:
    """Make the accounts and the token unless they are there; what to tell whoever tries it."""
    path = home / FILE
    with engine.begin() as connection:
        there = connection.execute(
            text("SELECT EXISTS (SELECT FROM token WHERE name = :name AND withdrawn IS NULL)"),
            {"name": SOURCE},
        ).scalar_one()
        if not (there and path.exists() and (home / TOKEN).exists()):
            connection.execute(
                text("UPDATE token SET withdrawn = now() WHERE name = :name"), {"name": SOURCE}
            )
            _, secret = accounts.add_token(connection, SOURCE, PERMISSIONS, actor=SOURCE)
            _keep(home / TOKEN, secret + "\n")
            _keep(path, json.dumps(_made(connection), indent=2) + "\n")
    made = json.loads(path.read_text())
    who = "dispatcher"
    told = f"The accounts to sign in with stand in {path}, the token for programs in {home / TOKEN}"
    if who in made:
        told += f"; the first is [bold]{who}[/], password [bold]{made[who]['password']}[/]"
    return Keys((home / TOKEN).read_text().strip(), f"{told}.")


def _made(connection: Connection) -> dict[str, dict[str, str]]:
    made = {}
    for role in ROLES:
        query = text("SELECT id, withdrawn FROM account WHERE login = :login")
        there = connection.execute(query, {"login": role}).first()
        if there is not None and there.withdrawn:
            continue  # somebody ended it, and it stays so
        password = secrets.token_urlsafe(12)
        if there is None:
            number = accounts.add(connection, role, password, [Grant(role)], actor=SOURCE)
        else:
            number = there.id
            accounts.set_password(connection, number, password)
        made[role] = {"password": password}
        if role in SECOND_FACTOR:
            address = accounts.enrol(connection, number)
            made[role] |= {"second_factor": address, "secret": pyotp.parse_uri(address).secret}
    return made


def _keep(path: Path, what: str) -> None:
    """Into a file that only its owner may read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(what)
