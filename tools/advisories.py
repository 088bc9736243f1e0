#!/usr/bin/env python3
"""Checks Cargo.lock and web/package-lock.json against known advisories.

    tools/advisories.py                         the check, without a network (part of make lint)
    tools/advisories.py update SOURCE FILE...   copies the advisories about our packages from dumps
    tools/advisories.py --self-test             checks the checker

The advisories are those of tools/advisories.json, a copy of what concerns packages in the
lock files. SECURITY.md says when and from where it is renewed; deps.toml has the exceptions
with their reasons. A dump is a zip file or a folder of OSV records, one JSON file each, as
osv.dev and RustSec publish them. SOURCE says in words where the dumps are from.

`copied` at the head of the copy has a source and a date for each ecosystem, and the packages
whose advisories were looked for. A package that is not among them may have advisories that the
copy does not know, so the check names it.
"""

import datetime
import json
import pathlib
import sys
import tempfile
import tomllib
import zipfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
STORED = ROOT / "tools/advisories.json"
# Our name of an ecosystem, OSV's, and the file that says what we use of it.
ECOSYSTEMS = {"cargo": ("crates.io", "Cargo.lock"), "npm": ("npm", "web/package-lock.json")}
# A copy that nobody has renewed for so long says little.
STALE_DAYS = 120


def order(version):
    """Sorts versions as SemVer does (2.0.0, section 11)."""
    core, _, pre = version.split("+")[0].partition("-")
    numbers = tuple(int(part) for part in (core.split(".") + ["0", "0"])[:3])
    parts = tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in pre.split(".") if pre)
    return numbers, not pre, parts


def is_affected(version, affected):
    """Whether a version is in one of the ranges; each begins with what it has, and ends before `fixed`."""
    at = order(version)
    return any(
        order(span["introduced"]) <= at and ("fixed" not in span or at < order(span["fixed"])) for span in affected
    )


def versions(ecosystem):
    """The versions of each package in a lock file."""
    text = (ROOT / ECOSYSTEMS[ecosystem][1]).read_text()
    found = {}
    if ecosystem == "cargo":
        for package in tomllib.loads(text)["package"]:
            if "source" in package:
                found.setdefault(package["name"], set()).add(package["version"])
    else:
        for path, package in json.loads(text)["packages"].items():
            if path:
                name = package.get("name", path.rpartition("node_modules/")[2])
                found.setdefault(name, set()).add(package["version"])
    return found


def problems(locked, advisories, exceptions):
    """What is affected and not excepted, and exceptions that except nothing."""
    excepted = {exception["id"] for exception in exceptions}
    used = set()
    for advisory in advisories:
        have = locked[advisory["ecosystem"]].get(advisory["package"], ())
        hit = sorted(version for version in have if is_affected(version, advisory["affected"]))
        if not hit:
            continue
        if advisory["id"] in excepted:
            used.add(advisory["id"])
            continue
        fixed = sorted({span["fixed"] for span in advisory["affected"] if "fixed" in span}, key=order)
        yield (
            f"{advisory['package']} {', '.join(hit)}: {advisory['id']} {advisory['title']}; "
            f"{'fixed in ' + ', '.join(fixed) if fixed else 'there is no fixed version'}: "
            "move to another version, or add an [[advisories]] exception with its reason to deps.toml"
        )
    for unused in sorted(excepted - used):
        yield f"deps.toml: {unused} concerns nothing that we use any more: remove its [[advisories]] exception"


def unknown_packages(locked, copied):
    """The packages of each ecosystem that nobody has looked for in a list of advisories."""
    return {
        ecosystem: sorted(set(locked[ecosystem]) - set(copied[ecosystem]["packages"])) for ecosystem in ECOSYSTEMS
    }


def age_problems(copied, today):
    for ecosystem in ECOSYSTEMS:
        age = (today - datetime.date.fromisoformat(copied[ecosystem]["date"])).days
        if age > STALE_DAYS:
            yield f"the advisories of {ecosystem} are {age} days old: renew them as SECURITY.md says"


