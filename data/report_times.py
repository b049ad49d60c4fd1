"""Dates and times in the styles that files have, as arrays."""

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

DateOrder = Literal["mdy", "dmy"]
Times = npt.NDArray[np.datetime64]

_ISO = r"^\d{4}-\d{2}-\d{2}([ T]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?)?$"
_CLOCK = (
    r"(?:(?:[T\s日])\s*(?P<noon>上午|下午|凌晨|晚上)?\s*(?P<h>\d{1,2})[:时点](?P<mi>\d{1,2})?"
    r"(?:[:分](?P<s>\d{1,2})?秒?)?(?:[.,](?P<f>\d{1,9}))?\s*(?P<ap>[AaPp]\.?[Mm]\.?)?"
    r"\s*(?P<z>[Zz]|UTC|GMT|[+-]\d{2}(?::?\d{2})?)?)?$"
)
_YEAR_FIRST = r"^(?P<y>\d{4})[-/.年](?P<m>\d{1,2})[-/.月](?P<d>\d{1,2})日?" + _CLOCK
_YEAR_LAST = r"^(?P<a>\d{1,2})[-/.](?P<b>\d{1,2})[-/.](?P<y>\d{4})" + _CLOCK
_COMPACT = (
    r"^(?P<y>\d{4})(?P<m>\d{2})(?P<d>\d{2})(?:[T\s]?(?P<h>\d{2})(?P<mi>\d{2})(?P<s>\d{2})?"
    r"(?P<z>Z|[+-]\d{2}(?::?\d{2})?)?)?$"
)
_SERIAL = r"^\d{5}(\.\d+)?$"  # days since 1899-12-30, as Excel counts: 1927 to 2173
_EPOCH = r"^(\d{10}(\.\d+)?|\d{13})$"  # seconds or milliseconds since 1970
_FIRST, _LAST = np.datetime64("1800-01-01", "us"), np.datetime64("2200-01-01", "us")


@dataclass
class ParsedTimes:
    """What `parse_times` gives.

    Attributes
    ----------
    values : ndarray of datetime64[us]
        In UTC; NaT where there is none, or one at fault.
    faults : dict of int to str
        For each position at fault the reason.
    date_order : {'mdy', 'dmy'} or None
        How 03/04/2019 was read, if any date was of that style.
    note : str
        By what that was decided, if it was; for people.
    """

    values: Times
    faults: dict[int, str] = field(default_factory=dict)
    date_order: DateOrder | None = None
    note: str = ""


def parse_times(
    column: pa.Array, timezone: str = "Asia/Shanghai", date_order: DateOrder | None = None
) -> ParsedTimes:
    """Times in UTC from text.

    Parameters
    ----------
    column : pyarrow.Array of string
        ISO 8601 with or without a zone, ``2019/3/1 8:05``, ``2019年3月1日 8时5分``,
        ``03/01/2019 11:05:00 PM``, ``20190301``, days as Excel counts them, seconds or
        milliseconds since 1970; null where there is none.
    timezone : str
        The zone, by its IANA name, of those that state none.
    date_order : {'mdy', 'dmy'}, optional
        Whether month or day comes first where the year is last. By default it is told from the
        column: a number above 12 shows it, else AM or PM (American) or dots (European). Where
        nothing shows it, dates that can be read both ways are at fault, and those only.

    Raises
    ------
    ValueError
        The zone is not known.

    Examples
    --------
    >>> parse_times(pa.array(["2019年3月1日 8时5分"])).values
    array(['2019-03-01T00:05:00.000000'], dtype='datetime64[us]')
    """
    local = _fast(column)
    values = _fast(column, "UTC") if local is None else _to_utc(local, timezone)
    if values is None:
        return _Slow(column, timezone, date_order).run()
    out = ParsedTimes(values, date_order=date_order)
    _check_years(out, column)
    return out


def _fast(column: pa.Array, zone: str | None = None) -> Times | None:
    """The times of a column of ISO 8601 alone: none with an offset, or, given a zone, every one."""
    kind = pa.timestamp("us", zone)
    try:
        pc.cast(column[:100], kind)  # what fails does so row after row, which takes its time
        return np.asarray(pc.cast(column, kind).cast(pa.timestamp("us")))
    except pa.ArrowInvalid:
        return None


def _to_utc(local: Times, timezone: str) -> Times:
    try:
        # In the hour that a change of the clocks repeats or leaves out: the earlier, the next.
        zoned = pc.assume_timezone(
            pa.array(local, pa.timestamp("us")),
            timezone,
            ambiguous="earliest",
            nonexistent="latest",
        )
    except pa.ArrowInvalid as error:
        if "time zone" in str(error).lower() or "timezone" in str(error).lower():
            raise ValueError(
                f"the time zone {timezone!r} is not known; give one as Asia/Shanghai"
            ) from error
        raise
    return np.asarray(zoned.cast(pa.timestamp("us", "UTC")).cast(pa.timestamp("us")))


