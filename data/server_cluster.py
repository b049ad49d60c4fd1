"""The files of a private PostgreSQL: where they are, whose they are, how they are made."""

import hashlib
import json
import logging
import os
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path

from data.server_programs import Account, ServerError, find_programs, last_line

EXTERNAL = Path("/var/lib/wangge")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Cluster:
    """A PostgreSQL cluster and the account that owns it.

    Attributes
    ----------
    home : Path
        The folder that the user named, absolute.
    folder : Path
        Where the cluster's files are: ``home/postgres`` or, for root, below `EXTERNAL`.
    account : Account
        Whom the files belong to; the server runs under it.
    """

    home: Path
    folder: Path
    account: Account

    @property
    def data(self) -> Path:
        """PostgreSQL's data directory."""
        return self.folder / "data"

    @property
    def log(self) -> Path:
        """The server's log."""
        return self.folder / "postgres.log"

    @property
    def pid_file(self) -> Path:
        """Where a running server notes its process and its socket."""
        return self.data / "postmaster.pid"


def find_cluster(home: Path) -> Cluster | None:
    """Return the cluster that `home` has, None when there is none yet."""
    folder = home / "postgres"
    if not folder.is_dir():
        external = _external(home)
        if external is None:
            return None
        folder = external
    owner = folder.stat().st_uid
    if os.geteuid() not in (0, owner):
        raise ServerError(_foreign(home, Account.of(owner).name))
    return Cluster(home, folder, Account.of(owner)) if (folder / "data").is_dir() else None


def _foreign(home: Path, owner: str = "another account") -> str:
    return (
        f"The private database in {home} belongs to {owner}: run the command under that account "
        "(or as root), or set WANGGE_HOME to a folder of your own."
    )


def _external(home: Path) -> Path | None:
    """Return the cluster outside `home` that belongs to it, also after `home` was moved."""
    if os.geteuid() != 0:
        if recorded(home).get("cluster"):
            raise ServerError(_foreign(home))
        return None
    for folder in (_external_folder(home), Path(recorded(home).get("cluster") or "/nowhere")):
        if (folder / "data").is_dir() and _is_for(folder, home):
            return folder
    return None


def _is_for(external: Path, home: Path) -> bool:
    """Whether a cluster is that of `home`: made for it, or for one that was since moved here."""
    user = Path((external / "home").read_text(encoding="utf-8"))
    return user == home or not user.exists()


def _external_folder(home: Path) -> Path:
    return EXTERNAL / hashlib.sha256(os.fsencode(home)).hexdigest()[:16]


def recorded(home: Path) -> dict[str, str]:
    """Return what ``server.json`` says of places outside `home`, empty when it says nothing."""
    try:
        recorded = json.loads((home / "server.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return recorded if isinstance(recorded, dict) else {}


def record(cluster: Cluster, socket: Path) -> None:
    """Note in `home` where its cluster and its socket are."""
    inside = cluster.folder == cluster.home / "postgres"
    places = {"cluster": "" if inside else str(cluster.folder), "socket": str(socket)}
    if recorded(cluster.home) != places:
        fresh = cluster.home / "server.json.new"
        fresh.write_text(json.dumps(places, indent=1) + "\n", encoding="utf-8")
        fresh.replace(cluster.home / "server.json")
    if not inside:
        (cluster.folder / "home").write_text(str(cluster.home), encoding="utf-8")


def make_cluster(home: Path, *, durable: bool) -> Cluster:
    """Make the cluster of `home`; an unfinished one is never taken for one (renamed when complete).

    `durable` waits until it is on the disk.
    """
    programs, account = find_programs(), Account.for_postgres()
    cluster = Cluster(home, _make_folder(home, account), account)
    log.info("Making the private database in %s (PostgreSQL %d)", cluster.folder, programs.major)
    for leftover in cluster.folder.glob("data.unfinished-*"):
        shutil.rmtree(leftover, ignore_errors=True)  # its initdb may still be at work
    unfinished = cluster.folder / f"data.unfinished-{secrets.token_hex(4)}"
    locale = ["--locale=C.UTF-8"]
    if programs.major >= 17:
        locale = ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    options = [*locale, "--encoding=UTF8", "--username=wangge", "--data-checksums"]
    options += ["--auth-local=trust", "--auth-host=reject", "--no-instructions"]
    options += [] if durable else ["--no-sync"]
    done = account.run(
        programs["initdb"], *options, f"--pgdata={unfinished.name}", cwd=cluster.folder
    )
    if done.returncode:
        raise ServerError(f"initdb failed in {cluster.folder}: {last_line(done.stderr)}.")
    own = "\ninclude = 'wangge.conf'\ninclude_if_exists = 'local.conf'\n"
    original = (unfinished / "postgresql.conf").read_text(encoding="utf-8")
    account.write(unfinished / "postgresql.conf", original + own)
    unfinished.rename(cluster.data)
    return cluster


def _make_folder(home: Path, account: Account) -> Path:
    """Return a new folder that only `account` can enter: in `home` if it can get there at all."""
    folder = home / "postgres"
    if _owned_folder(folder, account):
        return folder
    if os.geteuid() != 0:
        raise ServerError(
            f"PostgreSQL cannot keep its files in {folder} (its file system knows no owners or is "
            "read-only); set WANGGE_HOME to a folder on a local disk."
        )
    external = _external_folder(home)
    while external.exists() and not _is_for(external, home):  # home was moved, then made again
        external = external.with_name(f"{external.name}-{secrets.token_hex(4)}")
    if not external.parent.is_dir():
        external.parent.mkdir(parents=True)
        external.parent.chmod(0o755)  # whatever root's umask is
    if not _owned_folder(external, account):
        raise ServerError(f"The account {account.name} cannot write in {external}.")
    (external / "home").write_text(str(home), encoding="utf-8")
    log.warning(
        "The account %s cannot enter %s: the private database is kept in %s",
        account.name, home, external,
    )  # fmt: skip
    return external


def _owned_folder(folder: Path, account: Account) -> bool:
    was_there = folder.is_dir()
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        folder.chmod(0o700)
        os.chown(folder, account.uid, account.gid)
    except PermissionError:
        pass
    if folder.stat().st_uid == account.uid and account.can_write_in(folder):
        return True
    if not was_there:
        folder.rmdir()
    return False
