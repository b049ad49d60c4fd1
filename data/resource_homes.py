"""Where resources are at home: by a position, an address or an area; never by a guess."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection, text

from data import areas_named, reports
from data.address_lookup import Match

Floats = npt.NDArray[np.float64]
Objects = npt.NDArray[np.object_]

NO_HOME = (
    "it has no home: give the code of an area, or lon and lat with their datum, or an address that "
    "the gazetteer has"
)
LEFT_ASIDE = (
    "addresses that the gazetteer does not know without doubt were left aside: the middle of the "
    "area is the home there"
)
_UNCLEAR = {
    "address_unknown": "the gazetteer has no such address",
    "address_uncertain": "the address could be several places",
}


@dataclass
class Homes:
    """Homes of n rows.

    Attributes
    ----------
    lon, lat : ndarray of float, shape (n,)
        WGS 84; NaN where there is none.
    area_id : list of int or None
        The area named, else the grid around the home; None: outside every grid.
    areas : list of list of int
        The areas that each answers for.
    faults : list of (int, str)
        Rows without a home, or with areas that there are not, and why.
    notes : set of str
        What had to be left aside.
    """

    lon: Floats
    lat: Floats
    area_id: list[int | None]
    areas: list[list[int]]
    faults: list[tuple[int, str]] = field(default_factory=list)
    notes: set[str] = field(default_factory=set)


class Settler:
    """Finds homes on a connection; what it has looked up once it remembers."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._areas: dict[str, areas_named.Named | str] = {}
        self._places: dict[str, Match | str] = {}

    def settle(
        self,
        lon: Floats,
        lat: Floats,
        address: Objects,
        area: Objects,
        areas: Objects,
    ) -> Homes:
        """Homes of rows: their position counts first, then their address, then their area.

        Parameters
        ----------
        lon, lat : WGS 84; NaN where there are none
        address, area : texts or None; `area` is the code of the area that each is at home in
        areas : sequences of the codes of those that it answers for
        """
        self._find({each for each in area if each} | {a for some in areas for a in some})
        homes = Homes(lon.copy(), lat.copy(), [None] * len(lon), [[] for _ in areas])
        for row, codes in enumerate(areas):
            self._answer_for(homes, row, codes)
            self._settle(homes, row, address[row], area[row])
        self._around(homes)
        return homes

    def _find(self, codes: set[str]) -> None:
        if new := codes - self._areas.keys():
            self._areas |= areas_named.find(self.connection, sorted(new))

    def _answer_for(self, homes: Homes, row: int, codes: Sequence[str]) -> None:
        for code in dict.fromkeys(codes):
            found = self._areas[code]
            if isinstance(found, str):
                homes.faults.append((row, found))
            else:
                homes.areas[row].append(found.id)

    def _settle(self, homes: Homes, row: int, address: str | None, area: str | None) -> None:
        named = self._areas[area] if area else None
        if isinstance(named, str):
            homes.faults.append((row, named))
            return
        if named:
            homes.area_id[row] = named.id
        if not np.isnan(homes.lon[row]):
            return
        place = self._look_up(address) if address else named
        if isinstance(place, str) and named:
            homes.notes.add(LEFT_ASIDE)
            place = named
        if place is None:
            homes.faults.append((row, NO_HOME))
        elif isinstance(place, str):
            homes.faults.append((row, f"{_UNCLEAR[place]} ({address!r}), and so {NO_HOME}"))
        else:
            homes.lon[row], homes.lat[row] = place.lon, place.lat

    def _look_up(self, address: str) -> Match | str:
        if address not in self._places:
            known = self.connection.execute(text("SELECT clock_timestamp()")).scalar_one()
            self._places[address] = reports.by_address(self.connection, address, known)
        return self._places[address]

    def _around(self, homes: Homes) -> None:
        """The grid around those whose area nobody named."""
        unnamed = np.array([area is None for area in homes.area_id], bool)
        open_ = np.flatnonzero(unnamed & np.isfinite(homes.lon))
        found = areas_named.at(
            self.connection, homes.lon[open_].tolist(), homes.lat[open_].tolist()
        )
        for at, row in enumerate(open_):
            homes.area_id[row] = found.get(at)