def _check_years(out: ParsedTimes, column: pa.Array) -> None:
    with np.errstate(invalid="ignore"):
        odd = (out.values < _FIRST) | (out.values >= _LAST)
    for i in np.flatnonzero(odd):
        out.faults[int(i)] = f"date {column[int(i)].as_py()!r} is not between 1800 and 2200"
    if odd.any():
        out.values = np.where(odd, np.datetime64("NaT"), out.values)


class _Slow:
    """Tries one style after another on the rows that are still open."""

    def __init__(self, column: pa.Array, timezone: str, date_order: DateOrder | None) -> None:
        self.raw, self.timezone, self.named = column, timezone, date_order
        size = len(column)
        self.local = np.full(size, "NaT", "datetime64[us]")
        self.utc = np.full(size, "NaT", "datetime64[us]")
        self.open = np.asarray(pc.is_valid(column).to_numpy(zero_copy_only=False))
        self.out = ParsedTimes(self.utc, date_order=date_order)

    def run(self) -> ParsedTimes:
        iso = pc.match_substring_regex(self.raw, _ISO).fill_null(False)
        quick = _fast(pc.if_else(iso, self.raw, None))
        if quick is not None:
            self.local = quick
            self.open &= np.isnat(quick)
        at, text = self._rest(pc.utf8_normalize(self.raw, form="NFKC"))
        for pattern in (_YEAR_FIRST, _COMPACT):
            at, text = self._style(at, text, pattern)
        at, text = self._year_last(at, text)
        at, text = self._serial(at, text)
        at, text = self._epoch(at, text)
        for i in at:
            self.out.faults[int(i)] = (
                f"date {self.raw[int(i)].as_py()!r} is not understood; write it as "
                "2019-03-01 11:05:00"
            )
        given = ~np.isnat(self.local)
        self.utc[given] = _to_utc(self.local[given], self.timezone)
        _check_years(self.out, self.raw)
        return self.out

    def _rest(self, text: pa.Array) -> tuple[npt.NDArray[np.int64], pa.Array]:
        at = np.flatnonzero(self.open)
        return at, pc.utf8_trim_whitespace(text.take(pa.array(at)))

    def _match(self, at: Any, text: pa.Array, pattern: str) -> tuple[Any, Any, Any, Any]:
        """Positions and groups of the rows that match; positions and text of the others."""
        hit = np.asarray(
            pc.match_substring_regex(text, pattern).to_numpy(zero_copy_only=False), bool
        )
        mask = pa.array(hit)
        return at[hit], text.filter(mask), at[~hit], text.filter(pa.array(~hit))

    def _style(self, at: Any, text: pa.Array, pattern: str) -> tuple[Any, Any]:
        found, matched, at, text = self._match(at, text, pattern)
        if len(found):
            part = _Parts(pc.extract_regex(matched, pattern))
            self._set(found, part, part.number("y"), part.number("m"), part.number("d"))
        return at, text

    def _year_last(self, at: Any, text: pa.Array) -> tuple[Any, Any]:
        found, matched, at, text = self._match(at, text, _YEAR_LAST)
        if len(found):
            part = _Parts(pc.extract_regex(matched, _YEAR_LAST))
            a, b = part.number("a"), part.number("b")
            order = self._order(found, a, b, part, matched)
            # A date that has one reading is read so, unless the order is a given.
            open_to_both = (b > 12) | ((a <= 12) & (order != "dmy"))
            month_first = np.full(len(a), order == "mdy") if self.named else open_to_both
            self._set(
                found,
                part,
                part.number("y"),
                np.where(month_first, a, b),
                np.where(month_first, b, a),
            )
            if order is None:
                self._refuse(found[(a <= 12) & (b <= 12) & (a != b)])
        return at, text

    def _order(
        self, found: Any, a: Any, b: Any, part: "_Parts", text: pa.Array
    ) -> DateOrder | None:
        if self.named:
            return self.named
        dotted = np.asarray(pc.match_substring(text, ".").to_numpy(zero_copy_only=False)) & (
            part.number("f") == 0
        )
        for evidence in (
            {"mdy": (a <= 12) & (b > 12), "dmy": (b <= 12) & (a > 12)},
            {"mdy": part.text("ap") != "", "dmy": dotted & (part.text("ap") == "")},
        ):
            shown = {order: np.flatnonzero(rows) for order, rows in evidence.items() if rows.any()}
            if len(shown) == 1:
                order, rows = next(iter(shown.items()))
                sample = self.raw[int(found[rows[0]])].as_py()
                words = "month/day" if order == "mdy" else "day/month"
                self.out.date_order = "mdy" if order == "mdy" else "dmy"
                self.out.note = f"dates with the year last are read as {words}, as {sample!r} shows"
                return self.out.date_order
            if shown:
                return None
        return None

    def _refuse(self, positions: Any) -> None:
        for i in positions:
            self.out.faults[int(i)] = (
                f"date {self.raw[int(i)].as_py()!r} can be month/day or day/month and no other "
                "date shows which; give date_order as mdy or dmy"
            )
        self.local[positions] = self.utc[positions] = np.datetime64("NaT")

    def _set(self, at: Any, part: "_Parts", year: Any, month: Any, day: Any) -> None:
        times, exists = _compose(part, year, month, day)
        for i in at[~exists]:
            self.out.faults[int(i)] = f"date {self.raw[int(i)].as_py()!r} does not exist"
        zone = part.text("z")
        zoned = exists & (zone != "")
        self.utc[at[zoned]] = times[zoned] - _offset(zone[zoned])
        self.local[at[exists & ~zoned]] = times[exists & ~zoned]

    def _serial(self, at: Any, text: pa.Array) -> tuple[Any, Any]:
        found, matched, at, text = self._match(at, text, _SERIAL)
        days = np.asarray(pc.cast(matched, pa.float64()))
        ms = np.round(days * 86_400_000).astype("timedelta64[ms]")  # finer than that is rounding
        self.local[found] = np.datetime64("1899-12-30", "us") + ms
        return at, text

    def _epoch(self, at: Any, text: pa.Array) -> tuple[Any, Any]:
        found, matched, at, text = self._match(at, text, _EPOCH)
        number = np.asarray(pc.cast(matched, pa.float64()))
        us = np.round(number * np.where(number > 1e11, 1e3, 1e6)).astype("timedelta64[us]")
        self.utc[found] = np.datetime64(0, "us") + us
        return at, text


