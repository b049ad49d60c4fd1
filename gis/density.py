"""Events per square kilometre as a smooth surface over an area.

Kernel density on a regular raster: events are counted in fine cells and the counts are spread by
the kernel with one Fourier transform, so a million events cost no more than a thousand. At the
border, where events of one side only are known, the sum is divided by the part of the kernel that
lies inside (Diggle's correction), so that an even city is even up to its border.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import minimum_filter
from scipy.signal import fftconvolve

from gis.cells import one_ground
from gis.links import numbers
from gis.plane import Geometries, Plane

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Kernel = Literal["quartic", "gaussian"]

FINENESS = 8  # raster cells to a bandwidth, by default
COARSEST = 3  # and at the least


@dataclass(frozen=True, eq=False)
class Surface:
    """A density on a raster whose rows run from north to south.

    Attributes
    ----------
    density : (rows, columns) events per km² and period; NaN outside the area
    bounds : west, south, east, north of the raster's outer edge, degrees (WGS 84)
    cell_m2 : ground of a raster cell
    bandwidth_m : float
    events : how much was spread
    outside : how much lay outside the area, or had no position, and was left out
    """

    density: Floats
    bounds: tuple[float, float, float, float]
    cell_m2: float
    bandwidth_m: float
    events: float
    outside: float

    @property
    def lon(self) -> Floats:
        """(columns,) longitudes of the cells' centres."""
        return _centres(self.bounds[0], self.bounds[2], self.density.shape[1])

    @property
    def lat(self) -> Floats:
        """(rows,) latitudes of the cells' centres, the northernmost first."""
        return _centres(self.bounds[3], self.bounds[1], self.density.shape[0])


def kernel_density(
    lon: ArrayLike,
    lat: ArrayLike,
    area: Geometries | shapely.Geometry,
    bandwidth_m: float,
    *,
    kernel: Kernel = "quartic",
    weight: ArrayLike = 1.0,
    periods: float = 1.0,
    step_m: float | None = None,
    at_most: int = 4_000_000,
) -> Surface:
    """How many events there are to a km² round each place.

    Parameters
    ----------
    lon, lat : (k,) positions of the events, degrees (WGS 84); NaN where there is none
    area : polygon, multipolygon or an array of them, degrees; events outside are left out
    bandwidth_m : the radius of the quartic kernel, or the standard deviation of the Gaussian one
        (which reaches four times as far; a quartic of 2.65 times the bandwidth looks alike)
    weight : (k,) what each event counts, at least 0
    periods : how many days, weeks, ... the events are of; the density is per one
    step_m : side of a raster cell; by default an eighth of the bandwidth
    at_most : how many raster cells there may be

    Raises
    ------
    ValueError
        Other shapes, an area that is none, a bandwidth too fine for `at_most`, a step too coarse.

    Notes
    -----
    Diggle, *Applied Statistics* 34, 1985. The other correction (Jones, *Statistics and Computing*
    3, 1993) divides at the event and keeps the total, at the price of a margin that is paler than
    the truth, by half and more in corners. Quartic kernel: Silverman, *Density Estimation*, 1986.
    Counting: Wand, *Journal of Computational and Graphical Statistics* 3, 1994.

    Examples
    --------
    >>> town = shapely.box(113.1, 23.0, 113.14, 23.04)
    >>> found = kernel_density([113.12] * 100, [23.02] * 100, town, 500)
    >>> float(np.nanmax(found.density).round(-1))  # 300 / π to the square of the radius in km
    380.0
    """
    x, y, amount = _events(lon, lat, weight)
    step = _step(bandwidth_m, step_m)
    if not periods > 0:
        raise ValueError(f"periods must be more than 0, not {periods:g}.")
    ground = one_ground(area)
    raster = _Raster.over(ground, step, at_most)
    shapely.prepare(ground)
    window = raster.window(ground)
    column, row = raster.place(x, y)
    used = _inside(ground, window, column, row, x, y)
    counts = raster.counts(column[used], row[used], amount[used])
    spread = _weights(kernel, bandwidth_m, step)
    smooth = fftconvolve(counts, spread, mode="same")
    # Rounding of the transform leaves traces, of either sign, where the kernel does not reach.
    smooth[smooth < 1e-12 * smooth.max(initial=0)] = 0
    inside = fftconvolve(window.astype(float), spread, mode="same")
    density = np.full(window.shape, np.nan)
    np.divide(smooth, inside * (step**2 / 1e6) * periods, out=density, where=window)
    events = float(amount[used].sum())
    return Surface(
        density, raster.bounds, step**2, bandwidth_m, events, float(amount.sum()) - events
    )  # fmt: skip


