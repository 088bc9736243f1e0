#!/usr/bin/env python3
"""Writes the dashboards beside it from the panels listed here.

Grafana's JSON repeats itself a hundred times over; this list does not. Run it
after a change; `--check` says whether the files are what it would write.
"""

import json
import pathlib
import sys

FOLDER = pathlib.Path(__file__).resolve().parent / "dashboards"
SOURCE = {"type": "prometheus", "uid": "prometheus"}
# Grafana's Infinity plug-in, which reads the REST API's CSV.
SERIES = {"type": "yesoreyeram-infinity-datasource", "uid": "nemeses"}
WINDOW = "[$__rate_interval]"


def quantiles(name, by="job, instance"):
    """Two lines of a histogram: the median and one in a hundred."""
    def line(q):
        return f"histogram_quantile({q}, sum by (le, {by}) (rate({name}_bucket{WINDOW})))"
    return [(line(0.5), "half, {{instance}}"), (line(0.99), "99 in 100, {{instance}}")]


def rate(name, by, legend):
    return [(f"sum by ({by}) (rate({name}{WINDOW}))", legend)]


# Title, unit, queries with legends, what it means. A panel each, two a row.
OVERVIEW = [
    ("Records committed", "cps", rate("nemeses_export_records_total", "outcome", "{{outcome}}"),
     "What arrives, by what became of it. Duplicates after an outage are normal."),
    ("Oldest record that waits for its commit", "s",
     [("max by (instance) (nemeses_export_oldest_seconds)", "{{instance}}")],
     "Should be next to nothing; grows while the database is down."),
    ("From intake to commit", "s", quantiles("nemeses_export_kept_seconds"),
     "In a node this is what a device waits for its PUBACK, but for the network."),
    ("Time of a commit", "s", quantiles("nemeses_export_commit_seconds"), "The database's share of it."),
    ("Rows of a transaction", "short", quantiles("nemeses_export_commit_rows"),
     "Grows with the load by itself."),
    ("Rows that wait", "short", [("sum by (instance) (nemeses_export_queued_rows)", "{{instance}}")],
     "Bounded by the door's held bytes, or by the broker's window."),
    ("Failed attempts to commit", "cps", rate("nemeses_export_retries_total", "instance", "{{instance}}"),
     "Above zero: the database is down, or refuses."),
    ("Dead letters", "percentunit", [("nemeses:dead_letters:ratio15m", "share of all records")],
     "Bytes that were no good frames. `nemeses dead-letters list` shows them."),
    ("Books that do not balance", "short", [("max(nemeses_books_unbalanced_lines)", "lines")],
     "Zero, always."),
    ("Live entries", "cps",
     rate("nemeses_live_entries_written_total", "instance", "written, {{instance}}")
     + rate("nemeses_live_entries_coalesced_total", "instance", "joined, {{instance}}")
     + rate("nemeses_live_entries_dropped_total", "instance", "dropped, {{instance}}"),
     "Joined: a newer position came before the older was written."),
    ("Live store down", "short", [("max by (instance) (nemeses_live_store_down)", "{{instance}}")],
     "1 while Redis cannot be written."),
    ("Size of the history", "bytes",
     [("max(nemeses_history_total_bytes)", "all tables"),
      ("max(nemeses_history_positions_bytes)", "positions"),
      ("max(predict_linear(nemeses_history_total_bytes[1d], 30 * 86400))", "in 30 days")],
     "In 30 days: if it goes on as in the last one. `nemeses retention --dry-run` knows periods and classes."),
    ("Taken away by retention", "short",
     [("sum by (kind) (increase(nemeses_retention_removed_total[1h]))", "{{kind}}"),
      ("sum(increase(nemeses_retention_rewritten_weeks_total[1h]))", "weeks rewritten")],
     "In an hour. Nothing for six hours without an error: alert RetentionStands."),
    ("Stations that answer", "short", [('sum by (job) (up{job=~"nemeses-.*"})', "{{job}}")],
     "How many of each kind."),
]

