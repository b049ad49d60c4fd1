"""Reports as a city's day brings them, for the demonstration: through hotline, phone and counter.

The places are the demonstration city's addresses; the matters are those that the field knows. As
in life, a few name no place, some only an address, and some a position that is off.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

from gis.datum import from_wgs84
from gis.placement import metres_per_degree

# kind, kind of place, what is said, how often
MATTERS: tuple[tuple[str, str, str, int], ...] = (
    ("噪音扰民", "住宅小区", "夜间装修施工噪音扰民，请尽快处理", 12),
    ("占道经营", "道路", "流动摊贩占道经营，行人无法通行", 11),
    ("违规停车", "道路", "机动车占用消防通道停放", 11),
    ("路面破损", "道路", "路面破损积水，存在安全隐患", 7),
    ("垃圾堆放", "住宅小区", "楼道及路边垃圾长期无人清运", 8),
    ("物业纠纷", "住宅小区", "业主与物业公司因收费问题发生争执", 6),
    ("邻里纠纷", "住宅小区", "邻里因漏水赔偿协商不成", 6),
    ("劳资纠纷", "工地", "工人反映工资未按时发放", 4),
    ("消费纠纷", "商铺", "商家拒绝退还预付卡余额", 5),
    ("电动车违规充电", "住宅小区", "电动自行车进楼入户充电", 6),
    ("消防隐患", "商铺", "安全出口被杂物堵塞", 4),
    ("烟花爆竹", "住宅小区", "有人在小区内违规燃放烟花爆竹", 3),
    ("井盖缺失", "道路", "井盖缺失，请设置围挡", 3),
    ("路灯故障", "道路", "整段路灯不亮", 4),
    ("树木倒伏", "道路", "行道树倾斜，影响通行", 2),
    ("出租屋隐患", "住宅小区", "出租屋内私拉电线", 4),
    ("排水堵塞", "道路", "下水道堵塞，污水外溢", 4),
)
CHANNELS = {"12345": 0.45, "grid-worker": 0.3, "mini-program": 0.15, "110": 0.07, "walk-in": 0.03}
DATUM = {"12345": "gcj02", "grid-worker": "gcj02", "mini-program": "gcj02", "110": "wgs84"}
ACCURACY_M = {"12345": 50.0, "grid-worker": 10.0, "mini-program": 25.0, "110": 30.0}
BY_HOUR = np.array([2, 1, 1, 1, 1, 2, 3, 5, 8, 9, 9, 8, 6, 7, 8, 8, 8, 7, 7, 8, 8, 7, 5, 3], float)


def reports(places: pd.DataFrame, seed: int = 4406) -> Iterator[dict[str, Any]]:
    """Reports without end, as the body of `POST /api/v1/reports`, without times and numbers.

    Parameters
    ----------
    places : columns address, lon, lat (WGS 84)
    """
    rng = np.random.default_rng(seed)
    weight = np.array([m[3] for m in MATTERS], float)
    while True:
        kind, premises, said, _ = MATTERS[rng.choice(len(MATTERS), p=weight / weight.sum())]
        source = str(rng.choice(list(CHANNELS), p=list(CHANNELS.values())))
        place = places.iloc[int(rng.integers(len(places)))]
        report: dict[str, Any] = {
            "source": source, "channel": source, "kind": kind, "premises": premises,
            "description": said,
        }  # fmt: skip
        fate = rng.random()
        if fate > 0.01:  # one in a hundred says nothing of the place
            report["address"] = place.address
        if source in DATUM and fate > 0.08:
            report |= _position(rng, place.lon, place.lat, source)
        yield report


def _position(
    rng: np.random.Generator, lon: float, lat: float, source: str
) -> dict[str, float | str]:
    """A position near the address, in the source's datum and as accurate as it is."""
    radius = ACCURACY_M[source] * np.sqrt(rng.random())
    angle = rng.random() * 2 * np.pi
    mx, my = metres_per_degree(lat)
    x, y = from_wgs84(
        lon + radius * np.cos(angle) / mx, lat + radius * np.sin(angle) / my, DATUM[source]
    )
    return {
        "lon": round(float(x), 6), "lat": round(float(y), 6), "datum": DATUM[source],
        "accuracy_m": ACCURACY_M[source],
    }  # fmt: skip


def day(places: pd.DataFrame, now: datetime, count: int, seed: int = 4406) -> pd.DataFrame:
    """The reports of the last 24 hours, as a table that `import reports` reads.

    Parameters
    ----------
    now : aware; `count` reports come before it, as the hours of a day bring them
    """
    rng = np.random.default_rng([seed, 24])
    hours = (now.hour - np.arange(24)) % 24
    back = rng.choice(24, size=count, p=BY_HOUR[hours] / BY_HOUR.sum()) + rng.random(count)
    rows = []
    for number, (hour, report) in enumerate(
        zip(np.sort(back)[::-1], reports(places, seed), strict=False), 1
    ):
        moment = pd.Timestamp(now) - pd.Timedelta(hours=float(hour))
        rows.append({"id": f"D{now:%Y%m%d}{number:05d}", "time": moment.isoformat(), **report})
    return pd.DataFrame(rows)
