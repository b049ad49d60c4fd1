"""Which column of a file means what in a resource."""

from typing import ClassVar

from data.table_mapping import TableMapping


class ResourceMapping(TableMapping):
    """The columns of a roster that hold the fields of a resource; each is a name or None.

    Attributes
    ----------
    name, kind, organisation, mode, shift : str or None
        Name; kind, body, way of moving and shift, by their names or titles.
    kind_is : str or None
        The kind itself, for rows that name none.
    skills, areas : str or None
        Skills by name or title, and codes of the areas answered for; separated by semicolons.
    area, address : str or None
        Where it is at home, beside a position: the code of an area, an address.
    capacity : str or None
        How many tasks it can have at once; 1 where it is not given.

    Examples
    --------
    >>> ResourceMapping.guess(["工号", "姓名", "岗位", "所属网格", "专长"]).skills
    '专长'
    """

    ROW: ClassVar[str] = "a resource"
    SETTINGS: ClassVar[frozenset[str]] = TableMapping.SETTINGS | {"kind_is"}
    WORDS: ClassVar[dict[str, str]] = {
        "external_id": "externalid resourceid staffid employeeid personid badgenumber badge id "
        "code uuid 工号 人员编号 员工编号 警号 机构编号 资源编号 编号 编码 序列号",
        "name": "name fullname title 姓名 名称 人员姓名 单位名称 机构名称",
        "kind": "kind type category role 类别 类型 岗位 角色 人员类别 人员类型 资源类型 身份",
        "organisation": "organisation organization organisationcode agency department unit org "
        "单位 所属单位 所属机构 机构 部门 所属部门 工作单位",
        "skills": "skills skill specialty specialties expertise services 技能 专长 特长 擅长 "
        "擅长领域 服务项目 业务范围",
        "area": "area areacode homearea grid gridcode 网格 所属网格 网格编码 网格编号 网格代码 "
        "所属区域 区域编码 区划代码",
        "areas": "areas answersfor responsiblefor covers 责任区 责任区域 责任网格 负责区域 "
        "负责网格 包干区域 管辖区域",
        "mode": "mode waysofmoving transport vehicle 出行方式 交通方式 交通工具",
        "shift": "shift shifts duty 班次 值班 排班 轮班",
        "capacity": "capacity 容量 接待能力 任务上限",
        "address": "address addressstring homeaddress 地址 详细地址 住址 家庭住址 办公地址 "
        "常驻地址 地点",
    }

    name: str | None = None
    kind: str | None = None
    kind_is: str | None = None
    organisation: str | None = None
    skills: str | None = None
    area: str | None = None
    areas: str | None = None
    address: str | None = None
    mode: str | None = None
    shift: str | None = None
    capacity: str | None = None
