"""Servers of their own for the checks in tools/: free ports, a temporary folder,
loopback, and an end for every process whatever happens. Imported, not run.
"""

import contextlib
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
os.environ["PATH"] += os.pathsep + "/usr/sbin" + os.pathsep + "/sbin"
# Settings of whoever runs the check are not the check's.
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith("NEMESES_")}


TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).absolute()
UNPACKED_MYSQL = TARGET / "engines/mysql"


def fail(text):
    raise SystemExit(text)


def program():
    """The nemeses binary of this work tree; the build is another step's."""
    path = TARGET / os.environ.get("NEMESES_PROFILE", "debug") / "nemeses"
    if not path.exists():
        fail(f"there is no {path}: run cargo build --package nemeses first")
    return str(path)


def need(*commands):
    missing = [command for command in commands if not shutil.which(command)]
    if missing:
        fail(f"missing: {', '.join(missing)}; run tools/setup.sh")


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_for(what, condition, within_s=30):
    """Waits until `condition()` is true; errors of a server that is not there yet are no."""
    until = time.monotonic() + within_s
    last = None
    while time.monotonic() < until:
        try:
            found = condition()
            if found:
                return found
        except (OSError, http.client.HTTPException, ValueError, LookupError) as error:
            last = error
        time.sleep(0.05)
    fail(f"{what}: not within {within_s} s" + (f" ({last})" if last else ""))


def listens(port):
    with contextlib.closing(socket.create_connection(("127.0.0.1", port), timeout=1)):
        return True


def get(url, **query):
    """The text at an address."""
    if query:
        url += "?" + urllib.parse.urlencode(query, doseq=True)
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.read().decode()
    except urllib.error.HTTPError as error:
        raise ValueError(f"{url}: {error.code} {error.read().decode()[:300]}") from error


def get_json(url, **query):
    return json.loads(get(url, **query))


class Api:
    """The REST API of a node on this machine, as somebody who is signed in."""

    def __init__(self, port):
        self.url, self.token = f"http://127.0.0.1:{port}", None

    def ask(self, method, path, body=None):
        """The bytes of a good answer."""
        request = urllib.request.Request(self.url + path, method=method, headers={"Content-Type": "application/json"},
                                         data=None if body is None else json.dumps(body).encode())
        if self.token:
            request.add_header("Authorization", f"Bearer {self.token}")
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.read()
        except urllib.error.HTTPError as error:
            fail(f"{method} {path}: {error.code} {error.read().decode()}")

    def register(self):
        """Makes the first account, and signs in with it."""
        login = {"email": "ana@example.org", "password": "correct horse battery staple"}
        self.ask("POST", "/register/user", {**login, "name": "Ana"})
        self.token = json.loads(self.ask("POST", "/login", login))["token"]

    def report(self, kind, **query):
        return self.ask("GET", f"/api/v1/report/{kind}?{urllib.parse.urlencode(query)}")


