#!/usr/bin/env python3
"""Builds the Debian package from the program that the tests built, installs it by dpkg
into a folder of its own with its maintainer scripts, checks what lies where, starts the
node as its unit does, and removes and purges it again. Needs no systemd that runs.

Needs the built binary, dpkg and systemd's own tools; takes some 20 s.
"""

import os
import re
import subprocess

from servers import ROOT, TARGET, Site, fail, free_port, get, listens, need

FRAME = "50F70A3F73025EFCF950156F017D784000008CA0B8003C013026A1029E72BD73C4"


def build():
    done = subprocess.run(["tools/deb.sh"], cwd=ROOT, env={**os.environ, "NEMESES_PROFILE": "debug"})
    if done.returncode != 0:
        fail("tools/deb.sh failed")
    packages = sorted((TARGET / "debian").glob("nemeses_*.deb"))
    if len(packages) != 1:
        fail(f"one package was expected: {packages}")
    return packages[0].resolve()


def check_contents(site, package):
    """What a user of a Debian system looks for, at its place."""
    listed = site.run("dpkg-deb", "--contents", package).stdout
    paths = {line.split()[5].removeprefix(".") for line in listed.splitlines()}
    units = {f"/usr/lib/systemd/system/{path.name}" for path in (ROOT / "deploy/systemd").glob("*.service")}
    wanted = units | {
        "/usr/bin/nemeses", "/etc/nemeses/nemeses.toml", "/usr/share/man/man1/nemeses.1.gz",
        "/usr/share/man/man1/nemeses-doctor.1.gz", "/usr/share/bash-completion/completions/nemeses",
        "/usr/share/zsh/vendor-completions/_nemeses", "/usr/share/fish/vendor_completions.d/nemeses.fish",
        "/usr/lib/sysusers.d/nemeses.conf", "/usr/share/doc/nemeses/copyright",
        "/usr/share/doc/nemeses/nemeses.cdx.json",
        "/usr/share/nemeses/accounts/mysql.sh", "/usr/share/nemeses/schema.sql",
    }
    if wanted - paths:
        fail(f"the package lacks {sorted(wanted - paths)}")
    writable = [line for line in listed.splitlines() if line[8] == "w" and line[0] != "l"]
    if writable:
        fail(f"others may write: {writable}")
    depends = site.run("dpkg-deb", "--field", package, "Depends").stdout
    if "libc6" not in depends:
        fail(f"the package depends on: {depends}")


def dpkg(site, root, *words):
    """Into a folder; the scripts run with DPKG_ROOT instead of a chroot."""
    return site.run("dpkg", f"--root={root}", "--force-script-chrootless", "--force-depends",
                    "--force-not-root", *words)


def check_node(site, root):
    """Starts what the unit starts, from where the package put it."""
    unit = (root / "usr/lib/systemd/system/nemeses.service").read_text()
    command = re.search(r"^ExecStart=(.+)$", unit, re.M).group(1).split()
    command = [f"{root}{word}" if word.startswith("/") else word for word in command]
    data, mqtt, http, admin = site.path("data"), free_port(), free_port(), free_port()
    site.start("node", *command, "--mqtt-listen", f"127.0.0.1:{mqtt}", "--http-listen",
               f"127.0.0.1:{http}", "--admin-listen", f"127.0.0.1:{admin}",
               env={"NEMESES_DATA_DIR": str(data)})
    site.wait("the node is ready", lambda: get(f"http://127.0.0.1:{http}/readyz") and listens(mqtt))
    site.run("mosquitto_pub", "-h", "127.0.0.1", "-p", mqtt, "-q", "1", "-t", "/messenger", "-m", FRAME)
    def counted():
        state = site.run(root / "usr/bin/nemeses", "status", "--json", "--data-dir", data,
                         "--ask", f"http://127.0.0.1:{admin}", check=False).stdout
        return '"well": true' in state and '"stored": 1,' in state
    site.wait("status tells of the frame", counted)
    if site.stop("node") != 0:
        fail("the node did not end well")


def check_completions(site, root):
    script = f'source {root}/usr/share/bash-completion/completions/nemeses; complete -p nemeses'
    if "_nemeses" not in site.run("bash", "--norc", "-c", script).stdout:
        fail("bash takes no completions")
    page = root / "usr/share/man/man1/nemeses.1.gz"
    if "SYNOPSIS" not in site.run("sh", "-c", f"zcat {page}").stdout:
        fail("the man page is empty")


def main():
    need("dpkg", "dpkg-deb", "systemd-sysusers", "mosquitto_pub")
    package = build()
    with Site() as site:
        check_contents(site, package)
        root = site.path("root")
        (root / "var/lib/dpkg").mkdir(parents=True)
        (root / "var/lib/dpkg/status").touch()
        for folder in ("info", "updates", "triggers"):
            (root / "var/lib/dpkg" / folder).mkdir()
        # Twice: an upgrade keeps what the administrator wrote.
        dpkg(site, root, "--install", package)
        settings = root / "etc/nemeses/nemeses.toml"
        settings.write_text(settings.read_text() + "\n# by hand\n")
        dpkg(site, root, "--force-confold", "--install", package)
        if "# by hand" not in settings.read_text():
            fail("an upgrade changed the settings")
        if "nemeses:" not in (root / "etc/passwd").read_text():
            fail("the user was not made")
        if (root / "etc/nemeses/nemeses.env").stat().st_mode & 0o077:
            fail("others may read the secrets")
        check_completions(site, root)
        check_node(site, root)
        dpkg(site, root, "--remove", "nemeses")
        if (root / "usr/bin/nemeses").exists() or not settings.exists():
            fail("removed, the program should be gone and its settings there")
        (root / "var/lib/nemeses").mkdir(parents=True, exist_ok=True)
        dpkg(site, root, "--purge", "nemeses")
        if (root / "etc/nemeses").exists() or not (root / "var/lib/nemeses").exists():
            fail("purged, the settings should be gone and the data there")
    print(f"package: {package.name}: installed, upgraded, started, removed, purged")


if __name__ == "__main__":
    main()
