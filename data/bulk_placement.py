"""Placement of many reports at once: the map and the memory as arrays, taken from the database."""

from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Lock
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt
import orjson
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import Connection, text

from data import areas
from data.settings import settings
from gis import addresses as address_text
from gis.placement import Clues, Coverage, Memory, Method, Placement

Objects = npt.NDArray[np.object_]
Ints = npt.NDArray[np.int64]

METHOD_NAMES = {
    Method.NONE: "none",
    Method.INSIDE: "inside",
    Method.ON_BORDER: "on_border",
    Method.SNAPPED: "snapped",
}

_BOUNDARIES = text("""
SELECT DISTINCT moment FROM (
    SELECT unnest(ARRAY[lower(v.valid), upper(v.valid)]) AS moment
    FROM area_version v JOIN area a ON a.id = v.area_id
    WHERE a.layer = :layer AND v.recorded @> (SELECT max(id) FROM change WHERE recorded <= :known)
) m WHERE moment IS NOT NULL AND isfinite(moment) ORDER BY moment
""")

_MEMORY = text("""
SELECT ST_X(geom) AS lon, ST_Y(geom) AS lat, area_id, coalesce(street, '') AS street,
       coalesce(block, '') AS block, coalesce(side, -1) AS side, coalesce(premises, '') AS premises
FROM confirmation WHERE informative AND layer = :layer AND recorded <= :known ORDER BY id
""")


@dataclass
class Placed:
    """Reports with the areas that they were given; arrays of one length n, or as said."""

    area_id: Ints  # -1: none
    version_id: Ints
    code: Objects  # '' for none
    method: Objects
    ambiguous: npt.NDArray[np.bool_]
    border_m: npt.NDArray[np.float64]
    alternatives: pa.Array  # JSON text, null where there is only one
    listed: Objects  # codes of the ambiguous rows' candidates, one after the other
    listed_row: Ints  # and the row of each

    @classmethod
    def nowhere(cls, n: int) -> "Placed":
        """What n reports are before they are placed."""
        return cls(
            np.full(n, -1), np.full(n, -1), np.full(n, "", object), np.full(n, "none", object),
            np.zeros(n, bool), np.full(n, np.nan), pa.nulls(n, pa.string()),
            np.empty(0, object), np.empty(0, np.int64),
        )  # fmt: skip


class Map:
    """A layer at every moment of its history, as it was known at one: places reports in bulk."""

    def __init__(
        self, connection: Connection, layer: str, known: datetime, *, memory: bool = True
    ) -> None:
        self.layer, self.known = layer, known
        asked = {"layer": layer, "known": known}
        found = connection.execute(_BOUNDARIES, asked).scalars().all()
        self.moments = pd.DatetimeIndex(found, tz="UTC").as_unit("us")
        self._connection, self._lock = connection, Lock()
        self._maps: dict[int, tuple[pd.DataFrame, Coverage, Memory | None]] = {}
        rows = connection.execute(_MEMORY, asked).all() if memory else []
        self._memory = pd.DataFrame(
            rows, columns=["lon", "lat", "area_id", "street", "block", "side", "premises"]
        )

    def _map(self, epoch: int) -> tuple[pd.DataFrame, Coverage, Memory | None]:
        """The map between two changes of the borders, made when first needed."""
        with self._lock:
            return self._made(epoch)

    def _made(self, epoch: int) -> tuple[pd.DataFrame, Coverage, Memory | None]:
        if epoch not in self._maps:
            at = self.moments[epoch - 1] if epoch else pd.Timestamp(datetime.min, tz=UTC)
            frame = areas.read(
                self._connection,
                self.layer,
                known=self.known,
                at=at.to_pydatetime() if epoch else datetime(1, 1, 1, tzinfo=UTC),
            )
            coverage = Coverage(frame.geometry.values, (frame.kind == "dedicated").to_numpy())
            self._maps[epoch] = (frame, coverage, self._recall(frame))
        return self._maps[epoch]

    def _recall(self, frame: pd.DataFrame) -> Memory | None:
        index = pd.Series(np.arange(len(frame)), frame["area_id"])
        area = index.reindex(self._memory["area_id"]).to_numpy()
        # What was confirmed for an area that is no longer there still speaks against the others.
        area = np.where(np.isnan(area), -1, area).astype(np.int64)
        if not len(area):
            return None
        kept = self._memory
        return Memory(
            kept.lon.to_numpy(),
            kept.lat.to_numpy(),
            area,
            kept.street.to_numpy(object),
            kept.block.to_numpy(object),
            kept.side.to_numpy(np.int64),
            kept.premises.to_numpy(object),
        )

    def place(
        self,
        lon: npt.NDArray[np.float64],
        lat: npt.NDArray[np.float64],
        accuracy_m: npt.NDArray[np.float64],
        at: pd.DatetimeIndex,
        address: Objects,
        premises: Objects,
    ) -> Placed:
        """Place n reports by the borders of each one's moment."""
        out = Placed.nowhere(len(lon))
        epochs = self.moments.searchsorted(at.as_unit("us"), side="right")
        lists: list[_Lists] = []
        for epoch in np.unique(epochs):
            rows = np.flatnonzero(epochs == epoch)
            frame, coverage, memory = self._map(int(epoch))
            clues = _clues(address[rows], premises[rows]) if memory else None
            placement = coverage.place(
                lon[rows],
                lat[rows],
                accuracy_m[rows],
                border_m=settings().border_m,
                snap_m=settings().snap_m,
                memory=memory,
                clues=clues,
                far_borders=False,
            )
            _fill(out, rows, frame, placement)
            lists.append(_Lists.of(rows, frame, placement))
        if lists:
            _list(out, lists)
        return out


