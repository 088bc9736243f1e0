#!/usr/bin/env python3
"""Machines are lost under load, on real servers: by the generator's own log of what was
acknowledged, none is lost and none is doubled, and it is printed for how long devices
were not acknowledged. All scenarios by default, or those named:

    tools/cluster-test.py [nodes] [sentinel] [redis-cluster] [galera] [galera-all] [replica] [scale]

Needs the built binary and the packages of tools/setup.sh; galera makes network namespaces
and so needs root.
"""

import signal
import sys
import time

from engines import Galera, OneDatabase, OneRedis, RedisCluster, Replicated, Sentinels
from fleet import DEVICES, INTERVAL_S, Fleet, Judge
from servers import Site, fail, free_port, get, need, program

# How long a member is cut off, and a node stands still.
CUT_S, FROZEN_S = 60, 20


def nodes(site):
    """Nodes, the only Redis, the only database: killed, stopped, restarted in turn."""
    need("haproxy", "mariadbd", "redis-server")
    fleet = Fleet(site, OneDatabase(site), OneRedis(site))
    fleet.blow("node killed (SIGKILL)", fleet.kill_node)
    fleet.back(1)
    fleet.blow("node stopped (SIGTERM)", fleet.stop_node)
    fleet.back(2)
    fleet.blow("rolling restart of three", fleet.rolling)
    fleet.blow(f"node frozen (SIGSTOP) for {FROZEN_S} s", lambda: freeze(fleet, "node-3"))
    fleet.blow("Redis killed, back empty", fleet.redis.kill, fleet.redis.count)
    fleet.blow("database killed, back at once", fleet.database.kill)
    fleet.verdict()


def freeze(fleet, name):
    process = fleet.site.processes[name]
    process.send_signal(signal.SIGSTOP)
    watch(fleet, FROZEN_S)
    process.send_signal(signal.SIGCONT)


def watch(fleet, seconds):
    """Lets time pass in which the fleet must be served."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        fleet.again()
        time.sleep(1)


def sentinel(site):
    """The primary of a Redis with two replicas and three Sentinels."""
    need("haproxy", "mariadbd", "redis-server", "redis-sentinel", "redis-cli")
    redis = Sentinels(site)
    fleet = Fleet(site, OneDatabase(site), redis)
    fleet.blow("Redis primary killed, another promoted", redis.kill, redis.count)
    fleet.blow("the old primary returns, as a replica", redis.old_returns, redis.count)
    fleet.blow("Redis primary frozen (SIGSTOP), another promoted", redis.freeze, redis.count)
    fleet.blow("the frozen one goes on and is demoted", redis.thaw, redis.count)
    fleet.verdict()


def redis_cluster(site):
    """A primary of a Redis Cluster of three with three replicas."""
    need("haproxy", "mariadbd", "redis-server", "redis-cli")
    redis = RedisCluster(site)
    fleet = Fleet(site, OneDatabase(site), redis)
    fleet.blow("primary killed, its replica takes over", redis.kill, redis.count)
    fleet.blow("the old primary returns, as a replica", redis.old_returns, redis.count)
    fleet.verdict()


def galera(site, one_writer=True):
    """A Galera cluster of three behind HAProxy, one of which is written to."""
    need("haproxy", "mariadbd", "redis-server", "ip", "rsync")
    database = Galera(site, one_writer)
    fleet = Fleet(site, database, OneRedis(site))
    fleet.blow("member 1 killed (SIGKILL)", lambda: database.kill(0))
    fleet.blow("member 1 returns", lambda: database.launch(0))
    fleet.blow(f"member 1 cut off for {CUT_S} s", lambda: database.cut(0, CUT_S, lambda seconds: watch(fleet, seconds)))
    fleet.blow("member 1 is back in the network", lambda: database.mend(0))
    fleet.blow("member 2 cut off and back", lambda: (database.cut(1, 10, lambda seconds: watch(fleet, seconds)), database.mend(1)))
    fleet.blow("rolling restart of three nodes", fleet.rolling)
    fleet.verdict()
    conflicts = "SHOW STATUS WHERE variable_name IN ('wsrep_local_cert_failures', 'wsrep_local_bf_aborts')"
    for member in database.members():
        print(f"{member} since its start:", ", ".join(database.ask(conflicts, member).replace("\t", " ").splitlines()))


def galera_all(site):
    """The same with all three members written to at once."""
    galera(site, one_writer=False)


def replica(site):
    """A primary with a semi-synchronous replica, which is promoted by hand."""
    need("haproxy", "mariadbd", "redis-server")
    database = Replicated(site)
    fleet = Fleet(site, database, OneRedis(site))
    fleet.blow("primary killed, replica promoted", database.fail_over)
    fleet.blow("the old primary returns, read-only", database.old_returns)
    fleet.verdict()


def scale(site):
    """Parsers and exporters behind Mosquitto: 4, then 2, then 4 of each."""
    need("mosquitto", "mariadbd", "redis-server")
    stations = Stations(site)
    stations.blow("4 to 2 parsers and exporters", stations.shrink)
    stations.blow("2 to 4 parsers and exporters", stations.grow)
    stations.verdict()


class Stations(Judge):
    """As a StatefulSet has them: numbers from 0, the highest go first and come again."""

    def __init__(self, site):
        super().__init__(site, OneDatabase(site))
        self.broker = f"mqtt://127.0.0.1:{site.mosquitto()}"
        self.redis = OneRedis(site)
        self.site.run(program(), "migrate", "--database-url", self.database.url)
        for number in range(4):
            self.start("dbexport", number)
        for number in range(4):
            self.start("parser", number)
        site.start("load", program(), "simulate", "--mqtt-url", self.broker, "--devices", DEVICES, "--connections", "0",
                   "--interval", f"{INTERVAL_S}s", "--log-acknowledged", self.log)
        self.again()

    def command(self, role, number):
        stores = ["--redis-url", self.redis.url]
        if role == "dbexport":
            stores += ["--database-url", self.database.url]
        return [program(), role, "--worker", number, "--mqtt-url", self.broker, *stores]

    def start(self, role, number):
        admin = free_port()
        self.site.start(f"{role}-{number}", *self.command(role, number), "--admin-listen", f"127.0.0.1:{admin}")
        self.site.wait(f"{role}-{number} is well", lambda: get(f"http://127.0.0.1:{admin}/healthz"), 60)

    def leave(self, role, number):
        """The pod ends; then the leaver's job works its share off and gives it up."""
        self.site.end(f"{role}-{number}", signal.SIGTERM)
        self.site.run(*self.command(role, number), "--leave", "--admin-listen", "off")

    def shrink(self):
        # Parsers first: what they work off goes to exporters that are still there.
        for role in ("parser", "dbexport"):
            for number in (3, 2):
                self.leave(role, number)

    def grow(self):
        for role in ("dbexport", "parser"):
            for number in (2, 3):
                self.start(role, number)


SCENARIOS = {"nodes": nodes, "sentinel": sentinel, "redis-cluster": redis_cluster, "galera": galera,
             "galera-all": galera_all, "replica": replica, "scale": scale}


def main():
    chosen = sys.argv[1:] or list(SCENARIOS)
    unknown = [name for name in chosen if name not in SCENARIOS]
    if unknown:
        fail(f"no scenario {', '.join(unknown)}; there are {', '.join(SCENARIOS)}")
    for name in chosen:
        print(f"== {name}: {SCENARIOS[name].__doc__}", flush=True)
        with Site() as site:
            SCENARIOS[name](site)


if __name__ == "__main__":
    sys.exit(main())