def spans(affected):
    """The ranges of an OSV record's package."""
    found = []
    for events in (span["events"] for span in affected.get("ranges", []) if span["type"] in ("SEMVER", "ECOSYSTEM")):
        for event in events:
            if "introduced" in event:
                begin = event["introduced"]
                found.append({"introduced": "0.0.0" if begin == "0" else begin})
            elif "fixed" in event:
                found[-1]["fixed"] = event["fixed"]
            elif "last_affected" in event:
                found[-1]["fixed"] = next_after(event["last_affected"])
    # No ranges: the versions are named one by one.
    return found or [{"introduced": version, "fixed": next_after(version)} for version in affected.get("versions", [])]


def next_after(version):
    """The first version there can be behind this one."""
    version = version.split("+")[0]
    if "-" in version:
        return version + ".0"
    major, minor, patch = version.split(".")
    return f"{major}.{minor}.{int(patch) + 1}-0"


def taken(record, names):
    """The advisories of an OSV record about packages that we use."""
    if "withdrawn" in record:
        return
    for ecosystem, (osv, _) in ECOSYSTEMS.items():
        for affected in record.get("affected", []):
            package = affected.get("package", {})
            if package.get("ecosystem") == osv and package["name"] in names[ecosystem]:
                title = record.get("summary") or record.get("details", "").strip().split("\n")[0]
                yield {
                    "id": record["id"], "ecosystem": ecosystem, "package": package["name"], "title": title[:120],
                    "affected": spans(affected),
                }


def records_of(path):
    """The records of a dump; reports of malware, by the thousand about packages of no one, are left out."""
    if path.is_dir():
        files = ((file.name, file.read_bytes) for file in sorted(path.rglob("*.json")))
    else:
        dump = zipfile.ZipFile(path)
        files = ((name, lambda name=name: dump.read(name)) for name in dump.namelist())
    for name, read in files:
        if name.endswith(".json") and not name.startswith("MAL-"):
            yield json.loads(read())


def update(source, paths):
    """An ecosystem of which a dump is given is replaced, the others stay."""
    stored = json.loads(STORED.read_text())
    names = {ecosystem: set(versions(ecosystem)) for ecosystem in ECOSYSTEMS}
    records = [record for path in paths for record in records_of(pathlib.Path(path))]
    given = {
        ecosystem for ecosystem, (osv, _) in ECOSYSTEMS.items()
        if any(affected.get("package", {}).get("ecosystem") == osv for record in records for affected in record.get("affected", []))
    }
    new = [advisory for record in records for advisory in taken(record, names)]
    kept = [advisory for advisory in stored["advisories"] if advisory["ecosystem"] not in given]
    for ecosystem in given:
        newest = max(record["modified"] for record in records if "modified" in record)[:10]
        stored["copied"][ecosystem] = {"from": source, "date": newest, "packages": sorted(names[ecosystem])}
    write(stored["copied"], kept + new)
    print(f"{len(new)} advisories about {', '.join(sorted(given))} packages that we use")


def write(copied, advisories):
    """An advisory a line, in order, so that a change of it reads well."""
    advisories = sorted(advisories, key=lambda one: (one["ecosystem"], one["package"], one["id"]))
    lines = ",\n".join("  " + json.dumps(one, ensure_ascii=False) for one in advisories)
    head = ",\n".join(f"  {json.dumps(name)}: {json.dumps(copied[name])}" for name in ECOSYSTEMS)
    STORED.write_text(f'{{"copied": {{\n{head}\n}}, "advisories": [\n{lines}\n]}}\n')


