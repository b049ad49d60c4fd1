"""Fixes as they come in: whose they are, where and when they are, and why they cannot be kept."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

from sqlalchemy import Connection, RowMapping, text

from data.reports import MOST_ACCURACY_M, TRIAGE
from data.settings import settings
from gis import datum as datums
from gis import tracks

# Why a fix moves nobody, and what can be done.
REFUSALS = {
    "unknown_device": "No resource has a device of this name: PUT /api/v1/devices/{name} says "
    "whose it is.",
    "unknown_resource": "There is no such resource: look it up with GET /api/v1/resources.",
    "withdrawn": "The resource has been withdrawn: its positions are no longer kept.",
    "incomplete": "The message holds no device, position or time that can be read.",
    "future": "The fix lies in the future by the clock of the service: set the clock of the "
    "device, or let the network set it.",
    "too_old": "The fix is older than tracks are kept (WANGGE_TRACK_DAYS): is the device's clock "
    "right?",
    "accuracy": f"The accuracy is no radius between 0 and {MOST_ACCURACY_M:,} metres.",
    "jump": "Nobody moves that fast from where the resource was: the fix is kept in its track and "
    "believed once another agrees with it.",
    "same_moment": "The resource was somewhere else at the same moment, by a fix that came before.",
    "unknown_datum": TRIAGE["unknown_datum"].replace("place the report", "send the position"),
    "unsupported_datum": f"The datum's name is not known; there are {datums.KNOWN}.",
    **datums.REASONS,
}

CLOCK_SKEW = timedelta(minutes=1)  # clocks of phones that are set by the network differ by less
STORED = -1

Owner: TypeAlias = int | str | tuple[str, str]


@dataclass(frozen=True, slots=True)
class Fix:
    """A position as it comes in; x and y are in `datum` (degrees, or metres of a projected EPSG).

    `of` is whose it is: a resource's number, its (source, external_id), or a device's name.
    Without a datum or an accuracy (metres; 0 says nothing, as phones mean it) those of the source
    count.
    """

    of: Owner
    x: float
    y: float
    at: datetime
    datum: str | None = None
    accuracy_m: float | None = None
    source: str = "api"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a fix.

    taken: newer than what was known, it moves the resource, or would but for a newer one beside it
    late: older than what was known; in the track, moves nobody
    known: it came before
    refused: `reason` says why, a key of `REFUSALS`; in the track only after a jump
    """

    verdict: str
    reason: str | None = None
    resource_id: int | None = None


@dataclass(slots=True)
class Point:
    """A fix in WGS 84: number `n` of its batch, or one that is stored (-1)."""

    resource_id: int
    at: datetime
    lon: float
    lat: float
    accuracy_m: float
    datum: str
    n: int = STORED
    settled: int = tracks.OPEN
    refused: str | None = None

    @property
    def key(self) -> tuple[int, datetime]:
        """By which a track knows it."""
        return self.resource_id, self.at


def sift(
    connection: Connection, fixes: Sequence[Fix], owners: dict[Owner, RowMapping], now: datetime
) -> tuple[dict[int, Verdict], list[Point]]:
    """Verdicts on what cannot be kept, and the rest made WGS 84."""
    verdicts, points = {}, []
    for n, (fix, placed) in enumerate(zip(fixes, _placed(connection, fixes), strict=True)):
        owner = owners.get(fix.of)
        who = None if owner is None else int(owner["id"])
        lon, lat, accuracy_m, datum, why_not_there = placed
        reason = _why_nobody(fix, owner) or _why_never(fix.at, now) or why_not_there
        if reason or who is None:
            verdicts[n] = Verdict("refused", reason, who)
        else:
            points.append(Point(who, fix.at, lon, lat, accuracy_m, datum, n))
    return verdicts, points


def _why_nobody(fix: Fix, owner: RowMapping | None) -> str | None:
    if owner is None:
        return "unknown_device" if isinstance(fix.of, str) else "unknown_resource"
    return "withdrawn" if owner["withdrawn"] else None


def _why_never(at: datetime, now: datetime) -> str | None:
    if at > now + CLOCK_SKEW:
        return "future"
    return "too_old" if at < now - timedelta(days=settings().track_days) else None


_OWNERS = text("""
SELECT w.n, r.id, r.withdrawn IS NOT NULL AS withdrawn
FROM unnest(CAST(:ids AS bigint[]), CAST(:sources AS text[]), CAST(:external_ids AS text[]),
            CAST(:devices AS text[])) WITH ORDINALITY w (id, source, external_id, device, n)
LEFT JOIN device d ON d.name = w.device
LEFT JOIN resource e ON e.source = w.source AND e.external_id = w.external_id
JOIN resource r ON r.id = coalesce(w.id, d.resource_id, e.id)
""")


def owners_of(connection: Connection, named: list[Owner]) -> dict[Owner, RowMapping]:
    """The resources that fixes are said to be of."""
    pairs = [of if isinstance(of, tuple) else (None, None) for of in named]
    asked = {
        "ids": [of if isinstance(of, int) else None for of in named],
        "sources": [source for source, _ in pairs],
        "external_ids": [external_id for _, external_id in pairs],
        "devices": [of if isinstance(of, str) else None for of in named],
    }
    return {named[row["n"] - 1]: row for row in connection.execute(_OWNERS, asked).mappings()}


_Placed: TypeAlias = tuple[float, float, float, str, str | None]
_SOURCES = text("SELECT name, datum, accuracy_m FROM source WHERE name = ANY(:names)")


def _placed(connection: Connection, fixes: Sequence[Fix]) -> list[_Placed]:
    """Longitude, latitude, accuracy and datum of each fix, and why it cannot be anywhere."""
    rows = connection.execute(_SOURCES, {"names": list({fix.source for fix in fixes})})
    defaults = {name: (datum, accuracy_m) for name, datum, accuracy_m in rows}
    by_datum: dict[str | None, list[int]] = defaultdict(list)
    for n, fix in enumerate(fixes):
        by_datum[fix.datum or defaults.get(fix.source, (None, None))[0]].append(n)
    placed: dict[int, _Placed] = {}
    for datum, numbers in by_datum.items():
        name, lons, lats, reasons = _normalised(datum, [fixes[n] for n in numbers])
        for n, lon, lat, reason in zip(numbers, lons, lats, reasons, strict=True):
            radius = fixes[n].accuracy_m or defaults.get(fixes[n].source, (None, None))[1]
            radius = settings().accuracy_m if radius is None else radius
            placed[n] = (lon, lat, radius, name, reason or _why_no_disc(radius))
    return [placed[n] for n in range(len(fixes))]


def _normalised(
    datum: str | None, fixes: list[Fix]
) -> tuple[str, list[float], list[float], list[str]]:
    """The datum's name, longitudes and latitudes in WGS 84, and a reason or '' for each."""
    reason = "unknown_datum"
    if datum is not None:
        try:
            known = datums.parse(datum)
        except datums.DatumError:
            reason = "unsupported_datum"
        else:
            xs, ys = [fix.x for fix in fixes], [fix.y for fix in fixes]
            lon, lat, reasons = datums.normalise(xs, ys, known)
            return known.name, lon.tolist(), lat.tolist(), reasons.tolist()
    nowhere = [float("nan")] * len(fixes)
    return datum or "", nowhere, nowhere, [reason] * len(fixes)


def _why_no_disc(accuracy_m: float) -> str | None:
    return None if 0 < accuracy_m <= MOST_ACCURACY_M else "accuracy"
