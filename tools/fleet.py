"""Three nodes behind HAProxy under load from the project's own generator, the blows they
are dealt, and the judgement over what was acknowledged. Imported by cluster-test.py.
"""

import signal
import statistics
import threading
import time

from servers import ROOT, fail, free_port, get, program

DEVICES, INTERVAL_S = 150, 1
# Some are parked, and seldom heard of.
MOVING = DEVICES * 9 // 10
NODES = (1, 2, 3)


def configured(text, known, name):
    """A configuration with other words in place of its own; each must be there."""
    for old, new in known.items():
        if old not in text:
            fail(f"{name} has no {old}")
        text = text.replace(old, str(new))
    return text


class Judge:
    """What was acknowledged, by the generator's log, against what is in the table."""

    def __init__(self, site, database):
        self.site, self.database = site, database
        self.log = site.folder / "acknowledged"
        self.blows = []

    def again(self):
        """Returns when nine of ten devices have been acknowledged anew."""
        # The generator's log is complete only at its end; what is acknowledged is stored.
        since = int(time.time() * 1000)
        question = f"SELECT COUNT(DISTINCT device) FROM positions WHERE received_at_ms > {since}"

        def most_back():
            return int(self.database.ask(question) or 0) >= MOVING
        self.site.wait("nine of ten devices are acknowledged again", most_back, 90)

    def blow(self, name, act, live=None):
        """Deals a blow and waits until the fleet is served again. `live()` counts live
        writes: the longest time without one is measured too."""
        watch = Watch(live) if live else None
        begun = time.time() * 1000
        act()
        self.again()
        ended = time.time() * 1000
        paused = watch.end(self.site) if watch else None
        self.blows.append((name, begun, ended, paused))
        print(f"  {name}: served again after {(ended - begun) / 1000:.1f} s", flush=True)
        # So that the next blow's silence does not begin within this one.
        time.sleep(2 * INTERVAL_S)

    def verdict(self):
        self.again()
        self.site.stop("load", signal.SIGINT)
        found = acknowledgements(self.log)
        print("| blow | nobody acknowledged for | one device, median | one device, worst | live writes paused |")
        print("|---|---|---|---|---|")
        for name, begun, ended, paused in self.blows:
            each = by_device(found, begun, ended)
            paused = "" if paused is None else f"{paused:.1f} s"
            print(f"| {name} | {silence([at for at, _, _ in found], begun, ended):.1f} s "
                  f"| {statistics.median(each):.1f} s | {max(each):.1f} s | {paused} |")
        sent = {(device, at) for _, device, at in found}
        for place in self.database.members():
            rows = [tuple(map(int, line.split("\t"))) for line in
                    self.database.ask("SELECT device, recorded_at FROM positions", place).splitlines()]
            lost, doubled = sent - set(rows), len(rows) - len(set(rows))
            print(f"{place}: acknowledged {len(sent)}, stored {len(rows)}, acknowledged and lost {len(lost)}, doubled {doubled}")
            if lost or doubled or not sent:
                fail("frames were lost or doubled")
        audit = self.site.run(program(), "audit", "--database-url", self.database.url, check=False)
        print(audit.stdout.strip().splitlines()[-1])
        if audit.returncode != 0:
            fail("frames were counted wrongly")


class Watch:
    """Looks every 50 ms whether a count has moved."""

    def __init__(self, count):
        self.count, self.moved = count, [time.time()]
        self.last, self.over = None, threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.over.is_set():
            now = self.count()
            if now is not None and now != self.last:
                self.last = now
                self.moved.append(time.time())
            self.over.wait(0.05)

    def end(self, site):
        """Ends once it moves (again); the longest time without."""
        site.wait("live positions are written again",
                  lambda: len(self.moved) > 2 and time.time() - self.moved[-1] < 1, 60)
        self.over.set()
        self.thread.join()
        return max(b - a for a, b in zip(self.moved, self.moved[1:]))


class Fleet(Judge):
    """Three nodes, HAProxy and the load."""

    def __init__(self, site, database, redis):
        super().__init__(site, database)
        self.redis = redis
        self.ports = {number: [free_port() for _ in range(3)] for number in NODES}
        # The first makes the tables.
        for number in NODES:
            self.start(number)
            self.wait_well(number)
        self.front = self.haproxy()
        self.site.start("load", program(), "simulate", "--mqtt-url", f"mqtt://127.0.0.1:{self.front}",
                        "--devices", DEVICES, "--connections", "0", "--interval", f"{INTERVAL_S}s",
                        "--log-acknowledged", self.log)
        self.again()

    def start(self, number):
        mqtt, http, admin = (f"127.0.0.1:{port}" for port in self.ports[number])
        self.site.start(
            f"node-{number}", program(), "up", "--mqtt-listen", mqtt, "--http-listen", http, "--admin-listen", admin,
            "--database-url", self.database.url, "--redis-url", self.redis.url, "--jwt-secret", "x" * 32,
            "--trusted-proxies", "127.0.0.1",
            "--data-dir", self.site.path(f"data-{number}"))

    def wait_well(self, number):
        _, http, admin = self.ports[number]
        self.site.wait(f"node {number} is well", lambda: get(f"http://127.0.0.1:{admin}/healthz")
                       and get(f"http://127.0.0.1:{http}/readyz"), 60)

    def haproxy(self):
        front, api = free_port(), free_port()
        # A test has fewer file descriptors than a service.
        known = {"maxconn 50000": "maxconn 2000", "bind 127.0.0.1:1883": f"bind 127.0.0.1:{front}",
                 "bind 127.0.0.1:5000": f"bind 127.0.0.1:{api}"}
        for number in NODES:
            mqtt, http, admin = self.ports[number]
            known[f"127.0.0.1:{number}1883 check port {number}9180"] = f"127.0.0.1:{mqtt} check port {admin}"
            known[f"127.0.0.1:{number}5000 check port {number}9180"] = f"127.0.0.1:{http} check port {admin}"
        haproxy(self.site, "haproxy", configured((ROOT / "deploy/haproxy/haproxy.cfg").read_text(), known, "haproxy.cfg"))
        self.site.wait("HAProxy serves the API", lambda: get(f"http://127.0.0.1:{api}/readyz"))
        return front

    def kill_node(self):
        self.site.end("node-1", signal.SIGKILL)

    def stop_node(self):
        self.site.end("node-2", signal.SIGTERM)

    def rolling(self):
        for number in NODES:
            self.site.end(f"node-{number}", signal.SIGTERM)
            self.back(number)

    def back(self, number):
        self.start(number)
        self.wait_well(number)
        self.again()


def haproxy(site, name, text):
    path = site.folder / f"{name}.cfg"
    path.write_text(text)
    site.run("haproxy", "-c", "-f", path)
    site.start(name, "haproxy", "-db", "-f", path)


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


def silence(moments, begun, ended):
    """The longest time, in seconds, without any acknowledgement between these moments."""
    moments = [begun, *sorted(at for at in moments if begun <= at <= ended), ended]
    return max(b - a for a, b in zip(moments, moments[1:])) / 1000


def by_device(found, begun, ended):
    """The longest silence of each device that was heard at least three times."""
    each = {}
    for at, device, _ in found:
        each.setdefault(device, []).append(at)
    # Until its first one after; what was silent before is another blow's.
    return [max((b - max(a, begun) for a, b in zip(moments, moments[1:]) if b >= begun and a <= ended), default=0) / 1000
            for moments in map(sorted, each.values()) if len(moments) >= 3 * (ended - begun) / 60000 + 3] or [0]