DOOR = [
    ("Connections", "short", [("sum by (instance) (nemeses_door_connections)", "{{instance}}")],
     "Devices connected to each node."),
    ("Connections made", "cps", rate("nemeses_door_accepted_total", "instance", "{{instance}}"),
     "Many at once: a load balancer or a network has dropped them."),
    ("Frames taken and acknowledged", "cps",
     rate("nemeses_door_frame_messages_total", "instance", "taken, {{instance}}")
     + rate("nemeses_door_acknowledged_total", "instance", "acknowledged, {{instance}}"),
     "They should lie on each other; the gap is what waits for its commit."),
    ("Bytes that wait for their commit", "bytes",
     [("sum by (instance) (nemeses_door_held_bytes)", "{{instance}}")], "At 64 MiB the door stops reading."),
    ("Connections refused", "cps", rate("nemeses_door_refused_total", "reason", "{{reason}}"),
     "Wrong logins, handshakes that fail, no room."),
    ("Connections ended", "cps", rate("nemeses_door_ended_total", "reason", "{{reason}}"), "By cause."),
    ("Publishing without the right", "cps",
     rate("nemeses_door_publish_refused_total", "instance", "{{instance}}"),
     "A device that speaks for another."),
    ("Ping replies and commands", "cps",
     rate("nemeses_door_replies_total", "instance", "replies, {{instance}}")
     + rate("nemeses_door_undelivered_total", "instance", "undelivered, {{instance}}")
     + rate("nemeses_door_missed_total", "instance", "missed, {{instance}}"),
     "Undelivered: nobody here is that device."),
]

STATIONS = [
    ("Parsers: frames by kind", "cps", rate("nemeses_parser_taken_total", "kind", "{{kind}}"),
     "Positions, pings, and dead letters by reason."),
    ("Parsers: batches handed over", "cps",
     rate("nemeses_parser_batches_total", "instance", "{{instance}}")
     + rate("nemeses_parser_batch_retries_total", "instance", "failed, {{instance}}"),
     "Even shares, unless the broker holds a worker's share back."),
    ("Pings answered", "cps", rate("nemeses_parser_replies_total", "instance", "{{instance}}")
     + rate("nemeses_parser_replies_dropped_total", "instance", "not in time, {{instance}}"), ""),
    ("Connections to the broker", "short",
     [("nemeses_mqtt_in_connected", "in, {{job}} {{instance}}"), ("nemeses_mqtt_out_connected", "out, {{job}} {{instance}}")],
     "1 while connected."),
    ("From broker to commit", "s", [("nemeses_canary_delay_seconds", "{{job}} {{instance}}")],
     "How long a canary takes through broker, parser and exporter; one that is out, so far."),
    ("Canaries", "short", [("nemeses_canary_state", "{{job}} {{instance}}")],
     "0 while they come back; 2 and more: what is published does not come through."),
    ("Messages from and to the broker", "cps",
     rate("nemeses_mqtt_in_messages_total", "job, instance", "in, {{job}} {{instance}}")
     + rate("nemeses_mqtt_out_messages_total", "job, instance", "out, {{job}} {{instance}}"), ""),
    ("Mosquitto: messages that wait", "short", [("mosquitto_stored_messages", "{{instance}}")],
     "Grows while workers are away; at max_queued_messages it drops."),
    ("Mosquitto: messages dropped", "short",
     [("increase(mosquitto_publish_messages_dropped[$__rate_interval])", "{{instance}}")],
     "Acknowledged to devices, and gone. Zero, always."),
    ("Mosquitto: traffic", "cps",
     [("rate(mosquitto_publish_messages_received[$__rate_interval])", "received, {{instance}}"),
      ("rate(mosquitto_publish_messages_sent[$__rate_interval])", "sent, {{instance}}")], ""),
    ("Mosquitto: clients", "short",
     [("mosquitto_clients_connected", "connected"), ("mosquitto_clients_disconnected", "persistent, away")], ""),
    ("Exporters: unreadable messages on /DB", "cps",
     rate("nemeses_export_unreadable_batches_total", "instance", "{{instance}}"), "Zero, always."),
]

API = [
    ("Requests", "reqps", rate("nemeses_api_requests_total", "path", "{{path}}"), "By path."),
    ("Answers by class", "reqps", rate("nemeses_api_requests_total", "status", "{{status}}"), "5xx are ours."),
    ("Time to an answer", "s", quantiles("nemeses_api_answer_seconds"), "To its first byte."),
    ("Time to an answer, by path", "s",
     [("histogram_quantile(0.99, sum by (le, path) (rate(nemeses_api_answer_seconds_bucket[$__rate_interval])))", "{{path}}")],
     "99 in 100."),
]

# What the range and the width of the screen ask for, in Grafana's variables.
RANGE = {"from": "${__from:date:iso}", "to": "${__to:date:iso}"}
STEP = {"step": "${step}", "gaps": "false"}
CHOSEN = {"device_id": "${device}", "channel": "${channel}"}
# Columns of the API's files: name in the file, its type in Grafana.
LONG = [("time", "timestamp"), ("device_id", "string"), ("channel", "string"), ("aggregate", "string"),
        ("value", "number")]