class Site:
    """Processes and their folder."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="nemeses-site-"))
        self.processes = {}
        self.stopping = []

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        for stop in self.stopping:
            stop()
        for process in self.processes.values():
            if process.poll() is None:
                process.terminate()
        for name, process in self.processes.items():
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if kind is not None:
            for name in self.processes:
                log = self.log(name).splitlines()[-8:]
                print(f"--- the end of {name}'s log", *log, sep="\n")
        shutil.rmtree(self.folder, ignore_errors=True)

    def path(self, name):
        path = self.folder / name
        path.mkdir(exist_ok=True)
        return path

    def log(self, name):
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def start(self, name, *command, env=None, cwd=None):
        """Starts a process whose output goes to its log."""
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [str(word) for word in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**CLEAN, **(env or {})}, cwd=cwd or self.folder, start_new_session=True,
            )
        return self.processes[name]

    def stop(self, name, how=signal.SIGTERM, within_s=30):
        process = self.processes[name]
        process.send_signal(how)
        return process.wait(within_s)

    def end(self, name, how=signal.SIGTERM):
        """Ends a process for good: its end is expected from now on."""
        self.stop(name, how)
        del self.processes[name]

    def wait(self, what, condition, within_s=30):
        """Like wait_for, but fails at once when a process has died."""
        def checked():
            for name, process in self.processes.items():
                if process.poll() not in (None, 0):
                    fail(f"{name} ended with {process.returncode} while waiting: {what}")
            return condition()
        return wait_for(what, checked, within_s)

    def run(self, *command, check=True, stdin=None, within_s=60):
        """Runs a command to its end and returns its output."""
        done = subprocess.run(
            [str(word) for word in command], input=stdin, capture_output=True, text=True,
            env=CLEAN, cwd=self.folder, timeout=within_s,
        )
        if check and done.returncode != 0:
            fail(f"{' '.join(map(str, command))} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done

    # -- servers -----------------------------------------------------------

    def mosquitto(self):
        port = free_port()
        text = (ROOT / "mosquitto.conf").read_text()
        text = text.replace("listener 1883 127.0.0.1", f"listener {port} 127.0.0.1")
        text += f"\npersistence_location {self.path('mosquitto')}/\nsys_interval 1\n"
        if os.getuid() == 0:
            text += "user root\n"
        (self.folder / "mosquitto.conf").write_text(text)
        self.start("mosquitto", "mosquitto", "-c", self.folder / "mosquitto.conf")
        self.wait("Mosquitto listens", lambda: listens(port))
        return port

    def redis(self, *more):
        port = free_port()
        self.start("redis", "redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "",
                   "--dir", self.path("redis"), *more)
        self.wait("Redis listens", lambda: listens(port))
        return port

    def mariadb(self, name="mariadb"):
        """A server whose root has no password; returns its port and socket."""
        folder, port = self.path(name), free_port()
        as_root = ["--user=root"] if os.getuid() == 0 else []
        self.run("mariadb-install-db", "--no-defaults", f"--datadir={folder}/data",
                 "--auth-root-authentication-method=normal", "--skip-test-db", *as_root)
        self.start(name, "mariadbd", "--no-defaults", f"--datadir={folder}/data", f"--tmpdir={folder}", f"--port={port}",
                   "--bind-address=127.0.0.1", f"--socket={folder}/s", f"--pid-file={folder}/pid",
                   "--innodb-buffer-pool-size=64M", "--skip-name-resolve", *as_root)
        ping = ["mariadb-admin", "--no-defaults", f"--socket={folder}/s", "-uroot", "ping"]
        self.wait("MariaDB answers", lambda: self.run(*ping, check=False).returncode == 0, 60)
        return port, f"{folder}/s"

    def mysql(self, name="mysql"):
        """The MySQL that setup.sh unpacks, likewise, as careful operators set it."""
        folder, port, usr = self.path(name), free_port(), UNPACKED_MYSQL / "usr"
        options = ["--no-defaults", f"--basedir={usr}", f"--lc-messages-dir={usr}/share/mysql",
                   f"--character-sets-dir={usr}/share/mysql/charsets", f"--plugin-dir={usr}/lib/mysql/plugin",
                   f"--datadir={folder}/data", *(["--user=root"] if os.getuid() == 0 else [])]
        server = UNPACKED_MYSQL / "bin/mysqld"
        self.run(server, *options, "--initialize-insecure", within_s=120)
        self.start(name, server, *options, f"--port={port}", "--bind-address=127.0.0.1", f"--socket={folder}/s",
                   f"--pid-file={folder}/pid", "--mysqlx=off", "--skip-name-resolve", "--secure-file-priv=NULL", "--sql-require-primary-key=on",
                   "--gtid-mode=on", "--enforce-gtid-consistency=on", "--innodb-redo-log-capacity=64M")
        ping = ["mariadb-admin", "--no-defaults", f"--socket={folder}/s", "-uroot", "ping"]
        self.wait("MySQL answers", lambda: self.run(*ping, check=False).returncode == 0, 60)
        # Its first root comes through the socket alone.
        self.sql(f"{folder}/s", "CREATE USER root@'127.0.0.1'; GRANT ALL ON *.* TO root@'127.0.0.1'")
        return port, f"{folder}/s"

    def database(self, brand):
        """The port and the socket of a MariaDB or MySQL; None, said aloud, where there is no MySQL."""
        if brand == "MariaDB":
            return self.mariadb()
        if (UNPACKED_MYSQL / "ASKED").is_file():
            return self.mysql()
        print("SKIPPED: there is no MySQL in the target folder; `make setup` says why")
        return None

    def ask(self, socket_path, question):
        """What the database answers; nothing while it does not."""
        done = self.run("mariadb", "--no-defaults", f"--socket={socket_path}", "-uroot", "-N", "-B",
                        "-e", question, "nemeses", check=False)
        return done.stdout

    def sql(self, socket_path, text, database="", user="root", password=None):
        login = [f"-u{user}"] + ([f"-p{password}"] if password else [])
        done = self.run("mariadb", "--no-defaults", f"--socket={socket_path}", *login, "-N", "-B",
                        *([database] if database else []), stdin=text)
        return done.stdout
