#!/usr/bin/env python3
"""Loads deploy/prometheus and deploy/grafana into a real Prometheus that scrapes a
real node, real stations and Mosquitto, and checks that every rule is understood,
that every query of every dashboard is answered, that nothing fires while all is
well, and that docs/operations.md names the metrics and alerts that there are.

Needs the built binary and the packages of tools/setup.sh; takes some 15 s.
"""

import csv
import datetime
import io
import json
import re
import shutil
import subprocess
import sys
import time
import urllib.parse

from servers import (
    ROOT, Api, Site, fail, free_port, get, get_json, listens, need, program,
)

PROMETHEUS = ROOT / "deploy/prometheus"
GRAFANA = ROOT / "deploy/grafana"
HANDBOOK = ROOT / "docs/operations.md"
# Their series begin with an event that does not happen here: a TLS handshake, a datagram that is dropped, a live
# stream that the server ends. Nothing is sealed unless that is asked for.
SEALING = ("failures", "records", "run_seconds", "stored_bytes", "stored_values", "succeeded_seconds", "values")
WITHOUT_SERIES = {*(f"nemeses_sealing_{name}" for name in SEALING), "nemeses_door_tls", "nemeses_door_device_dropped", "nemeses_stream_ended", "nemeses_rules_rows", "nemeses_rules_transitions"}
# How a histogram and a counter look in Prometheus.
SUFFIXES = r"(_total|_bucket|_sum|_count)?$"


def promtool():
    for command in (
        ["check", "rules", "rules.yml"], ["check", "config", "prometheus.yml"],
        ["test", "rules", "rules.test.yml"],
    ):
        done = subprocess.run(["promtool", *command], cwd=PROMETHEUS, capture_output=True, text=True)
        if done.returncode != 0:
            fail(f"promtool {' '.join(command)}:\n{done.stdout}{done.stderr}")
    subprocess.run([sys.executable, GRAFANA / "build.py", "--check"], check=True)


def start_stations(site):
    """Everything that has metrics; returns address by job."""
    nemeses = program()
    ports = {job: free_port() for job in ("node", "parser", "dbexport", "api", "figures", "machine")}
    at = {job: f"127.0.0.1:{port}" for job, port in ports.items()}
    mqtt, http, node_http, door = site.mosquitto(), free_port(), free_port(), free_port()
    redis = f"redis://127.0.0.1:{site.redis()}"
    data, broker = site.path("data"), f"mqtt://127.0.0.1:{mqtt}"
    trackers, datagrams, phones = free_port(), free_port(), free_port()
    site.start("node", nemeses, "up", "--keep-positions", "90days", "--data-dir", site.path("node"), "--mqtt-listen",
               f"127.0.0.1:{door}", "--http-listen", f"127.0.0.1:{node_http}", "--admin-listen", at["node"],
               "--tcp-listen", f"teltonika=127.0.0.1:{trackers}", "--udp-listen", f"teltonika=127.0.0.1:{datagrams}",
               "--http-devices-listen", f"127.0.0.1:{phones}",
               # Nobody is there: it is for the metrics of traces.
               "--otlp-endpoint", f"http://127.0.0.1:{free_port()}")
    site.start("dbexport", nemeses, "dbexport", "--data-dir", data, "--mqtt-url", broker,
               "--redis-url", redis, "--admin-listen", at["dbexport"])
    site.wait("the exporter is well", lambda: get(f"http://{at['dbexport']}/healthz") == "ok\n")
    site.start("parser", nemeses, "parser", "--mqtt-url", broker, "--redis-url", redis,
               "--admin-listen", at["parser"])
    site.start("api", nemeses, "api", "--data-dir", data, "--redis-url", redis,
               "--http-listen", f"127.0.0.1:{http}", "--admin-listen", at["api"])
    site.start("figures", nemeses, "mosquitto-metrics", "--mqtt-url", broker, "--admin-listen", at["figures"])
    site.start("machine", "prometheus-node-exporter", f"--web.listen-address={at['machine']}",
               "--collector.disable-defaults", "--collector.filesystem")
    site.wait("all stations are well", lambda: all(
        get(f"http://{at[job]}/healthz") == "ok\n" for job in ("node", "parser", "api", "figures")))
    site.wait("the node listens", lambda: listens(door))
    for name, url in (("load", f"mqtt://127.0.0.1:{door}"), ("load2", broker)):
        site.start(name, nemeses, "simulate", "--devices", "20", "--interval", "1s", "--mqtt-url", url)
    site.start("trackers", nemeses, "simulate", "--protocol", "teltonika", "--devices", "3", "--interval", "1s",
               "--tcp-server", f"127.0.0.1:{trackers}")
    get(f"http://127.0.0.1:{phones}/", id="phone", lat=48.9, lon=2.3, timestamp=int(time.time()))
    site.run("mosquitto_pub", "-h", "127.0.0.1", "-p", door, "-q", "1", "-t", "/messenger", "-m", "rubbish")
    return at, (http, node_http), door