NEWEST = [("device_id", "string"), ("channel", "string"), ("unit", "string"), ("time", "timestamp"),
          ("value", "number"), ("text", "string")]
# Title, kind of panel, form of the answer, parameters of /api/v1/series, columns, meaning.
CHANNELS = [
    ("Mean", "timeseries", "timeseries", RANGE | STEP | CHOSEN | {"agg": "mean"}, LONG,
     "Windows without values are left out."),
    ("Smallest and greatest", "timeseries", "timeseries", RANGE | STEP | CHOSEN | {"agg": "min,max"}, LONG, ""),
    ("Rate", "timeseries", "timeseries", RANGE | STEP | CHOSEN | {"agg": "rate"}, LONG,
     "A second. Of a counter: a lower value is a new beginning."),
    ("Newest values", "table", "table", CHOSEN | {"last_n": "1"}, NEWEST, "As they came."),
]

DASHBOARDS = {
    "overview": ("Nemeses: overview", OVERVIEW),
    "door": ("Nemeses: MQTT listener", DOOR),
    "stations": ("Nemeses: stations and Mosquitto", STATIONS),
    "api": ("Nemeses: REST API", API),
}


def panel(number, title, unit, queries, meaning):
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": title,
        "description": meaning,
        "datasource": SOURCE,
        "gridPos": {"h": 8, "w": 12, "x": 12 * (number % 2), "y": 8 * (number // 2)},
        "fieldConfig": {"defaults": {"unit": unit, "min": 0, "custom": {"fillOpacity": 10}}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
        "targets": [
            {"refId": chr(ord("A") + place), "datasource": SOURCE, "expr": expr, "legendFormat": legend}
            for place, (expr, legend) in enumerate(queries)
        ],
    }


def dashboard(uid, title, panels):
    return {
        "uid": f"nemeses-{uid}",
        "title": title,
        "tags": ["nemeses"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "browser",
        "templating": {"list": []},
        "annotations": {"list": [{
            "name": "Alerts", "enable": True, "iconColor": "red", "datasource": SOURCE,
            "expr": 'ALERTS{alertstate="firing"}', "titleFormat": "{{alertname}}",
        }]},
        "links": [{"title": "Nemeses", "type": "dashboards", "tags": ["nemeses"], "asDropdown": True}],
        "panels": [panel(number, *each) for number, each in enumerate(panels)],
    }


def series_panel(number, title, kind, form, parameters, columns, meaning):
    """A panel that reads /api/v1/series as CSV."""
    found = panel(number, title, "short", [], meaning) | {"type": kind, "datasource": SERIES}
    found["fieldConfig"]["defaults"].pop("min")
    found["targets"] = [{
        "refId": "A",
        "datasource": SERIES,
        "type": "csv",
        "source": "url",
        "format": form,
        "parser": "backend",
        "url": "/api/v1/series",
        "url_options": {"method": "GET", "params": [
            {"key": key, "value": value} for key, value in (parameters | {"format": "csv"}).items()
        ]},
        "columns": [{"selector": name, "text": name, "type": kind} for name, kind in columns],
    }]
    return found


def choice(name, label, value, query=None):
    """A variable: written by hand, or one of a list."""
    kind = "textbox" if query is None else "custom"
    return {"name": name, "label": label, "type": kind, "query": query or value,
            "current": {"text": value, "value": value}, "options": []}


def channels():
    """The dashboard of channels: its data is the API's, and what is chosen is in variables."""
    found = dashboard("channels", "Nemeses: channels", [])
    found["annotations"] = {"list": []}
    found["templating"]["list"] = [
        choice("device", "Devices", "host:web1"),
        choice("channel", "Channels", "cpu"),
        choice("step", "Window", "auto", "auto,10s,1m,5m,1h,1d"),
    ]
    found["panels"] = [series_panel(number, *each) for number, each in enumerate(CHANNELS)]
    return found


def main():
    dashboards = {uid: dashboard(uid, *what) for uid, what in DASHBOARDS.items()} | {"channels": channels()}
    texts = {FOLDER / f"{uid}.json": json.dumps(found, indent=2) + "\n" for uid, found in dashboards.items()}
    if sys.argv[1:] == ["--check"]:
        stale = [path.name for path, text in texts.items() if not path.exists() or path.read_text() != text]
        stray = [path.name for path in FOLDER.glob("*.json") if path not in texts]
        if stale or stray:
            sys.exit(f"dashboards are not what build.py writes: {stale + stray}; run deploy/grafana/build.py")
        return
    FOLDER.mkdir(exist_ok=True)
    for path, text in texts.items():
        path.write_text(text)


if __name__ == "__main__":
    main()
