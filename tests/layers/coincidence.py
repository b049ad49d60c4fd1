"""Invented figures of beats and grids for the tests of the coverage page."""

from datetime import timedelta
from functools import cache

import numpy as np
import pandas as pd

from data.integration import Asked, Integration
from tests.layers.cities import NOON, drawn

CITY = drawn(16)
TOWNS = ["440604001", "440605001"]


@cache
def made_up(side: int = 16, notes: tuple[str, ...] = ()) -> Integration:
    """Figures for the city of `drawn`: every tenth grid split, and given to the beat B1."""
    codes = (CITY if side == 16 else drawn(side)).areas["grids"]["code"].to_numpy()
    n = np.arange(len(codes))
    split = n % 10 == 3
    grids = pd.DataFrame(
        {
            "name": [f"第{i}网格" for i in n],
            "town": np.array(TOWNS)[n * 2 // len(n)],
            "residents": np.where(n % 50 == 7, 0.0, np.where(n % 50 == 8, np.nan, 1000.0)),
            "kind": np.where(split, "several", "one"),
            "beats": np.where(split, 2, 1),
            "main": "B1",
            "in_main": np.where(split, 0.6, 1.0),
            "officers": np.where(n % 20 == 1, 0, 1),
            "officer_part": np.where(n % 20 == 1, 0.0, 1 / (20 + n % 7)),
            "workers": 2,
            "officer": (n % 25) * 60.0,
            "worker": np.where(n % 30 == 2, np.nan, 60.0),
            "post": 1500.0,
            "officer_rate": 0.05,
            "reason": np.where(n % 50 == 7, "nobody", np.where(n % 50 == 8, "not_counted", "")),
            "due": n % 3,
            "done": n % 4,
            "missed": 0,
            "incidents": n % 5,
        },
        index=pd.Index(codes, name="code"),
    )
    count = grids.groupby("town").size()
    towns = pd.DataFrame(
        {
            "name": ["甲镇", "<i>乙镇</i>"], "grids": count.to_numpy(), "residents": 1e5,
            "split": 12, "none": 0, "officer_part": 6.0, "index": [71.25, 88.0],
            "index_after": [80.0, 90.0], "whole": 0.9, "together": 0.96, "officers": 1.0,
            "reach": [0.5, np.nan],
        },
        index=pd.Index(TOWNS, name="town"),
    )  # fmt: skip
    moved = codes[split]
    moves = pd.DataFrame(
        {"grid": moved, "town": grids.loc[moved, "town"].to_numpy(), "beat": "B1", "main": "B1",
         "score": 0.6, "residents": 400.0, "incidents": 1.0, "area_m2": 2e5}
    )  # fmt: skip
    gaps = pd.DataFrame(
        {"grid": codes[:90], "town": TOWNS[0], "kind": "far", "residents": 1000.0 - np.arange(90)}
    )
    covered = pd.DataFrame(
        [
            (whom, n, 0.5, np.nan, 0.4)
            for whom in ("officer", "worker", "post")
            for n in (5, 10, 15)
        ],
        columns=["whom", "minutes", "residents", "incidents", "grids"],
    )
    return Integration(
        asked=Asked(NOON, NOON - timedelta(days=30), NOON),
        travel="roads",
        grids=grids,
        beats=pd.DataFrame(
            {"name": ["一区"], "grids": [256], "residents": [2e5], "incidents": [9.0],
             "load": [1.0], "load_after": [1.0]}, index=pd.Index(["B1"], name="code"),
        ),
        matrix=pd.DataFrame(),
        overlaps=pd.DataFrame({"beat": ["B1"], "other": ["B2"], "area_m2": [100.0]}),
        towns=towns,
        gaps=gaps,
        moves=moves,
        left=pd.DataFrame({"grid": codes[:1], "reason": ["balance"]}),
        covered=covered,
        index=79.6,
        index_after=85.0,
        notes=list(notes),
    )  # fmt: skip
