"""Random coverages to test with: wiggly borders, parts, holes filled by others, areas on top."""

from dataclasses import dataclass, field

import numpy as np
import shapely
from hypothesis import strategies as st

from gis.placement import metres_per_degree


@dataclass(frozen=True)
class City:
    """Areas that tile a piece of land (the basic ones) and some that lie on top (dedicated)."""

    polygons: np.ndarray
    dedicated: np.ndarray
    rng: np.random.Generator = field(repr=False)

    @property
    def land(self):
        return shapely.union_all(self.polygons)

    @property
    def metres(self):
        """Metres per degree of longitude and of latitude in the middle."""
        _, south, _, north = shapely.total_bounds(self.polygons)
        return np.array(metres_per_degree((south + north) / 2))

    def points(self, n, beyond_m=0.0):
        """Points over the bounds (n), on vertices (n / 2) and on edges (n / 2)."""
        beyond = beyond_m / np.tile(self.metres, 2) * (-1, -1, 1, 1)
        west, south, east, north = shapely.total_bounds(self.polygons) + beyond
        anywhere = self.rng.uniform((west, south), (east, north), (n, 2))
        vertices = shapely.get_coordinates(self.polygons)
        on_vertex = vertices[self.rng.integers(0, len(vertices), n // 2)]
        xy = np.vstack([anywhere, on_vertex, self.on_borders(n // 2)])
        return xy[:, 0], xy[:, 1]

    def on_borders(self, n, outline=False):
        """Points on random places of borders between areas, or of the outline of all."""
        lines = shapely.boundary([self.land] if outline else self.polygons)
        which = self.rng.integers(0, len(lines), n)
        at = self.rng.uniform(0, 1, n)
        return shapely.get_coordinates(
            shapely.line_interpolate_point(lines[which], at, normalized=True)
        )

    def near_borders(self, n, spread_m):
        """Points some metres off the borders."""
        xy = self.on_borders(n) + self.rng.normal(0, spread_m, (n, 2)) / self.metres
        return xy[:, 0], xy[:, 1]


def lattice(rng, columns, rows, bends=2):
    """Quadrilaterals of about one unit with jittered corners and bends on each shared border."""
    corner = np.stack(np.meshgrid(np.arange(columns + 1), np.arange(rows + 1)), -1).astype(float)
    corner += rng.uniform(-0.2, 0.2, corner.shape)
    t = np.linspace(0, 1, bends + 2)[:-1, None]

    def bend(a, b):
        along = a[..., None, :] * (1 - t) + b[..., None, :] * t
        along[..., 1:, :] += rng.uniform(-0.04, 0.04, along[..., 1:, :].shape)
        return along

    across = bend(corner[:, :-1], corner[:, 1:])
    upward = bend(corner[:-1], corner[1:])

    def back(line, start):
        return np.concatenate([start[None], line[:0:-1]])

    def ring(r, c):
        end = corner[r + 1, c + 1], corner[r + 1, c]
        return np.vstack(
            [
                across[r, c],
                upward[r, c + 1],
                back(across[r + 1, c], end[0]),
                back(upward[r, c], end[1]),
            ]
        )

    return np.array([shapely.Polygon(ring(r, c)) for r in range(rows) for c in range(columns)])


def build(seed, columns=5, rows=4, areas=6, missing=0.0, on_top=0, cell_m=300.0, at=(113.1, 23.0)):
    """Merge the cells of a lattice at random; `missing` is the share of cells without area."""
    rng = np.random.default_rng(seed)
    cells = lattice(rng, columns, rows)
    label = rng.integers(0, areas, len(cells))
    label[rng.uniform(size=len(cells)) < missing] = -1
    label[0] = 0
    basic = [shapely.coverage_union_all(cells[label == k]) for k in np.unique(label[label >= 0])]
    # Discs on corners of the lattice, far enough from each other not to meet.
    places = [(x, y) for x in range(0, columns + 1, 2) for y in range(0, rows + 1, 2)]
    chosen = rng.permutation(len(places))[:on_top]
    discs = [
        shapely.buffer(shapely.Point(places[k]), rng.uniform(0.02, 0.6), quad_segs=5)
        for k in chosen
    ]
    scale = cell_m / np.array(metres_per_degree(at[1]))
    polygons = shapely.transform(np.array(basic + discs), lambda xy: xy * scale + at)
    dedicated = np.arange(len(polygons)) >= len(basic)
    order = rng.permutation(len(polygons))
    return City(polygons[order], dedicated[order], rng)


seeds = st.integers(0, 2**32 - 1)
places = st.sampled_from([(113.1, 23.0), (-87.7, 41.9), (151.2, -33.9), (10.7, 59.9), (0.0, 0.0)])


def cities(**fixed):
    """A hypothesis strategy of cities; what is named in `fixed` does not vary."""
    varied = {
        "columns": st.integers(1, 6),
        "rows": st.integers(1, 5),
        "areas": st.integers(1, 9),
        "missing": st.sampled_from([0.0, 0.2]),
        "on_top": st.integers(0, 3),
        "cell_m": st.sampled_from([60.0, 300.0, 1500.0]),
        "at": places,
    }
    chosen = {**varied, **{name: st.just(value) for name, value in fixed.items()}}
    return st.builds(build, seeds, **chosen)
