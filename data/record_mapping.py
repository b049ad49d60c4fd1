"""Which column of a file means what in a collected record, and which are about a person."""

import re
from typing import ClassVar, Literal

from pydantic import field_validator

from data.table_mapping import TableMapping
from data.words import Words

# What cities collect, by the names and titles that files use; other kinds are kept as they are.
KINDS = Words(
    "kind of record",
    [
        ("resident", ("实有人口", "Resident", "人口", "居民", "流动人口", "户籍人口")),
        ("dwelling", ("实有房屋", "Dwelling", "房屋", "住房", "住宅")),
        ("rental", ("出租屋", "Rental home", "出租房", "出租房屋", "租赁房屋")),
        ("firm", ("实有单位", "Firm", "企业", "单位", "商铺", "个体工商户")),
        ("danger", ("安全隐患", "Hidden danger", "隐患", "风险隐患", "消防隐患")),
        ("venue", ("重点场所", "Venue", "场所")),
    ],
)

OF_A_PERSON = ("name", "phone", "identity")
# Columns that nobody mapped are sealed if their name says that they are about a person.
_PERSONAL = re.compile(
    "姓名|名字|电话|手机|联系方式|联系人|身份证|证件号|证号|户主|房东|业主|租客|租户|承租人|法定代表人|法人"
    "|负责人|采集人|采集员|登记人|出生|生日|性别|民族|籍贯|微信|邮箱|护照|银行卡|车牌|监护人|配偶"
    r"|\bname\b|phone|mobile|\btel\b|e-?mail|id.?card|passport|birth|gender|owner|tenant|landlord"
    "|contact|first.?name|last.?name|full.?name|surname|licence.?plate|license.?plate",
    re.IGNORECASE,
)


def is_personal(column: str) -> bool:
    """Whether a column's name says that it holds personal data.

    >>> is_personal("房东联系电话"), is_personal("层数")
    (True, False)
    """
    return bool(_PERSONAL.search(column.replace("_", " ")))


class RecordMapping(TableMapping):
    """The columns of a file that hold the fields of a record; each is a name or None.

    Attributes
    ----------
    kind, kind_is : str or None
        What it is a record of, by column or for all rows.
    title, address, accuracy_m, collected_at, collected_by : str or None
        A firm's or a site's name, address, radius in metres, when and by which post it was
        collected.
    area : str or None
        Code of the area of the tree that its collector says it is in: it counts there while it
        has no grid.
    name, phone, identity : str or None
        Of the person; sealed.
    personal : tuple of str
        Further columns that are sealed, beside those whose names say that they are about a person.

    Examples
    --------
    >>> RecordMapping.guess(["编号", "企业名称", "法定代表人", "经度", "纬度"]).title
    '企业名称'
    """

    ROW: ClassVar[str] = "a record"
    SETTINGS: ClassVar[frozenset[str]] = TableMapping.SETTINGS | {
        "date_order", "kind_is", "personal",
    }  # fmt: skip
    WORDS: ClassVar[dict[str, str]] = {
        "external_id": "externalid recordid id objectid guid uuid code 记录编号 采集编号 房屋编码 "
        "房屋编号 企业编号 人员编号 统一社会信用代码 编号 编码 序列号",
        "kind": "kind recordtype type category 采集类型 记录类别 数据类型 类别 类型 分类",
        "title": "title companyname firmname sitename 企业名称 单位名称 公司名称 场所名称 项目名称 "
        "小区名称 隐患名称 名称 标题",
        "address": "address addressstring streetaddress 地址 详细地址 房屋地址 居住地址 现住址 "
        "经营地址 注册地址 隐患地点 地点 位置",
        "accuracy_m": "accuracym accuracy horizontalaccuracy radius 精度 定位精度 精度米",
        "collected_at": "collectedat collected recordedat updatedat createdat date time 采集时间 "
        "采集日期 登记时间 登记日期 更新时间 核查时间 时间 日期",
        "collected_by": "collectedby agency department 采集单位 采集部门 登记单位 采集岗位",
        "area": "area areacode grid gridcode village villagecode 所属网格 网格编码 网格编号 "
        "所属村居 所属社区 村居代码 社区代码 区划代码",
        "name": "name fullname personname 姓名 人员姓名 户主 房东 业主",
        "phone": "phone mobile tel telephone 手机 手机号 手机号码 联系电话 电话 联系方式",
        "identity": "identity idnumber idcard identitynumber 身份证 身份证号 身份证号码 证件号码 "
        "公民身份号码",
    }

    kind: str | None = None
    kind_is: str | None = None
    title: str | None = None
    address: str | None = None
    accuracy_m: str | None = None
    collected_at: str | None = None
    collected_by: str | None = None
    area: str | None = None
    name: str | None = None
    phone: str | None = None
    identity: str | None = None
    personal: tuple[str, ...] = ()
    date_order: Literal["mdy", "dmy"] | None = None

    @field_validator("personal", mode="before")
    @classmethod
    def _listed(cls, value: object) -> object:
        return tuple(value.split(",")) if isinstance(value, str) else value
