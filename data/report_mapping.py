"""Which column of a file means what in a report."""

from typing import ClassVar, Literal

from data.table_mapping import TableMapping


class Mapping(TableMapping):
    """The columns of a file that hold the fields of a report; each is a name or None.

    Attributes
    ----------
    accuracy_m, occurred_at, kind, premises, text, address, channel : str or None
        Radius in metres, date and time, kind of matter, kind of place (shop, street, home),
        description, address, way in.
    date_order : {'mdy', 'dmy'} or None
        How dates such as 03/04/2019 are meant; None: told from the other dates.

    Examples
    --------
    >>> Mapping.guess(["工单号", "经度", "纬度", "诉求内容"]).text
    '诉求内容'
    """

    ROW: ClassVar[str] = "a report"
    SETTINGS: ClassVar[frozenset[str]] = TableMapping.SETTINGS | {"date_order"}
    WORDS: ClassVar[dict[str, str]] = {
        "external_id": "externalid reportid caseid ticketid requestid servicerequestid orderid id "
        "objectid uniquekey guid uuid casenumber 工单编号 工单号 诉求编号 案件编号 事件编号 "
        "受理编号 编号 单号 序列号",
        "accuracy_m": "accuracym accuracy horizontalaccuracy gpsaccuracy radius 精度 "
        "定位精度 精度米",
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

    accuracy_m: str | None = None
    occurred_at: str | None = None
    kind: str | None = None
    premises: str | None = None
    text: str | None = None
    address: str | None = None
    channel: str | None = None
    date_order: Literal["mdy", "dmy"] | None = None
