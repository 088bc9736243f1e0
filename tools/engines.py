"""The stores in the forms that survive the loss of a machine, on real servers with the
configurations of deploy/: Redis with Sentinels, Redis Cluster, MariaDB Galera, and a
primary with its replica. Imported by cluster-test.py.
"""

import contextlib
import itertools
import os
import shutil
import signal
import subprocess

from fleet import configured, haproxy
from servers import ROOT, fail, free_port, listens

# As Debian runs it; rsync copies members as the same user.
AS_MYSQL = ["--user=mysql"] if os.getuid() == 0 else []


class OneDatabase:
    """One MariaDB."""

    def __init__(self, site):
        self.site = site
        self.port, self.socket = site.mariadb()
        site.sql(self.socket, "CREATE DATABASE nemeses")
        self.url = f"mysql://root@127.0.0.1:{self.port}/nemeses"

    def members(self):
        return ["mariadb"]

    def ask(self, question, _member=None):
        return self.site.ask(self.socket, question)

    def kill(self):
        command = self.site.processes["mariadb"].args
        self.site.end("mariadb", signal.SIGKILL)
        self.site.start("mariadb", *command)


class OneRedis:
    """One Redis without a disk."""

    def __init__(self, site):
        self.site, self.port = site, site.redis()
        self.url = f"redis://127.0.0.1:{self.port}"

    def count(self):
        return count(self.site, self.port)

    def kill(self):
        self.site.end("redis", signal.SIGKILL)
        self.site.start("redis", "redis-server", "--port", self.port, "--bind", "127.0.0.1", "--save", "",
                        "--dir", self.site.path("redis"))