def start_prometheus(site, at):
    """Prometheus with our files; only targets and intervals are the test's."""
    text = (PROMETHEUS / "prometheus.yml").read_text()
    jobs = {"nemeses-node": "node", "nemeses-parser": "parser", "nemeses-dbexport": "dbexport",
            "nemeses-api": "api", "mosquitto": "figures", "machine": "machine"}
    for job, name in jobs.items():
        text, changed = re.subn(
            rf"(job_name: {job}\n\s+static_configs:\n\s+- targets: )\[.*\]", rf'\1["{at[name]}"]', text)
        if changed != 1:
            fail(f"prometheus.yml has no job {job} with static targets")
    text = text.replace("15s", "1s")
    folder, port = site.path("prometheus"), free_port()
    (folder / "prometheus.yml").write_text(text)
    shutil.copy(PROMETHEUS / "rules.yml", folder)
    site.start("prometheus", "prometheus", f"--config.file={folder}/prometheus.yml",
               f"--storage.tsdb.path={folder}/data", f"--web.listen-address=127.0.0.1:{port}")
    base = f"http://127.0.0.1:{port}"
    site.wait("Prometheus is ready", lambda: get(f"{base}/-/ready"))
    site.wait("all targets are up", lambda: len(query(base, "up == 1")) == len(jobs))
    return base


def query(base, expr):
    return get_json(f"{base}/api/v1/query", query=expr)["data"]["result"]


def metric_names(base):
    found = get_json(f"{base}/api/v1/metadata")["data"]
    return {name for name in found if name.startswith(("nemeses_", "mosquitto_"))}


def names_in(text, known):
    """Names of ours in a text, without the suffixes; unknown ones are an error."""
    used = set(re.findall(r"\b(?:nemeses|mosquitto)_[a-z0-9_]+\b", text))
    used = {re.sub(SUFFIXES, "", name) if name not in known else name for name in used}
    return used, used - known


def check_rules(site, base):
    def judged():
        groups = get_json(f"{base}/api/v1/rules")["data"]["groups"]
        rules = [rule for group in groups for rule in group["rules"]]
        return rules if rules and all(rule["health"] != "unknown" for rule in rules) else None
    rules = site.wait("the rules are evaluated", judged)
    for rule in rules:
        if rule["health"] != "ok":
            fail(f"rule {rule['name']}: {rule.get('lastError')}")
    # The disk alerts speak of this machine, and DeadLetters of the one bad frame above.
    firing = {rule["name"] for rule in rules if rule.get("state") == "firing"}
    if firing - {"DiskAlmostFull"}:
        fail(f"alerts fire while all is well: {firing}")
    return [rule["name"] for rule in rules if rule["type"] == "alerting"]


def check_dashboards(site, base, known):
    """Every query is answered, most with data; the rest with names that exist."""
    queries = []
    for path in sorted((GRAFANA / "dashboards").glob("*.json")):
        for panel in json.loads(path.read_text())["panels"]:
            for target in panel["targets"]:
                if target["datasource"]["type"] != "prometheus":
                    continue
                queries.append((path.name, panel["title"], target["expr"].replace("$__rate_interval", "10s")))
    def empty():
        return [each for each in queries if not query(base, each[2])]
    # No device has been refused yet, and nothing was dropped: such series do not exist.
    may_be_empty = {"nemeses_door_refused", "nemeses_door_ended"}
    def only_allowed():
        left = [each for each in empty() if not names_in(each[2], known)[0] <= may_be_empty]
        only_allowed.left = left
        return not left
    try:
        site.wait("the dashboards show data", only_allowed, 45)
    except SystemExit:
        fail(f"queries without data: {only_allowed.left}")
    return queries