def picture(
    surface: Surface,
    ramp: Sequence[tuple[int, int, int, int]],
    *,
    top: float | None = None,
    mercator: bool = True,
) -> NDArray[np.uint8]:
    """The surface as colours (rows, columns, 4), red, green, blue and alpha, to write as a PNG.

    Parameters
    ----------
    ramp : at least two colours for densities from 0 to `top`, at equal steps
    top : by default the highest density; what is higher has the last colour
    mercator : bool
        Rows at equal steps of Web Mercator, as maps stretch a picture between its bounds; else of
        latitude, which on a map 100 km high would be 100 m off in the middle.

    Returns
    -------
    Outside the area all four are 0.

    Examples
    --------
    >>> surface = Surface(np.array([[0, 4.0], [np.nan, 2.0]]), (0, 0, 1, 1), 1, 1, 1, 0)
    >>> picture(surface, [(0, 0, 0, 0), (200, 0, 0, 100)])[..., 3].tolist()
    [[0, 100], [0, 50]]
    """
    colours = np.asarray(ramp, dtype=float)
    if colours.ndim != 2 or colours.shape[1] != 4 or len(colours) < 2:
        raise ValueError("A ramp is two or more colours of red, green, blue and alpha, 0 to 255.")
    if ((colours < 0) | (colours > 255)).any():
        raise ValueError("Colours lie between 0 and 255.")
    density = surface.density[_mercator_rows(surface)] if mercator else surface.density
    within = ~np.isnan(density)
    high = float(np.max(density, where=within, initial=0)) if top is None else top
    at = np.clip(np.where(within, density, 0) / (high if high > 0 else 1), 0, 1)
    stops = np.linspace(0, 1, len(colours))
    image = np.stack([np.interp(at, stops, channel) for channel in colours.T], axis=-1)
    image[~within] = 0
    return np.asarray(np.rint(image), dtype=np.uint8)