def _clues(address: Objects, premises: Objects) -> Clues:
    parsed = address_text.parse(["" if a is None else a for a in address])
    known = np.array(["" if p is None else p for p in premises], object)
    return Clues(parsed.street, parsed.block, parsed.side.astype(np.int64), known)


def _fill(out: Placed, rows: npt.NDArray[np.int64], frame: pd.DataFrame, p: Placement) -> None:
    ids, versions = frame["area_id"].to_numpy(), frame["version_id"].to_numpy()
    codes = frame["code"].to_numpy(object)
    found = p.area >= 0
    at, index = rows[found], p.area[found]
    out.area_id[at], out.version_id[at], out.code[at] = ids[index], versions[index], codes[index]
    names = np.array([METHOD_NAMES[Method(m)] for m in range(len(Method))], object)
    out.method[rows] = names[p.method]
    out.ambiguous[rows], out.border_m[rows] = p.ambiguous, p.border_m


class _Lists(NamedTuple):
    """The candidates of some reports that have several: rows, their JSON, each one's code."""

    row: Ints
    counts: Ints
    json: pa.Array
    code: Objects

    @classmethod
    def of(cls, rows: Ints, frame: pd.DataFrame, p: Placement) -> Self:
        counts = np.diff(p.starts)[p.ambiguous]
        several = np.repeat(p.ambiguous, np.diff(p.starts))
        which = p.candidate[several]
        codes = frame["code"].to_numpy(object)
        begins = [
            f'{{"area_id":{area},"code":{orjson.dumps(code).decode()},"share":'
            for area, code in zip(frame["area_id"], codes, strict=True)
        ]
        each = pc.binary_join_element_wise(
            pa.array(begins, pa.string()).take(pa.array(which)),
            pa.array(p.share[several]).cast(pa.string()),
            ',"score":',
            pa.array(p.score[several]).cast(pa.string()),
            "}",
            "",
        )
        starts = pa.array(np.concatenate([[0], np.cumsum(counts)]), pa.int32())
        listed = pc.binary_join(pa.ListArray.from_arrays(starts, each), ",")
        json = pc.binary_join_element_wise("[", listed, "]", "")
        return cls(rows[p.ambiguous], counts, json, codes[which])


def _list(out: Placed, lists: list[_Lists]) -> None:
    row, counts, json, code = zip(*lists, strict=True)
    rows = np.concatenate(row)
    at = np.full(len(out.area_id), -1)
    at[rows] = np.arange(len(rows))
    out.alternatives = pa.concat_arrays(json).take(pa.array(at, mask=at < 0))
    out.listed, out.listed_row = np.concatenate(code), np.repeat(rows, np.concatenate(counts))
