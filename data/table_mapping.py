"""Which column of a file means what, whatever its rows are about."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, field_validator, model_validator

from data.text_stream import TableError
from gis.datum import DatumError
from gis.datum import parse as parse_datum

_PLACE = {
    "lonlat": "lonlat lnglat wkt geometry geom thegeom point coordinates 经纬度 坐标 位置坐标",
    "latlon": "latlon latlng 纬经度",
    "datum": "datum crs coordsys coordinatesystem 坐标系 坐标系统 坐标类型 大地基准",
}
# Longitude and latitude are taken as a pair: x with y, never x with latitude.
_PAIRS = (
    ("longitude lon lng long", "latitude lat"),
    ("经度 东经 lon经度", "纬度 北纬 lat纬度"),
    (
        "x xcoord xcoordinate coordx easting x坐标 横坐标",
        "y ycoord ycoordinate coordy northing y坐标 纵坐标",
    ),
)


def _plain(name: str) -> str:
    return re.sub(r"[\s_\-./()\[\]:]", "", unicodedata.normalize("NFKC", name).lower())


class TableMapping(BaseModel):
    """The columns of a file that hold what every kind of row may have; each is a name or None.

    Subclasses add the fields of their rows, the words by which columns are guessed (`WORDS`) and
    what a row is (`ROW`).

    Attributes
    ----------
    external_id : str or None
        The number under which the source knows it; None: the row's content stands for it.
    lon, lat : str or None
        Longitude and latitude, or easting and northing; both or neither.
    lonlat, latlon : str or None
        Instead of these, one column with both in that order: ``113.1,23.0``, ``POINT (113.1
        23.0)``, a GeoJSON point, ``(23.0, 113.1)``.
    datum : str or None
        The column that names each row's datum.
    datum_is : str or None
        The datum itself, for rows that name none.
    omit : tuple of str
        Columns to leave out. All that are not named anywhere here are kept as attributes.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)

    ROW: ClassVar[str] = "a row"
    WORDS: ClassVar[dict[str, str]] = {}
    SETTINGS: ClassVar[frozenset[str]] = frozenset({"datum_is", "omit"})  # that name no column

    external_id: str | None = None
    lon: str | None = None
    lat: str | None = None
    lonlat: str | None = None
    latlon: str | None = None
    datum: str | None = None
    datum_is: str | None = None
    omit: tuple[str, ...] = ()

    @field_validator("omit", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(value.split(",")) if isinstance(value, str) else value

    @field_validator("datum_is")
    @classmethod
    def _known(cls, value: str | None) -> str | None:
        try:
            return parse_datum(value).name if value else None
        except DatumError as error:
            raise ValueError(str(error)) from None

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.lon is None) != (self.lat is None):
            there, lacking = ("lon", "lat") if self.lon else ("lat", "lon")
            raise ValueError(f"{there} is mapped and {lacking} is not; map both")
        if sum(map(bool, (self.lon, self.lonlat, self.latlon))) > 1:
            raise ValueError("map the position once: lon and lat, or lonlat, or latlon")
        return self

    @classmethod
    def guess(cls, columns: Sequence[str]) -> Self:
        """The mapping that the columns' names suggest, in English or Chinese.

        Examples
        --------
        >>> TableMapping.guess(["工单号", "经度", "纬度"]).lat
        '纬度'
        """
        by_name = {_plain(column): column for column in reversed(columns)}

        def find(names: str) -> str | None:
            return next((by_name[n] for n in map(_plain, names.split()) if n in by_name), None)

        fields: dict[str, Any] = {name: find(names) for name, names in (_PLACE | cls.WORDS).items()}
        pairs = ((find(lon), find(lat)) for lon, lat in _PAIRS)
        fields["lon"], fields["lat"] = next((p for p in pairs if None not in p), (None, None))
        if fields["lon"]:
            fields["lonlat"] = None
        if fields["lon"] or fields["lonlat"]:
            fields["latlon"] = None
        return cls(**fields)

    @classmethod
    def from_flags(cls, flags: Iterable[str], base: "TableMapping | None" = None) -> Self:
        """The mapping given as ``field=column``, such as ``lon=longitude`` or ``datum_is=gcj02``.

        Parameters
        ----------
        flags : iterable of str
            An empty column (``kind=``) takes a field out of the base.
        base : TableMapping, optional
            What holds for fields that no flag names.

        Raises
        ------
        TableError
            A flag is not of that form, or names a field that there is not.
        """
        fields: dict[str, Any] = {}
        for flag in flags:
            name, equals, column = flag.partition("=")
            if not equals:
                raise TableError(f"{flag!r} maps nothing; write field=column, as lon=longitude")
            fields[name.strip()] = column.strip() or (() if name.strip() == "omit" else None)
        kept = base.model_dump() if base else {}
        if fields.keys() & {"lon", "lat", "lonlat", "latlon"}:
            kept |= dict.fromkeys(("lon", "lat", "lonlat", "latlon"))
        return cls._checked(kept | fields, "the mapping")

    @classmethod
    def from_yaml(cls, path: Path | str) -> Self:
        """The mapping in a YAML file of lines ``field: column``.

        Raises
        ------
        TableError
            The file cannot be read, is not such YAML, or names a field that there is not.
        """
        try:
            fields = yaml.safe_load(Path(path).read_text("utf-8-sig"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise TableError(f"the mapping {path} cannot be read: {error}") from error
        if not isinstance(fields, dict):
            raise TableError(f"the mapping {path} must have lines of the form `lon: longitude`")
        return cls._checked(fields, f"the mapping {path}")

    @classmethod
    def _checked(cls, fields: dict[str, Any], what: str) -> Self:
        try:
            return cls(**fields)
        except (ValidationError, TypeError) as error:
            raise TableError(f"{what} is wrong: {cls._sentence(error)}") from None

    @property
    def columns(self) -> dict[str, str]:
        """The fields that are mapped to a column, and that column."""
        fields = self.model_dump(exclude=set(self.SETTINGS), exclude_none=True)
        return {name: str(column) for name, column in fields.items()}

    def check(self, columns: Sequence[str]) -> None:
        """Raise `TableError` unless the file has every column that is mapped."""
        wanted = [*self.columns.items(), *(("omit", column) for column in self.omit)]
        lacking = [f"{name}={column}" for name, column in wanted if column not in columns]
        if lacking:
            raise TableError(
                f"the file has not the columns of {', '.join(lacking)}; it has "
                f"{', '.join(columns)}"
                + (
                    " (a datum for all rows is given as datum_is)"
                    if self._datum_meant(columns)
                    else ""
                )
            )

    def _datum_meant(self, columns: Sequence[str]) -> bool:
        if self.datum is None or self.datum in columns:
            return False
        try:
            parse_datum(self.datum)
        except DatumError:
            return False
        return True

    @classmethod
    def _sentence(cls, error: ValidationError | TypeError) -> str:
        if isinstance(error, TypeError):
            return str(error)
        faults = []
        for fault in error.errors():
            name = ".".join(map(str, fault["loc"]))
            if fault["type"] == "extra_forbidden":
                known = ", ".join(cls.model_fields)
                faults.append(f"{cls.ROW} has no field {name!r}; it has {known}")
            else:
                why = f"{name}: {fault['msg']}".removeprefix(": ").replace("Value error, ", "")
                faults.append(why)
        return "; ".join(faults)
