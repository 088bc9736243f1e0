#!/usr/bin/env python3
"""Backs up and restores as docs/operations.md says, under load: a dump of MariaDB and
of MySQL into a second database, and a copy of a running node's SQLite file. What was restored must
balance, hold no more than the original, and work for a node.

Needs the built binary and the packages of tools/setup.sh; takes some 20 s.
"""

import json
import sqlite3

from servers import Site, fail, free_port, get, listens, need, program


def node(site, name, *database):
    """A node; returns its MQTT port."""
    mqtt, http = free_port(), free_port()
    site.start(name, program(), "up", "--data-dir", site.path(name), *database, "--jwt-secret", "x" * 32,
               "--mqtt-listen", f"127.0.0.1:{mqtt}", "--http-listen", f"127.0.0.1:{http}", "--admin-listen", "off")
    site.wait(f"{name} is ready", lambda: get(f"http://127.0.0.1:{http}/readyz"))
    site.wait(f"{name} listens", lambda: listens(mqtt))
    return mqtt


def load(site, name, mqtt):
    site.start(name, program(), "simulate", "--devices", "50", "--rate", "500", "--connections", "4",
               "--mqtt-url", f"mqtt://127.0.0.1:{mqtt}")


def audit(site, *database):
    """The books of a database that nobody writes to; exact."""
    done = site.run(program(), "audit", "--json", *database, check=False)
    books = json.loads(done.stdout)
    if done.returncode != 0 or not books["balance"]:
        fail(f"the books do not balance: {done.stdout}")
    return books["totals"], books["tables"]


def judge(name, restored, original):
    """Part of the original, and not nothing."""
    (restored, tables), (original, _) = restored, original
    if not 0 < restored["stored"] <= original["stored"]:
        fail(f"{name}: restored {restored}, there were {original}")
    if tables["positions"] != restored["stored"]:
        fail(f"{name}: {tables['positions']} rows, the books say {restored['stored']}")
    print(f"backup of {name}: {restored['stored']} rows restored of {original['stored']} at the end; the books balance")


def rows_of(site, socket):
    def count():
        return int(site.sql(socket, "SELECT COUNT(*) FROM positions", "nemeses")) > 500
    return count


def server(site, brand):
    found = site.database(brand)
    if found is None:
        return
    port, socket = found
    site.sql(socket, "CREATE DATABASE nemeses; CREATE DATABASE restored")
    at = "mysql://root@127.0.0.1:%d/" % port
    mqtt = node(site, f"{brand}-node", "--database-url", at + "nemeses")
    load(site, f"{brand}-load", mqtt)
    site.wait("there are rows", rows_of(site, socket))
    dump = site.run("mariadb-dump", "--no-defaults", f"--socket={socket}", "-uroot", "--single-transaction",
                    "--quick", "--routines", "--hex-blob", "nemeses").stdout
    site.sql(socket, dump, "restored")
    restored = audit(site, "--database-url", at + "restored")
    site.stop(f"{brand}-load")
    site.stop(f"{brand}-node")
    judge(brand, restored, audit(site, "--database-url", at + "nemeses"))
    node(site, f"{brand}-restored", "--database-url", at + "restored")


def sqlite(site):
    mqtt = node(site, "embedded")
    load(site, "load2", mqtt)
    database, copy = site.folder / "embedded/nemeses.db", site.path("copy") / "nemeses.db"
    def many():
        with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as reader:
            return reader.execute("SELECT COUNT(*) FROM positions").fetchone()[0] > 500
    site.wait("there are rows", many)
    site.run("sqlite3", "-cmd", ".timeout 10000", database, f"VACUUM INTO '{copy}'")
    restored = audit(site, "--data-dir", copy.parent)
    site.stop("load2")
    site.stop("embedded")
    judge("SQLite", restored, audit(site, "--data-dir", database.parent))
    node(site, "copy")


def main():
    need("mariadbd", "mariadb-dump", "sqlite3")
    with Site() as site:
        server(site, "MariaDB")
        server(site, "MySQL")
        sqlite(site)


if __name__ == "__main__":
    main()