def check_channels(port, door):
    """The queries of the dashboard of channels are answered, with the columns that it reads."""
    api = Api(port)
    api.register()
    now = int(time.time())
    for second in range(3):
        payload = json.dumps({"t": now - second, "values": {"cpu": 10 + second}})
        subprocess.run(["mosquitto_pub", "-h", "127.0.0.1", "-p", str(door), "-q", "1", "-V", "mqttv5",
                        "-t", "/telemetry/host:web1", "-m", payload], check=True)
    at = lambda second: datetime.datetime.fromtimestamp(second, datetime.UTC).isoformat()
    chosen = json.loads((GRAFANA / "dashboards/channels.json").read_text())
    values = {each["name"]: each["current"]["value"] for each in chosen["templating"]["list"]}
    values |= {"__from:date:iso": at(now - 600), "__to:date:iso": at(now)}
    for panel in chosen["panels"]:
        for target in panel["targets"]:
            parameters = {each["key"]: re.sub(r"\$\{([^}]+)\}", lambda found: values[found[1]], each["value"])
                          for each in target["url_options"]["params"]}
            text = api.ask("GET", f"{target['url']}?{urllib.parse.urlencode(parameters)}").decode("utf-8-sig")
            rows = list(csv.DictReader(io.StringIO(text)))
            missing = {each["selector"] for each in target["columns"]} - set(rows[0] if rows else ())
            if not rows or missing:
                fail(f"dashboard of channels, {panel['title']}: {len(rows)} rows, without {missing}: {text[:300]}")
    return len(chosen["panels"])


def check_handbook(known, alerts):
    text = HANDBOOK.read_text()
    headings = re.findall(r"^### (\w+)$", text, re.M)
    if sorted(headings) != sorted(alerts):
        fail(f"docs/operations.md: runbooks and alerts differ: {set(headings) ^ set(alerts)}")
    listed = set(re.findall(r"^\| `((?:nemeses|mosquitto)_[a-z0-9_]+)` \|", text, re.M))
    missing = listed - known - WITHOUT_SERIES
    if missing:
        fail(f"docs/operations.md lists metrics that do not exist: {sorted(missing)}; one whose series "
             "begin with an event that does not happen here belongs into WITHOUT_SERIES")
    if known - listed:
        fail(f"docs/operations.md, 'Every metric', has no row for {sorted(known - listed)}")


def main():
    need("promtool", "prometheus", "prometheus-node-exporter", "mosquitto", "redis-server")
    promtool()
    with Site() as site:
        at, apis, door = start_stations(site)
        base = start_prometheus(site, at)
        for port in apis:
            site.wait("the API answers", lambda port=port: get(f"http://127.0.0.1:{port}/healthz"))
        panels = check_channels(apis[1], door)
        queries = check_dashboards(site, base, metric_names(base))
        alerts = check_rules(site, base)
        known = metric_names(base)
        for name in ("prometheus/rules.yml", "prometheus/rules.test.yml"):
            _, unknown = names_in((ROOT / "deploy" / name).read_text(), known)
            if unknown - {"nemeses_mqtt_"}:
                fail(f"deploy/{name} names metrics that do not exist: {unknown}")
        if sys.argv[1:] == ["--print"]:
            for name, what in sorted(get_json(f"{base}/api/v1/metadata")["data"].items()):
                if name in known:
                    print(f"| `{name}` | {what[0]['type']} | {what[0]['help'].rstrip('.')} |")
            return
        check_handbook(known, alerts)
    print(f"monitoring: {len(alerts)} alerts, {len(queries)} queries, {panels} panels of channels, {len(known)} metrics: all known and answered")


if __name__ == "__main__":
    main()
