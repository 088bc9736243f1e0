#!/usr/bin/env python3
"""Three nodes behind HAProxy over one MariaDB and one Redis, under load from the
project's own generator. A node is killed, another asked to end; then all are restarted
one by one, Redis is killed and comes back empty, the database is killed and comes back.
By the generator's own log of acknowledgements: none is lost, none is doubled, and it is
printed for how long devices were not acknowledged.

Needs the built binary, HAProxy and the packages of tools/setup.sh; takes some 30 s.
"""

import signal
import sys
import time

from servers import ROOT, Site, fail, free_port, get, need, program

DEVICES, INTERVAL_S = 150, 1
# Some are parked, and seldom heard of.
MOVING = DEVICES * 9 // 10
NODES = (1, 2, 3)


class Cluster:
    def __init__(self, site):
        self.site = site
        self.database, self.socket = site.mariadb()
        site.sql(self.socket, "CREATE DATABASE nemeses")
        self.redis = site.redis()
        self.ports = {number: [free_port() for _ in range(3)] for number in NODES}
        for number in NODES:
            self.start(number)
        for number in NODES:
            self.wait_well(number)
        self.front = self.haproxy()

    def start(self, number):
        mqtt, http, admin = (f"127.0.0.1:{port}" for port in self.ports[number])
        self.site.start(
            f"node-{number}", program(), "up", "--mqtt-listen", mqtt, "--http-listen", http, "--admin-listen", admin,
            "--database-url", f"mysql://root@127.0.0.1:{self.database}/nemeses", "--redis-url",
            f"redis://127.0.0.1:{self.redis}", "--jwt-secret", "x" * 32, "--data-dir", self.site.path(f"data-{number}"))

    def wait_well(self, number):
        _, http, admin = self.ports[number]
        self.site.wait(f"node {number} is well", lambda: get(f"http://127.0.0.1:{admin}/healthz")
                       and get(f"http://127.0.0.1:{http}/readyz"), 60)

    def haproxy(self):
        # A test has fewer file descriptors than a service.
        text = (ROOT / "deploy/haproxy/haproxy.cfg").read_text().replace("maxconn 50000", "maxconn 2000")
        front, api = free_port(), free_port()
        known = {"bind 127.0.0.1:1883": f"bind 127.0.0.1:{front}", "bind 127.0.0.1:5000": f"bind 127.0.0.1:{api}"}
        for number in NODES:
            mqtt, http, admin = self.ports[number]
            known[f"127.0.0.1:{number}1883 check port {number}9180"] = f"127.0.0.1:{mqtt} check port {admin}"
            known[f"127.0.0.1:{number}5000"] = f"127.0.0.1:{http}"
        for old, new in known.items():
            if old not in text:
                fail(f"haproxy.cfg has no {old}")
            text = text.replace(old, new)
        path = self.site.folder / "haproxy.cfg"
        path.write_text(text)
        self.site.run("haproxy", "-c", "-f", path)
        self.site.start("haproxy", "haproxy", "-db", "-f", path)
        self.site.wait("HAProxy serves the API", lambda: get(f"http://127.0.0.1:{api}/readyz"))
        return front

    def load(self):
        self.log = self.site.folder / "acknowledged"
        self.site.start("load", program(), "simulate", "--mqtt-url", f"mqtt://127.0.0.1:{self.front}",
                        "--devices", DEVICES, "--connections", "0", "--interval", f"{INTERVAL_S}s",
                        "--log-acknowledged", self.log)

    def again(self):
        """Returns when nine of ten devices have been acknowledged anew."""
        # The generator's log is complete only at its end; what is acknowledged is stored.
        since = int(time.time() * 1000)
        question = f"SELECT COUNT(DISTINCT device) FROM positions WHERE received_at_ms > {since}"
        def most_back():
            done = self.site.run("mariadb", "--no-defaults", f"--socket={self.socket}", "-uroot", "-N", "-B",
                                 "nemeses", "-e", question, check=False)
            return int(done.stdout or 0) >= MOVING
        self.site.wait("nine of ten devices are acknowledged again", most_back, 60)

    def blow(self, name, act):
        begun = time.time() * 1000
        act()
        self.again()
        return name, begun, time.time() * 1000

    # -- the blows -----------------------------------------------------------

    def kill_node(self):
        self.end("node-1", signal.SIGKILL)

    def stop_node(self):
        self.end("node-2", signal.SIGTERM)

    def rolling(self):
        for number in NODES:
            self.end(f"node-{number}", signal.SIGTERM)
            self.back(number)

    def back(self, number):
        self.start(number)
        self.wait_well(number)
        self.again()

    def kill_redis(self):
        self.end("redis", signal.SIGKILL)
        self.site.start("redis", "redis-server", "--port", self.redis, "--bind", "127.0.0.1", "--save", "",
                        "--dir", self.site.path("redis"))

    def kill_database(self):
        command = self.site.processes["mariadb"].args
        self.end("mariadb", signal.SIGKILL)
        self.site.start("mariadb", *command)

    def end(self, name, how):
        self.site.stop(name, how)
        del self.site.processes[name]


