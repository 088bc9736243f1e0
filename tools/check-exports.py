#!/usr/bin/env python3
"""Opens every file that the API gives out with the program that people open it with:
workbooks with openpyxl, CSV with pandas, Parquet with pyarrow, GPX with gpxpy. What they
read must be what JSON says, and one sum must be the same in all of them.

Needs the built program, and runs in the virtual environment that tools/setup.sh makes
(tools/export-requirements.txt). Takes some 20 s.
"""

import datetime
import io
import json
import math
import time
import xml.etree.ElementTree as xml

import gpxpy
import openpyxl
import pandas
import pyarrow.parquet

from servers import Api, Site, fail, free_port, get, listens, program

# Half of a day is yesterday's there, and no offset is the same all year.
ZONE = "America/Santiago"
HOURS, EVERY_S = 30, 20
# One drives on both sides of the 180th meridian, and one is silent for hours.
FAULTS = ["date-line", "silence", "zero-island"]
FIRST = 0x500000
TABLES = ["", "trips", "stops", "events", "summary"]


WHOSE = {"device_ids": ",".join(f"{FIRST + n:06X}" for n in range(len(FAULTS))), "tz": ZONE}


def report(api, kind, form, **more):
    return api.report(kind, **WHOSE, **more, format=form)


def expect(what, found, wanted):
    if found != wanted:
        fail(f"{what}: {str(found)[:400]}, expected {str(wanted)[:400]}")


def flat(thing):
    """As tables have it: the fields of a field are columns."""
    row = {}
    for name, value in thing.items():
        if isinstance(value, dict):
            row.update({f"{name}_{part}": inner for part, inner in value.items()})
        else:
            row[name] = value
    return row


def json_rows(api, kind):
    """The rows of a table, from JSON; and the totals of a summary."""
    if kind == "":
        text = report(api, "", "ndjson", limit=100_000).decode()
        return [json.loads(line) for line in text.splitlines()], []
    answer = json.loads(report(api, kind, "json"))
    if kind != "summary":
        return [flat(thing) for thing in answer[kind]], []
    whose = lambda device: {name: device[name] for name in ("device_id", "device_name")}
    days = [{**whose(device), **day} for device in answer["devices"] for day in device["days"]]
    return days, [{**whose(device), **device["total"]} for device in answer["devices"] if device["total"]]


def wall_clock(text):
    """What a clock on the wall shows at a time of JSON, to the second."""
    return datetime.datetime.fromisoformat(text).replace(tzinfo=None, microsecond=0)


def same(wanted, found):
    """Whether a cell holds a value of JSON, whatever type its reader made of it."""
    empty = found is None or (isinstance(found, float) and math.isnan(found)) or found is pandas.NaT
    if wanted is None or wanted == "":
        return empty
    if isinstance(wanted, bool):
        return str(found).lower() == str(wanted).lower()
    if isinstance(wanted, (int, float)):
        return not empty and abs(float(found) - wanted) < 1e-9
    if isinstance(found, datetime.date) and len(wanted) == 10:
        return found.isoformat()[:10] == wanted
    if isinstance(found, (datetime.datetime, pandas.Timestamp)):
        if found.tzinfo is not None:
            return found == datetime.datetime.fromisoformat(wanted)
        # A workbook's moments are fractions of a day.
        return abs(found - wall_clock(wanted)) < datetime.timedelta(seconds=1.5)
    return str(found) == wanted


def compare(what, wanted, names, rows):
    """Rows with these columns are the rows of JSON."""
    expect(f"{what}: rows", len(rows), len(wanted))
    for number, (row, cells) in enumerate(zip(wanted, rows)):
        for name, cell in zip(names, cells):
            if name == "device_name" and name not in row:
                row = {**row, "device_name": NAMES[row["device_id"]]}
            if not same(row.get(name), cell):
                fail(f"{what}: row {number}: {name} is {cell!r}, JSON says {row.get(name)!r}")


def characters(cell):
    """How many it takes to show a cell; a fraction takes as many digits as there is room for."""
    if isinstance(cell.value, float):
        return 0
    if isinstance(cell.value, datetime.datetime):
        return 19 if "h" in cell.number_format else 10
    return len(str(cell.value))


def workbook(what, data, kind, rows, totals):
    book = openpyxl.load_workbook(io.BytesIO(data))
    titles = {"": ["Positions"], "summary": ["Days", "Totals"]}.get(kind, [kind.title()])
    expect(f"{what}: sheets", book.sheetnames, titles)
    for title, wanted in zip(titles, (rows, totals)):
        sheet = book[title]
        table = list(sheet.iter_rows(values_only=True))
        compare(f"{what}, {title}", wanted, table[0], table[1:])
        for number, column in enumerate(sheet.columns):
            letter = column[0].column_letter
            width = sheet.column_dimensions[letter].width
            longest = max(map(characters, column[:50]))
            if width < longest:
                fail(f"{what}: column {letter} is {width} wide, and holds {longest} characters")


def csv(what, data, form, rows):
    """Read as the spreadsheet of that language reads it."""
    marked, plain = data.startswith(b"\xef\xbb\xbf"), form == "csv"
    expect(f"{what}: byte order mark", marked, not plain)
    comma = form == "csv-semicolon"
    table = pandas.read_csv(io.BytesIO(data), sep=";" if comma else ",", decimal="," if comma else ".", dtype={
        "device_id": str, "device_name": str, "date": str}, encoding="utf-8-sig")
    if not plain:
        for name, kind in table.dtypes.items():
            if kind == object and table[name].astype(str).str.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$").any():
                table[name] = pandas.to_datetime(table[name])
    compare(what, rows, table.columns, list(table.itertuples(index=False)))


