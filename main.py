"""The command line: one short function per command."""

import json
import signal
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import psycopg
import typer
from pydantic import ValidationError
from rich.markup import escape
from sqlalchemy.exc import SQLAlchemyError

from data.settings import settings
from layers import console

app = typer.Typer(
    help="Wangge 网格: every report finds its grid and the people who can help.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
bring = typer.Typer(
    help="Bring areas, reports, records, addresses or resources in from files.",
    no_args_is_help=True,
)
app.add_typer(bring, name="import")
people = typer.Typer(help="Accounts of those who sign in.", no_args_is_help=True)
app.add_typer(people, name="account")
trials = typer.Typer(help="Try the rules on what really happened.", no_args_is_help=True)
app.add_typer(trials, name="bench")
chain = typer.Typer(help="What was done and by whom.", no_args_is_help=True)
app.add_typer(chain, name="audit")

File = Annotated[Path, typer.Argument(help="the file")]
LayerName = Annotated[str, typer.Option("--layer", help="the layer, as grid or beats")]
Maps = Annotated[list[str] | None, typer.Option("--map", help="field=column, again for each")]
Moment = Annotated[str | None, typer.Option(help="ISO date or time; without a zone the city's")]


def guarded(command: Callable[..., Any]) -> Callable[..., Any]:
    """A fault of the input or of the set-up ends with one sentence, not with a traceback."""

    @wraps(command)
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except typer.Exit:
            raise
        except KeyboardInterrupt:
            console.fail("stopped; what was not finished was not taken in")
            raise typer.Exit(130) from None
        except (SQLAlchemyError, psycopg.Error) as error:
            console.fail(escape(of_database(error)))
            raise typer.Exit(1) from None
        except ValidationError as error:
            console.fail(escape(of_settings(error)))
            raise typer.Exit(1) from None
        except (ValueError, OSError, RuntimeError) as error:
            console.fail(escape(str(error)))
            raise typer.Exit(1) from None

    return run


def of_database(error: Exception) -> str:
    """What the database said, in a sentence, and what to do."""
    own = getattr(error, "orig", None) or error
    reason = (str(own).strip().splitlines() or [type(own).__name__])[0]
    if isinstance(own, psycopg.OperationalError | psycopg.InterfaceError):
        return (
            f"the database went away: {reason}. Nothing is half done; run the same command again "
            "once it is back."
        )
    return f"the database refused: {reason}. Nothing was changed."


def of_settings(error: ValidationError) -> str:
    """Which settings are wrong, in a sentence."""
    faults = (
        f"WANGGE_{'.'.join(map(str, each['loc'])).upper()} is {each['input']!r}: {each['msg']}"
        for each in error.errors()
    )
    return f"the settings are wrong: {'; '.join(faults)} (`python main.py settings` lists them all)"


def ready() -> Any:
    """The engine of a running, migrated database."""
    from data import migrate
    from data.engine import database_url, engine

    made = engine()  # with a look whether it answers
    migrate.upgrade(database_url())
    return made


def moment(given: str | None, timezone: str | None = None) -> datetime | None:
    """An ISO date or time; without a zone it is in `timezone`, or else the city's."""
    if given is None:
        return None
    try:
        read = datetime.fromisoformat(given)
    except ValueError:
        raise ValueError(f"{given!r} is no ISO date or time, such as 2026-03-01") from None
    name = timezone or settings().timezone
    try:
        return read if read.tzinfo else read.replace(tzinfo=ZoneInfo(name))
    except (KeyError, ValueError, OSError):
        raise ValueError(
            f"the time zone {name!r} is not known; give one as Asia/Shanghai"
        ) from None


# --- who may --------------------------------------------------------------------------------------


@people.command("add")
@guarded
def add_account(
    login: Annotated[str, typer.Argument(help="the name to sign in by")],
    role: Annotated[list[str], typer.Option(help="dispatcher, or dispatcher@town:440604010000")],
    organisation: Annotated[str | None, typer.Option(help="code of the one they act for")] = None,
) -> None:
    """Make an account; its password is asked for, its second factor shown if a role needs one."""
    from data import accounts, audit
    from data.access import SECOND_FACTOR

    with ready().begin() as connection:
        given = grants(connection, role)
        password = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
        number = accounts.add(
            connection, login, password, given, actor="command line", organisation=organisation
        )
        detail = {"account": number, "roles": role}
        audit.record(connection, "command line", "account add", login, detail=detail)
        console.out.print(f"Account {number}, {login}, is made.")
        if any(each.role in SECOND_FACTOR for each in given):
            address = accounts.enrol(connection, number)
            console.out.print("Into the authenticator app:", address, soft_wrap=True)


def grants(connection: Any, roles: list[str]) -> list[Any]:
    """Roles as they are written, `dispatcher@town:440604010000`, each with its area."""
    from data import areas_named
    from data.accounts import Grant

    parts = [each.partition("@") for each in roles]
    found = areas_named.find(connection, [area for _, _, area in parts if area])
    if wrong := [each for each in found.values() if isinstance(each, str)]:
        raise ValueError(wrong[0])
    return [Grant(name, getattr(found.get(area), "id", None)) for name, _, area in parts]


@people.command("change")
@guarded
def change_account(
    login: Annotated[str, typer.Argument(help="the name to sign in by")],
    reopen: Annotated[bool, typer.Option("--reopen", help="after it had ended")] = False,
    role: Annotated[list[str] | None, typer.Option(help="instead of those before")] = None,
    password: Annotated[bool, typer.Option("--password", help="another; it is asked for")] = False,
    second_factor: Annotated[bool, typer.Option("--second-factor", help="a new one")] = False,
    subject: Annotated[str | None, typer.Option(help="the provider's, to link with")] = None,
    end: Annotated[bool, typer.Option("--end", help="nobody signs in with it any more")] = False,
) -> None:
    """Change an account, also an administrator's, without a second person who agrees."""
    from data import account_deeds, accounts, audit
    from data.account_deeds import Deed

    with ready().begin() as connection:
        number = accounts.number_of(connection, login)
        deeds = [Deed("reopen", number)] if reopen else []
        if role:
            roles = [vars(each) for each in grants(connection, role)]
            deeds.append(Deed("change", number, {"roles": roles}))
        if password:
            told = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
            deeds.append(Deed("change", number, {"password": accounts.proved(login, told)}))
        deeds += [Deed("second_factor", number)] if second_factor else []
        deeds += [linked_with(number, subject)] if subject else []
        deeds += [Deed("end", number)] if end else []
        for deed in deeds:
            done = account_deeds.do(connection, deed, "command line")
            detail = {"account": number, "what": deed.what, "roles": role}
            audit.record(connection, "command line", "account change", login, detail=detail)
            if done.address:
                console.out.print("Into the authenticator app:", done.address, soft_wrap=True)
        console.out.print(f"Account {number}, {login}: {len(deeds)} changes made.")


def linked_with(account: int, subject: str) -> Any:
    """The deed that links an account with whom the provider of the settings knows."""
    from data.account_deeds import Deed

    issuer = settings().oidc_issuer
    if not issuer:
        raise ValueError("there is no provider to link with; set WANGGE_OIDC_ISSUER")
    return Deed("link", account, {"issuer": issuer, "subject": subject})


@people.command("token")
@guarded
def add_token(
    name: Annotated[str, typer.Argument(help="of the system; the actor of what it does")],
    permission: Annotated[list[str], typer.Option(help="report.write; again for each")],
) -> None:
    """Make a token for another system; it is shown this once."""
    from data import accounts, audit

    with ready().begin() as connection:
        number, secret = accounts.add_token(connection, name, permission, actor="command line")
        detail = {"token": number, "permissions": permission}
        audit.record(connection, "command line", "account token", name, detail=detail)
    console.out.print(secret, soft_wrap=True, highlight=False)


@people.command("rotate-key")
@guarded
def rotate_key() -> None:
    """Add a key for personal data; the older ones still open what they sealed."""
    from data import audit, personal

    with ready().begin() as connection:
        audit.record(connection, "command line", "account rotate-key")
        there = personal.rotate()
    console.out.print(f"A new key seals from now on; there are {there}. Keep a copy of the file.")


@chain.command("verify")
@guarded
def verify_audit(
    head: Annotated[str | None, typer.Option(help="a seal of before, in hexadecimal")] = None,
) -> None:
    """Prove that no row of the audit was changed, taken out or put in between."""
    from data import audit

    with ready().connect() as connection:
        proof = audit.verify(connection, bytes.fromhex(head) if head else None)
    if proof.fault:
        raise ValueError(f"after {proof.rows:,} rows that are right, {proof.fault}")
    console.out.print(
        f"{proof.rows:,} rows are as they were sealed; {proof.unsealed:,} are too new for a seal. "
        f"The last seal is {proof.head.hex()}: keep it elsewhere.",
        soft_wrap=True, highlight=False,
    )  # fmt: skip


# --- the service ----------------------------------------------------------------------------------


@app.command()
@guarded
def demo(rate: Annotated[float, typer.Option(help="reports a minute", min=0)] = 12) -> None:
    """Set everything up, load the demonstration city, serve it and let things happen."""
    from data import server
    from data.foshan import accounts, casework, collected, load

    # A closed terminal and a polite kill end it as Ctrl-C does: with the server stopped.
    for end in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(end, lambda *_: sys.exit(0))
    try:
        engine = ready()
        if load.is_empty(engine):
            console.out.print("Drawing and loading Foshan, which takes about a minute.")
            with console.share("Foshan") as progress:
                load.load(engine, progress=progress)
        if load.is_deserted(engine):
            with console.share("Foshan") as progress:
                load.load_people(engine, progress=progress)
        if load.is_silent(engine):
            with console.share("Foshan") as progress:
                load.load_day(engine, progress=progress)
        if collected.is_missing(engine):
            with console.share("Foshan") as progress:
                collected.load(engine, progress=progress)
        if casework.is_missing(engine):
            casework.load(engine)
        with console.share("Roads") as progress:
            load.pave(engine, settings().home, progress)
        keys = accounts.open_doors(engine, settings().home)
        engine.dispose()
        _serve(settings().host, settings().port, rate, keys)
    except KeyboardInterrupt:
        console.out.print("stopped")
    finally:
        if not settings().database_url:
            server.stop(settings().home)


@app.command()
@guarded
def simulate(
    year: Annotated[int, typer.Option(help="that is over")] = 2023,
    seed: Annotated[int, typer.Option(help="another seed, another year")] = 4406,
    scale: Annotated[float, typer.Option(help="of 1.18 million events, 7.9 million records")] = 1.0,
) -> None:
    """Write a year of events and records into the demonstration city, for its indicators."""
    from data.foshan import load
    from data.foshan import year as simulation

    engine = ready()
    with console.share("Foshan") as progress:
        if load.is_empty(engine):
            load.load(engine, progress=progress)
    if not load.is_demonstration(engine):
        raise ValueError(
            "this database holds a city of its own, into which nothing is made up; name another "
            "place for the demonstration, as in WANGGE_HOME=~/foshan"
        )
    with console.share(str(year)) as progress:
        made = simulation.write(engine, year, seed, scale, progress)
    console.pairs(f"The year {year}", made.items())
    _add_up(str(year))


@app.command("indicators")
@guarded
def add_up() -> None:
    """Add up what the indicators are read from; the worker does so every minute."""
    _add_up("Indicators")


def _add_up(title: str) -> None:
    from data.indicators import prepared

    with console.share(title) as progress:
        days = prepared.refresh_all(ready(), settings().timezone, progress)
    console.out.print(f"{days:,} days of indicators are added up")


@app.command()
@guarded
def serve(host: str | None = None, port: int | None = None) -> None:
    """Serve the API and the pages."""
    ready().dispose()
    _serve(host or settings().host, port or settings().port, 0)


def _serve(host: str, port: int, rate: float, keys: Any = None) -> None:
    """Run the web server and a worker until stopped, with the demonstration's people."""
    from api.channels import ways
    from api.main import create_app
    from api.serving import Server
    from api.worker import Beside
    from data.engine import database_url
    from data.foshan.caller import Caller
    from data.foshan.crew import Crew

    at = f"http://{host}:{port}"
    ways.check(settings())
    server = Server(create_app(), host, port)
    worker = Beside(database_url(), ours=True)
    where = (
        f"Wangge is at [bold]{at}[/]: open {at}/maps/dispatch in a browser (the API: "
        f"{at}/openapi.json). Ctrl-C stops it."
    )
    console.out.print(where, soft_wrap=True)
    if keys is not None:
        console.out.print(keys.told, soft_wrap=True, highlight=False)
    people = [Caller(at, rate, keys.token), Crew(at, keys.token)] if rate and keys else []
    for each in (worker, *people):
        each.start()
    try:
        server.run()
    finally:
        for each in (*people, worker):
            each.stop()


@app.command()
@guarded
def worker() -> None:
    """Deliver messages and keep the house; `serve` does too. Several may run."""
    from api.channels import ways
    from api.worker import run_alone
    from data.engine import database_url

    ways.check(settings())
    ready().dispose()

    def begun() -> None:
        console.out.print("The worker runs; Ctrl-C stops it.")

    run_alone(database_url(), ours=True, begun=begun)


@app.command()
@guarded
def stop() -> None:
    """Stop the private database server."""
    from data import server

    stopped = server.stop(settings().home)
    console.out.print("stopped" if stopped else "it was not running")


@app.command()
@guarded
def status() -> None:
    """Say what runs and what the database holds."""
    from data import areas, reports, roads, server

    console.pairs("Server", vars(server.status(settings().home)).items())
    console.pairs("Travel times", roads.described(settings().home))
    with ready().connect() as connection:
        lines = [
            (f"{each['name']} {each['title']}", each["areas"]) for each in areas.layers(connection)
        ]
        waiting = reports.triage_counts(connection).items()
    console.pairs("Areas in force", lines)
    console.pairs("Reports in triage", waiting)


@app.command("roads")
@guarded
def build_roads(
    context: typer.Context,
    file: Annotated[Path | None, typer.Argument(help="an OpenStreetMap extract, .osm.pbf")] = None,
    remove: Annotated[bool, typer.Option("--remove", help="go back to straight lines")] = False,
) -> None:
    """Let travel times follow the roads of an OpenStreetMap extract (PBF)."""
    from data import roads

    if file is None and not remove:
        console.out.print(context.get_help(), highlight=False, markup=False)
        raise typer.Exit(2)
    if file is not None and remove:
        raise ValueError("name an extract, as in `roads city.osm.pbf`, or give --remove.")
    if file is None:
        gone = roads.remove(settings().home)
        console.out.print("travel times are straight lines" + ("" if gone else " already"))
        return
    with console.share(file.name) as progress:
        new = roads.build(file, settings().home, progress)
    console.out.print(
        f"travel times follow the roads of {escape(file.name)}" + ("" if new else " already")
    )


@app.command()
@guarded
def migrate(revision: str = "head") -> None:
    """Bring the database to the newest schema (or to REVISION)."""
    from data import migrate as migrations
    from data.engine import database_url

    migrations.upgrade(database_url(), revision)
    console.out.print(f"the database is at {revision}")


@app.command()
@guarded
def openapi() -> None:
    """Print the API's description."""
    from api.main import create_app

    json.dump(create_app().openapi(), sys.stdout, ensure_ascii=False, indent=2)
    sys.stdout.write("\n")


@app.command("settings")
@guarded
def show_settings() -> None:
    """List every setting, what it is now and what it is for."""
    fields = type(settings()).model_fields.items()
    console.grid(
        "Settings",
        ("variable", "now", "what for"),
        [(f"WANGGE_{n.upper()}", getattr(settings(), n), f.description) for n, f in fields],
    )


# --- files in and out -----------------------------------------------------------------------------


@bring.command("areas")
@guarded
def import_areas(
    file: File,
    layer: LayerName,
    map: Maps = None,
    crs: Annotated[str | None, typer.Option(help="overrules the file: gcj02, EPSG:…")] = None,
    encoding: str | None = None,
    file_layer: Annotated[str | None, typer.Option(help="which layer of the file")] = None,
    valid_from: Moment = None,
    replace: Annotated[bool, typer.Option(help="end the areas that the file lacks")] = False,
    repair: Annotated[bool, typer.Option(help="close narrow gaps and overlaps")] = False,
    accept_faults: Annotated[bool, typer.Option(help="take it in with its faults")] = False,
    title: Annotated[str | None, typer.Option(help="a new layer's title, in Chinese")] = None,
    title_en: Annotated[str | None, typer.Option(help="and in English")] = None,
    source: str = "",
    licence: str = "",
    faults: Annotated[Path | None, typer.Option(help="GeoJSON of the faults")] = None,
) -> None:
    """Take areas into a layer: GeoJSON, GeoPackage, Shapefile, GeoParquet in any CRS."""
    from data import area_files, vector_files

    options = area_files.Options(
        layer, tuple(map or ()), crs, encoding, file_layer, moment(valid_from), replace, repair,
        accept_faults, title, title_en, source, licence,
    )  # fmt: skip
    where = faults or Path(f"{file.name.split('.')[0]}.faults.geojson")
    try:
        with console.working(f"reading and checking {file.name}"):
            done = area_files.load(ready(), file, options)
    except area_files.CoverageError as error:
        console.faults(error.faults)
        vector_files.write(error.faults, where)
        raise ValueError(f"{error} The faults are in {where}.") from None
    if len(done.faults):
        console.faults(done.faults)
        if faults:
            vector_files.write(done.faults, where)
    if done.moved is not None:
        lines = done.moved[["code", "kind", "area_m2", "displacement_m"]].round(2)
        console.grid("Mended", tuple(lines.columns), lines.itertuples(index=False, name=None))
    for note in done.notes:
        console.out.print(note)
    counted = ("areas", "added", "unchanged", "ended")
    console.pairs(f"Layer {layer}", [(name, getattr(done, name)) for name in counted])


@app.command("export")
@guarded
def export_areas(file: File, layer: LayerName, at: Moment = None, known: Moment = None) -> None:
    """Write a layer, as it was at a moment, to GeoJSON, GeoPackage, Shapefile or GeoParquet."""
    from data import area_files

    with console.working(f"writing {file.name}"):
        count = area_files.save(ready(), file, layer, at=moment(at), known=moment(known))
    console.out.print(f"{count:,} areas of {layer} are in {file}")


@app.command("maps")
@guarded
def write_map(
    name: Annotated[str, typer.Argument(help="overview, workload …; a wrong one lists them all")],
    output: Annotated[Path, typer.Option(help="ends in .html, .png or .pdf")],
    first: Annotated[str | None, typer.Option("--from", help="first day; else 28 to --to")] = None,
    last: Annotated[str | None, typer.Option("--to", help="last day; else today")] = None,
    area: Annotated[str | None, typer.Option(help="440604010000, beats:B12; else all")] = None,
    kind: Annotated[list[str] | None, typer.Option(help="code, again for each; else all")] = None,
    channel: Annotated[list[str] | None, typer.Option(help="again for each; else all")] = None,
    hour: Annotated[list[int] | None, typer.Option(help="0 to 23, again for each")] = None,
    weekday: Annotated[list[int] | None, typer.Option(help="1 Monday to 7 Sunday")] = None,
    more: Annotated[list[str] | None, typer.Option(help="a map's own filter, name=value")] = None,
    lang: Annotated[str, typer.Option(help="zh or en")] = "zh",
    size: Annotated[str, typer.Option(help="of a PNG, pixels")] = "1920x1080",
) -> None:
    """Write a map for a report: HTML that opens without a server, PNG, or PDF on A4.

    PNG and PDF need Chromium. Of the overview, --from and --to alone can be asked (else today).
    """
    from api import map_files

    own = [each.partition("=")[::2] for each in more or ()]
    asked = {
        "from": first, "to": last, "area": area, "kind": kind, "channel": channel, "hour": hour,
        "weekday": weekday, **dict(own),
    }  # fmt: skip
    given = {each: value for each, value in asked.items() if value}
    wish = map_files.Wish(name, output, given, lang, map_files.size(size))
    engine = ready()
    with console.share(name) as progress:
        map_files.save(engine, wish, datetime.now(UTC), progress)
    console.out.print(f"the map {name} is in {escape(str(output))}")


@bring.command("reports")
@guarded
def import_reports(
    file: File,
    source: Annotated[str, typer.Option(help="who sends them: a hotline, an app")] = "file",
    layer: LayerName = "grid",
    map: Maps = None,
    mapping: Annotated[Path | None, typer.Option(help="YAML of field: column")] = None,
    datum: Annotated[str | None, typer.Option(help="wgs84, gcj02, bd09, EPSG:… …")] = None,
    timezone: Annotated[str | None, typer.Option(help="of times without one")] = None,
    encoding: str | None = None,
    sheet: str | None = None,
    since: Moment = None,
    until: Moment = None,
    all_or_nothing: Annotated[bool, typer.Option(help="one bad row and none is taken")] = False,
    memory: Annotated[bool, typer.Option(help="use what was confirmed before")] = True,
    check: Annotated[str | None, typer.Option(help="column with a published code")] = None,
    confirm: Annotated[str | None, typer.Option(help="column with the settled code")] = None,
    rejects: Annotated[Path | None, typer.Option(help="where rejected rows go")] = None,
) -> None:
    """Take reports in: CSV, XLSX, JSON Lines, GeoJSON, GeoParquet. The same file twice is once."""
    from data import intake

    between = moment(since, timezone), moment(until, timezone)
    options = intake.Options(
        source, layer, tuple(map or ()), str(mapping) if mapping else None, datum, timezone,
        encoding, sheet, *between, all_or_nothing, memory, check, confirm,
    )  # fmt: skip
    with console.rows(file.name) as progress:
        done = intake.run(ready(), file, options, rejects=rejects, progress=progress)
    _taken_in(f"{file.name} → {layer}", done)
    if done.agreement:
        console.pairs(f"Placement against column {check}", done.agreement.lines())
    _refuse_if_nothing_came(file, done.rows, done.rejected)


@bring.command("records")
@guarded
def import_records(
    file: File,
    source: Annotated[str, typer.Option(help="who collects them")] = "file",
    kind: Annotated[
        str | None, typer.Option(help="of all rows: resident, dwelling, rental, firm, danger …")
    ] = None,
    layer: LayerName = "grid",
    map: Maps = None,
    mapping: Annotated[Path | None, typer.Option(help="YAML of field: column")] = None,
    datum: Annotated[str | None, typer.Option(help="wgs84, gcj02, bd09, EPSG:… …")] = None,
    timezone: Annotated[str | None, typer.Option(help="of times without one")] = None,
    encoding: str | None = None,
    sheet: str | None = None,
    all_or_nothing: Annotated[bool, typer.Option(help="one bad row and none is taken")] = False,
    replace: Annotated[bool, typer.Option(help="withdraw those that the file lacks")] = False,
    rejects: Annotated[Path | None, typer.Option(help="where rejected rows go")] = None,
) -> None:
    """Take collected records in, each in its grid; those known before are brought up to date."""
    from data import intake
    from data.record_intake import RecordOptions, RecordTarget

    options = RecordOptions(
        source, layer, tuple(map or ()), str(mapping) if mapping else None, datum, timezone,
        encoding, sheet, all_or_nothing=all_or_nothing, kind=kind, replace=replace,
    )  # fmt: skip
    with console.rows(file.name) as progress:
        done = intake.run(
            ready(), file, options, target=RecordTarget, rejects=rejects, progress=progress
        )
    _taken_in(f"{file.name} → {layer}", done)


def _taken_in(title: str, done: Any) -> None:
    """Say what became of the rows of a file."""
    for note in done.notes:
        console.out.print(note)
    console.pairs(title, done.lines())
    _rejected(done.reasons, done.rejects)


def _rejected(reasons: dict[str, int], where: Path | None) -> None:
    """Say why rows were rejected, the commonest reasons first, and where they are."""
    for reason, count in sorted(reasons.items(), key=lambda item: -item[1])[:10]:
        console.out.print(f"  rejected {count:,}: {escape(reason)}")
    if where:
        console.out.print(f"the rejected rows are in {escape(str(where))}, each with why")


def _refuse_if_nothing_came(file: Path, rows: int, rejected: int) -> None:
    """A script must not take a file for taken in of which no row was."""
    if rows and rejected == rows:
        raise ValueError(f"every row of {file.name} was rejected; nothing was taken in")


@bring.command("addresses")
@guarded
def import_addresses(
    file: File,
    source: str = "file",
    map: Maps = None,
    datum: Annotated[str, typer.Option(help="of the file's coordinates")] = "wgs84",
) -> None:
    """Take addresses with their positions into the gazetteer."""
    from data import addresses, table_files
    from data.report_mapping import Mapping

    mapping = Mapping.guess(next(table_files.read(file)).columns)
    with console.rows(file.name) as progress, ready().begin() as connection:
        done = addresses.import_file(
            connection, file, Mapping.from_flags(map or (), mapping), datum, source,
            lambda rows: progress("read", rows),
        )  # fmt: skip
    counts = [("added", done.added), ("there before", done.known), ("rejected", len(done.rejected))]
    console.pairs(file.name, counts)
    for row, reason in done.rejected[:10]:
        console.out.print(f"  row {row:,}: {escape(reason)}")
    rejected = len(done.rejected)
    _refuse_if_nothing_came(file, done.added + done.known + rejected, rejected)


@bring.command("resources")
@guarded
def import_resources(
    file: File,
    source: Annotated[str, typer.Option(help="who keeps the roster")] = "roster",
    map: Maps = None,
    mapping: Annotated[Path | None, typer.Option(help="YAML of field: column")] = None,
    datum: Annotated[str | None, typer.Option(help="wgs84, gcj02, bd09, EPSG:… …")] = None,
    encoding: str | None = None,
    sheet: str | None = None,
    all_or_nothing: Annotated[bool, typer.Option(help="one bad row and none is taken")] = False,
    replace: Annotated[bool, typer.Option(help="withdraw those that the file lacks")] = False,
    rejects: Annotated[Path | None, typer.Option(help="where rejected rows go")] = None,
) -> None:
    """Take people, teams, vehicles and facilities in; those given before are brought up to date."""
    from data import resource_files

    options = resource_files.Options(
        source, tuple(map or ()), str(mapping) if mapping else None, datum, encoding, sheet,
        all_or_nothing, replace,
    )  # fmt: skip
    with console.rows(file.name) as progress:
        done = resource_files.run(ready(), file, options, rejects=rejects, progress=progress)
    for note in done.notes:
        console.out.print(note)
    console.pairs(file.name, done.lines())
    _rejected(done.reasons, done.rejects)
    _refuse_if_nothing_came(file, done.rows, done.rejected)


@bring.command("catalogue")
@guarded
def import_catalogue(file: File) -> None:
    """Take kinds, skills, shifts and organisations from a YAML file."""
    from data import catalogue

    given = catalogue.read_file(file)
    with ready().begin() as connection:
        console.pairs(f"{file.name}: new or changed", catalogue.save(connection, given).items())


@app.command("source")
@guarded
def set_source(
    name: str,
    datum: Annotated[str | None, typer.Option(help="of coordinates that name none")] = None,
    accuracy: Annotated[float | None, typer.Option(help="metres, where none is named")] = None,
    title: str | None = None,
) -> None:
    """Set what holds for a source's reports unless they say otherwise."""
    from data import reports

    with ready().begin() as connection:
        reports.set_source(connection, name, datum=datum, accuracy_m=accuracy, title=title)
    console.out.print(f"source {name} is set")


# --- trials ---------------------------------------------------------------------------------------


@trials.command("hotspots")
@guarded
def bench_hotspots(
    reports: Annotated[Path, typer.Argument(help="CSV, XLSX, JSON Lines, GeoJSON, GeoParquet")],
    area: Annotated[str, typer.Option(help="a file of polygons, or a layer of the database")],
    known_until: Annotated[str, typer.Option(help="what happened before this date is known")],
    scored_until: Annotated[str | None, typer.Option(help="to the last report by default")] = None,
    map: Maps = None,
    datum: Annotated[str | None, typer.Option(help="wgs84, gcj02, bd09, EPSG:… …")] = None,
    timezone: Annotated[str | None, typer.Option(help="of times without one")] = None,
    side: Annotated[float, typer.Option(help="of a square cell, metres")] = 150,
    bandwidth: Annotated[float, typer.Option(help="of the kernel baseline, metres")] = 150,
    as_json: Annotated[
        bool, typer.Option("--json", help="plain values instead of a table")
    ] = False,
) -> None:
    """Forecast where reports come next and score it on those that came: PAI and PEI*."""
    from data import hotspot_bench

    until = moment(known_until, timezone)
    assert until
    options = hotspot_bench.Options(
        until, moment(scored_until, timezone), tuple(map or ()), datum,
        timezone or settings().timezone, side, bandwidth,
    )  # fmt: skip
    with console.working(f"forecasting from {reports.name}"):
        done = hotspot_bench.run(reports, _polygons(area), options)
    if as_json:
        console.out.print_json(data=done.json())
        return
    cells = done.cells
    console.out.print(
        f"{len(cells):,} cells of {cells.side_m:g} m in {cells.area_m2.sum() / 1e6:,.1f} km², "
        f"{done.known:,} reports known before {known_until}"
    )
    for title, head, lines in done.tables():
        console.grid(title, head, lines)
    for note in done.notes:
        console.out.print(note)


def _polygons(area: str) -> Any:
    """The polygons of a file, or else of a layer in the database."""
    from data import areas, vector_files

    if Path(area).exists() or Path(area).suffix:
        return vector_files.read(area)
    with ready().connect() as connection:
        found = areas.read(connection, area)
    if not len(found):
        raise ValueError(f"there is no file and no layer {area!r}, or nothing is in force in it")
    return found


if __name__ == "__main__":
    app()
