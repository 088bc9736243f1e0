#!/usr/bin/env python3
"""Makes the accounts of deploy/accounts on a real MariaDB, a real MySQL and a real Redis,
and checks what each may do and what not; stations work with theirs.

Needs the built binary and the packages of tools/setup.sh; takes some 20 s.
"""

import subprocess

from servers import ROOT, Site, fail, free_port, get, need, program

ACCOUNTS = ROOT / "deploy/accounts"
FRAME = "50F70A3F73025EFCF950156F017D784000008CA0B8003C013026A1029E72BD73C4"

# Account, statement, whether it is allowed.
SQL = [
    ("nemeses_setup", "ALTER TABLE positions COMMENT 'x'", True),
    ("nemeses_setup", "CREATE DATABASE other", False),
    ("nemeses_setup", "SELECT User FROM mysql.user", False),
    ("nemeses_station", "SELECT COUNT(*) FROM books", True),
    ("nemeses_station", "DELETE FROM removals WHERE kind = 'none'", True),
    ("nemeses_station", "DROP TABLE positions", False),
    ("nemeses_station", "ALTER TABLE positions COMMENT 'y'", False),
    ("nemeses_api", "SELECT COUNT(*) FROM positions", True),
    ("nemeses_api", "DELETE FROM claims WHERE name = 'none'", True),
    ("nemeses_api", "DELETE FROM positions", False),
    ("nemeses_api", "UPDATE books SET `stored` = 0", False),
    ("nemeses_api", "DELETE FROM dead_letters", False),
    ("nemeses_support", "SELECT id, email, role FROM users", True),
    ("nemeses_support", "SELECT COUNT(*) FROM positions", True),
    ("nemeses_support", "SELECT password_hash FROM users", False),
    ("nemeses_support", "SELECT hash FROM logins", False),
    ("nemeses_support", "DELETE FROM positions", False),
    ("nemeses_developer", "SELECT COUNT(*) FROM dead_letters", True),
    ("nemeses_developer", "SELECT email FROM users", False),
    ("nemeses_developer", "INSERT INTO removals VALUES ('x', 1, 1)", False),
    ("nemeses_dba", "SHOW PROCESSLIST", True),
    ("nemeses_dba", "ALTER TABLE positions COMMENT 'z'", True),
    ("nemeses_dba", "SELECT COUNT(*) FROM books", True),
    ("nemeses_dba", "SELECT password_hash FROM users", False),
    ("nemeses_dba", "SELECT latitude_udeg FROM positions", False),
    ("nemeses_dba", "UPDATE books SET `stored` = 0", False),
    ("nemeses_dba", "DELETE FROM positions", False),
    ("nemeses_backup", "SELECT COUNT(*) FROM positions", True),
    ("nemeses_backup", "DELETE FROM positions", False),
]

# Account, command, whether it is allowed.
REDIS = [
    ("nemeses-station", "SET live:{1}:x 1", True),
    ("nemeses-station", "PUBLISH nemeses:relay:1 x", True),
    ("nemeses-station", "SET other 1", False),
    ("nemeses-station", "FLUSHALL", False),
    ("nemeses-station", "CONFIG GET maxmemory", False),
    ("nemeses-support", "GET live:{1}:x", True),
    ("nemeses-support", "INFO server", True),
    ("nemeses-support", "ZREVRANGE nemeses:{workers} 0 -1", True),
    ("nemeses-support", "DEL nemeses:{workers}", False),
    ("nemeses-support", "SET live:{1}:x 2", False),
    ("nemeses-support", "GET nemeses:x", False),
    ("nemeses-setup", "DEL live:{1}:y", True),
    ("nemeses-setup", "CONFIG GET maxmemory", True),
    ("nemeses-setup", "CONFIG SET maxmemory 0", False),
    ("nemeses-developer", "SLOWLOG GET 1", True),
    ("nemeses-developer", "GET live:{1}:x", True),
    ("nemeses-developer", "DEL live:{1}:x", False),
    ("nemeses-dba", "CONFIG SET maxmemory 0", True),
    ("nemeses-dba", "CLIENT LIST", True),
    ("nemeses-dba", "GET live:{1}:x", False),
    ("nemeses-dba", "DEL live:{1}:x", False),
    ("nemeses-dba", "FLUSHALL", False),
]


def script(site, *command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, cwd=site.folder)
    if done.returncode != 0:
        fail(f"{command[0]}:\n{done.stderr}")
    return done.stdout