def tables(api):
    for kind in TABLES:
        rows, totals = json_rows(api, kind)
        if not rows:
            fail(f"{kind}: JSON has no rows")
        name = kind or "positions"
        workbook(f"{name}.xlsx", report(api, kind, "xlsx"), kind, rows, totals)
        for form in ("csv", "csv-excel", "csv-semicolon"):
            csv(f"{name} as {form}", report(api, kind, form), form, rows)
        table = pyarrow.parquet.read_table(io.BytesIO(report(api, kind, "parquet"))).to_pydict()
        compare(f"{name}.parquet", rows, list(table), list(zip(*table.values())))
        if kind == "summary":
            lines = [json.loads(line) for line in report(api, kind, "ndjson").decode().splitlines()]
            expect("summary.ndjson", lines, rows)
            lines = [json.loads(line) for line in report(api, kind, "ndjson", lines="totals").decode().splitlines()]
            expect("the totals of summary.ndjson", lines, totals)
            csv("the totals as csv", report(api, kind, "csv", lines="totals"), "csv", totals)
            sums = sum(row["distance_m"] for row in rows), sum(row["distance_m"] for row in totals)
            if abs(sums[0] - sums[1]) > len(rows):
                fail(f"the days' way is {sums[0]} m, the totals' {sums[1]} m")
        print(f"{name}: {len(rows)} rows are the same in a workbook, three kinds of CSV, and Parquet")


def jumps(line):
    """Whether a line of longitudes and latitudes crosses the map from end to end."""
    return any(abs(before[0] - after[0]) > 180 for before, after in zip(line, line[1:]))


def lines_of(geometry):
    if geometry is None or geometry["type"] in ("Point", "MultiPoint"):
        return []
    return [geometry["coordinates"]] if geometry["type"] == "LineString" else geometry["coordinates"]


def maps(api):
    namespace = {"k": "http://www.opengis.net/kml/2.2"}
    for kind in ("", "trips", "stops", "events"):
        name = kind or "positions"
        track = gpxpy.parse(report(api, kind, "gpx").decode())
        segments = [segment for one in track.tracks for segment in one.segments]
        places = [point for segment in segments for point in segment.points] + track.waypoints
        places += [point for route in track.routes for point in route.points]
        if not places or not all(-180 <= place.longitude < 180 for place in places):
            fail(f"{name}.gpx: no places, or one beyond the schema's longitudes")
        document = xml.fromstring(report(api, kind, "kml"))
        if not document.findall(".//k:Placemark", namespace):
            fail(f"{name}.kml: no placemark")
        more = {"limit": 100_000} if kind == "" else {}
        features = json.loads(report(api, kind, "geojson", **more))["features"]
        lines = [line for feature in features for line in lines_of(feature["geometry"])]
        if any(len(line) < 2 or jumps(line) for line in lines):
            fail(f"{name}.geojson: a line of one place, or one across the map")
        if kind == "trips":
            longest = max(lines, key=len)
            if len(longest) < 20 or not any(abs(place[0]) == 180 for line in lines for place in line):
                fail("trips.geojson: no way, or none that is cut at the 180th meridian")
        if kind == "":
            gaps = max(len(one.segments) for one in track.tracks)
            if gaps < 5:
                fail(f"positions.gpx: {gaps} segments at most, and a device was silent each third hour")
            if not lines_of_kml(document, namespace):
                fail("positions.kml: no line")
        print(f"{name}: {len(places)} places as GPX, {len(lines)} lines as GeoJSON")


def lines_of_kml(document, namespace):
    return document.findall(".//k:LineString/k:coordinates", namespace)


NAMES = {f"{FIRST + n:06X}": name for n, name in enumerate(["São João; \"7\"", "Ana & Bob", "Übung, weiß"])}


def fill(site, mqtt, api):
    api.register()
    start = int(time.time()) - HOURS * 3600
    frames = HOURS * 3600 // EVERY_S * len(FAULTS)
    site.run(program(), "simulate", "--mqtt-url", f"mqtt://127.0.0.1:{mqtt}", "--devices", str(len(FAULTS)),
             "--first-device", f"{FIRST:06X}", "--fault", ",".join(FAULTS), "--interval", f"{EVERY_S}s", "--start", str(start),
             "--rate", str(frames // 5), "--duration", "5s")
    for device, name in NAMES.items():
        api.ask("PUT", f"/api/v1/devices/{device}/", {"name": name})


def main():
    with Site() as site:
        mqtt, http = free_port(), free_port()
        site.start("node", program(), "up", "--data-dir", site.path("data"), "--mqtt-listen", f"127.0.0.1:{mqtt}",
                   "--http-listen", f"127.0.0.1:{http}", "--admin-listen", "off")
        site.wait("the node is ready", lambda: get(f"http://127.0.0.1:{http}/readyz"))
        site.wait("the node listens", lambda: listens(mqtt))
        api = Api(http)
        fill(site, mqtt, api)
        tables(api)
        maps(api)


if __name__ == "__main__":
    main()