def cli(site, port, *words):
    """What redis-cli answers; nothing when nobody does in time."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        return site.run("redis-cli", "-h", "127.0.0.1", "-p", port, *words, check=False, within_s=1).stdout
    return ""


def count(site, port, *more):
    """How many entries have moved so far."""
    answer = cli(site, port, *more, "GET", "live:{stream}:last").strip()
    return int(answer) if answer.isdigit() else None


class Sentinels:
    """A primary, two replicas and three Sentinels."""

    def __init__(self, site):
        self.site = site
        self.ports = [free_port() for _ in range(3)]
        self.sentinels = [free_port() for _ in range(3)]
        for number in range(3):
            self.start(number, [] if number == 0 else ["--replicaof", "127.0.0.1", self.ports[0]])
        for number in (1, 2):
            site.wait("the replica follows", lambda number=number: "master_link_status:up" in self.info(number))
        for number, port in enumerate(self.sentinels):
            name = f"sentinel-{number}"
            known = {"port 26379": f"port {port}", "/var/lib/redis": site.path(name),
                     "fleet 127.0.0.1 6379 2": f"fleet 127.0.0.1 {self.ports[0]} 2"}
            path = site.folder / f"{name}.conf"
            path.write_text(configured((ROOT / "deploy/redis/sentinel.conf").read_text(), known, "sentinel.conf"))
            site.start(name, "redis-sentinel", path)
        def know_all(port):
            said = cli(site, port, "SENTINEL", "MASTER", "fleet").split("\n")
            said = dict(zip(said[::2], said[1::2]))
            return said.get("num-slaves") == "2" and said.get("num-other-sentinels") == "2"
        site.wait("the Sentinels know all", lambda: all(map(know_all, self.sentinels)), 60)
        self.url = "redis+sentinel://" + ",".join(f"127.0.0.1:{port}" for port in self.sentinels) + "/fleet"

    def start(self, number, more=()):
        name = f"redis-{number}"
        text = (ROOT / "deploy/redis/redis.conf").read_text()
        known = {"port 6379": f"port {self.ports[number]}", "/var/lib/redis": self.site.path(name)}
        path = self.site.folder / f"{name}.conf"
        path.write_text(configured(text, known, "redis.conf"))
        self.site.start(name, "redis-server", path, *more)

    def info(self, number):
        return cli(self.site, self.ports[number], "INFO", "replication")

    def primary(self):
        """The number of the primary, by the Sentinels."""
        for port in self.sentinels:
            said = cli(self.site, port, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", "fleet").split()
            if len(said) == 2:
                return self.ports.index(int(said[1]))
        return 0

    def count(self):
        primary = self.primary()
        return count(self.site, self.ports[primary]) if "role:master" in self.info(primary) else None

    def kill(self):
        self.old = self.primary()
        self.site.end(f"redis-{self.old}", signal.SIGKILL)
        self.wait_promoted()

    def freeze(self):
        self.old = self.primary()
        self.site.processes[f"redis-{self.old}"].send_signal(signal.SIGSTOP)
        self.wait_promoted()

    def thaw(self):
        self.site.processes[f"redis-{self.old}"].send_signal(signal.SIGCONT)
        self.wait_demoted()

    def old_returns(self):
        # It comes as what it was, empty; the Sentinels tell it otherwise.
        self.start(self.old)
        self.wait_demoted()

    def wait_promoted(self):
        def promoted():
            primary = self.primary()
            return primary != self.old and "role:master" in self.info(primary)
        self.site.wait("another is promoted", promoted, 60)

    def wait_demoted(self):
        self.site.wait("the old primary follows the new", lambda: "role:slave" in self.info(self.old)
                       and "master_link_status:up" in self.info(self.old), 60)


class RedisCluster:
    """Three primaries with a replica each."""

    def __init__(self, site):
        self.site = site
        self.ports = [free_port() for _ in range(6)]
        for number in range(6):
            self.start(number, fresh=True)
        for port in self.ports:
            site.wait("Redis listens", lambda port=port: listens(port))
        site.run("redis-cli", "--cluster", "create", *(f"127.0.0.1:{port}" for port in self.ports),
                 "--cluster-replicas", 1, "--cluster-yes")
        site.wait("the cluster is whole", lambda: all(
            "cluster_state:ok" in cli(site, port, "CLUSTER", "INFO") for port in self.ports))
        # Not of all: the others are learnt.
        self.url = "redis+cluster://" + ",".join(f"127.0.0.1:{port}" for port in self.ports[:3])

    def start(self, number, fresh=False):
        name = f"redis-{number}"
        folder = self.site.path(name)
        if fresh:
            known = {"cluster-port 16379": f"cluster-port {free_port()}", "port 6379": f"port {self.ports[number]}",
                     "/var/lib/redis": folder}
            text = (ROOT / "deploy/redis/cluster.conf").read_text()
            (self.site.folder / f"{name}.conf").write_text(configured(text, known, "cluster.conf"))
        self.site.start(name, "redis-server", self.site.folder / f"{name}.conf")

    def owner(self):
        """The number of the primary that has the stream, and most to lose."""
        for port in self.ports:
            slot = cli(self.site, port, "CLUSTER", "KEYSLOT", "{stream}").strip()
            for line in cli(self.site, port, "CLUSTER", "NODES").splitlines():
                _, address, flags, _, _, _, _, link, *slots = line.split()
                for low, _, high in (part.partition("-") for part in slots if not part.startswith("[")):
                    if "master" in flags and "fail" not in flags and slot and int(low) <= int(slot) <= int(high or low):
                        return self.ports.index(int(address.split("@")[0].rsplit(":")[-1]))
        return None

    def count(self):
        owner = self.owner()
        return None if owner is None else count(self.site, self.ports[owner])

    def kill(self):
        self.old = self.owner()
        self.site.end(f"redis-{self.old}", signal.SIGKILL)
        self.site.wait("its replica took over", lambda: self.owner() not in (None, self.old), 60)

    def old_returns(self):
        self.start(self.old)
        self.site.wait("it follows the new one", lambda: "master_link_status:up" in cli(
            self.site, self.ports[self.old], "INFO", "replication"), 60)


class Members:
    """Several MariaDB servers, and HAProxy before them."""

    def __init__(self, site, number, settings, address):
        self.site, self.settings, self.address = site, settings, address
        self.ports = [free_port() for _ in range(number)]
        self.up = set()
        # HAProxy gives its check no environment: its settings are beside it.
        folder = site.path("check")
        (folder / "database-check.cnf").write_text("[client]\nuser = haproxy_check\npassword = check\n")
        self.check = shutil.copy(ROOT / "deploy/haproxy/database-check.sh", folder)

    def make(self, number, known):
        folder = self.site.path(f"db-{number}")
        if AS_MYSQL:
            self.site.folder.chmod(0o711)
            shutil.chown(folder, "mysql")
        self.site.run("mariadb-install-db", "--no-defaults", f"--datadir={folder}/data",
                      "--auth-root-authentication-method=normal", "--skip-test-db", *AS_MYSQL)
        known = {"bind-address = 127.0.0.1": f"bind-address = {self.address(number)}",
                 "port = 3306": f"port = {self.ports[number]}", **known}
        text = configured((ROOT / "deploy/mariadb" / self.settings).read_text(), known, self.settings)
        (folder / "my.cnf").write_text(text)

    def start(self, number, *more, prefix=()):
        folder = self.site.path(f"db-{number}")
        self.site.start(
            f"db-{number}", *prefix, "mariadbd", f"--defaults-file={folder}/my.cnf", f"--datadir={folder}/data",
            f"--socket={folder}/s", f"--pid-file={folder}/pid", "--innodb-buffer-pool-size=64M", *AS_MYSQL, *more)
        self.site.wait(f"member {number} answers", lambda: self.is_well(number), 120)
        self.up.add(number)

    def is_well(self, number):
        done = self.site.run("mariadb-admin", "--no-defaults", f"--socket={self.socket(number)}", "-uroot", "ping", check=False)
        return done.returncode == 0

    def socket(self, number):
        return f"{self.site.folder}/db-{number}/s"

    def kill(self, number):
        self.up.discard(number)
        self.site.end(f"db-{number}", signal.SIGKILL)

    def accounts(self, number):
        self.site.sql(self.socket(number), """
            CREATE DATABASE nemeses; CREATE USER nemeses@'%' IDENTIFIED BY 'n'; CREATE USER haproxy_check@'%' IDENTIFIED BY 'check';
            GRANT ALL ON nemeses.* TO nemeses@'%'""")

    def front(self, backups=True):
        port = free_port()
        known = {"bind 127.0.0.1:3306": f"bind 127.0.0.1:{port}",
                 "/etc/haproxy/database-check.sh": self.check}
        servers = [f"127.0.0.1:{number}3306" for number in (1, 2, 3)]
        text = (ROOT / "deploy/haproxy/database.cfg").read_text()
        for number, server in enumerate(servers):
            if number < len(self.ports):
                known[server] = f"{self.address(number)}:{self.ports[number]}"
            else:
                text = "".join(line for line in text.splitlines(True) if server not in line)
        if not backups:
            known |= {" backup\n": "\n", " on-marked-up shutdown-backup-sessions": ""}
        haproxy(self.site, "haproxy-database", configured(text, known, "database.cfg"))
        self.url = f"mysql://nemeses:n@127.0.0.1:{port}/nemeses"
        self.site.wait("a member takes writes", lambda: self.site.run(
            "mariadb", "--no-defaults", "-unemeses", "-pn", "-h127.0.0.1", f"-P{port}", "--protocol=tcp", "-e", "SELECT 1",
            "nemeses", check=False).returncode == 0)

    def members(self):
        return [f"db-{number}" for number in sorted(self.up)]

    def ask(self, question, member=None):
        return self.site.ask(f"{self.site.folder}/{member or self.members()[-1]}/s", question)


class Galera(Members):
    """Three members, each in a network namespace of its own, so that one can be cut off."""

    def __init__(self, site, one_writer=True):
        self.network = Network(site, 3)
        super().__init__(site, 3, "galera.cnf", self.network.address)
        gossip = ",".join(map(self.network.address, range(3)))
        for number in range(3):
            self.make(number, {"gcomm://127.0.0.1": f"gcomm://{gossip}", "wsrep_node_address = 127.0.0.1":
                               f"wsrep_node_address = {self.network.address(number)}"})
        self.launch(0, "--wsrep-new-cluster")
        self.accounts(0)
        for number in (1, 2):
            self.launch(number)
        self.front(one_writer)

    def launch(self, number, *more):
        self.start(number, *more, prefix=self.network.prefix(number))

    def is_well(self, number):
        return self.is_synced(number) if super().is_well(number) else False

    def is_synced(self, number):
        # There may be no database yet.
        done = self.site.run("mariadb", "--no-defaults", f"--socket={self.socket(number)}", "-uroot", "-N", "-B", "-e",
                             "SHOW STATUS LIKE 'wsrep_local_state_comment'", check=False)
        return "Synced" in done.stdout

    def cut(self, number, seconds, meanwhile):
        self.network.cut(number)
        self.up.discard(number)
        meanwhile(seconds)

    def mend(self, number):
        self.network.mend(number)
        self.site.wait("the member that was cut off is synced", lambda: self.is_synced(number), 90)
        self.up.add(number)


class Replicated(Members):
    """A primary and its replica, semi-synchronous."""

    def __init__(self, site):
        super().__init__(site, 2, "replication.cnf", lambda number: "127.0.0.1")
        for number in range(2):
            self.make(number, {"server_id = 1": f"server_id = {number + 1}"})
            self.start(number)
        self.run(0, "SET GLOBAL read_only = 0; CREATE USER replica@'%' IDENTIFIED BY 'r'; GRANT REPLICATION SLAVE ON *.* TO replica@'%'")
        self.run(1, f"""CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT={self.ports[0]}, MASTER_USER='replica',
            MASTER_PASSWORD='r', MASTER_USE_GTID=slave_pos; START SLAVE""")
        self.accounts(0)
        site.wait("the replica follows", lambda: "nemeses" in self.run(1, "SHOW DATABASES"))
        self.run(0, "SET GLOBAL rpl_semi_sync_master_enabled = 1")
        site.wait("commits wait for the replica", lambda: "ON" in site.ask(self.socket(0), "SHOW STATUS LIKE 'Rpl_semi_sync_master_status'"))
        self.front()

    def run(self, number, text):
        return self.site.sql(self.socket(number), text)

    def fail_over(self):
        """What a person or a tool does when the primary is gone."""
        self.kill(0)
        # What the replica has received and not yet applied was acknowledged: first that.
        self.run(1, "STOP SLAVE IO_THREAD; SELECT MASTER_GTID_WAIT(@@gtid_binlog_pos, 1)")
        self.site.wait("the replica has applied what it has", lambda: "has read all relay log" in self.run(
            1, "SHOW PROCESSLIST"))
        self.run(1, "STOP SLAVE; RESET SLAVE ALL; SET GLOBAL read_only = 0")

    def old_returns(self):
        """Read-only, as its file says: nobody writes to it."""
        self.start(0)
        self.up.discard(0)


class Network:
    """Network namespaces on a bridge, one a server; needs root."""
    numbers = itertools.count(os.getpid() % 200)

    def __init__(self, site, size):
        self.site, self.size = site, size
        number = next(self.numbers)
        self.name, self.net = f"nm{number}", f"10.231.{number}"
        if os.getuid() != 0:
            fail("the scenario with a partition makes network namespaces: run it as root")
        site.stopping.append(self.remove)
        self.ip("link", "add", self.name, "type", "bridge")
        self.ip("addr", "add", f"{self.net}.1/24", "dev", self.name)
        self.ip("link", "set", self.name, "up")
        for member in range(size):
            space, outer, inner = self.space(member), f"{self.name}h{member}", f"{self.name}g{member}"
            self.ip("netns", "add", space)
            self.ip("link", "add", outer, "type", "veth", "peer", "name", inner)
            self.ip("link", "set", inner, "netns", space)
            self.ip("link", "set", outer, "master", self.name, "up")
            self.ip("-n", space, "addr", "add", f"{self.address(member)}/24", "dev", inner)
            self.ip("-n", space, "link", "set", inner, "up")
            self.ip("-n", space, "link", "set", "lo", "up")

    def ip(self, *words, check=True):
        return self.site.run("ip", *words, check=check)

    def space(self, member):
        return f"{self.name}-{member}"

    def address(self, member):
        return f"{self.net}.{11 + member}"

    def prefix(self, member):
        return ["ip", "netns", "exec", self.space(member)]

    def cut(self, member):
        self.ip("link", "set", f"{self.name}h{member}", "down")

    def mend(self, member):
        self.ip("link", "set", f"{self.name}h{member}", "up")

    def remove(self):
        for member in range(self.size):
            # With its namespace goes its end, and with that the other.
            self.ip("link", "del", f"{self.name}h{member}", check=False)
            self.ip("netns", "del", self.space(member), check=False)
        self.ip("link", "del", self.name, check=False)