def acknowledgements(log):
    """(milliseconds, device, recorded at) of each position acknowledged."""
    found = []
    if not log.exists():
        return found
    for line in log.read_text().splitlines():
        at, _, frame = line.partition(" ")
        # Header, device, kind (01 is a ping), Unix seconds; the last line may be half.
        if len(frame) >= 60 and frame[10:12] != "01":
            found.append((int(at), int(frame[4:10], 16), int(frame[12:20], 16)))
    return found


def silence(found, begun, ended):
    """The longest time, in seconds, without any acknowledgement between these moments."""
    moments = [begun, *sorted(at for at, _, _ in found if begun <= at <= ended), ended]
    return max(b - a for a, b in zip(moments, moments[1:])) / 1000


def judge(cluster, found):
    rows = [tuple(map(int, line.split("\t"))) for line in cluster.site.sql(
        cluster.socket, "SELECT device, recorded_at FROM positions", "nemeses").splitlines()]
    stored, sent = set(rows), {(device, at) for _, device, at in found}
    lost, doubled = sent - stored, len(rows) - len(stored)
    print(f"acknowledged {len(sent)}, stored {len(rows)}, acknowledged and lost {len(lost)}, doubled {doubled}")
    audit = cluster.site.run(program(), "audit", "--database-url",
                             f"mysql://root@127.0.0.1:{cluster.database}/nemeses", check=False)
    print(audit.stdout.strip().splitlines()[-1])
    if lost or doubled or audit.returncode != 0 or not sent:
        fail("frames were lost, doubled, or counted wrongly")


def main():
    need("haproxy", "mariadbd", "redis-server")
    with Site() as site:
        cluster = Cluster(site)
        cluster.load()
        cluster.again()
        blows = [cluster.blow("node killed (SIGKILL)", cluster.kill_node)]
        cluster.back(1)
        blows.append(cluster.blow("node stopped (SIGTERM)", cluster.stop_node))
        cluster.back(2)
        blows += [
            cluster.blow("rolling restart of three", cluster.rolling),
            cluster.blow("Redis killed, back empty", cluster.kill_redis),
            cluster.blow("database killed, back at once", cluster.kill_database),
        ]
        cluster.again()
        site.stop("load", signal.SIGINT)
        found = acknowledgements(cluster.log)
        print("| blow | nobody was acknowledged for | nine of ten devices acknowledged again after |\n|---|---|---|")
        for name, begun, ended in blows:
            print(f"| {name} | {silence(found, begun, ended):.1f} s | {(ended - begun) / 1000:.1f} s |")
        judge(cluster, found)


if __name__ == "__main__":
    sys.exit(main())