def password(site, account):
    return (site.folder / "secrets" / account).read_text().strip()


def check_sql(site, socket):
    for account, statement, allowed in SQL:
        done = site.run(
            "mariadb", "--no-defaults", f"--socket={socket}", f"-u{account}",
            f"-p{password(site, account)}", "nemeses", "-e", statement, check=False)
        denied = "denied" in done.stderr
        if (done.returncode == 0) != allowed or denied == allowed:
            fail(f"{account}: {statement}: should be {'allowed' if allowed else 'denied'}: {done.stderr}")


def check_redis(site, port):
    for account, command, allowed in REDIS:
        done = site.run("redis-cli", "-p", port, "--no-auth-warning", "--user", account, "--pass",
                        password(site, account), *command.split())
        denied = "NOPERM" in done.stdout
        if denied == allowed or "WRONGPASS" in done.stdout:
            fail(f"{account}: {command}: should be {'allowed' if allowed else 'denied'}: {done.stdout}")
    done = site.run("redis-cli", "-p", port, "PING")
    if "NOAUTH" not in done.stdout:
        fail(f"without a login Redis answers {done.stdout}")


def check_stations(site, database_port, redis_port):
    """A node and an API work with what they were given."""
    def database(account):
        return f"mysql://{account}:{password(site, account)}@127.0.0.1:{database_port}/nemeses"
    redis = f"redis://nemeses-station:{password(site, 'nemeses-station')}@127.0.0.1:{redis_port}"
    mqtt, node_http, http = free_port(), free_port(), free_port()
    secret = ["--jwt-secret", "x" * 32, "--admin-listen", "off", "--no-migrate", "--redis-url", redis]
    site.start("node", program(), "up", "--database-url", database("nemeses_station"), *secret,
               "--data-dir", site.path("node"),
               "--mqtt-listen", f"127.0.0.1:{mqtt}", "--http-listen", f"127.0.0.1:{node_http}")
    site.start("api", program(), "api", "--database-url", database("nemeses_api"), *secret,
               "--data-dir", site.path("api"), "--http-listen", f"127.0.0.1:{http}")
    base = f"http://127.0.0.1:{http}"
    for port in (http, node_http):
        site.wait("the stations are ready", lambda port=port: get(f"http://127.0.0.1:{port}/readyz"))
    site.run("mosquitto_pub", "-h", "127.0.0.1", "-p", mqtt, "-q", "1", "-t", "/messenger", "-m", FRAME)
    login = '{"email": "a@example.org", "password": "correct horse battery"}'
    as_json = ["-H", "Content-Type: application/json", "-d"]
    site.run("curl", "-fsS", f"{base}/register/user", *as_json, login[:-1] + ', "name": "A"}')
    token = site.run("curl", "-fsS", f"{base}/login", *as_json, login).stdout.split('"token":"')[1].split('"')[0]
    for path in ("location", "report"):
        def answered(path=path):
            done = site.run("curl", "-fsS", "-H", f"Authorization: Bearer {token}",
                            f"{base}/api/v1/{path}/?device_id=0A3F73", check=False)
            return "-19.932833" in done.stdout
        site.wait(f"the API knows the {path}", answered)


def check(site, port, socket):
    site.sql(socket, "CREATE DATABASE nemeses")
    site.run(program(), "migrate", "--database-url", f"mysql://root@127.0.0.1:{port}/nemeses")
    secrets = site.folder / "secrets"
    # Twice: the second time changes nothing.
    for _ in range(2):
        script(site, ACCOUNTS / "mysql.sh", secrets, "nemeses", "--no-defaults", f"--socket={socket}", "-uroot")
    acl = script(site, ACCOUNTS / "redis.sh", secrets)
    (site.folder / "users.acl").write_text(acl)
    redis = site.redis("--aclfile", site.folder / "users.acl")
    check_sql(site, socket)
    check_redis(site, redis)
    check_stations(site, port, redis)


def main():
    need("mariadbd", "mariadb", "redis-server", "redis-cli", "mosquitto_pub", "curl")
    for brand in ("MariaDB", "MySQL"):
        with Site() as site:
            server = site.database(brand)
            if server is None:
                continue
            check(site, *server)
        print(f"accounts on {brand}: {len(SQL)} statements and {len(REDIS)} commands allowed or denied as they"
              " should be; stations work with theirs")


if __name__ == "__main__":
    main()
