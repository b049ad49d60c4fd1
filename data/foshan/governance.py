"""Who governs the demonstration city: the article's figures, and tables of bodies and their work.

Figures marked `article` are those of the report on Foshan that the project is modelled on; what it
does not count is set here, in one place, to be believable.
"""

from typing import NamedTuple

from data.catalogue import Titled
from gis.calendars import Unit

SOURCE = "demonstration"

# --- people in the grids --------------------------------------------------------------------------

PEOPLE = 220_000
"""Grid workers and informants in all (article)."""
HELPERS_PER_GRID = 2
HEADS_PER_GRID = 10
"""Party members who head a household group (党员楼长)."""
WORKERS_OF_TOWN = {"440608004": 264}
"""Leads and helpers of Hecheng (article)."""
VOLUNTEERS = {"440604": 600}
"""The 飞鸿联盟 of Chancheng (article); the rest of `PEOPLE` are informants."""
LARGE_GRID_M2 = 400_000
"""In a grid of more than this nobody walks to work."""


class Role(NamedTuple):
    """What people of one kind have in common; lists are gone through person by person."""

    title: str
    shifts: tuple[str | None, ...]
    skills: tuple[tuple[str, ...], ...]
    capacity: int = 1


ROLES = {
    "grid_lead": Role("网格长", ("day",), (("grid_management", "neighbours"),), 2),
    "grid_helper": Role(
        "网格员", ("day", "day", "night"),
        (("grid_management",), ("grid_management", "fire_safety"), ("first_aid",),
         ("grid_management", "electrical"), ("neighbours",)),
    ),
    "household_head": Role("党员楼长", ("spare_time",), ((), ("neighbours",), (), ("first_aid",))),
    "informant": Role("信息员", (None,), ((), (), (), ("first_aid",), ())),
    "volunteer": Role("飞鸿联盟志愿者", (None,), ((), ("first_aid",), (), ("fire_safety",))),
    "police_officer": Role("社区民警", ("day",), (("neighbours", "traffic"),), 2),
    "patrol": Role("巡逻车组", ("watch_1", "watch_2", "watch_3", "watch_4"), (("traffic",),)),
    "mediator": Role("调解员", ("office", "office", "spare_time"), ((),), 2),
    "lawyer": Role("驻所律师", ("office",), (("mediation", "property", "labour"),), 2),
}  # fmt: skip
PATROL_RESIDENTS = 150_000
"""Residents of a town for each patrol car on a watch."""

# --- places ---------------------------------------------------------------------------------------

ROOMS = ("reception", "mediation", "monitoring", "grid_management", "departments", "counselling")
"""One hall and five rooms (一厅五室) of every centre (article)."""
COURT_ROOMS = ("court_circuit", "arbitration")
COURT_TOWNS = ("440604010", "440606003", "440607101", "440605124", "440605011", "440608004")
"""Towns whose centre has rooms of the court and the tribunal, Shiwan first (article)."""
COMMITTEES = 1373
"""People's mediation committees (article): of villages, towns and firms."""
WORKSTATIONS = 97
LABOUR_CENTRES = 22
STUDIOS = 55
"""Stations for disputes at their source, labour-dispute centres, personal studios (article)."""
CAPACITY = {
    "centre": 12, "sub_centre": 6, "police_station": 8, "mediation_committee": 3,
    "mediation_workstation": 3, "labour_dispute_centre": 5, "mediation_studio": 2, "joint_team": 1,
}  # fmt: skip
MEDIATORS = {"town": 4, "village": 2, "firm": 1, "studio": 1}
"""Mediators of a committee of each level, and of a studio."""
VILLAGE_SKILLS = {"rural": ("neighbours", "family", "land"), "urban": ("neighbours", "family",
                  "property")}  # fmt: skip
SITE_SKILLS = {
    "industrial_park": ("labour",), "school": ("family",), "hospital": ("medical",),
    "market": ("consumer",), "": ("labour",),
}  # fmt: skip
STATION_TOPICS = ("labour", "finance", "property", "intellectual_property")
"""What the workstations are for (article)."""
SPECIALTIES = {
    "劳动争议": "labour", "婚姻家庭": "family", "物业纠纷": "property", "土地征收": "land",
    "交通事故": "traffic", "商事纠纷": "commercial",
}  # fmt: skip
"""The sub-centres' specialties as skills."""
STUDIO_TOPICS = ("neighbours", "family", "labour", "property", "consumer", "land", "commercial")
SKILLS = (
    Titled(name="finance", title="金融纠纷", title_en="Financial disputes"),
    Titled(name="intellectual_property", title="知识产权纠纷", title_en="Intellectual property"),
    Titled(name="commercial", title="商事纠纷", title_en="Commercial disputes"),
    Titled(name="street_order", title="市容秩序", title_en="Order in the streets"),
    Titled(name="public_works", title="市政设施", title_en="Public works"),
)
"""Those that every city has are there already."""

# --- bodies ---------------------------------------------------------------------------------------


class Body(NamedTuple):
    """An organisation of the city and of every district, and whom it keeps at each centre.

    `{}` stands for the district's name. `staff` has the skills of each of them; on watches there
    is one for each watch.
    """

    role: str
    city: str
    district: str
    title: str
    staff: tuple[tuple[str, ...], ...] = ()
    shifts: tuple[str, ...] = ("office",)