@dataclass(frozen=True)
class _Raster:
    """Square cells in metres over the bounds of an area, which are equal steps in degrees too."""

    bounds: tuple[float, float, float, float]
    rows: int
    columns: int

    @classmethod
    def over(cls, ground: shapely.Geometry, step_m: float, at_most: int) -> "_Raster":
        plane = Plane.around(np.array([ground], dtype=object))
        west, south, east, north = ground.bounds
        size = np.array([east - west, north - south]) * plane.scale / step_m
        columns, rows = (int(n) for n in np.maximum(np.ceil(size), 1))
        if rows * columns > at_most:
            coarser = step_m * np.sqrt(rows * columns / at_most)
            raise ValueError(
                f"A raster of {step_m:g} m has {rows * columns:,} cells here; {at_most:,} are the "
                f"most. Take a step of {np.ceil(coarser):g} m, and a bandwidth of at least "
                f"{COARSEST} steps."
            )
        centre = np.array([west + east, south + north]) / 2
        half = np.array([columns, rows]) * step_m / plane.scale / 2
        (west, south), (east, north) = (centre - half).tolist(), (centre + half).tolist()
        return cls((west, south, east, north), rows, columns)

    def window(self, ground: shapely.Geometry) -> Bools:
        """Which cells have their centre in the area, (rows, columns)."""
        west, south, east, north = self.bounds
        lon, lat = _centres(west, east, self.columns), _centres(north, south, self.rows)
        window = np.asarray(shapely.contains_xy(ground, *np.meshgrid(lon, lat)))
        if not window.any():
            raise ValueError("The area is too small for this bandwidth; take a smaller one.")
        return window

    def counts(self, column: Floats, row: Floats, amount: Floats) -> Floats:
        """Events shared among the four cells whose centres are nearest (Wand, 1994)."""
        total = np.zeros(self.rows * self.columns)
        for down in (0, 1):
            for right in (0, 1):
                i, j = np.floor(row - 0.5) + down, np.floor(column - 0.5) + right
                part = (1 - np.abs(row - 0.5 - i)) * (1 - np.abs(column - 0.5 - j))
                i, j = np.clip(i, 0, self.rows - 1), np.clip(j, 0, self.columns - 1)
                cell = (i * self.columns + j).astype(np.int64)
                total += np.bincount(cell, amount * part, len(total))
        return total.reshape(self.rows, self.columns)

    def place(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        """Columns from the west and rows from the north, as numbers with a fraction."""
        west, south, east, north = self.bounds
        return (x - west) / (east - west) * self.columns, (north - y) / (north - south) * self.rows


def _inside(
    ground: shapely.Geometry, window: Bools, column: Floats, row: Floats, x: Floats, y: Floats
) -> Bools:
    """Which events lie in the area; geometry is asked only near its border."""
    deep: Bools = minimum_filter(window, 3, mode="constant", cval=False)
    near = (column >= 0) & (column < window.shape[1]) & (row >= 0) & (row < window.shape[0])
    at = np.flatnonzero(near)
    unsure = at[~deep[row[at].astype(np.int64), column[at].astype(np.int64)]]
    near[unsure] = shapely.intersects_xy(ground, x[unsure], y[unsure])
    return np.asarray(near)


def _weights(kernel: str, bandwidth_m: float, step_m: float) -> Floats:
    """The kernel on the raster, adding up to 1."""
    reach = {"quartic": 1.0, "gaussian": 4.0}.get(kernel)
    if reach is None:
        raise ValueError(f"There is no kernel {kernel!r}; there are 'quartic' and 'gaussian'.")
    steps = np.arange(-int(reach * bandwidth_m / step_m), int(reach * bandwidth_m / step_m) + 1)
    u2 = (steps[:, None] ** 2 + steps**2) * (step_m / bandwidth_m) ** 2
    if kernel == "quartic":
        value = np.maximum(1 - u2, 0) ** 2
    else:
        value = np.where(u2 <= reach**2, np.exp(-u2 / 2), 0)
    return np.asarray(value / value.sum())


def _step(bandwidth_m: float, step_m: float | None) -> float:
    if not (bandwidth_m > 0 and np.isfinite(bandwidth_m)):
        raise ValueError(f"bandwidth_m must be more than 0 m, not {bandwidth_m:g}.")
    step = bandwidth_m / FINENESS if step_m is None else step_m
    if not 0 < step <= bandwidth_m / COARSEST:
        raise ValueError(
            f"step_m must be at most a third of the bandwidth of {bandwidth_m:g} m, not {step:g}."
        )
    return step


def _events(lon: ArrayLike, lat: ArrayLike, weight: ArrayLike) -> tuple[Floats, Floats, Floats]:
    x, y = np.asarray(lon, dtype=float), np.asarray(lat, dtype=float)
    if x.shape != y.shape or x.ndim != 1:
        raise ValueError(f"lon and lat must be one number each an event, not {x.shape}, {y.shape}.")
    amount = numbers(weight, "weight", x.shape)
    if ((amount < 0) | np.isinf(amount)).any():
        raise ValueError("weight must be at least 0 and finite.")
    return x, y, amount


def _centres(first: float, last: float, count: int) -> Floats:
    return np.asarray(first + (np.arange(count) + 0.5) / count * (last - first))


def _mercator_rows(surface: Surface) -> NDArray[np.int64]:
    """Which row lies at each of as many equal steps of Web Mercator's y."""
    _, south, _, north = surface.bounds
    rows = len(surface.density)
    top, bottom = np.arctanh(np.sin(np.radians([north, south]))).tolist()
    y = _centres(top, bottom, rows)
    lat = np.degrees(np.arctan(np.sinh(y)))
    row = np.floor((north - lat) / (north - south) * rows)
    return np.clip(row, 0, rows - 1).astype(np.int64)
