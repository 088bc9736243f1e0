#!/usr/bin/env python3
"""Adds an optional field to positions in a copy of the sources, as CONTRIBUTING.md describes
it, lists the files that this changes (at most 10), and runs the suites of the crates that have
code for fields. The work tree may be edited meanwhile."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()
COPY = TARGET / "add-field"
TABLE = "crates/protocol/src/optional.rs"
CHANGELOG = "CHANGELOG.md"
MOST_FILES = 10
ENTRY = """    /// Litres of fuel in the tank.
    Fuel = {number}, "fuel_dl" as "fuel_l", TENTHS, 0..=100_000, since {since};
"""
REFERENCES = (
    "package(nemeses-protocol) & binary(reference) | package(nemeses-api) & test(reference)"
)
SUITES = (
    "package(nemeses-protocol) | package(nemeses-store) & (test(sqlite) | test(optional)"
    " | test(journal) | test(bulk) | test(all_cases)) | package(nemeses-api)"
    " | package(nemeses) & test(replay)"
)


def sources():
    """Every file of the work tree that git does not ignore."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True).stdout
    return [name for name in names.decode().split("\0") if name and (ROOT / name).is_file()]


def copy(names):
    shutil.rmtree(COPY, ignore_errors=True)
    for name in names:
        (COPY / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, COPY / name)


def add_field():
    """An entry behind the last, with the next number and the next version of /DB."""
    path = COPY / TABLE
    text = path.read_text()
    entries = re.findall(r"^    \w+ = (\d+), .* since (\d+);$", text, re.MULTILINE)
    number = max(int(number) for number, _ in entries) + 1
    since = max(int(since) for _, since in entries) + 1
    last = text.rindex(f" since {entries[-1][1]};\n") + len(f" since {entries[-1][1]};\n")
    entry = ENTRY.format(number=number, since=since)
    path.write_text(text[:last] + entry + text[last:])
    changelog = COPY / CHANGELOG
    changelog.write_text(changelog.read_text() + "\n- Positions have `fuel_l`.\n")


def tests_of(*crates):
    """The names of the integration tests of these crates."""
    folders = [COPY / crate / "tests" for crate in crates]
    files = [path for folder in folders for path in (*folder.glob("*.rs"), *folder.glob("*/main.rs"))]
    return sorted({path.parent.name if path.name == "main.rs" else path.stem for path in files})


def nextest(filters, targets, **variables):
    """Builds only these targets, with the features of the whole workspace."""
    command = ["cargo", "nextest", "run", "--workspace", *targets, "-E", filters]
    environment = os.environ | variables | {"CARGO_TARGET_DIR": str(TARGET)}
    subprocess.run(command, cwd=COPY, check=True, env=environment)


def contents(names):
    return {name: (COPY / name).read_bytes() for name in names}


def touched(before):
    names = list(before)
    changed = [name for name in names if (COPY / name).read_bytes() != before[name]]
    known = set(names) | {"target"}
    for path in COPY.rglob("*"):
        name = str(path.relative_to(COPY))
        if path.is_file() and name not in known and "node_modules" not in name:
            changed.append(name)
    return changed


def main():
    names = sources()
    copy(names)
    before = contents(names)
    add_field()
    nextest(REFERENCES, ["--test", "reference", "--test", "http"], NEMESES_WRITE_REFERENCE="1")
    changed = touched(before)
    print(f"{len(changed)} files for a field:", *changed, sep="\n  ")
    if len(changed) > MOST_FILES:
        sys.exit(f"more than {MOST_FILES}")
    suites = tests_of("crates/protocol", "crates/store", "api")
    nextest(SUITES, ["--lib", "--bins", *(part for name in suites for part in ("--test", name))])
    shutil.rmtree(COPY)


if __name__ == "__main__":
    main()
