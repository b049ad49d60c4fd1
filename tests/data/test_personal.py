"""Personal data is sealed, opened by the key that it names, shown masked and found by its mark."""

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data import personal
from data.personal import SealError
from data.settings import settings


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home without keys."""
    monkeypatch.setenv("WANGGE_HOME", str(tmp_path))
    monkeypatch.delenv("WANGGE_PERSONAL_KEY", raising=False)
    forget()
    yield tmp_path
    monkeypatch.undo()
    forget()


def forget() -> None:
    settings.cache_clear()
    personal._keys.cache_clear()


@given(st.text())
def test_what_is_sealed_is_opened_and_never_the_same_twice(value: str) -> None:
    one, other = personal.seal(value), personal.seal(value)
    assert one != other
    assert personal.open_(one) == personal.open_(other) == value


def test_the_key_file_is_its_owners_alone(home: Path) -> None:
    personal.seal("x")
    assert (home / "personal.key").stat().st_mode & 0o777 == 0o600


def test_after_a_rotation_the_old_is_still_opened_and_found(home: Path) -> None:
    before, mark = personal.seal("13800001234"), personal.fingerprint("13800001234")
    assert personal.rotate() == 2
    after = personal.seal("13800001234")
    assert before[: personal.NAME] != after[: personal.NAME]
    forget()
    assert personal.open_(before) == personal.open_(after) == "13800001234"
    assert personal.fingerprint("13800001234") == mark
    assert (home / "personal.key").stat().st_mode & 0o777 == 0o600


def test_a_key_that_another_process_added_is_found(home: Path) -> None:
    path = home / "personal.key"
    personal.seal("x")
    before = path.read_bytes()
    personal.rotate()
    after, sealed = path.read_bytes(), personal.seal("y")
    path.write_bytes(before)
    forget()
    personal.seal("x")  # this process knows the first key alone
    path.write_bytes(after)
    assert personal.open_(sealed) == "y"


def test_what_was_changed_or_sealed_elsewhere_is_not_opened(home: Path) -> None:
    sealed = personal.seal("x")
    changed = sealed[:-1] + bytes([sealed[-1] ^ 1])
    with pytest.raises(SealError, match="changed"):
        personal.open_(changed)
    (home / "personal.key").unlink()
    forget()
    with pytest.raises(SealError, match=sealed[: personal.NAME].hex()):
        personal.open_(sealed)


def test_the_keys_of_the_setting_count(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sealed = personal.seal("x")
    keys = base64.b64encode((home / "personal.key").read_bytes()).decode()
    (home / "personal.key").unlink()
    monkeypatch.setenv("WANGGE_PERSONAL_KEY", keys)
    forget()
    assert personal.open_(sealed) == "x"
    assert not (home / "personal.key").exists()
    with pytest.raises(SealError, match="WANGGE_PERSONAL_KEY"):
        personal.rotate()


@pytest.mark.parametrize(("key", "said"), [("*", "not base64"), ("AAAA", "3 bytes")])
def test_keys_that_are_none_are_told(
    home: Path, monkeypatch: pytest.MonkeyPatch, key: str, said: str
) -> None:
    monkeypatch.setenv("WANGGE_PERSONAL_KEY", key)
    forget()
    with pytest.raises(SealError, match=said):
        personal.seal("x")


@pytest.mark.parametrize(
    ("value", "kind", "shown"),
    [("13812341234", "phone", "138****1234"), ("440604199001011234", "identity",
     "440***********1234"), ("某某", "name", "某*"), ("123", "phone", "***")],
)  # fmt: skip
def test_masks(value: str, kind: str, shown: str) -> None:
    assert personal.mask(value, kind) == shown