_WATCHES = ("watch_1", "watch_2", "watch_3", "watch_4")
BODIES = {
    "centre": Body("centre", "佛山市综治中心", "{}综治中心", "综治中心"),
    "court": Body(
        "six", "佛山市中级人民法院", "{}人民法院", "法院", (("mediation", "court_circuit"),)
    ),
    "procuratorate": Body(
        "six", "佛山市人民检察院", "{}人民检察院", "检察院", (("mediation",),)
    ),
    "police": Body("six", "佛山市公安局", "{}公安分局", "公安", (("mediation", "traffic"),)),
    "justice": Body(
        "six", "佛山市司法局", "{}司法局", "司法所",
        (("mediation", "neighbours", "family"), ("mediation", "property")),
    ),
    "grid": Body(
        "six", "佛山市综合网格服务管理中心", "{}综合网格服务管理中心", "综合网格",
        (("grid_management",),),
    ),
    "platform": Body(
        "six", "粤平安云平台佛山市工作专班", "粤平安云平台{}工作专班", "粤平安云平台",
        (("monitoring",),),
    ),
    "urban": Body(
        "other", "佛山市城市管理和综合执法局", "{}城市管理和综合执法局", "城管",
        (("street_order",), ("street_order", "public_works")), ("day",),
    ),
    "fire": Body(
        "other", "佛山市消防救援支队", "{}消防救援大队", "消防救援",
        (("fire_safety", "first_aid"),) * 4, _WATCHES,
    ),
    "housing": Body(
        "other", "佛山市住房和城乡建设局", "{}住房城乡建设局", "住建",
        (("property",), ("public_works", "electrical")),
    ),
    "labour": Body(
        "other", "佛山市人力资源和社会保障局", "{}人力资源和社会保障局", "人社",
        (("labour",), ("labour", "arbitration")),
    ),
    "market": Body(
        "other", "佛山市市场监督管理局", "{}市场监督管理局", "市场监管",
        (("consumer",), ("consumer", "intellectual_property")),
    ),
}  # fmt: skip
TOWN_BODIES = {"centre": "{}综治中心", "police": "{}派出所", "grid": "{}综合网格服务管理中心"}
"""Bodies that every town has as well."""

# --- who is asked for what ------------------------------------------------------------------------

GRID = ("grid_lead", "grid_helper")
RULES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "噪音扰民": ((*GRID, "police_officer"), ()),
    "占道经营": (("grid_lead", "staff"), ("street_order",)),
    "违规停车": (("police_officer", "patrol", "grid_helper"), ("traffic",)),
    "路面破损": ((*GRID, "staff"), ("public_works",)),
    "垃圾堆放": ((*GRID, "staff"), ("street_order",)),
    "物业纠纷": (("mediator", "staff"), ("property",)),
    "邻里纠纷": (("mediator", "grid_lead"), ("neighbours",)),
    "劳资纠纷": (("mediator", "staff"), ("labour",)),
    "消费纠纷": (("mediator", "staff"), ("consumer",)),
    "电动车违规充电": ((*GRID, "household_head"), ("electrical",)),
    "消防隐患": (("grid_lead", "staff"), ("fire_safety",)),
    "烟花爆竹": (("police_officer", "patrol", "grid_lead", "volunteer"), ()),
    "井盖缺失": ((*GRID, "staff"), ("public_works",)),
    "路灯故障": ((*GRID, "staff"), ("public_works",)),
    "树木倒伏": ((*GRID, "staff", "patrol"), ("public_works",)),
    "出租屋隐患": (("grid_lead", "grid_helper", "police_officer"), ("electrical",)),
    "排水堵塞": ((*GRID, "staff"), ("public_works",)),
}
"""Kind of matter: kinds of resources that are asked, and skills that are wanted."""

# --- how long things may take ---------------------------------------------------------------------

AROUND_THE_CLOCK = ("police", "fire")
"""Bodies that never close; the others work office hours, as those above them do."""


class Allowance(NamedTuple):
    """A service time of the city: amount and unit, and the calendar if not the organisation's."""

    amount: float
    unit: Unit
    calendar: str | None = None
    order_after_h: float | None = None


SIMPLE = Allowance(1, "working_days", order_after_h=7)
GENERAL = Allowance(7, "working_days", order_after_h=14)
COMPLEX = Allowance(20, "working_days", order_after_h=35)
"""A day for simple matters, seven for general and twenty for complex ones (Dongzhi's 综治 rule)."""
LIFE_SAFETY = Allowance(2, "hours", "always", 2)
UTILITIES = Allowance(24, "hours", "always", 24)
"""Two hours where life is at stake and 24 for utilities (Beijing's draft for 12345)."""
HANDLING: dict[str | None, Allowance] = {
    None: GENERAL,
    "噪音扰民": SIMPLE, "占道经营": SIMPLE, "违规停车": SIMPLE, "垃圾堆放": SIMPLE,
    "电动车违规充电": SIMPLE, "烟花爆竹": SIMPLE,
    "井盖缺失": LIFE_SAFETY, "树木倒伏": LIFE_SAFETY, "消防隐患": LIFE_SAFETY,
    "路灯故障": UTILITIES, "排水堵塞": UTILITIES, "路面破损": UTILITIES,
    "物业纠纷": COMPLEX, "劳资纠纷": COMPLEX,
}  # fmt: skip
"""Kind of matter: the time from its report to its end; None: of all others."""
