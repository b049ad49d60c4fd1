"""PostgreSQL's programs on this machine and the account that runs them."""

import os
import pwd
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

OLDEST_POSTGRES = 15
OLDEST_POSTGIS = (3, 3)
_PLACES = (
    "/usr/lib/postgresql/*/bin",  # Debian, Ubuntu
    "/usr/pgsql-*/bin",  # PGDG on Red Hat and its kin
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
)
_ELSEWHERE = "or set WANGGE_DATABASE_URL to a PostGIS that runs elsewhere"


class ServerError(RuntimeError):
    """The private PostgreSQL cannot be had; the message is a sentence that says what to do."""


@dataclass(frozen=True)
class Programs:
    """The programs of one installed PostgreSQL.

    Attributes
    ----------
    folder : Path
        Where `initdb`, `pg_ctl` and `postgres` are.
    major : int
        PostgreSQL's major version, e.g. 15.
    postgis : tuple of int
        Version of the PostGIS installed for it, `()` when there is none.
    """

    folder: Path
    major: int
    postgis: tuple[int, ...]

    def __getitem__(self, name: str) -> str:
        return str(self.folder / name)


@dataclass(frozen=True)
class Account:
    """A system account; programs run and files are written under it, also when we are root."""

    name: str
    uid: int
    gid: int

    @classmethod
    def of(cls, uid: int) -> "Account":
        """Return the account with this number; one without a name is called by its number."""
        try:
            entry = pwd.getpwuid(uid)
        except KeyError:
            return cls(str(uid), uid, os.getgid())
        return cls(entry.pw_name, uid, entry.pw_gid)

    @classmethod
    def for_postgres(cls) -> "Account":
        """Return who shall own a new cluster: ourselves, or never root (PostgreSQL refuses it)."""
        if os.geteuid() != 0:
            return cls.of(os.geteuid())
        for name in ("postgres", "nobody"):
            try:
                return cls.of(pwd.getpwnam(name).pw_uid)
            except KeyError:
                continue
        raise ServerError(
            "PostgreSQL does not run as root and there is no account `postgres` to run it under; "
            "make one with `useradd --system postgres`."
        )

    def run(
        self, *command: str, cwd: Path | str = "/", text: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command under this account with a plain environment; never raises on its exit code.

        `text` is its standard input. Variables such as PGDATA or LC_ALL of the caller are kept
        away from it.
        """
        other = os.geteuid() == 0 and self.uid != 0
        return subprocess.run(
            command,
            cwd=cwd,
            input=text,
            stdin=subprocess.DEVNULL if text is None else None,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
            umask=0o077,
            user=self.uid if other else None,
            group=self.gid if other else None,
            extra_groups=os.getgrouplist(self.name, self.gid) if other else None,
        )

    def can_write_in(self, folder: Path) -> bool:
        """Whether this account can reach `folder` and make files in it."""
        probe = 'cd "$1" && : >.probe && rm .probe'
        return self.run("/bin/sh", "-c", probe, "sh", str(folder)).returncode == 0

    def write(self, path: Path, text: str) -> None:
        """Put `text` in the file `path` in one step, as this account (root follows no links)."""
        script = 'cat >"$1.new" && mv -f "$1.new" "$1"'
        done = self.run("/bin/sh", "-c", script, "sh", str(path), text=text)
        if done.returncode:
            raise ServerError(f"Cannot write {path}: {last_line(done.stderr)}.")


def last_line(text: str) -> str:
    """Return the last line of a program's output that says something, without its full stop."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1].rstrip(".") if lines else "no reason given"


def find_programs(major: int | None = None) -> Programs:
    """Return the newest PostgreSQL that has PostGIS, or the one of version `major`.

    Raises
    ------
    ServerError
        When none is installed, or it is too old, or its PostGIS is missing or too old.
    """
    found = sorted(_installed(), key=lambda each: each.major, reverse=True)
    if major is not None:
        found = [each for each in found if each.major == major]
        if not found:
            raise ServerError(
                f"The private database was made by PostgreSQL {major}, which is not installed any "
                f"more; install postgresql-{major} and postgresql-{major}-postgis-3, or move the "
                "old database away (WANGGE_HOME) to begin with a new one."
            )
    if not found:
        raise ServerError(
            "PostgreSQL is not installed; on Debian or Ubuntu run `make demo` as root or with "
            f"sudo, elsewhere install PostgreSQL {OLDEST_POSTGRES}+ and PostGIS 3.3+, {_ELSEWHERE}."
        )
    for each in found:
        if each.major >= OLDEST_POSTGRES and each.postgis >= OLDEST_POSTGIS:
            return each
    raise ServerError(_complaint(found[0]))


def _complaint(best: Programs) -> str:
    if best.major < OLDEST_POSTGRES:
        return (
            f"PostgreSQL {best.major} is installed, version {OLDEST_POSTGRES} or newer is needed; "
            f"install it with its PostGIS, {_ELSEWHERE}."
        )
    has = f"PostGIS {'.'.join(map(str, best.postgis))}" if best.postgis else "no PostGIS"
    return (
        f"PostgreSQL {best.major} is installed with {has}, PostGIS 3.3 or newer is needed; "
        f"install postgresql-{best.major}-postgis-3, {_ELSEWHERE}."
    )


def _folders() -> Iterator[Path]:
    for pattern in _PLACES:
        yield from Path("/").glob(pattern[1:])
    if config := shutil.which("pg_config"):
        yield Path(_output(config, "--bindir"))
    if server := shutil.which("postgres"):
        yield Path(server).resolve().parent


def _installed() -> Iterator[Programs]:
    for folder in {each.resolve() for each in _folders()}:
        if all((folder / name).is_file() for name in ("initdb", "pg_ctl", "postgres")):
            version = re.search(r"\) (\d+)", _output(folder / "postgres", "--version"))
            if version:
                yield Programs(folder, int(version[1]), _postgis(folder, version[1]))


def _postgis(folder: Path, major: str) -> tuple[int, ...]:
    shared = _output(folder / "pg_config", "--sharedir") or f"/usr/share/postgresql/{major}"
    library = Path(_output(folder / "pg_config", "--pkglibdir") or folder.parent / "lib")
    if not any(library.glob("postgis-*")):  # Debian has the control file in another package
        return ()
    try:
        control = (Path(shared) / "extension/postgis.control").read_text(encoding="utf-8")
    except OSError:
        return ()
    version = re.search(r"default_version\s*=\s*'([\d.]+)", control)
    return tuple(map(int, version[1].strip(".").split("."))) if version else ()


def _output(*command: str | Path) -> str:
    try:
        done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    except OSError:
        return ""
    return done.stdout.strip()
