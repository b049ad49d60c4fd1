"""Placement of many reports at once: the map and the memory as arrays, taken from the database."""

from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Lock

import numpy as np
import numpy.typing as npt
import orjson
import pandas as pd
from sqlalchemy import Connection, text

from data import areas
from data.settings import settings
from gis import addresses as address_text
from gis.placement import Clues, Coverage, Memory, Method, Placement

Objects = npt.NDArray[np.object_]

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


@dataclass(frozen=True)
class Placed:
    """Reports with the areas that they were given; arrays of one length n, or as said.

    `placement` indexes `area_ids`, `version_ids` and `codes` of the map in force for each row's
    moment; the rows of one moment's map stand together in `parts`.
    """

    area_id: npt.NDArray[np.int64]  # -1: none
    version_id: npt.NDArray[np.int64]
    code: Objects  # '' for none
    method: Objects
    ambiguous: npt.NDArray[np.bool_]
    border_m: npt.NDArray[np.float64]
    alternatives: Objects  # JSON text, None where there is only one
    listed: list[list[str]]  # codes of every ambiguous row's candidates, best first
    ambiguous_rows: npt.NDArray[np.int64]


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
        n = len(lon)
        out = Placed(
            np.full(n, -1),
            np.full(n, -1),
            np.full(n, "", object),
            np.full(n, "none", object),
            np.zeros(n, bool),
            np.full(n, np.nan),
            np.full(n, None, object),
            [],
            np.empty(0, np.int64),
        )
        epochs = self.moments.searchsorted(at.as_unit("us"), side="right")
        rows_of: list[npt.NDArray[np.int64]] = []
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
            rows_of.append(rows[np.flatnonzero(placement.ambiguous)])
        ambiguous = np.concatenate(rows_of) if rows_of else np.empty(0, np.int64)
        object.__setattr__(out, "ambiguous_rows", ambiguous)
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
    ids_of, codes_of = ids[p.candidate].tolist(), codes[p.candidate].tolist()
    share_of, score_of, starts = p.share.tolist(), p.score.tolist(), p.starts.tolist()
    for i in np.flatnonzero(p.ambiguous).tolist():
        span = slice(starts[i], starts[i + 1])
        listed = [
            {"area_id": area, "code": code, "share": share, "score": score}
            for area, code, share, score in zip(
                ids_of[span], codes_of[span], share_of[span], score_of[span], strict=True
            )
        ]
        out.alternatives[rows[i]] = orjson.dumps(listed).decode()
        out.listed.append(codes_of[span])