def self_test():
    ladder = ["0.9.9", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-rc.2", "1.0.0-rc.11", "1.0.0", "1.0.1", "1.10.0"]
    assert sorted(reversed(ladder), key=order) == ladder
    affected = [{"introduced": "1.2.0", "fixed": "1.2.5"}, {"introduced": "2.0.0"}]
    for version, expected in [("1.1.9", False), ("1.2.0", True), ("1.2.5-rc.1", True), ("1.2.5", False), ("2.0.0-a", False), ("3.0.0", True)]:
        assert is_affected(version, affected) is expected, version
    one = {"id": "X-1", "ecosystem": "cargo", "package": "a", "title": "bad", "affected": affected}
    locked = {"cargo": {"a": {"1.2.4", "1.3.0"}}, "npm": {}}
    (found,) = problems(locked, [one], [])
    assert "a 1.2.4: X-1 bad; fixed in 1.2.5" in found, found
    assert not list(problems(locked, [one], [{"id": "X-1", "reason": "r"}]))
    assert not list(problems({"cargo": {"b": {"1.2.4"}}, "npm": {}}, [one], []))
    (found,) = problems({"cargo": {}, "npm": {"a": {"1.2.4"}}}, [one], [{"id": "X-1", "reason": "r"}])
    assert "remove its [[advisories]] exception" in found, found
    record = {
        "id": "X-2", "summary": "worse", "affected": [
            {"package": {"ecosystem": "npm", "name": "a"}, "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}, {"last_affected": "1.4.9"}]}]},
            {"package": {"ecosystem": "crates.io", "name": "a"}, "versions": ["1.0.0"]},
            {"package": {"ecosystem": "npm", "name": "other"}},
        ],
    }
    found = {one["ecosystem"]: one["affected"] for one in taken(record, {"cargo": {"a"}, "npm": {"a"}})}
    assert is_affected("1.4.9", found["npm"]) and not is_affected("1.4.10", found["npm"]), found
    assert is_affected("1.0.0", found["cargo"]) and not is_affected("1.0.1", found["cargo"]), found
    assert not list(taken({**record, "withdrawn": "x"}, {"cargo": {"a"}, "npm": {"a"}}))
    copied = {name: {"date": "2026-01-01", "packages": ["a"]} for name in ECOSYSTEMS}
    assert unknown_packages({"cargo": {"a": set(), "b": set()}, "npm": {}}, copied) == {"cargo": ["b"], "npm": []}
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "X-2.json").write_text(json.dumps(record))
        (folder / "README.md").write_text("no record")
        with zipfile.ZipFile(folder / "dump.zip", "w") as dump:
            dump.writestr("X-2.json", json.dumps(record))
            dump.writestr("MAL-1.json", "{}")
        assert list(records_of(folder)) == list(records_of(folder / "dump.zip")) == [record]
    day = datetime.date(2026, 1, 1)
    assert not list(age_problems(copied, day + datetime.timedelta(STALE_DAYS)))
    assert len(list(age_problems(copied, day + datetime.timedelta(STALE_DAYS + 1)))) == 2
    print("advisories: the checker's own tests passed")


def main():
    if sys.argv[1:] == ["--self-test"]:
        return self_test()
    if sys.argv[1:2] == ["update"]:
        return update(sys.argv[2], sys.argv[3:])
    stored = json.loads(STORED.read_text())
    exceptions = tomllib.loads((ROOT / "deps.toml").read_text()).get("advisories", [])
    locked = {ecosystem: versions(ecosystem) for ecosystem in ECOSYSTEMS}
    for old in age_problems(stored["copied"], datetime.date.today()):
        print(f"advisories: WARNING: {old}", file=sys.stderr)
    unknown = unknown_packages(locked, stored["copied"])
    for ecosystem, packages in unknown.items():
        if packages:
            some = ", ".join(packages[:5]) + (", ..." if len(packages) > 5 else "")
            print(
                f"advisories: WARNING: nobody has looked for advisories about {len(packages)} of {len(locked[ecosystem])} "
                f"{ecosystem} packages ({some}): renew the copy as SECURITY.md says",
                file=sys.stderr,
            )
    found = list(problems(locked, stored["advisories"], exceptions))
    for problem in found:
        print(f"advisories: {problem}", file=sys.stderr)
    if found:
        sys.exit(1)
    counts = ", ".join(f"{len(locked[name])} of {name} (as of {stored['copied'][name]['date']})" for name in ECOSYSTEMS)
    print(f"advisories: {counts} and {len(stored['advisories'])} advisories about them: {len(exceptions)} exceptions")


if __name__ == "__main__":
    main()
