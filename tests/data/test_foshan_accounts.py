"""The demonstration's doors: opened once, kept, and opened again where they were shut."""

import json
from pathlib import Path

from sqlalchemy import Engine, text

from data import accounts
from data.access import ROLES
from data.foshan.accounts import FILE, TOKEN, open_doors


def test_the_doors_stay_as_they_are_and_what_was_ended_stays_so(
    engine: Engine, tmp_path: Path
) -> None:
    first = open_doors(engine, tmp_path)
    made = json.loads((tmp_path / FILE).read_text())
    assert set(made) == set(ROLES) and made["dispatcher"]["password"] in first.told
    assert {(tmp_path / name).stat().st_mode & 0o777 for name in (FILE, TOKEN)} == {0o600}
    assert open_doors(engine, tmp_path) == first
    with engine.begin() as connection:
        query = text("SELECT id FROM account WHERE login = 'dispatcher'")
        accounts.withdraw(connection, connection.execute(query).scalar_one())
        connection.execute(text("UPDATE token SET withdrawn = now()"))
    again = open_doors(engine, tmp_path)
    assert again.token != first.token and "dispatcher" not in again.told
    assert set(json.loads((tmp_path / FILE).read_text())) == set(ROLES) - {"dispatcher"}
    with engine.connect() as connection:
        who = accounts.of_token(connection, again.token)
    assert who is not None and who.may("case.write")