class _Parts:
    """The groups of a pattern; a group that is not there, or did not match, is '' or 0."""

    def __init__(self, groups: pa.StructArray) -> None:
        self.groups, self.size = groups, len(groups)
        self.names = {f.name for f in groups.type}

    def text(self, name: str) -> npt.NDArray[np.object_]:
        if name not in self.names:
            return np.full(self.size, "", object)
        return np.asarray(self.groups.field(name).to_numpy(zero_copy_only=False), object)

    def number(self, name: str) -> npt.NDArray[np.int64]:
        if name not in self.names:
            return np.zeros(self.size, np.int64)
        group = self.groups.field(name)
        if name == "f":  # a fraction of a second, as microseconds
            group = pc.utf8_slice_codeunits(pc.utf8_rpad(group, 6, "0"), 0, 6)
        return np.asarray(pc.cast(pc.if_else(pc.equal(group, ""), "0", group), pa.int64()))


def _compose(part: _Parts, year: Any, month: Any, day: Any) -> tuple[Times, npt.NDArray[np.bool_]]:
    """Dates and times from their parts, and whether they exist."""
    hour, minute, second = part.number("h"), part.number("mi"), part.number("s")
    half = np.char.upper(part.text("ap").astype(str))
    noon = part.text("noon")
    pm = np.char.startswith(half, "P") | np.isin(noon, ["下午", "晚上"])
    am = np.char.startswith(half, "A") | np.isin(noon, ["上午", "凌晨"])
    stated = half != ""
    exists = (month >= 1) & (month <= 12) & (day >= 1) & (year >= 1)
    exists &= ~stated | ((hour >= 1) & (hour <= 12))
    exists &= (hour < 24) | ((hour == 24) & (minute == 0) & (second == 0))
    exists &= (minute < 60) & (second < 60)
    months = ((year - 1970) * 12 + np.clip(month, 1, 12) - 1).astype("datetime64[M]")
    days = months.astype("datetime64[D]")
    exists &= day <= ((months + 1).astype("datetime64[D]") - days).astype(int)
    hour = np.where(pm & (hour < 12), hour + 12, np.where(am & (hour == 12), 0, hour))
    clock_us = ((hour * 60 + minute) * 60 + second) * 1_000_000 + part.number("f")
    days = days + np.clip(day - 1, 0, 30)
    return days.astype("datetime64[us]") + clock_us.astype("timedelta64[us]"), exists


def _offset(zone: npt.NDArray[np.object_]) -> npt.NDArray[np.timedelta64]:
    """How far ahead of UTC zones such as ``Z``, ``+08:00``, ``+0800`` and ``+08`` are."""
    names, which = np.unique(zone.astype(str), return_inverse=True)
    minutes = []
    for name in names:
        digits = "".join(filter(str.isdigit, name)).ljust(4, "0")
        ahead = int(digits[:2]) * 60 + int(digits[2:])
        minutes.append(-ahead if name.startswith("-") else ahead)
    return np.array(minutes, "timedelta64[m]")[which]
