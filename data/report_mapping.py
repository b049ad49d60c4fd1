"""Which column of a file means what in a report."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, field_validator, model_validator

from data.text_stream import TableError
from gis.datum import DatumError
from gis.datum import parse as parse_datum

_NAMES: dict[str, str] = {
    "external_id": "externalid reportid caseid ticketid requestid servicerequestid orderid id "
    "objectid uniquekey guid uuid casenumber 工单编号 工单号 诉求编号 案件编号 事件编号 "
    "受理编号 编号 单号 序列号",
    "lonlat": "lonlat lnglat wkt geometry geom thegeom point coordinates 经纬度 坐标 位置坐标",
    "latlon": "latlon latlng 纬经度",
    "datum": "datum crs coordsys coordinatesystem 坐标系 坐标系统 坐标类型 大地基准",
    "accuracy_m": "accuracym accuracy horizontalaccuracy gpsaccuracy radius 精度 定位精度 精度米",
    "occurred_at": "occurredat occurred eventtime eventdate incidentdate datetime timestamp "
    "reportedat requesteddatetime createddate createdat created date time 发生时间 事发时间 "
    "案发时间 受理时间 上报时间 创建时间 登记时间 来电时间 时间 日期",
    "kind": "kind primarytype category type servicename servicecode complainttype eventtype "
    "类别 事项类别 事项 类型 诉求类型 事件类型 案件类型 问题类型 分类",
    "text": "text description details content summary title remarks 诉求内容 事件描述 问题描述 "
    "描述 内容 主要内容 详情 标题 摘要",
    "address": "address addressstring streetaddress incidentaddress location_address block "
    "地址 详细地址 事发地址 事发地点 发生地点 发生地址 地点 位置",
    "premises": "premises locationdescription locationtype placetype premisetype 场所 场所类型 "
    "地点类型 处所",
    "channel": "channel source origin 渠道 来源渠道 来源 受理渠道 诉求渠道",
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


class Mapping(BaseModel):
    """The columns of a file that hold the fields of a report; each is a name or None.

    Attributes
    ----------
    external_id : str or None
        The number under which the source knows the report; None: the row's content stands for it.
    lon, lat : str or None
        Longitude and latitude, or easting and northing; both or neither.
    lonlat, latlon : str or None
        Instead of these, one column with both in that order: ``113.1,23.0``, ``POINT (113.1
        23.0)``, a GeoJSON point, ``(23.0, 113.1)``.
    datum : str or None
        The column that names each row's datum.
    datum_is : str or None
        The datum itself, for rows that name none.
    accuracy_m, occurred_at, kind, premises, text, address, channel : str or None
        Radius in metres, date and time, kind of matter, kind of place (shop, street, home),
        description, address, way in.
    date_order : {'mdy', 'dmy'} or None
        How dates such as 03/04/2019 are meant; None: told from the other dates.
    omit : tuple of str
        Columns to leave out. All that are not named anywhere here are kept as attributes.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)

    external_id: str | None = None
    lon: str | None = None
    lat: str | None = None
    lonlat: str | None = None
    latlon: str | None = None
    datum: str | None = None
    datum_is: str | None = None
    accuracy_m: str | None = None
    occurred_at: str | None = None
    kind: str | None = None
    premises: str | None = None
    text: str | None = None
    address: str | None = None
    channel: str | None = None
    date_order: Literal["mdy", "dmy"] | None = None
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
        >>> Mapping.guess(["工单号", "经度", "纬度", "诉求内容"]).lon
        '经度'
        """
        by_name = {_plain(column): column for column in reversed(columns)}

        def find(names: str) -> str | None:
            return next((by_name[n] for n in map(_plain, names.split()) if n in by_name), None)

        fields: dict[str, Any] = {name: find(names) for name, names in _NAMES.items()}
        pairs = ((find(lon), find(lat)) for lon, lat in _PAIRS)
        fields["lon"], fields["lat"] = next((p for p in pairs if None not in p), (None, None))
        if fields["lon"]:
            fields["lonlat"] = None
        if fields["lon"] or fields["lonlat"]:
            fields["latlon"] = None
        return cls(**fields)

    @classmethod
    def from_flags(cls, flags: Iterable[str], base: "Mapping | None" = None) -> Self:
        """The mapping given as ``field=column``, such as ``lon=longitude`` or ``datum_is=gcj02``.

        Parameters
        ----------
        flags : iterable of str
            An empty column (``kind=``) takes a field out of the base.
        base : Mapping, optional
            What holds for fields that no flag names.

        Raises
        ------
        TableError
            A flag is not of that form, or names a field that a report has not.
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
            The file cannot be read, is not such YAML, or names a field that a report has not.
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
            raise TableError(f"{what} is wrong: {_sentence(error)}") from None

    @property
    def columns(self) -> dict[str, str]:
        """The fields that are mapped to a column, and that column."""
        fields = self.model_dump(exclude={"datum_is", "date_order", "omit"}, exclude_none=True)
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


def _sentence(error: ValidationError | TypeError) -> str:
    if isinstance(error, TypeError):
        return str(error)
    faults = []
    for fault in error.errors():
        name = ".".join(map(str, fault["loc"]))
        if fault["type"] == "extra_forbidden":
            known = ", ".join(Mapping.model_fields)
            faults.append(f"a report has no field {name!r}; it has {known}")
        else:
            faults.append(f"{name}: {fault['msg']}".removeprefix(": ").replace("Value error, ", ""))
    return "; ".join(faults)
